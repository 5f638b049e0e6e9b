"""How wide an interval after a jump to reference is, and what it can turn over."""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.bias.reference_based import jump_to_reference_approximation
from klarsyn.stats.estimate import Estimate

PATIENTS, LEFT, DRAWS, TRIALS = 150, 0.26, 30, 80


@pytest.mark.parametrize("value", [-0.6, -0.26, -0.2, 0.0, 0.3])
@pytest.mark.parametrize("left", [0.05, 0.26, 0.6])
def test_a_jump_excludes_zero_exactly_where_those_seen_do(value: float, left: float) -> None:
    seen = Estimate(value=value, se=0.13, method="")
    (a, b), (c, d) = seen.interval(), jump_to_reference_approximation(seen, left).interval()
    assert (a <= 0 <= b) == (c <= 0 <= d)


def test_with_the_missing_drawn_the_interval_is_about_as_wide_as_among_those_seen() -> None:
    """Multiple imputation of simulated trials, Rubin's rules; stated in advance: 0.9 to 1.1.

    The closed form scales the error with the share seen, here 0.74.
    """
    rng = np.random.default_rng(7)
    ratios, jumps = [], []
    for _ in range(TRIALS):
        drug, control = rng.normal(-0.6, 1, PATIENTS), rng.normal(0, 1, PATIENTS)
        a, b = (y[rng.random(PATIENTS) > LEFT] for y in (drug, control))
        seen = Estimate(
            value=float(a.mean() - b.mean()),
            se=float(np.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size)),
            method="",
        )
        value, se = _imputed(rng, a, b)
        ratios.append(se / seen.se)
        jumps.append(value - jump_to_reference_approximation(seen, 1 - a.size / PATIENTS).value)
    assert 0.9 < np.mean(ratios) < 1.1
    assert np.mean(jumps) == pytest.approx(0.0, abs=0.02)


def _imputed(rng: np.random.Generator, a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Difference and Rubin's error where everybody missing ends as the control arm."""
    found, within = [], []
    for _ in range(DRAWS):
        variance = b.var(ddof=1) * (b.size - 1) / rng.chisquare(b.size - 1)
        mean = rng.normal(b.mean(), np.sqrt(variance / b.size))
        full = [np.r_[y, rng.normal(mean, variance**0.5, PATIENTS - y.size)] for y in (a, b)]
        found.append(full[0].mean() - full[1].mean())
        within.append(sum(y.var(ddof=1) / PATIENTS for y in full))
    total = np.mean(within) + (1 + 1 / DRAWS) * np.var(found, ddof=1)
    return float(np.mean(found)), float(np.sqrt(total))
