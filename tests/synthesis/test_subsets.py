from __future__ import annotations

import itertools

import numpy as np
import pytest

from klarsyn.errors import InputError, UnknownNameError
from klarsyn.figures.subsets import subset_cloud
from klarsyn.stats.batched import fit_rows
from klarsyn.synthesis.effects import effects_from_arrays
from klarsyn.synthesis.pairwise import pool
from klarsyn.synthesis.subsets import conclusions, pull, subsets

SAME = 1e-9
NEAR_ZERO = 1e-14  # absolute, of a quantity that is zero
RNG = np.random.default_rng(8)
K = 7
V = np.exp(RNG.normal(-2, 1, K))
Y = RNG.normal(0.3, np.sqrt(V + 0.2))
EFFECTS = effects_from_arrays(Y, V, study=list("abcdefg"))


@pytest.mark.parametrize("method", ["EE", "DL", "PM", "ML", "REML"])
@pytest.mark.parametrize("test", ["z", "t", "knha", "adhoc"])
def test_every_subset_is_pooled_as_if_alone(method: str, test: str) -> None:
    s = subsets(EFFECTS, method=method, test=test)
    assert s.count == 2**K - 1
    for row in range(0, s.count, 5):
        members = [EFFECTS.study.index(n) for n in s.names(row)]
        p = pool(EFFECTS.take(members), method=method, test=test)
        assert s.size[row] == p.k
        for name in ("estimate", "se", "ci_lower", "ci_upper", "q"):
            assert getattr(s, name)[row] == pytest.approx(getattr(p, name), rel=SAME, abs=NEAR_ZERO)
        if p.k > 1:
            assert s.tau2[row] == pytest.approx(p.tau2, rel=SAME, abs=NEAR_ZERO)
            assert s.i2[row] == pytest.approx(p.i2, rel=SAME, abs=NEAR_ZERO)


def test_no_inclusion_set_is_missed() -> None:
    s = subsets(EFFECTS, method="EE")
    every = {c for n in range(1, K + 1) for c in itertools.combinations("abcdefg", n)}
    assert {s.names(i) for i in range(s.count)} == every


def test_the_shares_add_up_and_each_study_is_in_half_of_the_sets() -> None:
    s = subsets(EFFECTS)
    assert sum(conclusions(s).values()) == pytest.approx(1)
    assert s.member("c").sum() == 2 ** (K - 1)
    assert [row["study"] for row in pull(s)] == list("abcdefg")
    with pytest.raises(UnknownNameError, match="not a known study"):
        s.member("z")


def test_a_sample_is_drawn_from_its_seed() -> None:
    one, same, other = (subsets(EFFECTS, sample=500, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.estimate, same.estimate)
    assert one.digest == same.digest != other.digest
    assert not one.exhaustive


def test_more_than_sixty_four_studies_are_sampled_too() -> None:
    rng = np.random.default_rng(3)
    e = effects_from_arrays(rng.normal(0, 1, 130), rng.uniform(0.1, 1, 130))
    s = subsets(e, sample=200, seed=1)
    assert 50 < s.size.mean() < 80
    members = [e.study.index(n) for n in s.names(7)]
    assert max(members) > 64
    assert s.estimate[7] == pytest.approx(pool(e.take(members), test="z").estimate, rel=SAME)


def test_too_many_studies_for_all_subsets_is_said() -> None:
    e = effects_from_arrays(np.zeros(21), np.ones(21))
    with pytest.raises(InputError, match="2\\^21 − 1 subsets"):
        subsets(e)
    with pytest.raises(InputError, match="needs a `seed`"):
        subsets(e, sample=10)


def test_rows_are_pooled_as_if_alone() -> None:
    y = RNG.normal(0, 1, (40, K))
    fits = fit_rows(y, V, method="REML")
    for i in range(40):
        p = pool(y[i], V, test="z")
        assert fits.estimate[i] == pytest.approx(p.estimate, rel=SAME, abs=NEAR_ZERO)
        assert fits.tau2[i] == pytest.approx(p.tau2, rel=SAME, abs=NEAR_ZERO)


@pytest.mark.parametrize("method", ["EE", "DL", "PM", "ML", "REML"])
def test_trials_that_agree_exactly_are_pooled_too(method: str) -> None:
    fits = fit_rows(np.full((2, 4), 0.25), np.full(4, 0.5), method=method)
    assert fits.estimate.tolist() == [0.25, 0.25]
    assert fits.tau2.tolist() == [0.0, 0.0]
    assert fits.q.tolist() == [0.0, 0.0]


def test_the_summary_speaks_in_ratios_for_logarithms() -> None:
    e = effects_from_arrays(np.log([2.0, 4.0]), [1, 1], measure="RR")
    text = subsets(e, method="EE").summary()
    assert "2 to 4, quartiles" in text


def test_the_dictionary_names_the_extreme_sets() -> None:
    out = subsets(EFFECTS, method="EE").to_dict()
    assert out["highest"]["studies"] == (EFFECTS.study[int(np.argmax(Y))],)
    assert out["subsets"] == 127
    assert out["estimate"]["0"] == pytest.approx(Y.min())


def test_the_cloud_counts_every_subset_with_an_i2_once() -> None:
    s = subsets(EFFECTS)
    spec = subset_cloud(s.estimate, s.i2, s.member("a"), label="a")
    drawn = sum(d["subsets"] for d in spec["data"]["values"])
    assert drawn == np.isfinite(s.i2).sum() == 2**K - 1 - K
    assert {d["group"] for d in spec["data"]["values"]} == {"with a", "without a"}
    assert s.plot().to_dict()["encoding"]["color"] == {"value": "#0072B2"}


def test_few_subsets_pooled_without_the_compiler_are_those_of_the_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both ways find the root of the same likelihood; they differ by its last bits."""
    from klarsyn.synthesis import subsets as module

    rng = np.random.default_rng(11)
    effects = effects_from_arrays(rng.normal(0.3, 0.6, 9), rng.uniform(0.02, 0.4, 9))
    for method in ("REML", "DL", "PM", "EE"):
        few = module.subsets(effects, method=method)
        monkeypatch.setattr(module, "FEW_SUBSETS", 0)
        kernel = module.subsets(effects, method=method)
        monkeypatch.undo()
        assert np.allclose(few.estimate, kernel.estimate, rtol=SAME, atol=NEAR_ZERO)
        assert np.allclose(few.se, kernel.se, rtol=SAME, atol=NEAR_ZERO)
        assert np.allclose(few.tau2, kernel.tau2, rtol=SAME, atol=NEAR_ZERO)
