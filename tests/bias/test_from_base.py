"""The shipped base as the bias room reads it: what both texts dispute."""

from __future__ import annotations

import math

import pytest

from klarsyn.bias.blinding import trial_blinding
from klarsyn.bias.expectancy import read_guesses
from klarsyn.bias.from_base import (
    assessments_of,
    guess_strata_of,
    guesses_of,
    includable_of,
    refusals_of,
)
from klarsyn.bias.inclusion import FAVOURS_TREATED, UNDECIDED, inclusion
from klarsyn.bias.refusals import refusal_grid
from klarsyn.errors import InputError, UnknownNameError
from klarsyn.evidence.base import open_base
from klarsyn.stats.contrasts import contrasts
from klarsyn.synthesis.effects import effects_from_arrays

BASE = open_base("ketamine_depression")
ECT = ("anand_2023", "ekstrand_2022")


def test_elekt_d_of_the_base_loses_superiority_from_20_of_33() -> None:
    refusals, findings = refusals_of(BASE, "anand_2023", outcome="response", scale="QIDS-SR16")
    assert (refusals.new_refused, refusals.reference_refused) == (5, 33)
    assert len(findings) == 4
    grid = refusal_grid(refusals, 0.1)
    assert grid.superiority_lost_from == 20
    assert grid.noninferiority_lost_from is None


def test_lii_is_counted_and_shiroma_is_bounded() -> None:
    read = guesses_of(BASE)
    lii = [g for g in read.counted if g.trial == "lii_2023"]
    assert [(g.correct, g.wrong, g.dont_know) for g in lii] == [(9, 5, 5), (5, 8, 6)]
    assert trial_blinding(lii).scenario == "active_side_unblinding"
    assert {b.trial for b in read.bounds} >= {"janik_2025"}
    assert "lii_2023" in {t for t, _ in read.left_out}  # the row over both arms


def test_only_strong_beliefs_printed_leave_a_range() -> None:
    placebo = next(
        b for b in guesses_of(BASE).bounds if (b.trial, b.arm) == ("janik_2025", "placebo")
    )
    assert placebo.correct == (90, 90)
    assert placebo.index == pytest.approx((90 / 192 - 102 / 192, 90 / 192))


def test_lii_by_guess_was_asked_after_the_outcome() -> None:
    strata, timing = guess_strata_of(
        BASE, "lii_2023", outcome="depression_score", scale="MADRS", days_from_first_dose=2
    )
    assert timing == "after_outcome"
    found = read_guesses(strata, timing=timing, se_method="sampled")
    raw, _, _ = found.readings
    assert raw.value == pytest.approx(14.4561 - 17.4825, abs=1e-3)  # the base keeps four decimals
    assert "cannot separate" in found.summary()


def test_the_national_assessment_concludes_from_one_of_two_trials() -> None:
    cells = {"ai": [74, 44], "n1i": [195, 95], "ci": [37, 57], "n2i": [170, 91]}
    found = contrasts("RR", cells)
    effects = effects_from_arrays(found.y, found.v, study=ECT, measure="RR")
    result = inclusion(
        includable_of(BASE, effects, ECT),
        assessments_of(BASE, ECT),
        measure="RR",
        positive_favours="treated",
        tau2_method="REML",
        test="z",
    )
    national = result.set("id2022_018")
    assert math.exp(national.estimate) == pytest.approx(1.74, abs=0.005)
    assert national.conclusion == FAVOURS_TREATED
    assert [(o.trial, o.why) for o in national.omitted] == [("ekstrand_2022", "unknown")]
    assert [(f.added, f.conclusion) for f in national.flips] == [(("ekstrand_2022",), UNDECIDED)]
    assert result.set("ekstrand_2024").conclusion == UNDECIDED


def test_what_the_base_does_not_hold_is_said() -> None:
    with pytest.raises(UnknownNameError, match="lii_2023"):
        guess_strata_of(
            BASE, "lii_2024", outcome="depression_score", scale="MADRS", days_from_first_dose=2
        )
    with pytest.raises(InputError, match="no depression_score on MADRS by guess on day 99"):
        guess_strata_of(
            BASE, "lii_2023", outcome="depression_score", scale="MADRS", days_from_first_dose=99
        )
    with pytest.raises(InputError, match="0 findings give events of relapse"):
        refusals_of(BASE, "anand_2023", outcome="relapse")
