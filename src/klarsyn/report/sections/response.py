"""What follows from the exposure: occupied channels, the course of the score, what is untold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from klarsyn.figures.bands import Band, bands
from klarsyn.figures.theme import colours, finish
from klarsyn.pharmacology.clinical import Response, contrast
from klarsyn.pharmacology.ensemble import Ensemble, shipped_ensemble
from klarsyn.pharmacology.follow import Consequences, follow
from klarsyn.pharmacology.runs import Study, read_study
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import Figure, Prose, Result, paragraphs
from klarsyn.report.sections.meeting import meet_trials, tell_meeting

OCCUPIED_HOURS = 8.0
POINTS = 60
DAYS = (1, 7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The blocks and results of what follows from the regimens."""

    blocks: Sequence[Figure | Prose]
    results: Sequence[Result]


def follow_regimens(context: Context) -> Followed:
    """Follow the base's regimens down to the score; nothing where the base asks for none."""
    wanted = context.settings.action.get("follow")
    if not wanted:
        return Followed(blocks=(), results=())
    study = read_study(wanted["study"])
    ensemble = shipped_ensemble(study)
    found = [_followed(context, wanted, study, ensemble, entry) for entry in wanted["given"]]
    told = _contrasts(context, wanted, [f.response for f in found])
    names = [entry["id"] for entry in wanted["given"]]
    met = meet_trials(context, wanted, {k: f.response for k, f in zip(names, found, strict=True)})
    return Followed(
        blocks=(
            _figure(context, found, ensemble),
            Prose(
                paragraphs=paragraphs(
                    *_sentences(context, told, len(ensemble)), *tell_meeting(context, met)
                )
            ),
        ),
        results=[*told, *met],
    )


def _followed(
    context: Context,
    wanted: Mapping[str, Any],
    study: Study,
    ensemble: Ensemble,
    entry: Mapping[str, Any],
) -> Consequences:
    return follow(
        study,
        ensemble,
        model=wanted["model"],
        form=entry["form"],
        regimen=entry["regimen"],
        days=float(wanted["days"]),
        effects=wanted["effects"],
        seed=int(wanted["seed"]),
        label=entry["label"][context.lang],
    )


def _figure(context: Context, found: Sequence[Consequences], ensemble: Ensemble) -> Figure:
    w = context.words
    palette = colours([f.label for f in found])
    panels = (
        ([_occupied(context, f) for f in found], "response.hours", "response.percent"),
        ([_score(context, f) for f in found], "response.days", "response.points"),
    )

    def draw(narrow: bool) -> Any:
        made = [
            bands(
                curves,
                palette=palette,
                x_title=w.plain(x_title),
                y_title=w.plain(y_title),
                narrow=narrow,
                columns=1,
            )
            for curves, x_title, y_title in panels
        ]
        return finish({"vconcat" if narrow else "hconcat": made, "spacing": 24})

    return Figure(
        id="response",
        title=w.plain("response.figure"),
        alt=w.plain("response.alt", forms=", ".join(f.label for f in found), sets=len(ensemble)),
        wide=draw(False),
        narrow=draw(True),
        caption=w("response.caption", sets=len(ensemble)),
    )


def _occupied(context: Context, f: Consequences) -> Band:
    chosen = _thinned(np.flatnonzero(f.times <= OCCUPIED_HOURS))
    percent = {k: (100 * v[chosen]).tolist() for k, v in f.occupancy.items()}
    return Band(
        panel=context.words.plain("response.occupied"),
        name=f.label,
        times=f.times[chosen].tolist(),
        lower=percent["p5"],
        middle=percent["p50"],
        upper=percent["p95"],
    )


def _score(context: Context, f: Consequences) -> Band:
    chosen = _thinned(np.arange(len(f.times)))
    found = f.response.bands("score")
    return Band(
        panel=context.words.plain("response.score"),
        name=f.label,
        times=(f.times[chosen] / 24).tolist(),
        lower=found["p5"][chosen].tolist(),
        middle=found["p50"][chosen].tolist(),
        upper=found["p95"][chosen].tolist(),
    )


def _thinned(places: np.ndarray) -> np.ndarray:
    at = np.round(np.linspace(0, len(places) - 1, min(POINTS, len(places)))).astype(int)
    return places[np.unique(at)]


def _contrasts(
    context: Context, wanted: Mapping[str, Any], responses: Sequence[Response]
) -> list[Result]:
    """Each pair of forms after a day and after a week, set by set."""
    names = [entry["id"] for entry in wanted["given"]]
    out = []
    for (i, a), (j, b) in combinations(enumerate(responses), 2):
        for day in DAYS:
            found = contrast(a, b, 24.0 * day, agreement=float(wanted["agreement"]))
            label = context.words.plain("response.pair", first=a.label, second=b.label, day=day)
            out.append(
                Result(
                    id=f"response.{names[i]}-{names[j]}.day{day}",
                    value={**found.to_dict(), "name": label},
                    method=(
                        f"difference in points set by set over {found.sets} parameter sets that "
                        f"satisfy the listed experiments; told where {wanted['agreement']:.0%} "
                        f"share a sign"
                    ),
                    inputs=(),
                    digest=digest_of(a.inputs, b.inputs, day),
                    seed=a.seed,
                )
            )
    return out


def _sentences(context: Context, told: Sequence[Result], sets: int) -> list[Any]:
    w, n = context.words, context.numbers
    unknown = [r for r in told if r.value["share_positive"] not in {0.0, 1.0} and _untold(r)]
    parts = []
    for r in told:
        p = r.value["percentiles"]
        text = n.with_interval(p["p50"], p["p5"], p["p95"], 1)
        parts.append(w("response.told", name=r.value["name"], value=context.result_claim(r, text)))
    joined = type(parts[0])("; ").join(parts)
    return [
        w("response.verdict", untold=len(unknown), all=len(told), pairs=joined),
        w("response.honest", sets=sets),
    ]


def _untold(result: Result) -> bool:
    return "cannot be told" in result.value["verdict"]
