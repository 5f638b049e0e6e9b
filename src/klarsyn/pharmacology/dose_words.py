"""Words of a dose: numbers, lengths of time, units and salts, read and printed."""

from __future__ import annotations

MASS_UNITS = {"mg": 1.0, "ug": 1e-3, "mcg": 1e-3, "g": 1e3}
HOURS = {
    "h": 1.0,
    "hour": 1.0,
    "hours": 1.0,
    "min": 1 / 60,
    "minute": 1 / 60,
    "minutes": 1 / 60,
    "d": 24.0,
    "day": 24.0,
    "days": 24.0,
    "week": 168.0,
    "weeks": 168.0,
}
COUNT_WORDS = {
    "once": 1,
    "twice": 2,
    "thrice": 3,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
}
COUNT = r"(\d+|" + "|".join(COUNT_WORDS) + ")"
SALTS = (
    "base|hydrochloride|hydrobromide|sulfate|phosphate|acetate|citrate|fumarate|maleate|mesylate"
    "|tartrate|succinate"
)
NUMBER = r"([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)"
UNIT = r"(hours?|h|minutes?|min|days?|d|weeks?)\b"


def read_count(text: str) -> int:
    """A whole number written in digits or as a word."""
    return int(text) if text.isdigit() else COUNT_WORDS[text.casefold()]


def milligrams_in(unit: str) -> float:
    """Milligrams to a unit of mass, in whatever case it is written; both signs for micro."""
    folded = unit.casefold().replace("\u03bc", "u").replace("\u00b5", "u")
    return MASS_UNITS[folded]


def read_length(number: str, unit: str) -> float:
    """Hours, minutes by a division so that 40 min is the same number however it is written."""
    folded = unit.casefold()
    if folded.startswith("min"):
        return float(number) / 60
    return float(number) * HOURS[folded]


def printed(value: float) -> str:
    """The number as text that reads back to the same float."""
    return repr(float(value)).removesuffix(".0")


def printed_hours(hours: float) -> str:
    """Hours as text that reads back to the same float: minutes where they are whole."""
    minutes = round(hours * 60)
    if hours < 2 and minutes and minutes / 60 == hours:
        return f"{minutes} min"
    return f"{printed(hours)} h"
