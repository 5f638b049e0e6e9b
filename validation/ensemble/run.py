"""Search the priors again and write the shipped ensemble, or say whether it is still the same.

python validation/ensemble/run.py [--check] [--draws 100000] [--seed 1]
"""

from __future__ import annotations

import argparse
import time
from importlib import resources
from pathlib import Path

from klarsyn.pharmacology.ensemble import failures, find_ensemble, record_of, shipped_ensemble
from klarsyn.pharmacology.runs import read_study
from klarsyn.tables import write_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--study", default="ketamine_response")
    options = parser.parse_args()
    study = read_study(options.study)
    began = time.perf_counter()
    found = find_ensemble(study, draws=options.draws, seed=options.seed)
    print(f"{found.summary()} {time.perf_counter() - began:.1f} s; digest {found.digest}")
    for row in failures(study, found):
        print(f"#{row['id']}: {row['verdict']} ({row['accepted_share']:.0%}); {row['why']}")
    if options.check:
        same = shipped_ensemble(study).digest == found.digest
        raise SystemExit(0 if same else "The shipped ensemble differs from a new search.")
    place = resources.files("klarsyn.pharmacology") / "library" / "ensembles"
    write_text(Path(str(place)) / f"{study.id}.toml", record_of(found))


if __name__ == "__main__":
    main()
