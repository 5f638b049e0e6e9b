from __future__ import annotations

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest

from klarsyn.errors import InputError, NumericalError, UnknownNameError
from klarsyn.stats.contrasts import DROPPED
from klarsyn.stats.heterogeneity import ESTIMATORS
from klarsyn.synthesis.effects import Effects, effects_from_arrays, effects_from_table
from klarsyn.synthesis.influence import cumulative, influence, leave_one_out
from klarsyn.synthesis.pairwise import PREDICTIONS, TESTS, Pooled, pool
from klarsyn.synthesis.subgroups import subgroups

ROUNDING = 1e-10  # relative; sums of a dozen terms in another order
SQUARED = 1e-15  # absolute; squares of rounding errors
QUANTILE = 1e-9  # relative; quantiles written with ten digits
KEYS = {
    "k", "measure", "method", "test", "estimate", "se", "ci_lower", "ci_upper", "statistic", "df",
    "p_value", "tau2", "tau2_se", "tau2_ci", "i2", "h2", "q", "q_df", "q_p", "pi_lower",
    "pi_upper", "studies",
}  # fmt: skip
Y = np.array([-0.89, -1.59, -1.35, -1.44, -0.22, -0.79, -1.62, 0.01, -0.47, -1.37])
V = np.array([0.33, 0.19, 0.42, 0.02, 0.05, 0.007, 0.22, 0.004, 0.056, 0.073])
METHODS = tuple(m for m in ESTIMATORS if not m.startswith("GENQ"))


def names(pooled: Pooled) -> list[str]:
    return [name for name, _ in pooled.warnings]


def test_one_trial_pools_to_itself() -> None:
    p = pool([0.3], [0.04])
    assert (p.estimate, p.se) == (0.3, 0.2)
    assert p.status == "too_few_studies"
    assert names(p) == ["one_study"]
    assert math.isnan(p.tau2)
    assert p.ci_upper == pytest.approx(0.3 + 1.959963985 * 0.2)


def test_common_effect_of_two_trials_by_hand() -> None:
    """Weights 1/1 and 1/4: estimate (0·1 + 5·0.25)/1.25 = 1, variance 0.8, Q = 1 + 4 = 5."""
    p = pool([0, 5], [1, 4], method="EE", test="z")
    assert p.estimate == pytest.approx(1)
    assert p.se == pytest.approx(math.sqrt(0.8))
    assert p.q == pytest.approx(5)
    assert p.i2 == pytest.approx(80)
    assert p.p_value == pytest.approx(math.erfc(1 / math.sqrt(0.8) / math.sqrt(2)))


def test_knapp_hartung_with_equal_variances_is_the_t_interval_of_the_mean() -> None:
    """τ² + v = s², so that the interval is that of Student's one-sample t."""
    p = pool(Y, np.full(10, 0.05), test="knha")
    assert p.estimate == pytest.approx(Y.mean())
    assert p.se == pytest.approx(Y.std(ddof=1) / math.sqrt(10), rel=ROUNDING)
    assert p.df == 9


def test_identical_trials_agree_whatever_the_estimator() -> None:
    for method in METHODS:
        p = pool([0.4] * 5, V[:5], method=method, test="z")
        assert p.estimate == pytest.approx(0.4)
        assert p.q == pytest.approx(0, abs=SQUARED)
    p = pool([0.5] * 5, [0.25] * 5, test="knha")
    assert p.status == "degenerate"
    assert "degenerate" in names(p)
    assert pool([0.5] * 5, [0.25] * 5, test="adhoc").se == pytest.approx(math.sqrt(0.05))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("test", TESTS)
def test_scaling_and_shifting_carry_through(method: str, test: str) -> None:
    one, big = (
        pool(Y, V, method=method, test=test),
        pool(1e4 * Y, 1e8 * V, method=method, test=test),
    )
    for name in ("estimate", "se", "ci_lower", "ci_upper"):
        assert getattr(big, name) == pytest.approx(1e4 * getattr(one, name), rel=ROUNDING)
    assert big.p_value == pytest.approx(one.p_value, rel=ROUNDING)
    assert big.i2 == pytest.approx(one.i2, rel=ROUNDING)
    moved = pool(Y + 7, V, method=method, test=test)
    assert moved.estimate == pytest.approx(one.estimate + 7, rel=ROUNDING)
    assert moved.se == pytest.approx(one.se, rel=ROUNDING)


