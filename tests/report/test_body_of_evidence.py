"""A body of evidence: whose weight it is, whether it agrees, at which share of control."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from klarsyn.bias.certainty import inconsistency
from klarsyn.evidence import open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.context import Context
from klarsyn.report.gradings import (
    Graded,
    derive_ground,
    event_bodies,
    grade_body,
    symptom_bodies,
)
from klarsyn.report.sections.findings_summary import build_findings_summary
from klarsyn.stats.estimate import Estimate

FITTED = 1e-3  # another maximiser of the same likelihood
EXACT = 1e-12


@cache
def context() -> Context:
    return build_report(open_base("ketamine_depression"))[1]


@cache
def graded() -> dict[str, Graded]:
    ground = derive_ground(context())
    bodies = [*symptom_bodies(context(), ground), *event_bodies(context(), ground)]
    return {b.id: grade_body(context(), b, ground) for b in bodies}


def of_ect(lang: str = "en") -> dict:
    built = build_findings_summary(build_report(open_base("ketamine_depression"), lang)[1])
    assert built is not None
    return next(r.value for r in built[0].results if r.id == "findings.reference.all.remission")


def reml_weights(y: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Shares 1 / (v + τ²), τ² by the restricted likelihood (Viechtbauer 2005, equation 7)."""

    def minus(tau2: float) -> float:
        w = 1 / (v + tau2)
        mean = (w * y).sum() / w.sum()
        return float((np.log(v + tau2) + w * (y - mean) ** 2).sum() + np.log(w.sum()))

    found = minimize_scalar(minus, bounds=(0, 5), method="bounded", options={"xatol": 1e-10})
    w = 1 / (v + float(found.x))
    return w / w.sum()


def test_weight_at_high_risk_is_weight_in_the_estimate() -> None:
    """Zarate 2006 alone is high whatever is unreported: 4 % of the estimate, not the 1 % of 1/v."""
    found = graded()["day1.inert.symptoms"]
    effects = found.body.effects
    own = reml_weights(np.array([e.y for e in effects]), np.array([e.v for e in effects]))
    zarate = [e.trial for e in effects].index("zarate_2006")
    assert found.facts["risk of bias"]["high_share"] == pytest.approx(own[zarate], abs=FITTED)
    assert own[zarate] > 0.03


def test_the_weights_of_a_body_add_up_to_one() -> None:
    for found in graded().values():
        assert sum(found.body.weights.values()) == pytest.approx(1, abs=EXACT)


def test_one_trial_left_does_not_say_whether_the_conclusion_stands() -> None:
    """Two trials have t with one degree of freedom, one trial has z: no trial made the change."""
    facts = graded()["day1.psychoactive.symptoms"].facts["risk of bias"]
    assert (facts["trials"], facts["left"], facts["survives"]) == (2, 1, None)


def test_two_trials_give_no_range_for_a_third() -> None:
    for found in graded().values():
        assert (found.facts["inconsistency"]["prediction"] is None) == (len(found.body.effects) < 3)


def test_trials_that_contradict_each_other_are_inconsistent() -> None:
    """Risk ratios of 0.74 (0.57 to 0.97) and 1.74 (1.25 to 2.44)."""
    assert of_ect()["changes"]["inconsistency"] == -1


def test_a_mean_whose_interval_holds_both_sides_does_not_make_trials_agree() -> None:
    wide = Estimate(value=0.12, se=0.43, method="", scale="log")
    same = {"prediction": wide.interval(), "thresholds": None, "i2": 0.93, "studies": 3}
    assert inconsistency(wide, **same).change == 0
    assert inconsistency(wide, **same, opposed=True).change == -1


def test_contradiction_and_prediction_are_one_inconsistency() -> None:
    narrow = Estimate(value=0.5, se=0.1, method="")
    found = inconsistency(narrow, (-0.5, 1.5), None, i2=0.9, studies=9, opposed=True)
    assert found.change == inconsistency(narrow, (-0.5, 1.5), None, i2=0.9, studies=9).change == -1


def test_a_share_of_control_patients_stands_with_its_range() -> None:
    """Remission after ECT: 37 of 170 and 57 of 91; no trial had the 94 of 261 of both."""
    found = of_ect()
    assert found["baseline"] == pytest.approx(94 / 261, abs=EXACT)
    assert found["baseline_range"] == pytest.approx((37 / 170, 57 / 91), abs=EXACT)


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", "control 360, 218 to 626 in the trials"),
        ("nb", "kontroll 360, 218 til 626 i studiene"),
    ],
)
def test_both_languages_tell_the_range_of_the_control_share(lang: str, words: str) -> None:
    built = build_findings_summary(build_report(open_base("ketamine_depression"), lang)[1])
    assert built is not None
    assert words in str(built[0].blocks[1])
