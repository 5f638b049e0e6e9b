"""Where the two trunks meet: the model's difference from placebo beside what trials found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from klarsyn.errors import unknown_name
from klarsyn.pharmacology.clinical import Response
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import Result
from klarsyn.report.gradings import summary
from klarsyn.report.sections.works import typical_sd
from klarsyn.synthesis.extraction import TrialEffect, derive_effects

WHERE = "appraisal.toml: action.follow.meet"


def meet_trials(
    context: Context, wanted: Mapping[str, Any], responses: Mapping[str, Response]
) -> list[Result]:
    """For each time that the settings name: points below placebo in the model and below control.

    `[[action.follow.meet]]` holds the regimen followed (`given`), the page's `window` and
    `comparator`, and the `day` of the model. Positive: better than control. The pooled standardised
    difference is turned into points by the page's one standard deviation, taken as known.
    """
    windows = {w.id: w for w in context.settings.windows}
    first = derive_effects(context.base, context.settings.windows[0].question)
    sd = typical_sd(context, first) if context.settings.measure == "SMD" else 1.0
    out = []
    for row in wanted.get("meet", ()) if sd else ():
        window, given = row["window"], row["given"]
        if window not in windows:
            raise unknown_name("window", window, windows, WHERE)
        if given not in responses:
            raise unknown_name("regimen", given, responses, WHERE)
        found = derive_effects(context.base, windows[window].question).effects
        if effects := [e for e in found if e.comparator == row["comparator"]]:
            out.append(_met(context, row, responses[given], effects, sd or 1.0))
    return out


def _met(
    context: Context,
    row: Mapping[str, Any],
    response: Response,
    effects: Sequence[TrialEffect],
    sd: float,
) -> Result:
    told = response.difference(24.0 * row["day"], agreement=0.95)
    pooled = summary(context, effects)
    return Result(
        id=f"response.meet.{row['given']}.{row['window']}.{row['comparator']}",
        value={
            "day": row["day"],
            "model": told.percentiles,
            "trials": -pooled["estimate"] * sd,
            "trials_ci": [-pooled["high"] * sd, -pooled["low"] * sd],
            "k": len(effects),
        },
        method=f"median and 5 to 95 % of {told.sets} parameter sets, fixed by one published "
        f"difference; trials pooled by {context.settings.method}, {context.settings.test}, "
        f"times {sd:.2f}",
        inputs=tuple(dict.fromkeys(i for e in effects for i in e.findings)),
        digest=digest_of(told.to_dict(), [(e.trial, e.y, e.v) for e in effects], sd),
    )


def tell_meeting(context: Context, met: Sequence[Result]) -> list[Any]:
    """One paragraph, or none."""
    w, n = context.words, context.numbers
    if not met:
        return []
    parts = []
    for r in met:
        v, p = r.value, r.value["model"]
        low, high = v["trials_ci"]
        parts.append(
            w(
                "response.met",
                day=n.general(v["day"]),
                model=context.result_claim(r, n.with_interval(p["p50"], p["p5"], p["p95"], 1)),
                found=context.result_claim(r, n.with_interval(v["trials"], low, high, 1)),
                trials=w.count("page.trials_count", v["k"]),
            )
        )
    return [w("response.meet", pairs=type(parts[0])("; ").join(parts))]
