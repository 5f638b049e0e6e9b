"""How much frailty two published follow-ups ask for, and what the shipped range gives.

python validation/patients/run.py [--n 60]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np

from klarsyn.pharmacology.between import SIZES, Between, areas, between, marginal, read_between
from klarsyn.pharmacology.crossed import cross
from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.pharmacology.ensemble import Ensemble, shipped_ensemble
from klarsyn.pharmacology.model import read_model
from klarsyn.pharmacology.population import sample_individuals
from klarsyn.pharmacology.runs import Study, read_study

SIX = "0.5 mg/kg base iv over 40 min, 3 times a week for 2 weeks"
DAYS = (19, 31, 73, 91, 181, 365)  # after the last dose; relapse counts from the first of them
THETAS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
WITHDRAWAL = 150.0  # days after stopping that both runs cover


def shares(study: Study, sets: Ensemble, own: Between | None, n: int) -> list[str]:
    """Share of responders without relapse: median and 5 to 95 % of the sets."""
    model, regimen = read_model("KSR-1-arterial"), parse_regimen(SIX)
    fixed = {k: p.number.value for k, p in model.parameters.items() if p.uncertain is not None}
    people = sample_individuals(
        model, n, seed=1, uncertain=fixed, occasions=regimen.administrations
    )
    found = cross(
        people,
        study,
        sets,
        regimen=regimen,
        form="racemate",
        effects="ketamine_effects",
        days=366,
        between=own,
    ).courses["surviving"]
    cells = []
    for day in DAYS:
        low, middle, high = (
            100 * float(np.interp(24.0 * day, found.times, found.sets[k]))
            for k in ("p5", "p50", "p95")
        )
        cells.append(f"{middle:.0f} ({low:.0f} to {high:.0f})")
    return cells


def withdrawal(study: Study, own: Between, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Hazard ratio of going on against stopping as a trial sees it, set by set."""
    limit = own.constants["remission_points"]
    logs = []
    for run in ("sixteen_weeks_and_on", "sixteen_weeks_then_stop"):
        area, counted, doses = areas(study, own, values, run, WITHDRAWAL, limit)
        settled = np.exp(-values["consolidation"] * doses / (doses + values["consolidation_half"]))
        left = marginal(values["hazard_base"] * settled * area, own.frailty)
        logs.append(np.log(np.where(counted, left, 0).sum(axis=0) / counted.sum(axis=0)))
    return logs[0] / logs[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=60)
    options = parser.parse_args()
    study = read_study("ketamine_response")
    sets = shipped_ensemble(study)
    own = read_between(study, sets)
    if own is None:
        raise SystemExit("the response model names no file of patients.")
    after = [d - 1 for d in DAYS[:-1]] + [DAYS[-1]]
    print("| variance of the frailty | " + " | ".join(f"day {d}" for d in after) + " |")
    print("|---" * (len(DAYS) + 1) + "|")
    print("| patients alike | " + " | ".join(shares(study, sets, None, options.n)) + " |")
    for theta in THETAS:
        sizes = {k: np.array(getattr(own, k)) for k in SIZES}
        sizes["frailty"] = np.full(len(sets), theta)
        one = between(study, sets.values, sizes, own.constants)
        print(f"| {theta:g} | " + " | ".join(shares(study, sets, one, options.n)) + " |")
    print("| shipped range | " + " | ".join(shares(study, sets, own, options.n)) + " |")
    print("| published | 50 (17 responders) | | 24 (7 to 50) | | | 30 (17 to 45) |")
    ratio = np.percentile(withdrawal(study, own, own.values), (5, 50, 95))
    print(f"\nGoing on against stopping: {ratio[1]:.2f} ({ratio[0]:.2f} to {ratio[2]:.2f})")


if __name__ == "__main__":
    main()
