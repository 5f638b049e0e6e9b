"""A text that is read by taking understood pieces from it until nothing is left."""

from __future__ import annotations

import re
from collections.abc import Iterable

from klarsyn.errors import InputError, nearest

FILLERS = r"\b(and|by|given|a|the|dose|route|infusion)\b|[,.]"
ALIKE = 3  # letters from which on a word is compared with the known ones


class Phrase:
    """What is left of a text, and what it was."""

    def __init__(self, text: str) -> None:
        self.whole = text
        self.rest = text.replace("\u03bc", "\u00b5")

    def check_points(self, units: str) -> None:
        """Raise InputError for a number with a decimal comma before one of the units."""
        found = re.search(rf"(?<![\d,.])(\d+),(\d+)\s*(?:{units})\b", self.rest, re.IGNORECASE)
        before = self.rest[: found.start()] if found else ""
        if found and not re.search(r"\b(at|days?)\s*$", before, re.IGNORECASE):
            raise InputError(
                f"{self.whole!r}: '{found[1]},{found[2]}' has a decimal comma. Use a decimal "
                f"point: {found[1]}.{found[2]}."
            )

    def take(self, pattern: str) -> re.Match[str] | None:
        """The first match, which leaves the text; None where there is none."""
        found = re.search(pattern, self.rest, flags=re.IGNORECASE)
        if found:
            self.rest = f"{self.rest[: found.start()]} , {self.rest[found.end() :]}"
        return found

    def nearest(self, known: Iterable[str]) -> str:
        """A sentence that names the known words most like one that is left, or nothing."""
        names = list(known)
        folded = {n.casefold() for n in names}
        for word in re.findall(rf"[^\W\d]{{{ALIKE},}}", re.sub(FILLERS, " ", self.rest)):
            if word.casefold() in folded:
                continue
            if close := nearest(word, names, 2):
                return f" Nearest to {word!r}: {', '.join(close)}."
        return ""

    def finish(self, known: Iterable[str]) -> None:
        """Raise InputError naming what was not understood and the known words nearest to it."""
        left = " ".join(re.sub(FILLERS, " ", self.rest).split())
        if left:
            bare = re.search(r"\b(over|every|at)\s+[\d.]+(?!\s*[^\W\d])", left, re.IGNORECASE)
            unit = f" Say of what: '{bare[0]} min' or '{bare[0]} h'." if bare else ""
            hint = unit or self.nearest(known)
            raise InputError(
                f"{self.whole!r}: {left!r} was not understood.{hint} Write for example "
                f"'0.5 mg/kg base iv over 40 min, twice a week for 3 weeks'."
            )
