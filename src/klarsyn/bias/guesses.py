"""What people guessed in one arm, as counts, or as all counts that a printed percentage allows."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.provenance import digest_of

ROLES = ("active", "control")
RESPONDENTS = ("participants", "raters")
DENOMINATORS = ("all", "guessed", "unknown")
DONT_KNOWS = ("kept", "dropped", "split", "all_correct", "all_wrong")
_MOST_TABLES = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmGuesses:
    """Counts of right and wrong guesses and don't-knows in one arm, by one kind of respondent.

    With a five-category question `correct` and `wrong` are the strong guesses, `somewhat_*` the
    weak ones. Halves are allowed (split don't-knows).
    """

    trial: str
    arm: str
    role: str
    correct: float
    wrong: float
    dont_know: float = 0.0
    somewhat_correct: float = 0.0
    somewhat_wrong: float = 0.0
    respondent: str = "participants"
    time: str = ""

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise unknown_name("role of an arm", self.role, ROLES, self.trial)
        if self.respondent not in RESPONDENTS:
            raise unknown_name("respondent", self.respondent, RESPONDENTS, self.trial)
        for name in ("correct", "wrong", "dont_know", "somewhat_correct", "somewhat_wrong"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(
                    f"{self.trial}, arm {self.arm}: {name} is {getattr(self, name):g}; "
                    f"a count is 0 or more."
                )
        if self.n == 0:
            raise InputError(f"{self.trial}, arm {self.arm}: nobody answered. Leave the arm out.")

    @property
    def n(self) -> float:
        """How many answered, don't-knows included."""
        return self.all_correct + self.all_wrong + self.dont_know

    @property
    def all_correct(self) -> float:
        """Right guesses, strong and weak."""
        return self.correct + self.somewhat_correct

    @property
    def all_wrong(self) -> float:
        """Wrong guesses, strong and weak."""
        return self.wrong + self.somewhat_wrong

    @property
    def graded(self) -> bool:
        """Whether weak guesses were counted apart."""
        return self.somewhat_correct + self.somewhat_wrong > 0

    def counts(self, dont_know: str) -> tuple[float, float, float, float, float]:
        """Correct, somewhat correct, somewhat wrong, wrong, don't know, under a treatment.

        `kept`: as answered; `dropped`: left out; `split`: half to each side; `all_correct` and
        `all_wrong`: the two bounds. Moved don't-knows count as strong guesses.
        """
        if dont_know not in DONT_KNOWS:
            raise unknown_name("treatment of don't-knows", dont_know, DONT_KNOWS)
        right = {"split": 0.5, "all_correct": 1.0}.get(dont_know, 0.0) * self.dont_know
        wrong = {"split": 0.5, "all_wrong": 1.0}.get(dont_know, 0.0) * self.dont_know
        left = self.dont_know if dont_know == "kept" else 0.0
        return (
            self.correct + right,
            self.somewhat_correct,
            self.somewhat_wrong,
            self.wrong + wrong,
            left,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GuessBounds:
    """What a printed "% correct" allows: every whole-number table that rounds to it.

    `index` and `interval` are the range of Bang's index and of its limits over those tables.
    """

    trial: str
    arm: str
    role: str
    n: int
    percent: str
    denominator: str
    correct: tuple[int, int]
    dont_know: tuple[int, int]
    index: tuple[float, float]
    interval: tuple[float, float]
    tables: int
    level: float
    method: str
    inputs: str

    def summary(self) -> str:
        """The range of the index in one line."""
        return (
            f"{self.trial}, {self.arm}: {self.percent} % of {self.n} ({self.denominator}) allows "
            f"{self.tables} table(s), Bang {self.index[0]:.2f} to {self.index[1]:.2f}, limits "
            f"{self.interval[0]:.2f} to {self.interval[1]:.2f}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Every field, ready for JSON."""
        return asdict(self)

    def plot(self) -> Any:
        """Bang's index from lowest to highest over the tables, and with its limits (Altair)."""
        from klarsyn.figures.estimates import estimate_lines

        middle = sum(self.index) / 2
        return estimate_lines(
            [("index over all tables", middle, *self.index)],
            pooled=[("with sampling error", middle, *self.interval)],
            title=f"Bang's index, {self.trial}, {self.arm}",
        )


def guesses_from_percent(
    *,
    trial: str,
    arm: str,
    role: str,
    percent: str,
    n: int,
    denominator: str,
    dont_know: int | None = None,
    level: float = 0.95,
) -> GuessBounds:
    """The bounds that "`percent` % guessed right" of an arm of `n` puts on Bang's index.

    `percent` is the text as printed, since its decimals say how far it was rounded. `denominator`
    says what the percentage is of: `all` who answered, those who `guessed`, or `unknown`. Without
    `dont_know` every number of don't-knows is allowed.

    Raises InputError when no whole number rounds to the percentage.
    """
    from klarsyn.stats.proportions import two_sided_z

    if denominator not in DENOMINATORS:
        raise unknown_name("denominator", denominator, DENOMINATORS, f"{trial}, arm {arm}")
    value, half = _printed(percent, f"{trial}, arm {arm}")
    if n < 1 or (dont_know is not None and not 0 <= dont_know <= n):
        raise InputError(
            f"{trial}, arm {arm}: {dont_know} don't-knows of {n}; give 0 to {n} of at least 1."
        )
    c, d = _tables(value, half, n, denominator, dont_know)
    if c.size == 0:
        raise InputError(
            f"{trial}, arm {arm}: no whole number out of {n} rounds to {percent} % "
            f"(denominator {denominator}). Check the number who answered."
        )
    w = n - d - c
    index = (c - w) / n
    se = np.sqrt(np.maximum((c + w) / n - index**2, 0.0) / n)
    z = two_sided_z(level)
    return GuessBounds(
        trial=trial,
        arm=arm,
        role=role,
        n=n,
        percent=percent,
        denominator=denominator,
        correct=(int(c.min()), int(c.max())),
        dont_know=(int(d.min()), int(d.max())),
        index=(float(index.min()), float(index.max())),
        interval=(
            max(-1.0, float((index - z * se).min())),
            min(1.0, float((index + z * se).max())),
        ),
        tables=int(c.size),
        level=level,
        method="Bang 2004 over every table that rounds to the percentage",
        inputs=digest_of(percent, n, denominator, dont_know),
    )


def _printed(percent: str, where: str) -> tuple[float, float]:
    try:
        value = Decimal(percent.strip().removesuffix("%").strip())
    except InvalidOperation:
        raise InputError(f"{where}: {percent!r} is not a percentage such as 36.8.") from None
    if value.is_nan() or not 0 <= value <= 100:
        raise InputError(f"{where}: {percent} % lies outside 0 to 100.")
    exponent = value.as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    return float(value), 0.5 * 10.0**-decimals + 1e-9


def _tables(
    value: float, half: float, n: int, denominator: str, dont_know: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Correct and don't-know counts of every table that rounds to the percentage."""
    d = np.arange(n + 1) if dont_know is None else np.array([dont_know])
    if d.size * (n + 1) > _MOST_TABLES:
        raise InputError(
            f"An arm of {n} with unknown don't-knows allows too many tables; give the don't-knows."
        )
    c, d = (a.ravel() for a in np.meshgrid(np.arange(n + 1), d, indexing="ij"))
    possible = c + d <= n
    of_all = np.abs(100 * c / n - value) <= half
    with np.errstate(divide="ignore", invalid="ignore"):
        of_guessed = (d < n) & (np.abs(100 * c / (n - d) - value) <= half)
    fits = {"all": of_all, "guessed": of_guessed, "unknown": of_all | of_guessed}[denominator]
    keep = possible & fits
    return c[keep], d[keep]
