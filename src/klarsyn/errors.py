"""What can be wrong with an input or a computation, as one sentence that says what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class KlarsynError(Exception):
    """The base of every error that a user can mend; its text is one complete sentence or more."""


class InputError(KlarsynError):
    """A value, row, column or file is not what the analysis needs."""


class UnknownNameError(InputError):
    """A name is not in its closed list; the text gives the nearest names."""


class NumericalError(KlarsynError):
    """A computation has no answer for these data; `status` names why.

    `status` is one of the words of `STATUSES`.
    """

    def __init__(self, status: str, sentence: str) -> None:
        if status not in STATUSES:
            raise ValueError(f"{status!r} is not a status; known: {', '.join(STATUSES)}.")
        super().__init__(sentence)
        self.status = status


class MissingExtraError(KlarsynError):
    """An optional package is not installed; the text names the extra that brings it."""


STATUSES = (
    "not_estimable",
    "too_few_studies",
    "rank_deficient",
    "not_converged",
    "disconnected",
    "degenerate",
)


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names that look most like `name`, best first, case ignored."""
    by_fold = {k.casefold(): k for k in known}
    close = difflib.get_close_matches(name.casefold(), list(by_fold), n=count, cutoff=0.4)
    return [by_fold[c] for c in close]


def unknown_name(
    kind: str, name: object, known: Iterable[str], where: str = ""
) -> UnknownNameError:
    """The error for a name outside a closed list, with the nearest names and the whole list."""
    names = list(known)
    close = nearest(str(name), names)
    hint = f" Nearest: {', '.join(close)}." if close else ""
    place = f"{where}: " if where else ""
    return UnknownNameError(
        f"{place}{name!r} is not a known {kind}.{hint} Known: {', '.join(sorted(names))}."
    )
