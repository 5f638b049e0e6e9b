"""All treatments at once: who was compared with whom, and what follows for every pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from klarsyn.errors import NumericalError
from klarsyn.figures.network import network_graph
from klarsyn.figures.theme import finish
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Result, Section, TableBlock, paragraphs
from klarsyn.report.pooling import effect_result
from klarsyn.report.registrations import shared_registrations
from klarsyn.synthesis.extraction import TrialEffect, derive_effects
from klarsyn.synthesis.network import NetworkFit, fit_network
from klarsyn.synthesis.network_data import network_from_contrasts
from klarsyn.synthesis.network_spread import (
    at_spread,
    hung_by_one_trial,
    spread_interval,
    told_apart,
)
from klarsyn.synthesis.simulated import NETWORK_OF_12

Edge = tuple[TrialEffect, str, str]


def build_network(context: Context) -> tuple[Section, Any] | None:
    """The section; None where the base asks for no network or too little of one is connected."""
    wanted = context.settings.network
    if not wanted:
        return None
    edges = _edges(context, wanted)
    piece, others = _largest_piece(edges, wanted["reference"])
    if len({t for _, a, b in piece for t in (a, b)}) < 3:
        return None
    try:
        fit = _fit(context, piece, wanted)
    except NumericalError:
        return None
    result = _result(fit, piece)
    sentence = _sentence(context, fit, result, others, wanted)
    section = Section(
        id="network",
        title=context.words.plain("network.title"),
        blocks=[
            Prose(paragraphs=paragraphs(sentence), tone="finding"),
            _graph(context, fit, wanted.get("nodes", {})),
            _league(context, fit, result),
            Prose(
                paragraphs=paragraphs(
                    _cautions(context, fit),
                    *_rests(context, fit, result),
                    *shared_registrations(context, [e for e, _, _ in piece]),
                ),
                tone="caution",
            ),
        ],
        results=[result, *(effect_result("network", e) for e, _, _ in piece)],
        findings=[i for e, _, _ in piece for i in e.findings],
    )
    return section, sentence


def _edges(context: Context, wanted: Mapping[str, Any]) -> list[Edge]:
    """Each trial's contrast between the network's nodes, at the time nearest to the one asked."""
    question = replace(
        context.settings.windows[0].question,
        id="network",
        clock="first_dose",
        target=float(wanted["days"]["target"]),
        earliest=float(wanted["days"]["earliest"]),
        latest=float(wanted["days"]["latest"]),
    )
    nodes = wanted.get("nodes", {})
    out = []
    for e in derive_effects(context.base, question).effects:
        a, b = nodes.get(e.treatment, e.treatment), nodes.get(e.control, e.control)
        if a != b:
            out.append((e, a, b))
    return out


def _largest_piece(edges: Sequence[Edge], reference: str) -> tuple[list[Edge], list[set[str]]]:
    """The trials connected with the reference, and the nodes of what is not."""
    pieces: list[set[str]] = []
    for _, a, b in edges:
        joined = {a, b}.union(*(p for p in pieces if p & {a, b}))
        pieces = [p for p in pieces if not p & joined] + [joined]
    own = next((p for p in pieces if reference in p), set())
    kept = [e for e in edges if e[1] in own]
    return kept, [p for p in pieces if p is not own]


def _fit(context: Context, edges: Sequence[Edge], wanted: Mapping[str, Any]) -> NetworkFit:
    data = network_from_contrasts(
        [e.label for e, _, _ in edges],
        [a for _, a, _ in edges],
        [b for _, _, b in edges],
        [e.y for e, _, _ in edges],
        [e.v**0.5 for e, _, _ in edges],
        measure=edges[0][0].measure,
    )
    return fit_network(data, reference=wanted["reference"], heterogeneity="REML", better="lower")


def _result(fit: NetworkFit, edges: Sequence[Edge]) -> Result:
    league = [
        {
            "treatment": row["treatment"],
            "against": row["against"],
            "estimate": row["value"],
            "ci": [row["low"], row["high"]],
            "studies": row["studies"],
        }
        for row in fit.league()
    ]
    return Result(
        id="network.fit",
        value={
            "treatments": list(fit.treatments),
            "studies": fit.studies,
            "tau": fit.tau,
            "tau_ci": [x**0.5 for x in spread_interval(fit)] if fit.df > 0 else None,
            "q": fit.Q,
            "df": fit.df,
            "league": league,
            "p_scores": fit.p_scores(),
        },
        method=f"network meta-analysis of contrasts, {fit.method}",
        inputs=tuple(f"network.{e.trial}" for e, _, _ in edges),
        digest=fit.digest,
    )


def _sentence(
    context: Context,
    fit: NetworkFit,
    result: Result,
    others: list[set[str]],
    wanted: Mapping[str, Any],
) -> Any:
    w, n = context.words, context.numbers
    loops = sum(k > 0 for k in fit.comparisons.values()) - len(fit.treatments) + 1
    text = w(
        "network.sentence",
        treatments=context.result_claim(result, str(len(fit.treatments))),
        trials=context.result_claim(result, w.count("page.trials_count", fit.studies)),
        tau=context.result_claim(
            result,
            n.with_interval(fit.tau, *result.value["tau_ci"])
            if result.value["tau_ci"]
            else n.fixed(fit.tau),
        ),
        q=context.result_claim(result, n.fixed(result.value["q"], 1)),
        df=fit.df,
        **{name: n.general(float(day)) for name, day in wanted["days"].items()},
        loops=w.plain("network.no_loop")
        if loops == 0
        else w.plain("network.loops", loops=loops, df=fit.df),
    )
    if not others:
        return text
    names = "; ".join(
        ", ".join(context.term("treatment", t) for t in sorted(piece)) for piece in others
    )
    return text + " " + w("network.apart", pieces=names)


def _cautions(context: Context, fit: NetworkFit) -> str:
    """What the fit itself warns of, then what holds for every network."""
    w = context.words
    own = [
        w.plain(f"network.warning.{name}", df=fit.df, trials=fit.studies, seen=NETWORK_OF_12)
        for name, _ in fit.cautions
    ]
    return " ".join([*own, w.plain("network.caution")])


def _rests(context: Context, fit: NetworkFit, result: Result) -> list[Any]:
    """What the table takes as known, and the treatments that one trial alone joins to it."""
    w, n, texts = context.words, context.numbers, []
    if result.value["tau_ci"]:
        upper = result.value["tau_ci"][1]
        apart = told_apart(fit)
        texts.append(
            w(
                "network.spread",
                upper=context.result_claim(result, n.fixed(upper)),
                apart=len(apart),
                kept=len(apart & told_apart(at_spread(fit, upper**2))),
            )
        )
    if alone := hung_by_one_trial(fit):
        names = ", ".join(context.term("treatment", t) for t in alone)
        texts.append(w("network.one_trial", names=names, count=len(alone), all=len(fit.treatments)))
    return texts


def _graph(context: Context, fit: NetworkFit, nodes: Mapping[str, str]) -> Figure:
    w = context.words
    names = [context.term("treatment", t) for t in fit.treatments]
    edges = [
        (context.term("treatment", a), context.term("treatment", b), k)
        for (a, b), k in sorted(fit.comparisons.items())
        if k
    ]
    told = "; ".join(w.plain("network.edge", a=a, b=b, k=k) for a, b, k in edges)
    says = (
        w.plain("network.treatment"),
        w.plain("hover.compared"),
        w.plain("network.trials"),
        w.plain("page.against"),
    )
    return Figure(
        id="network",
        title=w.plain("network.figure"),
        alt=w.plain("network.alt", edges=told),
        wide=finish(network_graph(names, edges, words=says)),
        narrow=finish(network_graph(names, edges, size=200, words=says)),
        caption=w("network.caption", joined=_joined(context, nodes)),
    )


def _joined(context: Context, nodes: Mapping[str, str]) -> str:
    """Which treatments the base's settings take as one."""
    groups: dict[str, list[str]] = {}
    for name, to in nodes.items():
        groups.setdefault(context.term("treatment", to), []).append(context.term("treatment", name))
    if not groups:
        return ""
    told = (
        context.words.plain("network.joined_one", to=to, names=", ".join(names))
        for to, names in groups.items()
    )
    return context.words.plain("network.joined", names="; ".join(told))


def _league(context: Context, fit: NetworkFit, result: Result) -> TableBlock:
    """Row against column, in the order of the P-scores, best first."""
    w, n = context.words, context.numbers
    scores = fit.p_scores()
    order = sorted(fit.treatments, key=lambda t: (-scores[t], t))
    rows = []
    for a in order:
        cells: list[Any] = [context.heading("treatment", a)]
        for b in order:
            if a == b:
                cells.append("·")
                continue
            e = fit.estimate(a, b)
            low, high = e.interval()
            cells.append(context.result_claim(result, n.with_interval(e.value, low, high)))
        rows.append([*cells, n.fixed(scores[a])])
    header = ["", *(context.term("treatment", t) for t in order), w.plain("network.p_score")]
    return TableBlock(
        stacks=False,
        id="league",
        title=w.plain("network.league"),
        header=header,
        rows=rows,
        caption=w("network.league_caption"),
        numeric=tuple(range(1, len(header))),
    )