def test_the_order_of_trials_does_not_matter() -> None:
    order = np.random.default_rng(0).permutation(10)
    one, other = pool(Y, V), pool(Y[order], V[order])
    assert other.estimate == pytest.approx(one.estimate, rel=ROUNDING)
    assert other.tau2 == pytest.approx(one.tau2, rel=ROUNDING)


def test_adhoc_is_never_narrower_than_wald_with_t() -> None:
    for y in (Y, Y / 20):
        wald, adhoc = pool(y, V, test="t"), pool(y, V, test="adhoc")
        assert adhoc.se >= wald.se * (1 - ROUNDING)


def test_prediction_definitions_differ_as_they_say() -> None:
    t9, t8, z = 2.262157163, 2.306004135, 1.959963985  # 97.5 % quantiles
    for prediction, crit in (("test", t9), ("k-1", t9), ("k-2", t8), ("normal", z)):
        p = pool(Y, V, test="knha", prediction=prediction)
        margin = crit * math.sqrt(p.se**2 + p.tau2)
        assert p.pi_upper - p.estimate == pytest.approx(margin, rel=QUANTILE)
        assert p.definitions["pi"] == PREDICTIONS[prediction]


def test_the_json_has_the_keys_of_the_interface() -> None:
    out = pool(Y, V, study=[f"s{i}" for i in range(10)]).to_dict()
    assert set(out) >= KEYS
    assert len(out["studies"]) == 10
    assert sum(s["weight"] for s in out["studies"]) == pytest.approx(100)
    assert len(out["digest"]) == 16


def test_the_digest_changes_with_the_data_and_with_the_choices() -> None:
    digests = {pool(Y, V).digest, pool(Y, V, test="z").digest, pool(Y + 1e-15, V).digest,
               pool(Y, V, method="DL").digest}  # fmt: skip
    assert len(digests) >= 3
    assert pool(Y, V).digest == pool(Y, V).digest


def test_few_trials_carry_their_warning() -> None:
    assert "few_studies" in names(pool(Y[:3], V[:3], test="z"))
    assert "few_studies" in names(pool(Y[:3], V[:3]))
    assert "few_studies" not in names(pool(Y, V))
    assert "few_studies" not in names(pool(Y[:3], V[:3], method="EE"))


def test_intervals_that_failed_in_simulation_say_so() -> None:
    assert "normal_interval" in names(pool(Y, V, test="z"))
    assert "normal_interval" not in names(pool(Y, V, test="knha"))
    assert "normal_interval" not in names(pool(np.tile(Y, 2), np.tile(V, 2), test="z"))
    one_large = [0.01, *[0.1] * 9]
    assert "dominant_study" in names(pool(Y, one_large, test="knha"))
    assert "dominant_study" not in names(pool(Y, [0.1] * 10, test="knha"))
    assert "dominant_study" not in names(pool(Y, one_large, test="adhoc"))
    assert "prediction" in names(pool([0.1, 0.2, 0.15, 0.3], [0.1] * 4))
    assert "prediction" not in names(pool(Y, V))


def sparse() -> Effects:
    table = {"study": ["a", "b", "c"], "ai": [0, 3, 0], "n1i": [30, 40, 20], "ci": [2, 5, 0],
             "n2i": [31, 42, 20]}  # fmt: skip
    return effects_from_table(table, "OR", {c: c for c in table if c != "study"})


def test_corrected_zero_cells_are_said() -> None:
    assert "sparse" in names(pool(sparse(), test="z"))


def test_a_trial_without_events_is_listed_when_dropped() -> None:
    table = {"ai": [0, 3, 0], "n1i": [30, 40, 20], "ci": [2, 5, 0], "n2i": [31, 42, 20]}
    e = effects_from_table(table, "OR", {c: c for c in table}, drop00=True)
    p = pool(e, test="z")
    assert p.k == 2
    assert p.excluded == (("Study 3", DROPPED),)


def test_a_trial_without_an_effect_stops_the_pooling_unless_left_out_by_name() -> None:
    table = {"ai": [0, 3], "n1i": [30, 40], "ci": [2, 5], "n2i": [31, 42]}
    e = effects_from_table(table, "OR", {c: c for c in table}, to="none")
    with pytest.raises(NumericalError, match="Study 1: the effect is not estimable"):
        pool(e)
    assert pool(e, drop_problems=True).k == 1


def test_effects_do_not_change_behind_a_result() -> None:
    y = np.array([0.1, 0.2])
    e = effects_from_arrays(y, [1, 1])
    y[0] = 9
    assert e.y[0] == 0.1
    with pytest.raises(ValueError, match="read-only"):
        e.y[0] = 9


