"""What a base's rows about guesses allow: an index for each arm, and who believed it oftener."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from klarsyn.bias.blinding import RANDOM, ArmIndex, arm_index, classify
from klarsyn.bias.guesses import ArmGuesses, guesses_from_percent
from klarsyn.errors import InputError
from klarsyn.evidence.trial import Arm, Guess, Trial
from klarsyn.provenance import digest_of
from klarsyn.report.context import Context
from klarsyn.report.document import Result
from klarsyn.report.records import record_id

CUT = 0.2
# Where don't-knows are not printed they may be anything; these are the two ends.
METHODS = {
    "counts": "Bang 2004 with score interval (Tango 1998); those who did not know count in the "
    "denominator",
    "bounds": "Bang 2004 over every table that the printed percentage and denominator allow",
    "share": "Bang 2004 over every number of don't-knows that the printed percentage allows; the "
    "arm's size is not known, so no interval",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmGuess:
    """One arm's guesses: an exact `index`, or the `allowed` range where counts are incomplete.

    `interval` are 95 % limits (over all allowed tables), None where the arm's size is unknown.
    `right` and `wrong` are the shares of the arm that guessed so, as ranges.
    """

    guess: Guess
    trial: Trial
    arm: Arm
    index: ArmIndex | None
    allowed: tuple[float, float]
    interval: tuple[float, float] | None
    right: tuple[float, float]
    wrong: tuple[float, float]
    result: Result

    @property
    def role(self) -> str:
        """`active` for a test arm, else `control`."""
        return "active" if self.arm.role == "test" else "control"

    def reading(self) -> str:
        """`random guess`, `unblinded`, `opposite guess`, or "" where the bounds do not agree."""
        classes = {classify(v, CUT) for v in self.allowed}
        return classes.pop() if len(classes) == 1 else ""

    @property
    def settled(self) -> bool:
        """Whether the interval allows no other reading: off chance, or within the cut for it."""
        low, high = self.interval or self.allowed
        if self.reading() == RANDOM:
            return low >= -CUT and high <= CUT
        return low > 0 or high < 0


def arm_guesses(context: Context) -> tuple[ArmGuess, ...]:
    """Every row of the base that gives the guesses of one arm, in the base's order."""
    out = []
    for guess in context.base.guesses:
        trial = context.base.trial(guess.trial)
        arm = next((a for a in trial.arms if a.id == guess.arm), None)
        if arm is not None and (made := _arm(guess, trial, arm)) is not None:
            out.append(made)
    return tuple(out)


def guessed_by_chance(trial: str, guesses: Sequence[ArmGuess]) -> bool:
    """Whether patients of both roles were asked and every arm's index reads as random."""
    asked = [g for g in guesses if g.trial.id == trial and g.guess.respondent == "patient"]
    both = {g.role for g in asked} == {"active", "control"}
    return both and all(g.reading().startswith("random") for g in asked)


def believed_oftener(guesses: Sequence[ArmGuess], trial: str) -> tuple[float, float] | None:
    """P(believes active | active) − P(believes active | control) of a trial's patients, as a range.

    Arms of one role are joined by their size; None unless both roles were asked.
    """
    arms = [g for g in guesses if g.trial.id == trial and g.guess.respondent == "patient"]
    tests = [g for g in arms if g.role == "active"]
    controls = [g for g in arms if g.role == "control"]
    if not tests or not controls:
        return None
    active, control = _joined(tests, "right"), _joined(controls, "wrong")
    return max(-1.0, active[0] - control[1]), min(1.0, active[1] - control[0])


def _joined(arms: Sequence[ArmGuess], what: str) -> tuple[float, float]:
    sizes = [a.guess.total or 1 for a in arms]
    ends = [
        sum(s * getattr(a, what)[end] for s, a in zip(sizes, arms, strict=True)) / sum(sizes)
        for end in (0, 1)
    ]
    return ends[0], ends[1]


def _arm(guess: Guess, trial: Trial, arm: Arm) -> ArmGuess | None:
    known: dict[str, Any]
    if None not in (guess.correct, guess.wrong, guess.dont_know):
        known = _from_counts(guess, arm)
    elif guess.percent_correct is not None and guess.total:
        known = _from_percent(guess, guess.total)
    elif guess.percent_correct is not None:
        known = _from_share(guess.percent_correct / 100)
    else:
        return None
    method = known.pop("method")
    respondent = guess.respondent
    result = Result(
        id=f"told.index.{trial.id}.{arm.id}.{respondent}",
        value={
            "index": list(known["allowed"]) if known["index"] is None else known["allowed"][0],
            "ci": list(known["interval"]) if known["interval"] else [],
        },
        method=METHODS[method],
        inputs=(record_id(guess),),
        digest=digest_of(guess, method),
    )
    return ArmGuess(guess=guess, trial=trial, arm=arm, result=result, **known)


def _from_counts(guess: Guess, arm: Arm) -> dict[str, Any]:
    counts = ArmGuesses(
        trial=guess.trial,
        arm=guess.arm,
        role="active" if arm.role == "test" else "control",
        correct=float(guess.correct or 0),
        wrong=float(guess.wrong or 0),
        dont_know=float(guess.dont_know or 0),
        respondent="participants" if guess.respondent == "patient" else "raters",
    )
    index = arm_index(counts, interval="score", cut=CUT)
    value, right, wrong = index.index.value, counts.correct / counts.n, counts.wrong / counts.n
    return {
        "index": index,
        "allowed": (value, value),
        "interval": index.interval,
        "right": (right, right),
        "wrong": (wrong, wrong),
        "method": "counts",
    }


def _from_percent(guess: Guess, total: int) -> dict[str, Any]:
    assert guess.percent_correct is not None
    try:
        bounds = guesses_from_percent(
            trial=guess.trial,
            arm=guess.arm,
            role="active",
            percent=f"{guess.percent_correct:g}",
            n=total,
            denominator="all",
        )
    except InputError:
        return _from_share(guess.percent_correct / 100)
    low, high = bounds.correct
    return {
        "index": None,
        "allowed": bounds.index,
        "interval": bounds.interval,
        "right": (low / total, high / total),
        "wrong": (0.0, 1 - low / total),
        "method": "bounds",
    }


def _from_share(share: float) -> dict[str, Any]:
    return {
        "index": None,
        "allowed": (2 * share - 1, share),
        "interval": None,
        "right": (share, share),
        "wrong": (0.0, 1 - share),
        "method": "share",
    }
