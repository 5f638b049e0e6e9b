"""Regimens: what is given, by which route, how fast and when; read from words and printed back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from klarsyn.errors import InputError, unknown_name
from klarsyn.pharmacology.dose_words import (
    COUNT,
    COUNT_WORDS,
    HOURS,
    NUMBER,
    SALTS,
    UNIT,
    milligrams_in,
    printed,
    printed_hours,
    read_count,
    read_length,
)
from klarsyn.pharmacology.phrases import Phrase
from klarsyn.pharmacology.schedules import WEEK, Schedule, at_hours, take_schedule

ROUTES = {
    "iv": ("iv", "intravenous", "intravenously"),
    "im": ("im", "intramuscular", "intramuscularly"),
    "sc": ("sc", "subcutaneous", "subcutaneously"),
    "oral": ("oral", "orally", "po"),
    "nasal": ("nasal", "intranasal", "nasally", "intranasally"),
    "film": ("film", "sublingual", "buccal"),
}
MOST_PORTIONS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much: `value` in mg, or mg per kg body weight; `basis` is 'base' or a salt's name."""

    value: float
    per_kg: bool
    basis: str

    def milligrams(self, weight: float | None) -> float:
        """The dose in mg of its basis; mg/kg needs the weight in kg."""
        if not self.per_kg:
            return self.value
        if weight is None or not weight > 0:
            raise InputError(
                f"a dose of {self.value:g} mg/kg needs the body weight. Give a weight above 0 kg."
            )
        return self.value * weight

    def __str__(self) -> str:
        return f"{printed(self.value)} mg{'/kg' * self.per_kg} {self.basis}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRule:
    """A dose is given when a measured score asks for it, at most `most` times.

    At each check (every `every` hours, the first at the start) one dose is given if the score is
    at or above `threshold`; checks go on for as many weeks as doses are allowed. With `until` the
    first check below `threshold` ends the doses for good; without it they come back with the score.
    """

    measure: str
    threshold: float
    every: float
    most: int
    until: bool = False

    def __str__(self) -> str:
        if self.until:
            return (
                f"until {self.measure} below {printed(self.threshold)}, checked every "
                f"{printed_hours(self.every)}, at most {self.most} doses"
            )
        return (
            f"when {self.measure} at or above {printed(self.threshold)}, checked every "
            f"{printed_hours(self.every)}, at most {self.most} doses"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One dose and its repetitions. `duration` in hours, 0 for a bolus; `portions` are sprays
    or part doses `gap` hours apart, which share the amount equally."""

    amount: Amount
    route: str
    schedule: Schedule
    duration: float = 0.0
    portions: int = 1
    gap: float = 0.0
    rule: ResponseRule | None = None

    def __str__(self) -> str:
        parts = [str(self.amount)]
        if self.portions > 1:
            parts.append(f"in {self.portions} portions {printed_hours(self.gap)} apart")
        parts.append(self.route)
        if self.duration:
            parts.append(f"over {printed_hours(self.duration)}")
        when = str(self.rule) if self.rule else self.schedule.words
        return f"{' '.join(parts)}, {when}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One portion as it enters: time (h), mg of `basis`, route, duration (h).

    `portion` counts within its administration from 1, `occasion` the administrations from 1.
    """

    time: float
    milligrams: float
    basis: str
    route: str
    duration: float
    portion: int
    occasion: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Regimen:
    """Steps given side by side on one clock; a titration is a sequence of steps."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "; ".join(str(s) for s in self.steps)

    def given(
        self,
        weight: float | None = None,
        score: Callable[[float, Sequence[Given]], float] | None = None,
    ) -> tuple[Given, ...]:
        """Every portion in order of time.

        `weight` in kg for mg/kg doses. A response-driven step asks `score(time, given so far)`.
        """
        starts = [
            (hour, number, step) for number, step in enumerate(self.steps) for hour in _starts(step)
        ]
        given: list[Given] = []
        counts = [0] * len(self.steps)
        over = [False] * len(self.steps)
        occasion = 0
        for hour, number, step in sorted(starts, key=lambda s: (s[0], s[1])):
            if over[number]:
                continue
            if step.rule is not None and not _asked(step.rule, counts[number], hour, given, score):
                over[number] = step.rule.until
                continue
            occasion += 1
            counts[number] += 1
            given += _portions(step, hour, step.amount.milligrams(weight), occasion)
        return tuple(sorted(given, key=lambda g: (g.time, g.occasion, g.portion)))

    @property
    def rules(self) -> tuple[ResponseRule, ...]:
        """The rules by which a score asks for doses, in the order of the steps."""
        return tuple(s.rule for s in self.steps if s.rule is not None)

    def unconditional(self) -> Regimen:
        """Every dose that any score could ask for, given: the same steps without their rules."""
        return Regimen(
            steps=tuple(
                s if s.rule is None else replace(s, rule=None, schedule=at_hours(_starts(s)))
                for s in self.steps
            )
        )

    def checks(self) -> tuple[tuple[float, int], ...]:
        """(hour, rule or -1) of every administration that could come, in order of time."""
        numbers = iter(range(len(self.rules)))
        which = [-1 if s.rule is None else next(numbers) for s in self.steps]
        starts = [(h, n) for n, s in enumerate(self.steps) for h in _starts(s)]
        return tuple((hour, which[n]) for hour, n in sorted(starts))

    @property
    def administrations(self) -> int:
        """How many times something is given, portions of one dose counted once."""
        return sum(len(_starts(s)) for s in self.steps)

    def per_kg(self) -> bool:
        """Whether any dose depends on the body weight."""
        return any(s.amount.per_kg for s in self.steps)


def _starts(step: Step) -> tuple[float, ...]:
    if step.rule is None:
        return step.schedule.hours
    return tuple(step.schedule.hours[0] + k * step.rule.every for k in range(_checks(step)))


def _checks(step: Step) -> int:
    """Checks of a response-driven step: until as many weeks have passed as doses are allowed."""
    assert step.rule is not None
    return max(step.rule.most, math.ceil(step.rule.most * WEEK / step.rule.every))


def _asked(
    rule: ResponseRule,
    count: int,
    hour: float,
    given: Sequence[Given],
    score: Callable[[float, Sequence[Given]], float] | None,
) -> bool:
    if score is None:
        raise InputError(
            f"the regimen gives doses '{rule}', so it needs {rule.measure} over time. Pass a "
            f"function score(hour, given)."
        )
    return count < rule.most and score(hour, given) >= rule.threshold


def _portions(step: Step, hour: float, milligrams: float, occasion: int) -> list[Given]:
    return [
        Given(
            time=hour + i * step.gap,
            milligrams=milligrams / step.portions,
            basis=step.amount.basis,
            route=step.route,
            duration=step.duration,
            portion=i + 1,
            occasion=occasion,
        )
        for i in range(step.portions)
    ]


def build_step(
    *,
    amount: Amount,
    route: str,
    schedule: Schedule,
    duration: float = 0.0,
    portions: int = 1,
    gap: float = 0.0,
    rule: ResponseRule | None = None,
) -> Step:
    """A checked step; see Step for units."""
    if not (math.isfinite(amount.value) and amount.value > 0):
        raise InputError(
            f"a dose of {amount.value:g} mg is not a finite amount above 0. State what is given as "
            f"a positive number."
        )
    if route not in ROUTES:
        raise unknown_name("route", route, ROUTES)
    if not (math.isfinite(duration) and duration >= 0):
        raise InputError(f"a duration of {duration:g} h is negative. Use 0 for a bolus.")
    if not (1 <= portions <= MOST_PORTIONS and 0 <= gap < math.inf) or (portions == 1 and gap):
        raise InputError(
            f"{portions} portions {printed_hours(gap)} apart cannot be given. Use 2 to "
            f"{MOST_PORTIONS} portions, 0 min apart or more."
        )
    return Step(
        amount=amount,
        route=route,
        schedule=schedule,
        duration=duration,
        portions=portions,
        gap=gap,
        rule=rule,
    )


def parse_regimen(text: str, *, basis: str | None = None, route: str | None = None) -> Regimen:
    """A regimen in words, e.g. '0.5 mg/kg base iv over 40 min, twice a week for 3 weeks'.

    Steps are separated by semicolons. What the text leaves out is taken from `basis` ('base' or a
    salt) and `route`; a dose that says neither is refused, since salt and base differ. Printing
    the answer gives words that parse to the same regimen.

    Raises InputError naming the words that were not understood.
    """
    pieces = [p.strip() for p in text.split(";") if p.strip()]
    if not pieces:
        raise InputError("the regimen is empty. Write for example '0.5 mg/kg base iv over 40 min'.")
    return Regimen(steps=tuple(_parse_step(p, basis, route) for p in pieces))


def _parse_step(text: str, basis: str | None, route: str | None) -> Step:
    phrase = Phrase(text)
    phrase.check_points(r"mg|µg|ug|mcg|g|h|hours?|min|minutes?")
    rule = _take_rule(phrase)
    portions, gap = _take_portions(phrase)
    duration = _take_duration(phrase)
    schedule = take_schedule(phrase)
    amount = _take_amount(phrase, basis)
    return _finished(
        phrase, amount, _take_route(phrase, route), schedule, duration, portions, gap, rule
    )


def _finished(
    phrase: Phrase,
    amount: Amount,
    route: str,
    schedule: Schedule,
    duration: float,
    portions: int,
    gap: float,
    rule: ResponseRule | None,
) -> Step:
    known = [n for names in ROUTES.values() for n in names]
    phrase.finish(
        [*known, *SALTS.split("|"), *HOURS, *COUNT_WORDS, "over", "every", "daily", "weekly", "per"]
    )
    return build_step(
        amount=amount,
        route=route,
        schedule=schedule,
        duration=duration,
        portions=portions,
        gap=gap,
        rule=rule,
    )


def _take_amount(phrase: Phrase, basis: str | None) -> Amount:
    found = phrase.take(rf"{NUMBER}\s*(mg|µg|ug|mcg|g)\s*(/\s*kg|per kg)?\b(?!\s*/)")
    if not found:
        raise InputError(
            f"{phrase.whole!r}: no amount. Write for example '0.5 mg/kg base' or '28 mg base'."
        )
    value = float(found[1]) * milligrams_in(found[2])
    if value <= 0:
        raise InputError(
            f"{phrase.whole!r}: a dose of {found[1]} {found[2]} is not above 0. State what is "
            f"given as a positive number."
        )
    said = phrase.take(rf"\b({SALTS}|HCl|as salt|salt)\b")
    stated = {"hcl": "hydrochloride"}.get(said[1].casefold(), said[1].casefold()) if said else basis
    if stated is None or stated in {"salt", "as salt"}:
        raise InputError(
            f"{phrase.whole!r}: the dose does not say of what. Add 'base' or the name of the salt "
            f"(for example 'hydrochloride'); the two differ in mass."
        )
    return Amount(value=value, per_kg=bool(found[3]), basis=stated)


def _take_route(phrase: Phrase, route: str | None) -> str:
    found = phrase.take(r"\b(" + "|".join(n for r in ROUTES.values() for n in r) + r")\b")
    if found:
        return next(r for r, names in ROUTES.items() if found[1].casefold() in names)
    if route is None:
        close = phrase.nearest([n for names in ROUTES.values() for n in names])
        raise InputError(f"{phrase.whole!r}: no route.{close} Add one of {', '.join(ROUTES)}.")
    return route


def _take_duration(phrase: Phrase) -> float:
    found = phrase.take(rf"\bover\s+{NUMBER}\s*{UNIT}")
    if found:
        hours = read_length(found[1], found[2])
        if hours <= 0:
            raise InputError(
                f"{phrase.whole!r}: an infusion over {found[1]} {found[2]}. Use above 0."
            )
        return hours
    phrase.take(r"\b(as a )?bolus\b")
    return 0.0


def _take_portions(phrase: Phrase) -> tuple[int, float]:
    found = phrase.take(
        rf"\b(?:in\s+)?{COUNT}\s+(?:portions|sprays|parts|devices)(?:\s+{NUMBER}\s*{UNIT}\s+apart)?"
    )
    if not found:
        return 1, 0.0
    gap = read_length(found[2], found[3]) if found[2] else 0.0
    return read_count(found[1]), gap


def _take_rule(phrase: Phrase) -> ResponseRule | None:
    found = phrase.take(
        rf"\b(when\s+\S+\s+(?:is\s+)?at or above|until\s+\S+\s+(?:is\s+)?below)\s+{NUMBER},?"
        rf"\s*checked every\s+{NUMBER}\s*{UNIT},?\s*at most\s+(\d+)\s+doses?"
    )
    if not found:
        return None
    interval = read_length(found[3], found[4])
    if interval <= 0 or int(found[5]) < 1:
        raise InputError(
            f"{phrase.whole!r}: checks lie above 0 h apart and allow one dose or more."
        )
    how, measure = found[1].split()[:2]
    return ResponseRule(
        measure=measure,
        threshold=float(found[2]),
        every=interval,
        most=int(found[5]),
        until=how.casefold() == "until",
    )
