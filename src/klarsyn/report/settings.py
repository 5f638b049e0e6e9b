"""What a base asks of its page: names, time windows, harms and choices, read from its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.errors import InputError, unknown_name
from klarsyn.evidence.trial import Base
from klarsyn.report.defaults import (
    DEFAULT_CORRELATION_REASON,
    DEFAULT_ITEMS,
    DEFAULT_LEAVING,
    DEFAULT_PRIORS,
    DEFAULT_WINDOWS,
)
from klarsyn.synthesis.extraction import Question

Label = Mapping[str, str]
COMPARATORS = (
    "inert",
    "psychoactive",
    "masked_by_anaesthesia",
    "ect",
    "other_active",
    "same_drug",
    "none",
)
ON_A_SCALE = ("mean", "median", "mean_difference", "standardised_mean_difference")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time at which the forest plots look, with its name in each language."""

    id: str
    label: Label
    question: Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A published mean improvement of control arms in standard deviations, over some trials."""

    label: Label
    value: float
    trials: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The days from the first dose at which control arms are held against published ones."""

    earliest: float
    latest: float
    elsewhere: tuple[Elsewhere, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The choices that belong to the reader of the evidence; the page prints them.

    `points_scale` is the scale in whose points standardised differences are also given. The
    mappings are read by the section of their name and may be empty. `favoured` is the sign of the
    effect that publication is thought to favour, `selecting` the selection models shown,
    `tau_priors` the priors for the spread between trials.
    """

    title: Label
    drug: Label
    measure: str
    method: str
    test: str
    points_scale: str
    clock: str
    correlation: float
    correlation_reason: Label
    scales: tuple[str, ...]
    disjoint: frozenset[str]
    windows: tuple[Window, ...]
    comparators: tuple[str, ...]
    harms: tuple[str, ...]
    rare: tuple[str, ...]
    rates_to_exclude: tuple[float, ...]
    reference: Mapping[str, Any]
    network: Mapping[str, Any]
    action: Mapping[str, Any]
    review: Mapping[str, Any]
    selection: str
    items: tuple[Mapping[str, Any], ...]
    harm_blocks: tuple[Mapping[str, Any], ...]
    unblinding: Mapping[str, Any]
    leaving: tuple[str, ...]
    noninferiority: Mapping[str, Any]
    findings: Mapping[str, Any]
    elicited: tuple[Mapping[str, Any], ...]
    controls: Controls | None
    favoured: str
    selecting: tuple[str, ...]
    tau_priors: tuple[str, ...]


def read_settings(base: Base) -> Settings:
    """The settings of a base; what its `appraisal.toml` leaves out comes from the data.

    Raises InputError when an entry has the wrong form.
    """
    given = dict(base.settings)
    try:
        return _settings(base, given)
    except (KeyError, TypeError, AttributeError, ValueError) as bad:
        raise InputError(
            f"{base.name}: appraisal.toml is not in the expected form "
            f"({type(bad).__name__}: {bad}). Compare it with the one of a shipped base."
        ) from None


def read_questions(base: Base) -> dict[str, Question]:
    """What the base's page asks of every trial, by the name of its time window."""
    return {w.id: w.question for w in read_settings(base).windows}


def _settings(base: Base, given: dict[str, Any]) -> Settings:
    pooling = given.get("pooling", {})
    crossover = given.get("crossover", {})
    common = {
        "measure": pooling.get("measure", "SMD"),
        "correlation": float(crossover.get("correlation", 0.5)),
        "outcomes": tuple(given.get("outcomes", _outcomes(base))),
        "binary_outcomes": tuple(given.get("binary_outcomes", ("response",))),
        "scales": tuple(given.get("scales", _scales(base))),
        "treatments": tuple(given.get("treatments", ())),
    }
    return Settings(
        title=_label(given.get("title", base.title)),
        drug=_label(given.get("drug", base.title)),
        measure=common["measure"],
        method=pooling.get("method", "REML"),
        test=pooling.get("test", "adhoc"),
        points_scale=given.get("points_scale", common["scales"][0] if common["scales"] else ""),
        clock=given.get("duration", {}).get("clock", "last_dose"),
        correlation=common["correlation"],
        correlation_reason=_label(crossover.get("reason", DEFAULT_CORRELATION_REASON)),
        scales=common["scales"],
        disjoint=frozenset(given.get("disjoint", ())),
        windows=tuple(_window(w, common) for w in given.get("windows", DEFAULT_WINDOWS)),
        comparators=tuple(given.get("comparators", _comparators(base))),
        harms=tuple(given.get("harms", _harms(base))),
        rare=tuple(given.get("rare_harms", ())),
        rates_to_exclude=tuple(given.get("rates_to_exclude", (0.01, 0.001))),
        reference=_reference(base, given.get("reference", {})),
        network=given.get("network", {}),
        action=given.get("action", {}),
        review=given.get("review", {}),
        selection=given.get("selection", ""),
        items=tuple(
            given.get("items", _items(common["outcomes"], given.get("windows", DEFAULT_WINDOWS)))
        ),
        harm_blocks=tuple(_harm_block(h) for h in given.get("harm_blocks", ())),
        unblinding=given.get("unblinding", {}),
        leaving=tuple(given.get("leaving", DEFAULT_LEAVING)),
        noninferiority=_noninferiority(base, given.get("noninferiority", {})),
        findings=_findings(given.get("findings", {}), base),
        controls=_controls(given.get("controls")),
        elicited=tuple(_elicited(base, e) for e in given.get("elicited", ())),
        favoured=given.get("small_studies", {}).get("favoured", "negative"),
        selecting=tuple(given.get("small_studies", {}).get("selection", ("stepfun", "negexp"))),
        tau_priors=tuple(pooling.get("tau_priors", DEFAULT_PRIORS)),
    )


def _window(entry: Mapping[str, Any], common: Mapping[str, Any]) -> Window:
    question = Question(
        id=entry["id"],
        clock=entry["clock"],
        target=float(entry["target"]),
        earliest=float(entry["earliest"]),
        latest=float(entry["latest"]),
        only_repeated=bool(entry.get("only_repeated", False)),
        **common,
    )
    return Window(id=entry["id"], label=_label(entry["label"]), question=question)


def _harm_block(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    out = {
        "id": str(entry["id"]),
        "label": _label(entry["label"]),
        "outcomes": tuple(entry["outcomes"]),
    }
    return out | ({"note": _label(entry["note"])} if "note" in entry else {})


def _noninferiority(base: Base, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The trial with a margin, as a positive risk difference, and the trial beside it."""
    if not entry:
        return {}
    base.trial(entry["trial"])
    if "elsewhere" in entry:
        base.trial(entry["elsewhere"]["trial"])
        str(entry["elsewhere"]["outcome"])
    if "history" in entry:
        entry = {**entry, "history": _history(entry["history"])}
    return {
        **entry,
        "outcome": str(entry["outcome"]),
        "margin": float(entry["margin"]),
        "margin_basis": _label(entry["margin_basis"]),
    }


def _history(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The reference over placebo as a standardised difference, and the fractions to keep of it."""
    value, low, high = (float(x) for x in entry["smd"])
    return {
        "smd": (value, low, high),
        "trials": int(entry["trials"]),
        "patients": int(entry["patients"]),
        "source": str(entry["source"]),
        "placebo": _label(entry["placebo"]),
        "preserve": tuple(float(f) for f in entry["preserve"]),
    }


def _controls(entry: Mapping[str, Any] | None) -> Controls | None:
    if entry is None:
        return None
    return Controls(
        earliest=float(entry["earliest"]),
        latest=float(entry["latest"]),
        elsewhere=tuple(
            Elsewhere(
                label=_label(e["label"]),
                value=float(e["value"]),
                trials=int(e["trials"]),
                source=str(e["source"]),
            )
            for e in entry.get("elsewhere", ())
        ),
    )


def _elicited(base: Base, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """One person's judgement of one trial's bias: who, when and why belong to it."""
    base.trial(entry["trial"])
    sizes = ("additive", "additive_sd", "proportional", "proportional_sd")
    told = {name: str(entry[name]) for name in ("trial", "who", "when", "why")}
    return told | {name: float(entry.get(name, 0.0)) for name in sizes}


def _findings(entry: Mapping[str, Any], base: Base) -> Mapping[str, Any]:
    """Thresholds between groups and changes within a person in points, and who confirmed what."""
    within = [
        {
            "points": float(w["points"]),
            "anchor": _label(w["anchor"]),
            "source": _source(base, w["source"]),
        }
        for w in entry.get("within_person", ())
    ]
    entry = {**entry, "within_person": within}
    if "thresholds" not in entry:
        return entry
    given = entry["thresholds"]
    sizes = {name: float(given[name]) for name in ("small", "moderate", "large")}
    return {**entry, "thresholds": {**sizes, "origin": _label(given["origin"])}}


def _reference(base: Base, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    known = [str(row["id"]) for row in base.published]
    for name in entry.get("published", ()):
        if name not in known:
            raise unknown_name("published row", name, known, where="[reference] of the base")
    return entry


def _source(base: Base, name: str) -> str:
    if name not in base.sources:
        raise unknown_name("source", name, sorted(base.sources), where="settings of the base")
    return name


def _label(value: Any) -> Label:
    if isinstance(value, str):
        return {"en": value, "nb": value}
    return {"en": value["en"], "nb": value["nb"]}


def _outcomes(base: Base) -> tuple[str, ...]:
    """The commonest primary outcome of the trials, as a score and as a change.

    Where no trial names one, the outcome that most findings on a scale are about.
    """
    primary = [t.primary_outcome for t in base.trials if t.primary_outcome]
    named = primary or [f.outcome for f in base.findings if f.scale and f.statistic in ON_A_SCALE]
    name = max(sorted(set(named)), key=named.count, default="score")
    stem = name.removesuffix("_score").removesuffix("_change")
    return (f"{stem}_score", f"{stem}_change") if stem != name else (name,)


def _scales(base: Base) -> tuple[str, ...]:
    """The base's scales by how many findings use them, most first."""
    counts: dict[str, int] = {}
    for f in base.findings:
        if f.scale and f.outcome.endswith(("score", "change")):
            counts[f.scale] = counts.get(f.scale, 0) + 1
    return tuple(sorted(counts, key=lambda name: (-counts[name], name)))


def _comparators(base: Base) -> tuple[str, ...]:
    present = {t.comparator for t in base.trials}
    return tuple(c for c in COMPARATORS if c in present and c != "none")


def _harms(base: Base) -> tuple[str, ...]:
    names = [f.outcome for f in base.findings if f.outcome.startswith("ae_")]
    return tuple(dict.fromkeys(names))


def _items(
    outcomes: tuple[str, ...], windows: Sequence[Mapping[str, Any]]
) -> tuple[Mapping[str, Any], ...]:
    """What the page's questions need of a trial: scores at the page's times, then the rest.

    A window that not every trial can have (the end of repeated doses, whatever came last) is not
    asked of all.
    """
    usual = [item for item in DEFAULT_ITEMS if "clock" in item]
    timed = []
    for window in windows:
        if window.get("only_repeated") or window["id"] == "last":
            continue
        times = {k: window[k] for k in ("earliest", "latest", "clock")}
        same = [item for item in usual if times.items() <= item.items()]
        told = _label(window["label"])
        label = {"en": f"score {told['en']}", "nb": f"skår {told['nb']}"}
        timed.append(same[0] if same else {"label": label, **times})
    rest = [item for item in DEFAULT_ITEMS if "clock" not in item]
    return tuple({"outcomes": outcomes, **item} for item in (*timed, *rest))
