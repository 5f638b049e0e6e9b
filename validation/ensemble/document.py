"""Write the computed tables of docs/dynamics.md.

python validation/ensemble/document.py [--check]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

from klarsyn.pharmacology.clinical import contrasts
from klarsyn.pharmacology.ensemble import Ensemble, fit_of_experiments, shipped_ensemble
from klarsyn.pharmacology.follow import follow
from klarsyn.pharmacology.runs import Study, read_study
from klarsyn.tables import write_text

PLACE = Path(__file__).parents[2] / "docs" / "dynamics.md"
REGIMEN = "0.5 mg/kg base iv over 40 min"


def fit_table(study: Study, ensemble: Ensemble) -> str:
    lines = [
        ensemble.summary(),
        "",
        "| # | Experiment | Observed | Accepted | Search | Verdict |",
        "|---|---|---|---|---|---|",
    ]
    for r in fit_of_experiments(study, ensemble):
        search = "" if r["search_share"] is None else f"{100 * r['search_share']:.0f} %"
        lines.append(
            f"| {r['id']} | {r['experiment']} | {r['observed']} ({r['source']}) "
            f"| {100 * r['accepted_share']:.0f} % | {search} | {r['verdict']} |"
        )
    return "\n".join(lines)


def parameter_table(study: Study, ensemble: Ensemble) -> str:
    lines = ["| Parameter | Unit | Prior | Kept 5 / 50 / 95 % | Why |", "|---|---|---|---|---|"]
    for name, prior in study.data["priors"].items():
        low, middle, high = np.percentile(ensemble.values[name], [5, 50, 95])
        none = f", {100 * prior['zero']:.0f} % zero" if "zero" in prior else ""
        lines.append(
            f"| {name} | {prior['unit']} | {prior['low']:g} to {prior['high']:g} "
            f"({prior['spread']}{none}) | {low:.3g} / {middle:.3g} / {high:.3g} | {prior['why']} |"
        )
    return "\n".join(lines)


def prediction_table(study: Study, ensemble: Ensemble) -> str:
    found = [
        follow(
            study,
            ensemble,
            model="KSR-1-arterial",
            form=form,
            regimen=REGIMEN,
            days=8,
            effects="ketamine_effects",
            seed=1,
            label=form,
        )
        for form in ("racemate", "S", "R")
    ]
    lines = [f"{REGIMEN}; points of MADRS, median (5 to 95 % of the kept sets).", ""]
    lines += ["| Compared | After a day | After a week |", "|---|---|---|"]
    for one in found:
        cells = []
        for hours in (24.0, 168.0):
            p = one.response.difference(hours, agreement=0.95).percentiles
            cells.append(f"{p['p50']:.1f} ({p['p5']:.1f} to {p['p95']:.1f}) below placebo")
        lines.append(f"| {one.label} | {cells[0]} | {cells[1]} |")
    bands = contrasts([f.response for f in found], (24.0, 168.0))
    for day, week in zip(bands[::2], bands[1::2], strict=True):
        cells = [
            f"{b.percentiles['p50']:+.1f} ({b.percentiles['p5']:+.1f} to "
            f"{b.percentiles['p95']:+.1f}): {b.verdict}"
            for b in (day, week)
        ]
        lines.append(f"| {day.name.split(' at ')[0]} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def why_tables(study: Study, ensemble: Ensemble) -> str:
    sys.path.insert(0, str(Path(__file__).parent))
    import why

    return why.tables(study, ensemble)


def document(text: str) -> str:
    """The page with its tables computed again."""
    study = read_study("ketamine_response")
    ensemble = shipped_ensemble(study)
    tables = {
        "fit": fit_table(study, ensemble),
        "parameters": parameter_table(study, ensemble),
        "predictions": prediction_table(study, ensemble),
        "why": why_tables(study, ensemble),
    }
    for name, table in tables.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
        text = pattern.sub(lambda m, table=table: f"{m[1]}{table}\n{m[2]}", text)
    return text


def main() -> None:
    before = PLACE.read_text()
    after = document(before)
    if "--check" in sys.argv:
        raise SystemExit(
            0 if before == after else "docs/dynamics.md is not what the code computes."
        )
    write_text(PLACE, after)


if __name__ == "__main__":
    main()
