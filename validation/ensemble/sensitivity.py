"""Does what we say about the forms hang on one experiment, or on where a threshold was put?

The question: checks hold assumed factors ("below a quarter of the control"), and each experiment
may carry the answer alone. The grid: factors looser and tighter, and each disputed experiment left
out. The result: sets kept, and R against S and racemate against S, with their verdicts. Shown in
docs/dynamics.md.

    python validation/ensemble/sensitivity.py [--draws 24000] [--seed 11]
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace

from klarsyn.errors import NumericalError
from klarsyn.pharmacology.clinical import contrast
from klarsyn.pharmacology.ensemble import find_ensemble
from klarsyn.pharmacology.experiments import read_experiments
from klarsyn.pharmacology.follow import follow
from klarsyn.pharmacology.runs import Study, read_study

REGIMEN = "0.5 mg/kg base iv over 40 min"
FACTORS = {
    "looser": {"0.25": "0.4", "0.75": "0.9", "0.33": "0.45", "0.05": "0.03"},
    "tighter": {"0.25": "0.15", "0.75": "0.6", "0.33": "0.25", "0.05": "0.08"},
}
LEFT_OUT = ("9", "11", "14", "19", "20")


def moved(study: Study, factors: dict[str, str]) -> Study:
    """The same study with the factors of every `<` check replaced."""
    experiments = [
        {**e, "checks": [_moved(c, factors) for c in e["checks"]]}
        for e in study.data["experiments"]
    ]
    rest = {**study.data, "experiments": experiments}
    return replace(study, constants=replace(study.constants, rest=rest))


def _moved(check: str, factors: dict[str, str]) -> str:
    found = re.search(r"([<>]) ([\d.]+) \*", check)
    if not found or found[2] not in factors:
        return check
    ours = factors[found[2]]
    if found[1] == ">" and found[2] in {"0.25", "0.75"}:
        return check  # "kept" stays where it is; only "lost" and "attenuated" move
    return check.replace(f"{found[1]} {found[2]} *", f"{found[1]} {ours} *")


def row(name: str, study: Study, required: Sequence[str], draws: int, seed: int) -> str:
    try:
        ensemble = find_ensemble(study, draws=draws, seed=seed, required=required)
    except NumericalError:
        return f"| {name} | 0 | | | |"
    given = {
        form: follow(
            study,
            ensemble,
            model="KSR-1-arterial",
            form=form,
            regimen=REGIMEN,
            days=8,
            effects="ketamine_effects",
            seed=1,
            label=form,
        ).response
        for form in ("racemate", "S", "R")
    }
    cells = []
    for a, b, hours in (("R", "S", 24.0), ("R", "S", 168.0), ("racemate", "S", 24.0)):
        found = contrast(given[a], given[b], hours)
        p = found.percentiles
        cells.append(f"{p['p50']:+.1f} ({p['p5']:+.1f} to {p['p95']:+.1f}), {found.verdict}")
    return f"| {name} | {len(ensemble)} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=24_000)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    study = read_study("ketamine_response")
    required = [e.id for e in read_experiments(study) if e.role == "accept"]
    print("| Variant | Sets | R against S, day 1 | day 7 | racemate against S, day 1 |")
    print("|---|---|---|---|---|")
    print(row("as shipped, another seed", study, required, options.draws, options.seed))
    for name, factors in FACTORS.items():
        changed = moved(study, factors)
        print(row(f"thresholds {name}", changed, required, options.draws, options.seed))
    for gone in LEFT_OUT:
        fewer = [e for e in required if e != gone]
        print(row(f"without #{gone}", study, fewer, options.draws, options.seed))


if __name__ == "__main__":
    main()
