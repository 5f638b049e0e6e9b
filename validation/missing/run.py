"""Do the analyses of missing outcomes recover the truth when their assumption holds?

    python validation/missing/run.py [trials]

Writes results.csv beside this file; exits with 1 when a threshold of README.md is missed.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np

from klarsyn.bias.reference_based import VisitMeans, reference_based
from klarsyn.provenance import stream
from klarsyn.stats.longitudinal import fit_repeated_measures, mean_after_dropout
from klarsyn.stats.missing_outcomes import contrast_of_arms, mean_with_missing, risk_with_missing

HERE = Path(__file__).parent
SEED, TRIALS, MANY, Z = 52, 200, 4000, 1.959963984540054
ARM = 100
TREATED, CONTROL = np.array([-4.0, -7.0, -9.0]), np.array([-3.0, -4.5, -5.5])
COVARIANCE = np.array([[25.0, 15, 12], [15, 36, 24], [12, 24, 49]])
STRATEGIES = ("missing_at_random", "jump_to_reference", "copy_reference", "copy_increments")
COVERAGE_FEW, COVERAGE_MANY = (0.91, 0.985), (0.935, 0.965)
BIAS_ERRORS = 3.0  # in Monte Carlo standard errors, or
BIAS_SHARE = 0.05  # of the estimate's own standard deviation, whichever is larger


def reference(trials: int) -> list[tuple[str, float, float, float, float]]:
    """Aggregate reference-based analysis of trials whose dropouts follow the strategy."""
    out = []
    for k, strategy in enumerate(STRATEGIES):
        truth = true_difference(strategy)
        found = []
        for t in range(trials):
            rng = stream(SEED, "reference", k, t)
            found.append(analyse(strategy, rng))
        out.append(summary(f"reference-based, {strategy}", np.array(found), truth))
    return out


def patients(
    strategy: str, count: int, treated: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What was seen, when last seen, and the final value whether seen or not."""
    own = TREATED if treated else CONTROL
    y = rng.multivariate_normal(own, COVARIANCE, size=count)
    last = np.full(count, 3)
    for visit in (1, 2):
        risk = 1 / (1 + np.exp(2.2 - 0.08 * (y[:, visit - 1] + 5)))
        last = np.where((last == 3) & (rng.random(count) < risk), visit, last)
    final = y[:, 2].copy()
    if treated and strategy != "missing_at_random":
        for seen in (1, 2):
            rows = np.flatnonzero(last == seen)
            mean = mean_after_dropout(TREATED, CONTROL, seen, strategy)
            past = COVARIANCE[:seen, :seen]
            pull = np.linalg.solve(past, COVARIANCE[:seen, 2])
            spread = math.sqrt(COVARIANCE[2, 2] - COVARIANCE[2, :seen] @ pull)
            centre = mean[2] + (y[rows][:, :seen] - mean[:seen]) @ pull
            final[rows] = centre + spread * rng.standard_normal(rows.size)
    seen_y = y.copy()
    for visit in (1, 2):
        seen_y[last <= visit, visit] = np.nan
    return seen_y, last, final


def true_difference(strategy: str) -> float:
    rng = stream(SEED, "truth", STRATEGIES.index(strategy))
    size = 400_000
    treated = patients(strategy, size, True, rng)[2].mean()
    return float(treated - CONTROL[2])


def analyse(strategy: str, rng: np.random.Generator) -> tuple[float, float]:
    y1, last1, _ = patients(strategy, ARM, True, rng)
    y2, last2, _ = patients(strategy, ARM, False, rng)
    y = np.vstack([y1, y2])
    design = np.zeros((2 * ARM, 3, 6))
    for t in range(3):
        design[:ARM, t, t], design[ARM:, t, 3 + t] = 1.0, 1.0
    fitted = fit_repeated_measures(y, design)
    c = fitted.beta_covariance
    trial = VisitMeans(
        treated=tuple(fitted.beta[:3]),
        control=tuple(fitted.beta[3:]),
        covariance=tuple(map(tuple, fitted.covariance)),
        treated_last_seen=tuple(int((last1 == k).sum()) for k in range(4)),
        control_last_seen=tuple(int((last2 == k).sum()) for k in range(4)),
        se=math.sqrt(c[2, 2] + c[5, 5]),
    )
    found = reference_based(trial, strategy, control_dropouts="missing_at_random").difference
    return found.value, found.se


def ratios(trials: int) -> list[tuple[str, float, float, float, float]]:
    """IMOR and IMDoM of one large trial whose missing differ by exactly that much."""
    out = []
    for imor in (0.3, 1.0, 3.0):
        found, p = [], (0.55, 0.35)
        for t in range(trials):
            rng = stream(SEED, "imor", int(10 * imor), t)
            arms = [binary(q, imor, rng) for q in p]
            y, v = contrast_of_arms(arms[0], arms[1], measure="risk_ratio")
            found.append((float(y), math.sqrt(float(v))))
        whole = [0.75 * q + 0.25 * imor * q / (imor * q + 1 - q) for q in p]
        out.append(summary(f"IMOR {imor}", np.array(found), math.log(whole[0] / whole[1])))
    for shift in (-3.0, 2.0):
        found = []
        for t in range(trials):
            rng = stream(SEED, "imdom", int(shift), t)
            arms = [continuous(m, shift, rng) for m in (12.0, 16.0)]
            y, v = contrast_of_arms(arms[0], arms[1], measure="mean_difference")
            found.append((float(y), math.sqrt(float(v))))
        out.append(summary(f"IMDoM {shift}", np.array(found), -4.0))
    return out


def binary(p: float, imor: float, rng: np.random.Generator):
    missing = int(rng.binomial(300, 0.25))
    return risk_with_missing(rng.binomial(300 - missing, p), 300 - missing, missing, imor)


def continuous(mean: float, shift: float, rng: np.random.Generator):
    missing = int(rng.binomial(120, 0.25))
    y = rng.normal(mean, 8, 120 - missing)
    return mean_with_missing(y.mean(), y.std(ddof=1), y.size, missing, shift, kind="difference")


def summary(name: str, found: np.ndarray, truth: float) -> tuple[str, float, float, float, float]:
    """Name, bias, bias over what is allowed, mean SE over empirical SD, coverage."""
    value, se = found.T
    bias, spread = float(value.mean() - truth), float(value.std(ddof=1))
    covered = float((np.abs(value - truth) <= Z * se).mean())
    allowed = spread * max(BIAS_ERRORS / math.sqrt(len(value)), BIAS_SHARE)
    return name, bias, bias / allowed, float(se.mean() / spread), covered


if __name__ == "__main__":
    few = int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS
    rows = [(r, COVERAGE_FEW) for r in reference(few)]
    rows += [(r, COVERAGE_MANY) for r in ratios(min(20 * few, MANY))]
    lines = ["analysis,bias,bias_over_allowed,se_ratio,coverage"]
    lines += [f"{r[0].replace(',', ':')}," + ",".join(f"{v:.4f}" for v in r[1:]) for r, _ in rows]
    (HERE / "results.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    missed = [r[0] for r, (low, high) in rows if abs(r[2]) > 1 or not low <= r[4] <= high]
    print(f"missed: {', '.join(missed)}" if missed else "all thresholds met")
    sys.exit(bool(missed))
