"""One row an outcome, with what GRADE needs to know, becomes suggestions and findings rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from klarsyn.bias.certainty import (
    LEVELS,
    Certainty,
    Confirmation,
    Suggestion,
    Thresholds,
    UnblindingTip,
    grade,
    imprecision,
    imprecision_of_ratio,
    inconsistency,
    indirectness,
    publication_bias,
    risk_of_bias,
)
from klarsyn.bias.findings_table import (
    RATIOS,
    FindingsRow,
    absolute_per_1000,
    row_from_difference,
    row_from_ratio,
)
from klarsyn.errors import InputError, unknown_name
from klarsyn.stats.estimate import Z_95, Estimate
from klarsyn.tables import Column, read_table

MEASURES = ("mean_difference", *RATIOS)


def _optional(name: str, kind: str = "number", **more: Any) -> Column:
    return Column(name=name, kind=kind, required=False, may_be_empty=True, **more)


COLUMNS = (
    Column(name="outcome"),
    Column(name="measure", allowed=MEASURES),
    Column(name="estimate", kind="number"),
    Column(name="low", kind="number"),
    Column(name="high", kind="number"),
    Column(name="participants", kind="count", minimum=1),
    Column(name="studies", kind="count", minimum=1),
    Column(name="information_size", kind="number", above=0),
    Column(name="high_risk_weight", kind="number", minimum=0, maximum=1),
    _optional("survives_without", "truth"),
    _optional("belief_tip", minimum=0),
    _optional("belief_plausible", minimum=0),
    _optional("belief_source", "text"),
    _optional("predicted_low"),
    _optional("predicted_high"),
    _optional("i2", minimum=0, maximum=1),
    _optional("indirect", "text"),
    _optional("withheld_results", "count"),
    _optional("unclear_results", "count"),
    _optional("nulls_to_flip", "count"),
    _optional("diversity", minimum=0, maximum=0.999),
    _optional("small", above=0),
    _optional("moderate", above=0),
    _optional("large", above=0),
    _optional("unit", "text"),
    _optional("thresholds_from", "text"),
    _optional("baseline", minimum=0, maximum=1),
    _optional("baseline_source", "text"),
    _optional("start", "text", allowed=LEVELS),
)
CONFIRMATIONS = (
    Column(name="outcome"),
    Column(name="domain"),
    Column(name="change", kind="whole", minimum=-3, maximum=0),
    Column(name="who"),
    Column(name="when"),
    Column(name="why"),
)


def read_certainty(
    path: str | Path, confirmations: str | Path | None = None
) -> tuple[tuple[Certainty, FindingsRow], ...]:
    """Suggest the certainty of each row's outcome, and its Summary-of-Findings row.

    Ratios and their limits stand on the natural scale in the file; thresholds of a ratio are per
    1000 and need `baseline`. `indirect` is a sentence where the evidence is indirect, empty where
    not. A confirmations file has outcome, domain, change, who, when, why.
    """
    confirmed = _confirmations(confirmations) if confirmations else {}
    rows = list(read_table(path, COLUMNS).numbered())
    names = [r["outcome"] for _, r in rows]
    for outcome in confirmed:
        if outcome not in names:
            raise unknown_name("outcome", outcome, names, str(confirmations))
    return tuple(_one(r, confirmed.get(r["outcome"], ()), f"{path}: row {n}") for n, r in rows)


def _confirmations(path: str | Path) -> dict[str, tuple[Confirmation, ...]]:
    found: dict[str, tuple[Confirmation, ...]] = {}
    for r in read_table(path, CONFIRMATIONS).records():
        outcome = r.pop("outcome")
        fields = {k: r[k] for k in ("domain", "change", "who", "when", "why")}
        found[outcome] = (*found.get(outcome, ()), Confirmation(**fields))
    return found


def _one(
    r: dict[str, Any], confirmed: tuple[Confirmation, ...], at: str
) -> tuple[Certainty, FindingsRow]:
    ratio = r["measure"] in RATIOS
    estimate = _estimate(r, ratio, at)
    suggestions = (
        risk_of_bias(r["high_risk_weight"], r.get("survives_without"), unblinding=_tip(r, at)),
        _inconsistency(r, ratio, estimate, at),
        indirectness(
            {"indirect": r["indirect"]} if r.get("indirect") else {},
            serious=["indirect"] if r.get("indirect") else [],
        ),
        _imprecision(r, ratio, estimate, at),
        publication_bias(
            r.get("withheld_results"),
            r.get("unclear_results"),
            r["studies"],
            nulls_to_flip=r.get("nulls_to_flip"),
        ),
    )
    certainty = grade(
        r["outcome"], suggestions, confirmations=confirmed, start=r.get("start") or "High"
    )
    counts = {"participants": r["participants"], "studies": r["studies"]}
    if not ratio:
        unit = r.get("unit") or "points"
        return certainty, row_from_difference(certainty, estimate, unit=unit, **counts)
    return certainty, row_from_ratio(
        certainty,
        estimate,
        measure=r["measure"],
        baseline=_needed(r, "baseline", at),
        baseline_source=r.get("baseline_source") or "not stated",
        limits=(r["low"], r["high"]),
        **counts,
    )


def _estimate(r: dict[str, Any], ratio: bool, at: str) -> Estimate:
    value, low, high = r["estimate"], r["low"], r["high"]
    if not low <= value <= high or low == high:
        raise InputError(f"{at}: the estimate {value:g} must lie within {low:g} to {high:g}.")
    if ratio:
        if low <= 0:
            raise InputError(f"{at}: the limits of a ratio lie above 0, not at {low:g}.")
        value, low, high = math.log(value), math.log(low), math.log(high)
    return Estimate(
        value=value,
        se=(high - low) / (2 * Z_95),
        method="95 % limits as given",
        scale="log" if ratio else "natural",
    )


def _thresholds(r: dict[str, Any], at: str) -> Thresholds | None:
    given = [r.get(n) for n in ("small", "moderate", "large")]
    if all(g is None for g in given):
        return None
    small, moderate, large = (_needed(r, n, at) for n in ("small", "moderate", "large"))
    try:
        return Thresholds(
            small=small,
            moderate=moderate,
            large=large,
            unit=r.get("unit") or "",
            origin=r.get("thresholds_from") or "not stated",
        )
    except InputError as bad:
        raise InputError(f"{at}: {bad}") from None


def _imprecision(r: dict[str, Any], ratio: bool, estimate: Estimate, at: str) -> Suggestion:
    size = {
        "participants": r["participants"],
        "information_size": r["information_size"],
        "diversity_share": r.get("diversity") or 0.0,
    }
    thresholds = _thresholds(r, at)
    if ratio and thresholds is None:
        return imprecision_of_ratio(r["low"], r["high"], **size)
    if ratio:
        return imprecision(_per_1000(r, at), thresholds, **size)
    return imprecision(estimate, thresholds, **size)


def _per_1000(r: dict[str, Any], at: str) -> Estimate:
    """The absolute effect with a standard error from its limits' width."""
    baseline = _needed(r, "baseline", at)
    value, low, high = (
        absolute_per_1000(r["measure"], r[k], baseline) for k in ("estimate", "low", "high")
    )
    middle = (low + high) / 2 if not low < value < high else value
    return Estimate(value=middle, se=(high - low) / (2 * Z_95), method="per 1000")


