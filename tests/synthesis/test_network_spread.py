"""How large the spread of a network could be, and what would be left of its table."""

from __future__ import annotations

import math

import numpy as np
import pytest

from klarsyn.evidence import open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.document import Prose
from klarsyn.synthesis.network import fit_network
from klarsyn.synthesis.network_data import network_from_contrasts
from klarsyn.synthesis.network_spread import (
    at_spread,
    hung_by_one_trial,
    spread_interval,
    told_apart,
)

SAME = 1e-9

# dat.bcg (Colditz 1994), log risk ratios and variances as escalc of metafor 3.8.1 gives them.
BCG_Y = (-0.8893, -1.5854, -1.3481, -1.4416, -0.2175, -0.7861, -1.6209, 0.0120, -0.4694,
         -1.3713, -0.3394, 0.4459, -0.0173)  # fmt: skip
BCG_V = (0.3256, 0.1946, 0.4154, 0.0200, 0.0512, 0.0069, 0.2230, 0.0040, 0.0564, 0.0730, 0.0124,
         0.5325, 0.0714)  # fmt: skip
BCG_ROUNDED = 5e-3  # effects and variances of four decimals


def pairs(y, v, a="A", b="B"):
    names = [str(i) for i in range(len(y))]
    return network_from_contrasts(
        names, [a] * len(y), [b] * len(y), list(y), [x**0.5 for x in v], measure="MD"
    )


def test_two_treatments_have_the_q_profile_of_a_meta_analysis() -> None:
    """metafor 3.8.1, confint(rma(yi, vi, data=dat)) on dat.bcg: τ² 0.1197 to 1.1115."""
    low, high = spread_interval(fit_network(pairs(BCG_Y, BCG_V)))
    assert (low, high) == pytest.approx((0.1197, 1.1115), abs=BCG_ROUNDED)


def test_equal_trials_leave_no_spread() -> None:
    assert spread_interval(fit_network(pairs([0.3] * 5, [0.1] * 5))) == (0.0, 0.0)


def test_without_degrees_of_freedom_the_spread_has_no_limits() -> None:
    assert all(map(math.isnan, spread_interval(fit_network(pairs([0.3], [0.1])))))


def test_one_comparison_at_a_stated_spread_by_hand() -> None:
    """Two trials of variance 0.1 at τ² 0.2: variance of the mean 0.15."""
    fit = at_spread(fit_network(pairs([0.2, 0.4], [0.1, 0.1])), 0.2)
    assert fit.estimate("A", "B").se == pytest.approx(math.sqrt(0.15), abs=SAME)


def test_a_treatment_of_one_trial_is_named() -> None:
    data = network_from_contrasts(
        ["1", "2", "3"], ["A", "A", "B"], ["B", "B", "C"], [1.0, 1.2, 0.1], [0.1] * 3, measure="MD"
    )
    fit = fit_network(data)
    assert hung_by_one_trial(fit) == ["C"]
    assert told_apart(fit) == {("A", "B"), ("A", "C")}


def test_the_upper_limit_of_the_spread_holds_it() -> None:
    """τ² 0.04 in 8 and 6 trials of two comparisons: at most 4 % of 400 limits fall short of it.

    2.5 % by theory; the estimate itself falls short in more than 40 %.
    """
    rng = np.random.default_rng(12)
    v = rng.uniform(0.02, 0.1, 14)
    short = below = 0
    for _ in range(400):
        y = rng.normal(0, np.sqrt(v + 0.04))
        data = network_from_contrasts(
            [str(i) for i in range(14)],
            ["A"] * 8 + ["B"] * 6,
            ["B"] * 8 + ["C"] * 6,
            list(y),
            list(np.sqrt(v)),
            measure="MD",
        )
        fit = fit_network(data)
        short += spread_interval(fit)[1] < 0.04
        below += fit.tau2 < 0.04
    assert short / 400 <= 0.04
    assert below / 400 > 0.4


@pytest.mark.parametrize(
    ("lang", "words"),
    [("en", "they tell 18 pairs apart, and with τ at"), ("nb", "de skiller 18 par, og med τ på")],
)
def test_the_page_tells_what_a_spread_within_its_limits_would_leave(lang: str, words: str) -> None:
    report, _ = build_report(open_base("ketamine_depression"), lang)
    section = next(s for s in report.sections if s.id == "network")
    said = " ".join(str(p) for b in section.blocks if isinstance(b, Prose) for p in b.paragraphs)
    assert words in said
    assert "NCT00088699" in said
    found = next(r.value for r in section.results if r.id == "network.fit")
    assert found["tau"] == 0
    assert 0.3 < found["tau_ci"][1] < 0.4
