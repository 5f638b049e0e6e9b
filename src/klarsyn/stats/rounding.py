"""A printed number stands for an interval: everything that rounds to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from klarsyn.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A number as printed, exactly, with the number of decimals it was printed with.

    `lower` and `upper` belong to the interval: halves may have been rounded up or down.
    """

    value: Fraction
    decimals: int

    @property
    def half(self) -> Fraction:
        """Half a unit of the last decimal."""
        return Fraction(1, 2) / Fraction(10) ** self.decimals

    @property
    def lower(self) -> Fraction:
        """The smallest number that rounds to it."""
        return self.value - self.half

    @property
    def upper(self) -> Fraction:
        """The largest number that rounds to it."""
        return self.value + self.half

    def __float__(self) -> float:
        return float(self.value)


def printed(value: str | float | Printed, decimals: int | None = None) -> Printed:
    """The printed number of a text or float.

    A text keeps its trailing zeros (`"5.20"` has two decimals). A float has lost them, so the
    decimals found are the fewest it can have had: checks then err towards "possible". `decimals`
    states them where they are known.
    """
    if isinstance(value, Printed):
        return value
    text = value.strip() if isinstance(value, str) else repr(value)
    try:
        number = Decimal(text.replace("\u2212", "-"))
    except InvalidOperation:
        raise InputError(f"{value!r} is not a number.") from None
    if not number.is_finite():
        raise InputError(f"{value!r} is not a finite number.")
    if not isinstance(value, str):
        number = number.normalize()
    exponent = number.as_tuple().exponent
    found = max(0, -exponent) if isinstance(exponent, int) else 0
    return Printed(value=Fraction(number), decimals=found if decimals is None else decimals)


def overlap(a: tuple[float, float], b: tuple[float, float], slack: float = 1e-9) -> bool:
    """Whether two closed intervals meet; `slack` is relative and covers floating-point error."""
    margin = slack * max(abs(a[0]), abs(a[1]), abs(b[0]), abs(b[1]), 1e-300)
    return a[0] <= b[1] + margin and b[0] <= a[1] + margin


def span(value: Printed) -> tuple[float, float]:
    """The interval of a printed number as floats."""
    return float(value.lower), float(value.upper)


def not_negative(value: Printed) -> tuple[float, float]:
    """The interval of a printed number that cannot be negative."""
    low, high = span(value)
    return max(0.0, low), high


def whole(value: float) -> bool:
    """Whether a number is a whole number."""
    return math.isfinite(value) and value == int(value)
