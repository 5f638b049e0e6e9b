"""What would change the answer? Every defensible analysis, and the choice that matters most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from klarsyn.bias.grid import Choice
from klarsyn.bias.riskofbias_from_base import judgements_of
from klarsyn.figures.choices import Analysis, specification_curve
from klarsyn.figures.theme import finish
from klarsyn.report.context import Context
from klarsyn.report.document import (
    Figure,
    Prose,
    Result,
    Section,
    TableBlock,
    anchor_of,
    paragraphs,
)
from klarsyn.report.grids import SMALL, AllAnalyses, derive_grid
from klarsyn.report.unseen import UnseenResults, derive_unseen

SHOWN = 120


def build_change(context: Context) -> tuple[Section, Any] | None:
    """The section and its sentence; None where no two trials answer together."""
    made = derive_grid(context)
    if made is None:
        return None
    sentence = _sentence(context, made)
    unseen = derive_unseen(context.base, context.settings)
    results = [made.result]
    blocks: list[Any] = [
        Prose(paragraphs=paragraphs(sentence), tone="finding"),
        _figure(context, made),
        _table(context, made),
    ]
    if unseen is not None:
        results.append(_unseen_result(unseen))
        blocks.append(_unseen(context, unseen, results[-1]))
    blocks.append(Prose(paragraphs=paragraphs(*_cautions(context, made)), tone="caution"))
    section = Section(
        id="change",
        title=context.words.plain("change.title"),
        blocks=blocks,
        results=results,
        findings=[i for e in made.effects for i in e.findings],
    )
    return section, sentence


def _sentence(context: Context, made: AllAnalyses) -> Any:
    w, n, value = context.words, context.numbers, made.result.value

    def claim(text: str) -> Any:
        return context.result_claim(made.result, text)

    parts = {
        "analyses": claim(n.whole(value["estimable"])),
        "benefit": claim(n.percent(value["benefit"])),
        "harm": claim(n.percent(value["harm"])),
        "inconclusive": claim(n.percent(value["inconclusive"])),
        "drug": context.settings.drug[context.lang],
    }
    ranked = value["influence"]
    if not ranked or ranked[0]["redrawn"] == 0:
        return w("change.sentence_firm", **parts)
    top = ranked[0]
    second = Markup("")
    if len(ranked) > 1 and ranked[1]["redrawn"] > 0:
        second = w(
            "change.second",
            choice=_choice(context, ranked[1]["choice"]).lower(),
            redrawn=claim(n.percent(ranked[1]["redrawn"])),
        )
    return w(
        "change.sentence",
        choice=_choice(context, top["choice"]).lower(),
        redrawn=claim(n.percent(top["redrawn"])),
        second=second,
        **parts,
    )


def _key(name: str) -> str:
    return name.replace(" ", "_")


def _choice(context: Context, name: str) -> str:
    return context.words.plain(f"change.choice.{_key(name)}")


def _option(context: Context, choice: str, option: str) -> str:
    w, lang = context.words, context.lang
    if choice == "time":
        return next(x.label[lang] for x in context.settings.windows if x.id == option)
    if choice == "unblinding share":
        return context.numbers.percent(float(option))
    if choice == "inclusion set":
        return w.plain("change.all") if option == "all" else context.comparator(option)
    if choice == "estimator":
        return w.plain("change.common") if option == "common" else option
    key = f"change.{_key(choice)}_option.{option}"
    return w.plain(key, small=SMALL, scale=context.settings.points_scale)


def _several(made: AllAnalyses) -> list[Choice]:
    """The choices with several options, the one that matters most first."""
    by_name = {c.name: c for c in made.grid.choices}
    return [by_name[i["choice"]] for i in made.result.value["influence"]]


def _figure(context: Context, made: AllAnalyses) -> Figure:
    w, n = context.words, context.numbers
    several = _several(made)
    words = {
        (c.name, o): (_choice(context, c.name), _option(context, c.name, o))
        for c in several
        for o in c.options
    }
    cells = _spread(made)
    link = "#" + anchor_of("result", made.result.id)
    analyses = [_analysis(context, c, several, words, link) for c in cells]
    lines = [(_choice(context, c.name), [words[c.name, o][1] for o in c.options]) for c in several]
    value = made.result.value
    reach = value["highest"] - value["lowest"]
    limits = (value["lowest"] - 0.5 * reach, value["highest"] + 0.5 * reach)
    conclusions = {k: w.plain(f"change.{k}") for k in ("benefit", "harm", "inconclusive")}

    def draw(narrow: bool) -> Any:
        return finish(
            specification_curve(
                analyses,
                lines=lines,
                conclusions=conclusions,
                x_title=w.plain("change.x", analyses=n.whole(value["estimable"])),
                y_title=w.plain("change.y"),
                limits=limits,
                narrow=narrow,
            )
        )

    return Figure(
        id="change-curve",
        title=w.plain("change.figure", analyses=n.whole(value["estimable"])),
        alt=w.plain(
            "change.alt",
            lowest=n.fixed(value["lowest"]),
            middle=n.fixed(value["middle"]),
            highest=n.fixed(value["highest"]),
            benefit=n.percent(value["benefit"]),
        ),
        wide=draw(False),
        narrow=draw(True),
        caption=w("change.caption", shown=len(analyses)),
    )


def _spread(made: AllAnalyses) -> list[dict[str, Any]]:
    """Cells with a conclusion in the order of their estimate, some of them at even ranks."""
    whole = [c for c in made.grid.curve(made.grid.cells) if c["conclusion"] != "not_estimable"]
    places = np.unique(np.linspace(0, len(whole) - 1, min(SHOWN, len(whole))).astype(int))
    return [whole[i] | {"rank": int(i) + 1} for i in places]


def _analysis(
    context: Context,
    cell: Mapping[str, Any],
    several: list[Choice],
    words: Mapping[tuple[str, str], tuple[str, str]],
    link: str,
) -> Analysis:
    n, w = context.numbers, context.words
    options = [words[c.name, str(cell[c.name])] for c in several]
    details = {
        w.plain("hover.effect"): n.with_interval(cell["estimate"], cell["low"], cell["high"]),
        **dict(options),
        w.plain("change.studies"): str(cell["studies"]),
    }
    return Analysis(
        rank=cell["rank"],
        estimate=cell["estimate"],
        low=cell["low"],
        high=cell["high"],
        conclusion=cell["conclusion"],
        options=options,
        details=details,
        link=link,
    )


def _table(context: Context, made: AllAnalyses) -> TableBlock:
    w, n = context.words, context.numbers
    options = {c.name: c.options for c in made.grid.choices}
    rows = []
    for place, i in enumerate(made.result.value["influence"], start=1):
        name = i["choice"]
        told = "; ".join(_option(context, name, o) for o in options[name])
        rows.append(
            (
                f"{place}. {_choice(context, name)}",
                told,
                context.result_claim(made.result, n.percent(i["redrawn"])),
                context.result_claim(made.result, n.fixed(i["mean_range"])),
                context.result_claim(made.result, n.fixed(i["largest_range"])),
            )
        )
    return TableBlock(
        id="influence",
        title=w.plain("change.table"),
        header=[w.plain(f"change.head_{h}") for h in ("choice", "options", "p", "mean", "most")],
        rows=rows,
        caption=w("change.table_caption"),
        numeric=(2, 3, 4),
    )


def _unseen_result(unseen: UnseenResults) -> Result:
    told = unseen.to_dict()
    return Result(
        id="change.unseen",
        value={"matrix": told["matrix"], "syntheses": told["syntheses"]},
        method=unseen.method,
        inputs=unseen.findings,
        digest=unseen.digest,
    )


def _unseen(context: Context, unseen: UnseenResults, result: Result) -> TableBlock:
    """How many trials' results are seen at each time, and how many unseen null ones would flip."""
    w, n = context.words, context.numbers
    labels = {x.id: x.label[context.lang] for x in context.settings.windows}
    rows = []
    for r in unseen.rows:
        flip = w.plain("change.unseen_never") if r.to_flip is None else n.whole(r.to_flip)
        when = labels[r.window]
        rows.append(
            (
                f"{when[:1].upper()}{when[1:]}, {context.comparator(r.comparator)}",
                *(
                    context.result_claim(result, n.whole(r.counts[kind]))
                    for kind in ("available", "partial", "unclear", "missing_otherwise")
                ),
                context.result_claim(result, flip),
            )
        )
    heads = ("what", "available", "partial", "unclear", "otherwise", "flip")
    return TableBlock(
        id="unseen",
        title=w.plain("change.unseen"),
        header=[w.plain(f"change.unseen_{h}") for h in heads],
        rows=rows,
        caption=w("change.unseen_caption"),
        numeric=(1, 2, 3, 4, 5),
    )


def _risk(context: Context) -> Any:
    """Whose judgements of bias the grid leaves trials out by, if there are any."""
    judged = judgements_of(context.base)
    if not judged:
        return context.words("change.risk")
    drafts = any(j.draft for j in judged.values())
    said = context.words.plain("change.risk_drafts") if drafts else ""
    return context.words("change.risk_judged", drafts=said)


def _cautions(context: Context, made: AllAnalyses) -> list[Any]:
    w, n = context.words, context.numbers
    texts = [w("change.not_votes"), _risk(context)]
    if made.belief is not None:
        label = context.base.trial(context.base.guess_outcomes[0].trial).label
        texts.append(
            w(
                "change.share",
                belief=context.result_claim(made.result, n.fixed(abs(made.belief))),
                trial=label,
            )
        )
    if made.unasked:
        names = ", ".join(context.comparator(c) for c in made.unasked)
        texts.append(w("change.unasked", classes=names))
    if np.isnan(made.grid.estimate).any():
        texts.append(
            w(
                "change.absent",
                missing=n.whole(made.result.value["analyses"] - made.result.value["estimable"]),
                all=n.whole(made.result.value["analyses"]),
            )
        )
    return texts
