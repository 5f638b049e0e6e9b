"""Checks of a trial's design facts, arms and guesses."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial

from klarsyn.evidence.base import contradictions
from klarsyn.evidence.remarks import Judged, judge
from klarsyn.evidence.trial import Arm, Base, Finding, Guess, Trial
from klarsyn.stats.rounding import overlap, printed, span

# In these designs a participant is in several arms, or only part of the arms is compared.
SHARED_ARMS = frozenset({"crossover", "sequential", "extension", "randomised_withdrawal"})
# Doses per week by the schedule and by doses ÷ weeks may differ by this factor before a remark:
# schedules are often uneven (three a week, then one).
SCHEDULE_FACTOR = 2.0


def check_design(base: Base, trial: Trial) -> Iterator[Judged]:
    """Arms add up, flows decrease, schedules fit, times are in order, guesses add up."""
    yield from _sums(trial)
    for arm in trial.arms:
        yield from _flow(arm)
    yield from _schedule(trial)
    for finding in trial.findings:
        yield from _times(finding)
        yield from _provenance(finding)
    yield from _sizes(trial)
    yield from _contradictions(trial)
    for guess in base.guesses:
        if guess.trial == trial.id:
            yield from _guesses(guess)


def _sums(trial: Trial) -> Iterator[Judged]:
    sizes = [a.randomised for a in trial.arms if a.randomised is not None]
    if trial.participants is None or len(sizes) < len(trial.arms) or not sizes:
        return
    if trial.design in SHARED_ARMS:
        return
    yield judge(
        "arms add up",
        sum(sizes) == trial.participants,
        "inconsistent",
        f"the arms add up to {sum(sizes)} ({' + '.join(map(str, sizes))}), but "
        f"{trial.participants} participants are recorded",
        trial=trial.id,
        table="trials",
        row=trial.row,
    )


def _flow(arm: Arm) -> Iterator[Judged]:
    steps = [("randomised", arm.randomised), ("started", arm.started), ("completed", arm.completed)]
    known = [(word, n) for word, n in steps if n is not None]
    for (before, many), (after, few) in itertools.pairwise(known):
        yield judge(
            "participant flow",
            few <= many,
            "impossible",
            f"{few} {after} of {many} {before} in arm {arm.id}",
            trial=arm.trial,
            table="arms",
            row=arm.row,
        )


def _schedule(trial: Trial) -> Iterator[Judged]:
    if not trial.doses or trial.doses < 2 or not trial.doses_per_week or not trial.treatment_days:
        return
    rate = (trial.doses - 1) * 7 / trial.treatment_days
    factor = max(rate / trial.doses_per_week, trial.doses_per_week / rate)
    yield judge(
        "schedule",
        factor <= SCHEDULE_FACTOR,
        "look",
        f"{trial.doses:g} doses over {trial.treatment_days:g} days are {rate:.1f} a week, but "
        f"{trial.doses_per_week:g} a week are recorded",
        trial=trial.id,
        table="trials",
        row=trial.row,
    )


def _times(f: Finding) -> Iterator[Judged]:
    if f.days_from_first_dose is None or f.days_from_last_dose is None:
        return
    yield judge(
        "time order",
        f.days_from_last_dose <= f.days_from_first_dose,
        "impossible",
        f"{f.days_from_last_dose:g} days from the last dose are more than "
        f"{f.days_from_first_dose:g} from the first",
        trial=f.trial,
        table="findings",
        row=f.row,
        findings=[f.id],
    )


def _sizes(trial: Trial) -> Iterator[Judged]:
    """One outcome an arm, however many of its findings share the same n."""
    if trial.design in SHARED_ARMS:
        return
    sizes = {a.id: a.randomised for a in trial.arms} | {"all": trial.participants}
    analysed: dict[str, list[Finding]] = {}
    for f in trial.findings:
        if f.statistic == "n" and f.value is not None and not f.period:
            analysed.setdefault(f.arm, []).append(f)
    for arm, group in analysed.items():
        limit = sizes.get(arm)
        if limit is None:
            continue
        above = [f for f in group if (f.value or 0) > limit]
        largest = max((f.value or 0 for f in above), default=0)
        yield judge(
            "analysed of randomised",
            not above,
            "look" if arm == "all" else "inconsistent",
            f"{largest:g} analysed of {limit} randomised ({arm}), in {len(above)} "
            f"finding{'s' if len(above) > 1 else ''}",
            trial=trial.id,
            table="findings",
            row=(above or group)[0].row,
            findings=[f.id for f in above],
        )


def _provenance(f: Finding) -> Iterator[Judged]:
    if f.status != "reported":
        return
    yield judge(
        "locator",
        bool(f.locator),
        "look",
        "no locator says where in the source the number stands",
        trial=f.trial,
        table="findings",
        row=f.row,
        findings=[f.id],
    )


def _contradictions(trial: Trial) -> Iterator[Judged]:
    valued = [f for f in trial.findings if f.value is not None]
    for group in contradictions(valued).values():
        used = [f for f in group if f.chosen]
        say = partial(judge, trial=trial.id, table="findings", row=group[0].row)
        words = f"{group[0].outcome} {group[0].statistic} of {group[0].arm}"
        values = ", ".join(f"{f.value:g} (row {f.row})" for f in group)
        yield say(
            "one chosen of several",
            len(used) == 1,
            "inconsistent" if used else "look",
            f"{words} is recorded as {values}; {len(used)} of them are chosen, and one must be",
            findings=[f.id for f in group],
        )
        yield say(
            "reason for the choice",
            any(f.reason for f in group),
            "look",
            f"{words} is recorded as {values}, and no reason says why one was chosen",
            findings=[f.id for f in group],
        )


def _guesses(g: Guess) -> Iterator[Judged]:
    parts = (g.correct, g.wrong, g.dont_know)
    say = partial(judge, trial=g.trial, table="guesses", row=g.row)
    if g.total is not None and all(p is not None for p in parts):
        added = sum(p for p in parts if p is not None)
        yield say(
            "guesses add up",
            added == g.total,
            "inconsistent",
            f"guesses of arm {g.arm} add up to {added}, but {g.total} were asked",
        )
    elif g.total is not None:
        added = sum(p for p in parts if p is not None)
        yield say(
            "guesses add up",
            added <= g.total,
            "impossible",
            f"{added} guesses of arm {g.arm} of {g.total} who were asked",
        )
    yield from _percent_correct(g, say)


def _percent_correct(g: Guess, say: Callable[..., Judged]) -> Iterator[Judged]:
    if g.percent_correct is None or g.correct is None:
        return
    shown = span(printed(g.percent_correct))
    answered = g.correct + g.wrong if g.wrong is not None else None

    if g.total is None and answered is None:
        return
    of_all, of_answers = (
        bool(size) and overlap((100 * g.correct / size, 100 * g.correct / size), shown)
        for size in (g.total, answered)
    )
    without = of_answers and not of_all
    yield say(
        "percent of guesses",
        of_all or without,
        "inconsistent",
        f"{g.percent_correct:g} % correct in arm {g.arm} fits neither {g.correct} of {g.total} "
        f"asked nor {g.correct} of {answered} who guessed",
    )
    if g.dont_know:
        yield say(
            "denominator of guesses",
            not without,
            "look",
            f"{g.percent_correct:g} % correct in arm {g.arm} leaves out {g.dont_know} who did "
            f"not know",
        )
