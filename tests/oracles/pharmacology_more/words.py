"""What a regimen in words gives, expanded by hand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from table import add

F = Fraction

Portion = tuple[F, F, str, F]  # hour, mg, basis, hours of infusion
BASE, SALT = "base", "hydrochloride"
MIN = F(1, 60)


def one(hour: F | int, mg: F | int | str, basis: str = BASE, length: F | int = 0) -> Portion:
    return F(hour), F(mg), basis, F(length)


def at(hours: list[Any], mg: Any, basis: str = BASE, length: F | int = 0) -> list[Portion]:
    return [one(h, mg, basis, length) for h in hours]


def days(*numbers: Any) -> list[F]:
    return [24 * F(n) for n in numbers]


CASES: dict[str, tuple[float | None, list[Portion]]] = {
    "35 mg base iv": (None, at([0], 35)),
    "35 mg base iv over 40 min": (None, at([0], 35, length=40 * MIN)),
    "0.5 mg/kg base iv over 40 min": (82.0, at([0], 41, length=40 * MIN)),
    "0.5 mg/kg hydrochloride iv over 100 min": (70.0, at([0], 35, SALT, 100 * MIN)),
    "32.3 mg hydrochloride nasal": (None, at([0], "32.3", SALT)),
    "0.5 mg/kg base iv over 40 min, twice a week for 3 weeks":
        (70.0, at(days(0, 3, 7, 10, 14, 17), 35, length=40 * MIN)),
    "0.5 mg/kg base iv over 40 min, 2 per week, 3 weeks":
        (70.0, at(days(0, 3, 7, 10, 14, 17), 35, length=40 * MIN)),
    "0.5 mg/kg base iv over 40 min, three times a week for 2 weeks":
        (70.0, at(days(0, 2, 4, 7, 9, 11), 35, length=40 * MIN)),
    "0.5 mg/kg base iv over 40 min, once a week for 4 weeks":
        (70.0, at(days(0, 7, 14, 21), 35, length=40 * MIN)),
    "0.5 mg/kg base iv over 40 min, weekly for 4 weeks":
        (70.0, at(days(0, 7, 14, 21), 35, length=40 * MIN)),
    "25 mg base oral, daily for 5 days": (None, at(days(0, 1, 2, 3, 4), 25)),
    "25 mg base oral, once daily for 5 days": (None, at(days(0, 1, 2, 3, 4), 25)),
    "25 mg base oral, every day for 5 days": (None, at(days(0, 1, 2, 3, 4), 25)),
    "25 mg base oral, twice daily for 2 days": (None, at([0, 12, 24, 36], 25)),
    "25 mg base oral, three times a day for 1 day": (None, at([0, 8, 16], 25)),
    "25 mg base oral, every 8 h for 1 day": (None, at([0, 8, 16], 25)),
    "25 mg base oral, every 12 h, 4 doses": (None, at([0, 12, 24, 36], 25)),
    "25 mg base oral every 6 hours, 3 doses": (None, at([0, 6, 12], 25)),
    "25 mg base oral every 90 min, 3 doses": (None, at([0, F(3, 2), 3], 25)),
    "25 mg base oral every 2 days, 4 doses": (None, at(days(0, 2, 4, 6), 25)),
    "25 mg base oral every other day, 3 doses": (None, at(days(0, 2, 4), 25)),
    "56 mg base nasal on days 3, 7, 10": (None, at(days(3, 7, 10), 56)),
    "56 mg base nasal on days 3, 7 and 10": (None, at(days(3, 7, 10), 56)),
    "56 mg base nasal on day 4": (None, at(days(4), 56)),
    "56 mg base nasal at 0, 2 and 5 h": (None, at([0, 2, 5], 56)),
    "28 mg base nasal; 56 mg base nasal on days 3, 7, 10":
        (None, at([0], 28) + at(days(3, 7, 10), 56)),
    "28 mg base nasal on day 0; 56 mg base nasal on days 3, 7; 84 mg base nasal on days 10, 14":
        (None, at([0], 28) + at(days(3, 7), 56) + at(days(10, 14), 84)),
    "84 mg base nasal in 3 portions 5 min apart":
        (None, at([0, 5 * MIN, 10 * MIN], 28)),
    "84 mg base nasal, 3 sprays 5 min apart": (None, at([0, 5 * MIN, 10 * MIN], 28)),
    "56 mg base nasal in 2 sprays 5 min apart, twice a week for 1 week":
        (None, at([0, 5 * MIN, 72, 72 + 5 * MIN], 28)),
    "10 mg base nasal in 3 portions 10 min apart":
        (None, at([0, 10 * MIN, 20 * MIN], F(10, 3))),
    "0.25 mg/kg base iv bolus; 0.25 mg/kg base iv over 45 min":
        (60.0, at([0], 15) + at([0], 15, length=45 * MIN)),
    "20 mg base iv over 2 h; 20 mg base iv over 2 h on day 0":
        (None, at([0], 20, length=2) + at([0], 20, length=2)),
    "20 mg base iv over 100 min every 60 min, 4 doses":
        (None, at([0, 1, 2, 3], 20, length=100 * MIN)),
    "5 mg base iv every 1 h, 3 doses; 30 mg base iv over 3 h":
        (None, at([0, 1, 2], 5) + at([0], 30, length=3)),
    "0.5 mg/kg base im": (64.0, at([0], 32)),
    "0.5 mg/kg base sc": (64.0, at([0], 32)),
    "0.5 mg/kg base intramuscular": (64.0, at([0], 32)),
    "0.5 mg/kg base subcutaneous": (64.0, at([0], 32)),
    "0.5 mg/kg base intravenous over 40 minutes": (64.0, at([0], 32, length=40 * MIN)),
    "0.5 mg/kg base intranasal": (64.0, at([0], 32)),
    "500 ug base iv": (None, at([0], F(1, 2))),
    "500 µg/kg base iv over 40 min": (70.0, at([0], 35, length=40 * MIN)),
    "0.035 g base iv": (None, at([0], 35)),
    "0.5 MG/KG BASE IV OVER 40 MIN": (70.0, at([0], 35, length=40 * MIN)),
    "  0.5  mg / kg   base  iv over 40min ": (70.0, at([0], 35, length=40 * MIN)),
    "0.5 mg/kg base iv over 1 h": (70.0, at([0], 35, length=1)),
    "0.5 mg/kg base iv over 0.5 hours": (70.0, at([0], 35, length=F(1, 2))),
    "0.5 mg/kg base iv over 40 min, 6 doses 3 days apart":
        (70.0, at(days(0, 3, 6, 9, 12, 15), 35, length=40 * MIN)),
    "1e-3 mg base iv": (None, at([0], F(1, 1000))),
    "0.1 mg base iv over 7 min every 11 min, 3 doses":
        (None, at([0, 11 * MIN, 22 * MIN], F(1, 10), length=7 * MIN)),
    "50 mg hydrochloride oral; 50 mg base oral on day 1":
        (None, at([0], 50, SALT) + at([24], 50)),
    "0.3 mg/kg base iv over 40 min, four times a week for 1 week":
        (50.0, at(days(0, 1, 3, 5), 15, length=40 * MIN)),
    "0.3 mg/kg base iv over 40 min, 7 per week, 1 week":
        (50.0, at(days(0, 1, 2, 3, 4, 5, 6), 15, length=40 * MIN)),
}  # fmt: skip


def regimens() -> None:
    for text, (weight, portions) in CASES.items():
        portions = sorted(portions, key=lambda p: p[0])
        i: dict[str, Any] = {"text": text, "weight": weight}
        for k, quantity in enumerate(("hours", "milligrams", "basis", "durations")):
            add("words", text, i, quantity, [p[k] for p in portions], 1e-14)
        add("words", text, i, "count", len(portions))
