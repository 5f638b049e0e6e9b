"""Numbers as a reader of the page's language writes them."""

from __future__ import annotations

from dataclasses import dataclass

MINUS = "\u2212"
THIN = "\u202f"
NBSP = "\u00a0"
FAR = 1000


@dataclass(frozen=True, slots=True)
class Numbers:
    """Formats numbers for one language: decimal comma and «til» in Norwegian."""

    lang: str

    def fixed(self, value: float, digits: int = 2) -> str:
        """The value with that many decimals and a true minus sign; minus zero is zero."""
        text = f"{abs(value):.{digits}f}"
        sign = MINUS if value < 0 and float(text) != 0 else ""
        return sign + self._point(text)

    def general(self, value: float) -> str:
        """A whole number where the value is whole, otherwise up to two decimals."""
        if value == int(value):
            return self.whole(int(value))
        return self._point(f"{value:.2f}".rstrip("0").rstrip(".")).replace("-", MINUS)

    def whole(self, value: float) -> str:
        """A count; thousands are set apart by a thin space from 10,000 on."""
        text = f"{round(value):,}" if abs(value) >= 10_000 else f"{round(value)}"
        return text.replace(",", THIN).replace("-", MINUS)

    def interval(self, low: float, high: float, digits: int = 2) -> str:
        """Two limits in words, so that a minus sign is never read as a dash.

        A limit beyond a thousand says only that: its digits would feign knowledge.
        """
        word = "til" if self.lang == "nb" else "to"
        return f"{self._limit(low, digits)} {word} {self._limit(high, digits)}"

    def _limit(self, value: float, digits: int) -> str:
        if abs(value) < FAR:
            return self.fixed(value, digits)
        return f">{self.whole(FAR)}" if value > 0 else f"<{self.whole(-FAR)}"

    def ratio_interval(self, low: float, high: float) -> str:
        """Limits of a ratio; what is beyond 100 or below 0.01 is not worth its digits."""
        first = self.fixed(low) if low >= 0.01 else f"under {self._point('0.01')}"
        last = self.fixed(high) if high <= 100 else "over 100"
        return f"{first} {'til' if self.lang == 'nb' else 'to'} {last}"

    def with_interval(self, value: float, low: float, high: float, digits: int = 2) -> str:
        """The value with its limits in brackets."""
        return f"{self.fixed(value, digits)} ({self.interval(low, high, digits)})"

    def percent(self, share: float, digits: int = 0) -> str:
        """A share between 0 and 1 as a percentage."""
        return f"{self.fixed(100 * share, digits)}{NBSP}%"

    def p(self, value: float) -> str:
        """A p-value: three decimals, or the bound 0.001."""
        if value < 0.001:
            return "p" + NBSP + "<" + NBSP + self._point("0.001")
        return f"p{NBSP}={NBSP}{self.fixed(value, 3 if value < 0.1 else 2)}"

    def _point(self, text: str) -> str:
        return text.replace(".", ",") if self.lang == "nb" else text
