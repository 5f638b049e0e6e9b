"""Dose–response: closed forms, limits and symmetries."""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.errors import InputError, NumericalError
from klarsyn.stats.dose_covariance import greenland_longnecker
from klarsyn.stats.dose_curves import curve_columns
from klarsyn.synthesis.dose_data import doses_from_means, doses_from_risks
from klarsyn.synthesis.doseresponse import fit_dose_response, fit_emax

SAME = 1e-9
CURVED = 2e-3  # a minimum found by a bounded search on a noiseless curve
ROUNDING = 1e-12  # of sums that are zero


def emax_trials(noise: float = 0.0, seed: int = 1):
    rng = np.random.default_rng(seed)
    study = np.repeat(range(6), 4)
    dose = np.tile([0.0, 0.2, 0.5, 1.0], 6)
    mean = (
        2 + 8 * dose / (0.3 + dose) + rng.normal(0, noise, 24)
        if noise
        else (2 + 8 * dose / (0.3 + dose))
    )
    return doses_from_means(study, dose, mean, np.full(24, 3.0), np.full(24, 40))


def test_greenland_and_longnecker_s_cells_give_back_crude_relative_risks() -> None:
    # Crude odds ratios of a 2 × 3 table: the fitted cells are the observed ones, so the covariance
    # of the two log odds ratios is 1/a₀ + 1/b₀ (Woolf).
    cases, n = np.array([20.0, 30, 45]), np.array([100.0, 110, 90])
    controls = n - cases
    effects = np.log(cases[1:] / controls[1:]) - np.log(cases[0] / controls[0])
    v = 1 / cases[1:] + 1 / controls[1:] + 1 / cases[0] + 1 / controls[0]
    S = greenland_longnecker(effects, v, cases, n, "case-control")
    assert S[0, 1] == pytest.approx(1 / 20 + 1 / 80, rel=SAME)
    assert np.diag(S) == pytest.approx(v, rel=SAME)


@pytest.mark.parametrize(
    ("design", "shared"), [("incidence-rate", 1 / 20), ("cumulative-incidence", 1 / 20 - 1 / 100)]
)
def test_rates_and_risks_share_the_reference_s_variance(design: str, shared: float) -> None:
    cases, n = np.array([20.0, 30, 45]), np.array([100.0, 110, 90])
    effects = np.log(cases[1:] / n[1:]) - np.log(cases[0] / n[0])
    own = 1 / cases - (1 / n if design == "cumulative-incidence" else 0)
    S = greenland_longnecker(effects, own[1:] + own[0], cases, n, design)
    assert S[0, 1] == pytest.approx(shared, rel=SAME)


def test_a_restricted_spline_is_linear_beyond_its_outer_knots() -> None:
    x = np.array([10.0, 11.0, 12.0, 13.0])
    columns = curve_columns("spline", x, np.array([1.0, 3.0, 6.0, 9.0]))
    assert np.diff(columns, 2, axis=0) == pytest.approx(np.zeros((2, 3)), abs=ROUNDING)
    before = curve_columns("spline", np.array([-2.0, 0.0, 1.0]), np.array([1.0, 3.0, 6.0, 9.0]))
    assert before[:, 1:] == pytest.approx(np.zeros((3, 2)), abs=ROUNDING)


def test_one_study_with_a_straight_line_is_weighted_least_squares() -> None:
    data = doses_from_means([1] * 3, [0, 1, 3], [0.0, 2.0, 5.0], [2.0] * 3, [20] * 3)
    fit = fit_dose_response(data, curve="linear", method="common")
    # With a free intercept instead of the shared reference: ordinary regression of three means.
    x, y = np.array([0, 1, 3.0]), np.array([0, 2, 5.0])
    slope = ((x - x.mean()) * y).sum() / ((x - x.mean()) ** 2).sum()
    assert fit.coefficients["dose"].value == pytest.approx(slope, rel=SAME)
    assert fit.coefficients["dose"].se == pytest.approx(
        np.sqrt(0.2 / ((x - x.mean()) ** 2).sum()), rel=SAME
    )