def _inconsistency(r: dict[str, Any], ratio: bool, estimate: Estimate, at: str) -> Suggestion:
    limits = (r.get("predicted_low"), r.get("predicted_high"))
    if limits[0] is None or limits[1] is None:
        if r["studies"] > 1:
            raise InputError(
                f"{at}: with {r['studies']} studies predicted_low and predicted_high are needed "
                f"to say what a new setting may see."
            )
        limits = (-math.inf, math.inf)
    low, high = (float(x) for x in limits if x is not None)
    if ratio and r["studies"] > 1:
        low, high = math.log(low), math.log(high)
    thresholds = None if ratio else _thresholds(r, at)
    return inconsistency(
        estimate, (low, high), thresholds, i2=r.get("i2") or 0.0, studies=r["studies"]
    )


def _tip(r: dict[str, Any], at: str) -> UnblindingTip | None:
    if r.get("belief_plausible") is None:
        return None
    tip = r.get("belief_tip")
    return UnblindingTip(
        tip=math.inf if tip is None else tip,
        plausible=r["belief_plausible"],
        unit=r.get("unit") or "",
        source=r.get("belief_source") or _needed(r, "belief_source", at),
    )


def _needed(r: dict[str, Any], name: str, at: str) -> Any:
    if r.get(name) is None:
        raise InputError(f"{at}: column {name!r} is needed here and is empty.")
    return r[name]
