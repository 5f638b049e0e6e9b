"""What guesses say is told as surely as their numbers allow, and no more."""

from __future__ import annotations

from functools import cache

import pytest

from klarsyn.evidence import open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.context import Context
from klarsyn.report.document import Prose, Report, TableBlock
from klarsyn.report.guessing import CUT, arm_guesses

ONE_DECIMAL = 0.05


@cache
def made(lang: str = "en") -> tuple[Report, Context]:
    return build_report(open_base("ketamine_depression"), lang)


def table(lang: str) -> TableBlock:
    section = next(s for s in made(lang)[0].sections if s.id == "told")
    return next(b for b in section.blocks if isinstance(b, TableBlock) and b.id == "guesses")


def test_an_interval_that_holds_another_reading_leaves_it_open() -> None:
    """Lii 2023: 0.21 (−0.17 to 0.53) holds chance, −0.16 (−0.48 to 0.21) more than chance."""
    arms = {g.arm.id: g for g in arm_guesses(made()[1]) if g.trial.id == "lii_2023"}
    assert arms["ketamine"].reading() == "unblinded"
    assert arms["saline"].reading() == "random guess"
    assert not arms["ketamine"].settled
    assert not arms["saline"].settled


def test_a_settled_reading_has_no_other_within_its_limits() -> None:
    for g in arm_guesses(made()[1]):
        low, high = g.interval or g.allowed
        if g.settled and g.reading() == "unblinded":
            assert low > 0
        if g.settled and g.reading() == "random guess":
            assert -CUT <= low <= high <= CUT


@pytest.mark.parametrize(
    ("lang", "told", "untold"),
    [
        ("en", "too few were asked to tell", "only the drug could be told"),
        ("nb", "for få ble spurt", "bare legemidlet kunne merkes"),
    ],
)
def test_nineteen_patients_an_arm_do_not_say_who_could_tell(
    lang: str, told: str, untold: str
) -> None:
    caption = str(table(lang).caption)
    assert told in caption
    assert untold not in caption


@pytest.mark.parametrize("lang", ["en", "nb"])
def test_the_belief_that_undoes_the_effect_stands_with_its_range(lang: str) -> None:
    """Limit 1.8133 points over a difference in belief of 0.7486 and of 0.2173: 2.4 and 8.3."""
    report, context = made(lang)
    found = next(r.value for r in report.results() if r.id == "told.tipping.inert")
    ends = sorted(abs(x) for x in found["at_limit_range"])
    assert ends == pytest.approx([1.8133 / 0.7486, 1.8133 / 0.2173], abs=ONE_DECIMAL)
    section = next(s for s in report.sections if s.id == "told")
    said = " ".join(str(p) for b in section.blocks if isinstance(b, Prose) for p in b.paragraphs)
    assert all(context.numbers.fixed(x, 1) in said for x in ends)