def test_published_and_simulated_trials_do_not_mix_unasked() -> None:
    e = effects_from_arrays([0.1, 0.2], [1, 1], origin=["published", "simulated"])
    with pytest.raises(InputError, match="mix origins"):
        pool(e)
    assert pool(e, mixed_origins=True).k == 2


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: pool([0.1], [0.0]), NumericalError, "Study 1: the sampling variance is 0"),
        (lambda: pool([0.1], [-1.0]), InputError, "is negative"),
        (lambda: pool([math.nan], [1.0]), InputError, "must be finite"),
        (lambda: pool([0.1, 0.2], [1.0]), InputError, "differ in shape"),
        (lambda: pool([0.1], None), InputError, "needs the sampling variances"),
        (lambda: pool([], []), NumericalError, "no study"),
        (lambda: pool(Y, V, method="REM"), UnknownNameError, "Nearest: REML"),
        (lambda: pool(Y, V, test="hksj"), UnknownNameError, "not a known test"),
        (lambda: pool(Y, V, level=95), InputError, "between 0 and 1"),
        (lambda: pool(Y, V, weights=V, test="knha"), InputError, "inverse-variance weights only"),
        (lambda: pool(Y, V, method="GENQ", test="z"), InputError, "needs `weights`"),
    ],
)
def test_bad_input_gets_a_sentence(call: object, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        call()  # type: ignore[operator]


@pytest.mark.parametrize(
    "frame", [pl.DataFrame, pd.DataFrame, dict], ids=["polars", "pandas", "dict"]
)
def test_any_frame_is_a_table(frame: type) -> None:
    columns = {"trial": ["a", "b"], "e": [0.1, 0.4], "s": [0.2, 0.3], "dose": [1.0, 2.0]}
    e = effects_from_table(frame(columns), "GEN", {"yi": "e", "sei": "s"}, study="trial")
    np.testing.assert_allclose(e.v, [0.04, 0.09])
    assert e.study == ("a", "b")
    assert e.covariates["dose"] == (1.0, 2.0)


def test_a_column_that_is_not_there_gets_the_nearest_names() -> None:
    with pytest.raises(InputError, match=r"no column 'evnts'\. Nearest: events"):
        effects_from_table({"events": [1], "n": [2]}, "PR", {"xi": "evnts", "ni": "n"})


def test_leaving_one_out_is_pooling_the_others() -> None:
    e = effects_from_arrays(Y, V)
    for method in ("REML", "DL", "SJ"):
        for i, step in enumerate(leave_one_out(e, method=method, test="knha")):
            p = pool(np.delete(Y, i), np.delete(V, i), method=method, test="knha")
            assert step.estimate == pytest.approx(p.estimate, rel=ROUNDING)
            assert step.ci_lower == pytest.approx(p.ci_lower, rel=ROUNDING)
            assert step.tau2 == pytest.approx(p.tau2, rel=ROUNDING)


def test_the_last_cumulative_step_is_the_whole() -> None:
    e = effects_from_arrays(Y, V)
    steps = cumulative(e, list(range(10, 0, -1)))
    assert steps[0].estimate == pytest.approx(Y[-1])
    assert steps[-1].estimate == pytest.approx(pool(e).estimate, rel=ROUNDING)
    assert steps[-1].study == "Study 1"


def test_leverages_sum_to_one() -> None:
    rows = influence(effects_from_arrays(Y, V), method="REML", test="knha")
    assert sum(r.hat for r in rows) == pytest.approx(1)
    assert sum(r.weight for r in rows) == pytest.approx(100)


def test_subgroups_with_their_own_tau2_are_pooled_apart() -> None:
    kind = ["a"] * 5 + ["b"] * 5
    e = effects_from_arrays(Y, V, covariates={"kind": kind})
    made = subgroups(e, "kind", test="z", common_tau2=False)
    a, b = pool(Y[:5], V[:5], test="z"), pool(Y[5:], V[5:], test="z")
    assert made.groups["a"].estimate == a.estimate
    z = (a.estimate - b.estimate) / math.hypot(a.se, b.se)
    assert made.between.statistic == pytest.approx(z**2)
    assert subgroups(e, "kind", test="z").between.df == 1
    assert set(made.to_dict()["groups"]) == {"a", "b"}


def test_the_summary_is_on_the_ratio_scale_for_ratios() -> None:
    text = pool([math.log(2), math.log(2.2)], [0.01, 0.02], measure="OR", test="z").summary()
    assert text.startswith("OR 2.0")