def test_without_heterogeneity_random_and_common_curves_agree() -> None:
    data = emax_trials()
    common = fit_dose_response(data, curve="quadratic", method="common")
    fit = fit_dose_response(data, curve="quadratic", method="ML")
    for name, e in common.coefficients.items():
        assert fit.coefficients[name].value == pytest.approx(e.value, rel=SAME)


def test_changing_the_unit_of_dose_changes_only_the_coefficients_unit() -> None:
    rng = np.random.default_rng(2)
    study, dose = np.repeat(range(8), 3), np.tile([0.0, 1.0, 2.0], 8)
    mean = dose * np.repeat(rng.normal(1, 0.5, 8), 3) + rng.normal(0, 0.2, 24)
    a = fit_dose_response(
        doses_from_means(study, dose, mean, np.ones(24), np.full(24, 30)), curve="quadratic"
    )
    b = fit_dose_response(
        doses_from_means(study, 1000 * dose, mean, np.ones(24), np.full(24, 30)), curve="quadratic"
    )
    assert b.effect(1500).value == pytest.approx(a.effect(1.5).value, rel=SAME)
    assert b.effect(1500).se == pytest.approx(a.effect(1.5).se, rel=SAME)
    assert b.psi[1, 1] == pytest.approx(1e-12 * a.psi[1, 1], rel=SAME)


def test_emax_finds_a_noiseless_curve_again() -> None:
    fit = fit_emax(emax_trials(), method="common")
    assert fit.coefficients["emax"].value == pytest.approx(8, rel=CURVED)
    assert np.exp(fit.coefficients["log_ed50"].value) == pytest.approx(0.3, rel=CURVED)
    assert fit.effect(0.3).value == pytest.approx(4, rel=CURVED)
    assert fit.ed50_interval is not None
    assert fit.ed50_interval[0] < 0.3 < fit.ed50_interval[1]


def test_emax_says_when_the_doses_show_only_a_line() -> None:
    study, dose = np.repeat(range(4), 3), np.tile([0.0, 1.0, 2.0], 4)
    data = doses_from_means(study, dose, 2 * dose, np.ones(12), np.full(12, 50))
    with pytest.raises(NumericalError, match="ED50 is not identified"):
        fit_emax(data, method="common")


def test_a_study_with_one_dose_still_counts() -> None:
    study = [1, 1, 1, 2, 2, 2, 3, 3]
    dose = [0, 1, 2, 0, 1, 2, 0, 2]
    mean = [0, 1.1, 1.8, 0, 0.9, 2.3, 0, 3.0]
    fit = fit_dose_response(
        doses_from_means(study, dose, mean, [1.0] * 8, [25] * 8), curve="quadratic"
    )
    assert fit.studies == 3
    assert fit.groups == 5


def test_the_result_is_json_and_draws_its_curve() -> None:
    fit = fit_dose_response(emax_trials(), curve="spline", knots=[0.1, 0.4, 0.9], method="ML")
    assert fit.to_dict()["points"][0]["value"] == 0
    assert "spline1" in fit.summary()
    assert len(fit.plot().to_dict()["layer"]) == 2


def test_errors_name_the_study() -> None:
    with pytest.raises(InputError, match="Study 1 has 0 reference groups"):
        doses_from_risks([1, 1], [0, 1], [0, 1], [0.1, 0.2], [1, 2], [9, 9], ["case-control"] * 2)
    with pytest.raises(InputError, match="at least three different knots"):
        fit_dose_response(emax_trials(), curve="spline", knots=[0.1, 0.2])
    with pytest.raises(InputError, match="Study 1 has only its reference"):
        doses_from_means([1, 2, 2], [0, 0, 1], [0, 0, 1], [1, 1, 1], [5, 5, 5])
