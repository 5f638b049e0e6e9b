"""How much information a question needs, and what more of it would be worth."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from klarsyn.errors import InputError, NumericalError


def _both(alpha: float, power: float) -> float:
    from scipy import special

    if not (0 < alpha < 1 and 0 < power < 1):
        raise InputError(f"Alpha {alpha:g} and power {power:g} must lie between 0 and 1.")
    return float(special.ndtri(1 - alpha / 2) + special.ndtri(power))


def information_size_shares(
    control: float, test: float, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Patients in all to tell two event shares apart: 4 (z + z)² p̄ (1 − p̄) / δ².

    The form of trial sequential analysis (Wetterslev et al. 2008); both arms are in the 4 already.
    """
    if not (0 < control < 1 and 0 < test < 1) or control == test:
        raise InputError(f"Two different shares between 0 and 1 are needed: {control:g}, {test:g}.")
    mean = (control + test) / 2
    return 4 * _both(alpha, power) ** 2 * mean * (1 - mean) / (control - test) ** 2


def information_size_risk_difference(
    control: float, test: float, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Patients in all for a risk difference, with each hypothesis' own variance.

    2 (z₁ √(2 p̄ q̄) + z₂ √(p₀ q₀ + p₁ q₁))² / δ², as R's power.prop.test. Both arms are counted;
    RTSA 0.2.2 doubles once more.
    """
    from scipy import special

    _both(alpha, power)
    if not (0 < control < 1 and 0 < test < 1) or control == test:
        raise InputError(f"Two different shares between 0 and 1 are needed: {control:g}, {test:g}.")
    mean = (control + test) / 2
    null = math.sqrt(2 * mean * (1 - mean))
    other = math.sqrt(control * (1 - control) + test * (1 - test))
    z1, z2 = float(special.ndtri(1 - alpha / 2)), float(special.ndtri(power))
    return 2 * ((z1 * null + z2 * other) / (control - test)) ** 2


def information_size_means(
    difference: float, sd: float, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Patients in all to see a difference of means: 4 (z + z)² σ² / δ² (GRADE 6)."""
    if difference == 0 or not (math.isfinite(difference) and math.isfinite(sd) and sd > 0):
        raise InputError(
            f"A difference other than 0 and an SD above 0 are needed: {difference:g}, {sd:g}."
        )
    return 4 * _both(alpha, power) ** 2 * (sd / difference) ** 2


def diversity(variance_random: float, variance_common: float) -> float:
    """D² = (V_R − V_F) / V_R, the share by which heterogeneity inflates the variance."""
    if not 0 < variance_common <= variance_random * (1 + 1e-12):
        raise InputError("The random-effects variance must be at least the common-effect one.")
    return max(0.0, 1 - variance_common / variance_random)


def with_heterogeneity(size: float, diversity_share: float) -> float:
    """The information size divided by 1 − D² (Wetterslev et al. 2009)."""
    if not (math.isfinite(size) and size > 0):
        raise InputError(f"An information size is above 0; {size:g} is not.")
    if not 0 <= diversity_share < 1:
        raise InputError(f"D² lies from 0 to below 1; {diversity_share:g} does not.")
    return size / (1 - diversity_share)


def fewest_trials(effect: float, tau2: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Trials, however large, that random effects need at least: ⌈τ² (z + z)² / δ²⌉, at least 1.

    `effect` on the scale of `tau2` (e.g. the log risk ratio).
    """
    if effect == 0 or not math.isfinite(effect):
        raise InputError(f"An effect of {effect:g} can never be shown.")
    _check_tau2(tau2)
    return max(1, math.ceil(tau2 * _both(alpha, power) ** 2 / effect**2))


def _check_tau2(tau2: float) -> None:
    if not (math.isfinite(tau2) and tau2 >= 0):
        raise InputError(f"τ² must be at least 0; it is {tau2:g}.")


def patients_per_trial(
    control: float,
    risk_ratio: float,
    tau2: float,
    trials: int,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """Patients in each of `trials` equal trials: 2 v / (δ² k / (z + z)² − τ²), δ = log RR.

    v = 1/p_C + 1/p_I − 2. Raises NumericalError where so few trials never suffice.
    """
    test = control * risk_ratio
    if not (0 < control < 1 and 0 < test < 1) or risk_ratio == 1:
        raise InputError(f"Shares {control:g} and {test:g} must differ and lie between 0 and 1.")
    _check_tau2(tau2)
    room = math.log(risk_ratio) ** 2 * trials / _both(alpha, power) ** 2 - tau2
    if room <= 0:
        raise NumericalError(
            "too_few_studies",
            f"With tau² {tau2:g} no size of {trials} trials is enough; at least "
            f"{fewest_trials(math.log(risk_ratio), tau2, alpha=alpha, power=power)} are needed.",
        )
    return 2 * (1 / control + 1 / test - 2) / room


def value_of_perfect_information(mean: float, sd: float) -> float:
    """EVPI of two options whose incremental net benefit is normal: μ Φ(μ/σ) + σ φ(μ/σ) − max(μ, 0).

    With `sd` the preposterior standard deviation it is the value of learning only part (EVPPI) or
    of a study (EVSI), see `preposterior_sd`.
    """
    from scipy import special

    if not (math.isfinite(mean) and math.isfinite(sd) and sd >= 0):
        raise InputError(
            f"A mean and a standard deviation of at least 0 are needed; got {mean:g} and {sd:g}."
        )
    if sd == 0:
        return 0.0
    z = mean / sd
    density = math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return mean * float(special.ndtr(z)) + sd * density - max(mean, 0.0)


def preposterior_sd(prior_sd: float, outcome_variance: float, patients: float) -> float:
    """Standard deviation of what a study of `patients` will make us believe: σ² / √(σ² + v/n)."""
    if not all(map(math.isfinite, (prior_sd, outcome_variance, patients))) or not (
        prior_sd >= 0 and outcome_variance > 0 and patients > 0
    ):
        raise InputError(
            f"The prior's SD must be at least 0, the variance and the number of patients above 0; "
            f"got {prior_sd:g}, {outcome_variance:g} and {patients:g}."
        )
    return prior_sd**2 / math.sqrt(prior_sd**2 + outcome_variance / patients)


def value_of_perfect_information_from_draws(net_benefit: ArrayLike) -> float:
    """EVPI from draws × options: mean of the best in each draw minus the best mean."""
    draws = np.asarray(net_benefit, dtype=float)
    if draws.ndim != 2 or draws.shape[1] < 2 or not draws.shape[0]:
        raise InputError("Net benefit needs one row a draw and at least two options as columns.")
    wrong = np.argwhere(~np.isfinite(draws))
    if wrong.size:
        row, option = wrong[0]
        raise InputError(f"Draw {row + 1} of option {option + 1} is {draws[row, option]:g}.")
    return float(draws.max(axis=1).mean() - draws.mean(axis=0).max())


def net_clinical_benefit(benefit: float, harms: Sequence[float], weights: Sequence[float]) -> float:
    """Benefit minus weighted harms, all as differences in events of the same unit."""
    if len(harms) != len(weights):
        raise InputError(f"{len(harms)} harms but {len(weights)} weights.")
    if not np.isfinite([benefit, *harms, *weights]).all():
        raise InputError("Benefit, harms and weights must all be numbers.")
    return benefit - sum(w * h for w, h in zip(weights, harms, strict=True))
