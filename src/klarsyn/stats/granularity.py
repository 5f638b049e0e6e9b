"""Whether means and standard deviations of whole-number scores can be what was printed.

Brown and Heathers 2017 (GRIM), Anaya 2016 (GRIMMER), Heathers and Brown 2019 (DEBIT), Heathers
et al. 2018 (SPRITE). Only raw means of whole-number scores have these properties: never
model-based means, means with values carried forward, or averages of several measurements.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from klarsyn.errors import InputError, NumericalError
from klarsyn.stats.rounding import Printed, printed

# Cells of the exact search's table beyond which it is not attempted.
MOST_CELLS = 10_000_000
MOST_CANDIDATES = 50_000
MOST_PEELED = 60
NEVER = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Granularity:
    """Whether whole-number scores can give the printed numbers.

    `possible` is None where the exact search would have been too large. `method` says how it was
    decided; `total` and `squares` are the sum and sum of squares of a sample that fits.
    """

    possible: bool | None
    method: str
    reason: str
    total: int | None = None
    squares: int | None = None


TOO_LARGE = Granularity(
    possible=None, method="exact search", reason="the exact search would be too large"
)


def totals(mean: str | float | Printed, n: int, items: int = 1) -> range:
    """The whole-number totals s for which s / (n · items) rounds to the printed mean."""
    m = printed(mean)
    _check_size(n, items)
    cells = n * items
    return range(math.ceil(m.lower * cells), math.floor(m.upper * cells) + 1)


def grim(
    mean: str | float | Printed,
    n: int,
    *,
    items: int = 1,
    minimum: int | None = None,
    maximum: int | None = None,
) -> Granularity:
    """Whether some whole-number total gives the printed mean of n scores.

    `items` is the number of items that one score averages (1 for sum scores); `minimum` and
    `maximum` bound one participant's sum over the items. Halves may round either way.
    """
    found = _bounded(totals(mean, n, items), n, minimum, maximum)
    if len(found):
        return Granularity(possible=True, method="GRIM", reason="", total=found[0])
    m = printed(mean)
    if len(totals(mean, n, items)):
        return Granularity(
            possible=False,
            method="GRIM",
            reason=f"outside the scale{_within(minimum, maximum)}",
        )
    near = [
        f"{s / (n * items):.{m.decimals + 2}f}"
        for s in (math.floor(m.value * n * items), math.floor(m.value * n * items) + 1)
    ]
    return Granularity(
        possible=False,
        method="GRIM",
        reason=f"inconsistent with n under integer scoring; the nearest means of {n} are "
        f"{near[0]} and {near[1]}",
    )


def grimmer(
    mean: str | float | Printed,
    sd: str | float | Printed,
    n: int,
    *,
    items: int = 1,
    minimum: int | None = None,
    maximum: int | None = None,
) -> Granularity:
    """Whether a sample of n whole numbers has both the printed mean and the printed SD, exactly.

    The SD has n − 1 in its denominator; `items`, `minimum` and `maximum` as in `grim`. Where the
    limits are far a sample is proven to exist by Lagrange's four squares, else it is looked for
    exhaustively.
    """
    first = grim(mean, n, items=items, minimum=minimum, maximum=maximum)
    m, s = printed(mean), _printed_sd(sd)
    if n < 2 or not first.possible:
        return first
    candidates: list[tuple[int, int]] = []
    for total, squares in _candidates(m, s, n, items, minimum, maximum):
        if _proven(total, squares, n, minimum, maximum):
            return _sample(total, squares)
        candidates.append((total, squares))
        if len(candidates) > MOST_CANDIDATES:
            return TOO_LARGE
    if not candidates:
        return Granularity(
            possible=False,
            method="GRIMMER",
            reason="inconsistent with n under integer scoring: no sum of squares of "
            f"{n} whole numbers{_within(minimum, maximum)} gives this mean and SD",
        )
    for total, squares in candidates[:MOST_PEELED]:
        if _peeled(total, squares, n, minimum, maximum):
            return _sample(total, squares)
    return _searched(candidates, n, minimum, maximum)


def _sample(total: int, squares: int) -> Granularity:
    return Granularity(
        possible=True, method="four squares", reason="", total=total, squares=squares
    )


def debit(mean: str | float | Printed, sd: str | float | Printed, n: int) -> Granularity:
    """Whether a share and its SD fit each other for n yes-or-no values.

    SD² = p(1 − p)·n/(n − 1), over all p that round to the mean.
    """
    m, s = printed(mean), _printed_sd(sd)
    _check_size(n, 1)
    if n < 2:
        raise InputError(f"An SD needs at least two scores; n is {n}.")
    low, high = max(m.lower, Fraction(0)), min(m.upper, Fraction(1))
    if low > high:
        return Granularity(possible=False, method="DEBIT", reason="the mean of shares is 0 to 1")
    factor = Fraction(n, n - 1)
    ends = [p * (1 - p) * factor for p in (low, high)]
    most = Fraction(1, 4) * factor if low <= Fraction(1, 2) <= high else max(ends)
    fits = max(s.lower, Fraction(0)) ** 2 <= most and min(ends) <= s.upper**2
    reason = (
        "" if fits else f"an SD of {math.sqrt(min(ends)):.4f} to {math.sqrt(most):.4f} would fit"
    )
    return Granularity(possible=fits, method="DEBIT", reason=reason)


def sd_limits(
    mean: str | float | Printed,
    n: int,
    minimum: int,
    maximum: int,
    *,
    items: int = 1,
    whole_numbers: bool = True,
) -> tuple[float, float]:
    """The smallest and largest SD that n scores within the limits can have at the printed mean.

    Raises NumericalError("not_estimable") when no total gives the mean. With `whole_numbers` false
    the scores may be any numbers within the limits, and the smallest SD is 0.
    """
    if n < 2:
        raise InputError(f"An SD needs at least two scores; n is {n}.")
    if not whole_numbers:
        m = printed(mean)
        low, high = max(m.lower, Fraction(minimum)), min(m.upper, Fraction(maximum))
        middle = min(max(Fraction(minimum + maximum, 2), low), high)
        most = (middle - minimum) * (maximum - middle) * Fraction(n, n - 1)
        return 0.0, math.sqrt(max(0, most))
    found = _bounded(totals(mean, n, items), n, minimum, maximum)
    if not len(found):
        raise NumericalError(
            "not_estimable",
            f"No total of {n} whole numbers from {minimum} to {maximum} gives the mean "
            f"{float(printed(mean).value):g}.",
        )
    spreads = [
        [
            Fraction(q * n - s * s, n * (n - 1))
            for q in _square_limits(s, n, minimum, maximum)
            if q is not None
        ]
        for s in found
    ]
    low = min(spread[0] for spread in spreads)
    high = max(spread[-1] for spread in spreads)
    return math.sqrt(low) / items, math.sqrt(high) / items


def _check_size(n: int, items: int) -> None:
    if n != int(n) or items != int(items) or n < 1 or items < 1:
        raise InputError(
            f"n and items are whole numbers of at least 1; got n = {n}, items = {items}."
        )


def _printed_sd(sd: str | float | Printed) -> Printed:
    s = printed(sd)
    if s.value < 0:
        raise InputError(f"An SD is 0 or more; {float(s):g} is not.")
    return s


def _bounded(found: range, n: int, minimum: int | None, maximum: int | None) -> range:
    if minimum is not None and maximum is not None and minimum > maximum:
        raise InputError(f"The scale runs from {minimum} to {maximum}; give the lower limit first.")
    start = found.start if minimum is None else max(found.start, minimum * n)
    stop = found.stop if maximum is None else min(found.stop, maximum * n + 1)
    return range(start, stop)


def _within(minimum: int | None, maximum: int | None) -> str:
    if minimum is None or maximum is None:
        return ""
    return f" from {minimum} to {maximum}"


def _candidates(
    m: Printed, s: Printed, n: int, items: int, minimum: int | None, maximum: int | None
) -> Iterator[tuple[int, int]]:
    """Totals and sums of squares within the rounding, of the right parity, within the limits."""
    for total in _bounded(totals(m, n, items), n, minimum, maximum):
        least, most = _square_limits(total, n, minimum, maximum)
        centre = Fraction(total * total, n)
        low = math.ceil((max(s.lower, Fraction(0)) * items) ** 2 * (n - 1) + centre)
        high = math.floor((s.upper * items) ** 2 * (n - 1) + centre)
        low, high = max(low, least), high if most is None else min(high, most)
        for squares in range(low + (low - total) % 2, high + 1, 2):
            yield total, squares


def _square_limits(
    total: int, n: int, minimum: int | None, maximum: int | None
) -> tuple[int, int | None]:
    """The smallest and largest sum of squares of n whole numbers with this total."""
    low, extra = divmod(total, n)
    least = (n - extra) * low * low + extra * (low + 1) ** 2
    if minimum is None or maximum is None:
        return least, None
    width = maximum - minimum
    if width == 0:
        return least, least
    full, rest = divmod(total - n * minimum, width)
    spread = full * width**2 + rest**2
    return least, spread + 2 * minimum * (total - n * minimum) + n * minimum**2


def _proven(total: int, squares: int, n: int, minimum: int | None, maximum: int | None) -> bool:
    """Whether moving equal pairs apart from the flattest sample surely reaches the squares.

    A pair of equal scores moved apart by k each way adds 2k². k copies of the largest allowed step
    and four more steps (Lagrange) make any even excess, if there are enough pairs.
    """
    low, extra = divmod(total, n)
    pairs = (n - extra) // 2 + extra // 2
    least, _ = _square_limits(total, n, None, None)
    need = (squares - least) // 2
    if need < 0 or (squares - total) % 2:
        return False
    room = [low - minimum] if minimum is not None else []
    room += [maximum - low - (extra > 0)] if maximum is not None else []
    step = min(room) if room else math.isqrt(need) + 1
    if need == 0:
        return True
    return step > 0 and need // step**2 + 4 <= pairs


def _peeled(total: int, squares: int, n: int, minimum: int | None, maximum: int | None) -> bool:
    """Whether some participants at one far score leave others for whom `_proven` holds.

    This settles skewed samples near a limit, the usual case of low scores after treatment.
    """
    if minimum is None or maximum is None:
        return False
    for score in range(maximum, minimum - 1, -1):
        for several in range(1, n - 7):
            rest, left = total - several * score, n - several
            if not minimum * left <= rest <= maximum * left:
                continue
            if _proven(rest, squares - several * score**2, left, minimum, maximum):
                return True
    return False


def fewest_moves(most: int, reach: int, low: int, high: int) -> Any:
    """How few scores must differ from a centre to give each sum of squares and sum of differences.

    Row q, column d + `reach`: the least number of non-zero whole numbers from `low` to `high`
    whose squares add to q and which add to d; `NEVER` where none do.
    """
    import numpy as np

    table = np.full((most + 1, 2 * reach + 1), NEVER, dtype=np.int16)
    table[0, reach] = 0
    steps = [u for u in range(low, high + 1) if u]
    for q in range(1, most + 1):
        row = table[q]
        for u in steps:
            if u * u > q:
                continue
            before = table[q - u * u]
            if u > 0:
                np.minimum(row[u:], before[:-u] + 1, out=row[u:])
            else:
                np.minimum(row[:u], before[-u:] + 1, out=row[:u])
    return table


def _searched(
    candidates: list[tuple[int, int]], n: int, minimum: int | None, maximum: int | None
) -> Granularity:
    by_centre: dict[int, list[tuple[int, int]]] = {}
    for total, squares in candidates:
        by_centre.setdefault((2 * total + n) // (2 * n), []).append((total, squares))
    skipped = False
    for centre, group in by_centre.items():
        excess = {
            (total - n * centre, squares - 2 * centre * total + n * centre**2): (total, squares)
            for total, squares in group
        }
        most = max(q for _, q in excess)
        reach = math.isqrt(n * most) + 1
        if (most + 1) * (2 * reach + 1) > MOST_CELLS:
            skipped = True
            continue
        low = -reach if minimum is None else max(minimum - centre, -math.isqrt(most) - 1)
        high = reach if maximum is None else min(maximum - centre, math.isqrt(most) + 1)
        moves = fewest_moves(most, reach, low, high)
        for (off, q), (total, squares) in excess.items():
            if moves[q, off + reach] <= n:
                return Granularity(
                    possible=True, method="exact search", reason="", total=total, squares=squares
                )
    if skipped:
        return TOO_LARGE
    return Granularity(
        possible=False,
        method="exact search",
        reason=f"inconsistent with n under integer scoring: no {n} whole numbers"
        f"{_within(minimum, maximum)} have this mean and SD",
    )
