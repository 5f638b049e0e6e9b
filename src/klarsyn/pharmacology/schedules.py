"""When doses are given: hours from the start, read from words and printed back."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from klarsyn.errors import InputError
from klarsyn.pharmacology.dose_words import (
    COUNT,
    NUMBER,
    UNIT,
    printed,
    printed_hours,
    read_count,
    read_length,
)
from klarsyn.pharmacology.phrases import Phrase

WEEK = 168.0
DAY = 24.0
MOST_DOSES = 10_000
AND = r"\s*(?:,\s*and\b|,|\band\b)\s*"
ONE_NUMBER = NUMBER.replace("(", "(?:", 1)  # the same, not remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When: hours from the start of the regimen, and the words that say so."""

    hours: tuple[float, ...]
    words: str


def once(hour: float = 0.0) -> Schedule:
    """A single dose."""
    words = "once" if hour == 0 else f"at {printed_hours(hour)}"
    return Schedule(hours=(float(hour),), words=words)


def at_hours(hours: Sequence[float]) -> Schedule:
    """Doses at these hours from the start."""
    times = tuple(float(h) for h in hours)
    for hour in times or (math.nan,):
        if not (math.isfinite(hour) and hour >= 0):
            raise InputError(
                f"a dose at {hour:g} h: dose times are hours from the start, at least one, none "
                f"negative."
            )
    for before, hour in pairwise(times):
        if hour <= before:
            raise InputError(
                f"a dose at {hour:g} h comes after one at {before:g} h. Dose times must rise, "
                f"none given twice."
            )
    if len(times) == 1:
        return once(times[0])
    if all(h % DAY == 0 for h in times):
        return Schedule(hours=times, words="on days " + ", ".join(printed(h / DAY) for h in times))
    return Schedule(hours=times, words="at " + ", ".join(printed(h) for h in times) + " h")


def weekly(per_week: int, weeks: int) -> Schedule:
    """Doses spread over each week: two fall on days 0 and 3, three on days 0, 2 and 4."""
    if not (1 <= per_week <= 7 and weeks >= 1 and per_week * weeks <= MOST_DOSES):
        raise InputError(
            f"{per_week} doses a week for {weeks} weeks: use 1 to 7 a week, at least one week and "
            f"at most {MOST_DOSES} doses."
        )
    days = [math.floor(k * 7 / per_week) for k in range(per_week)]
    hours = tuple(WEEK * w + DAY * d for w in range(weeks) for d in days)
    times = {1: "once", 2: "twice"}.get(per_week, f"{per_week} times")
    return Schedule(hours=hours, words=f"{times} a week for {weeks} week{'s' * (weeks > 1)}")


def every(interval: float, doses: int) -> Schedule:
    """`doses` doses `interval` hours apart."""
    if not (0 < interval < math.inf and 1 <= doses <= MOST_DOSES):
        raise InputError(
            f"{doses} doses every {interval:g} h: use an interval above 0 and 1 to {MOST_DOSES} "
            f"doses."
        )
    return Schedule(
        hours=tuple(interval * k for k in range(doses)),
        words=f"every {printed_hours(interval)} for {doses} dose{'s' * (doses > 1)}",
    )


def take_schedule(phrase: Phrase) -> Schedule:
    """The schedule that a phrase says, once where it says none."""
    for take in (_take_weekly, _take_daily, _take_every, _take_apart, _take_days, _take_hours):
        schedule = take(phrase)
        if schedule is not None:
            return schedule
    phrase.take(r"\bonce\b")
    return once()


def _take_weekly(phrase: Phrase) -> Schedule | None:
    found = phrase.take(
        rf"\b(?:{COUNT}\s*(?:x|times)?\s*(?:a|per|each|every)?\s*week(?:ly)?|weekly|every week)\b"
        rf"\s*,?\s*(?:for\s+)?{COUNT}\s+weeks?\b"
    )
    return found and weekly(read_count(found[1] or "1"), read_count(found[2]))


def _take_daily(phrase: Phrase) -> Schedule | None:
    """'Twice daily' is 12 hours apart, as often as the days hold."""
    found = phrase.take(
        rf"\b(?:{COUNT}\s*(?:x|times)?\s*(?:(?:a|per|each|every)\s+day|daily)|daily|every day)\b"
        rf"\s*,?\s*(?:for\s+)?{COUNT}\s+(days?|weeks?)\b"
    )
    if not found:
        return None
    count = read_count(found[1] or "1")
    days = read_count(found[2]) * (7 if found[3].casefold().startswith("week") else 1)
    if not (1 <= count <= 24 and days >= 1):
        raise InputError(
            f"{phrase.whole!r}: {count} doses a day for {days} days: use 1 to 24 a day and at "
            f"least one day."
        )
    return every(DAY / count, count * days)


def _take_every(phrase: Phrase) -> Schedule | None:
    """'Every 8 h for 2 days' fills the days: the dose at their end is not given."""
    found = phrase.take(
        rf"\bevery\s+(?:{NUMBER}\s*{UNIT}|other\s+day)\s*,?\s*"
        rf"(?:(?:for\s+)?{COUNT}\s+doses?\b|for\s+{NUMBER}\s*{UNIT})"
    )
    if not found:
        return None
    interval = read_length(found[1], found[2]) if found[1] else 2 * DAY
    if found[3]:
        return every(interval, read_count(found[3]))
    span = read_length(found[4], found[5])
    if not (interval > 0 and span > 0):
        raise InputError(f"{phrase.whole!r}: the interval and the time it is kept up are above 0.")
    return every(interval, math.ceil(span / interval * (1 - 1e-12)))


def _take_apart(phrase: Phrase) -> Schedule | None:
    found = phrase.take(rf"\b{COUNT}\s+doses?\s*,?\s*{NUMBER}\s*{UNIT}\s+apart\b")
    return found and every(read_length(found[2], found[3]), read_count(found[1]))


def _take_days(phrase: Phrase) -> Schedule | None:
    found = phrase.take(rf"\bon days?\s+({ONE_NUMBER}(?:{AND}{ONE_NUMBER})*)")
    return found and at_hours([float(d) * DAY for d in re.split(AND, found[1])])


def _take_hours(phrase: Phrase) -> Schedule | None:
    found = phrase.take(rf"\bat\s+({ONE_NUMBER}(?:{AND}{ONE_NUMBER})*)\s*{UNIT}")
    return found and at_hours([read_length(h, found[2]) for h in re.split(AND, found[1])])
