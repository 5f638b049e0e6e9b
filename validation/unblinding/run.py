"""What the correct-guess-rate adjustment does when the truth is known, and how its errors hold.

    python validation/unblinding/run.py [trials]

Writes mechanisms.csv and intervals.csv beside this file; exits with 1 when a threshold of
README.md is missed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from klarsyn.bias.blinding import arm_index
from klarsyn.bias.guesses import ArmGuesses
from klarsyn.provenance import stream
from klarsyn.stats import guess_strata as strata
from klarsyn.stats.guess_worlds import GuessWorld, simulate_guesses, stratify
from klarsyn.tables import csv_text, write_text

HERE = Path(__file__).parent
SEED, N, TRIALS, Z = 41, 230, 3000, 1.959963984540054
# mechanism: (parameters, correct-guess rate, raw, Δ(0.5)) of the design note, methods §2.4
TRAIT = {"cue": 0.6, "trait_on_guess": 1.0}
WORLDS = {
    "activated_expectancy": ({"belief": (4.0, 0.0), "right": 0.73}, 0.73, 4.84, 3.00),
    "benign": ({"guess_noise": 3.3}, 0.61, 2.98, 1.89),
    "trait_same_sign": ({**TRAIT, "trait_on_outcome": 3.0}, 0.67, 2.98, 1.87),
    "trait_opposite_sign": ({**TRAIT, "trait_on_outcome": -3.0}, 0.67, 2.98, 4.09),
    "expectancy_and_trait": (
        {**TRAIT, "belief": (4.0, 0.0), "trait_on_outcome": 3.0},
        0.67,
        4.35,
        1.88,
    ),
}
NEAR = {"rate": 0.02, "raw": 0.10, "half": 0.10}
COVERAGE = (0.935, 0.965)
SE_RATIO = (0.95, 1.05)
BANG = {"calm": (0.4, 0.3), "one_sided": (0.7, 0.1), "extreme": (0.92, 0.04)}


def mechanisms(trials: int) -> list[dict[str, float | str]]:
    out = []
    for name, (how, rate, raw, half) in WORLDS.items():
        world, rng = GuessWorld(mechanism=name, **how), stream(SEED, "mechanism", len(out))
        found = np.array([one(world, rng) for _ in range(trials)])
        centre, spread = found[:, 2].mean(), found[:, 2].std(ddof=1)
        row: dict[str, float | str] = {
            "mechanism": name,
            "rate": found[:, 0].mean(),
            "rate_note": rate,
            "raw": found[:, 1].mean(),
            "raw_note": raw,
            "half": centre,
            "half_note": half,
            "half_sd": spread,
        }
        for k, method in ((3, "fixed"), (4, "sampled")):
            row[f"se_ratio_{method}"] = np.sqrt((found[:, k] ** 2).mean()) / spread
            row[f"coverage_{method}"] = (np.abs(found[:, 2] - centre) <= Z * found[:, k]).mean()
        out.append(row)
    return out


def one(world: GuessWorld, rng: np.random.Generator) -> tuple[float, ...]:
    n, mean, sd = stratify(*simulate_guesses(world, N, rng))
    comp = strata.composition(n)
    a = strata.contrast(comp, 0.5)
    return (
        comp.correct,
        strata.difference(strata.raw_contrast(n), mean),
        strata.difference(a, mean),
        strata.fixed_weight_se(a, n, sd),
        strata.sampled_weight_se(0.0, n, mean, sd, 0.5),
    )


def intervals(trials: int) -> list[dict[str, float | str]]:
    """Coverage of Bang's index: normal, normal with one half added when one-sided, score."""
    out = []
    for name, (right, wrong) in BANG.items():
        for size in (10, 20, 50, 100):
            rng = stream(SEED, f"bang {name}", size)
            draws = rng.multinomial(size, [right, wrong, 1 - right - wrong], size=trials)
            row: dict[str, float | str] = {"guessing": name, "n": size}
            for label, how in (
                ("normal", {}),
                ("half_added", {"add_half": True}),
                ("score", {"interval": "score"}),
            ):
                hits = 0
                for c, w, d in draws:
                    arm = ArmGuesses(
                        trial="", arm="", role="active", correct=c, wrong=w, dont_know=d
                    )
                    low, high = arm_index(arm, **how).interval
                    hits += low <= right - wrong <= high
                row[f"coverage_{label}"] = hits / trials
            out.append(row)
    return out


def write(name: str, rows: list[dict[str, float | str]]) -> None:
    shown = [[f"{v:.4f}" if isinstance(v, float) else v for v in row.values()] for row in rows]
    text = csv_text(rows[0], shown)
    write_text(HERE / name, text)
    print(text)


def misses(rows: list[dict[str, float | str]]) -> list[str]:
    out = []
    for r in rows:
        for key, tolerance in NEAR.items():
            if abs(float(r[key]) - float(r[f"{key}_note"])) > tolerance:
                out.append(f"{r['mechanism']}: {key} {r[key]:.3f} against {r[f'{key}_note']}")
        if not COVERAGE[0] <= float(r["coverage_sampled"]) <= COVERAGE[1]:
            out.append(f"{r['mechanism']}: coverage {r['coverage_sampled']:.3f}")
        if not SE_RATIO[0] <= float(r["se_ratio_sampled"]) <= SE_RATIO[1]:
            out.append(f"{r['mechanism']}: se ratio {r['se_ratio_sampled']:.3f}")
    return out


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS
    table = mechanisms(count)
    write("mechanisms.csv", table)
    write("intervals.csv", intervals(min(count, 2000)))
    missed = misses(table)
    print("\n".join(missed) or "all thresholds met")
    sys.exit(bool(missed))
