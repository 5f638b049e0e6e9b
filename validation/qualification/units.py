"""Units of levels, areas and times as observation tables print them."""

from __future__ import annotations

# A unit's factor from ng/mL, and whether it counts molecules (then divided by the molar mass).
CONCENTRATIONS = {
    **dict.fromkeys(("ng/mL", "ug/L", "µg/L"), (1.0, False)),
    **dict.fromkeys(("ug/mL", "µg/mL", "mg/L"), (1e-3, False)),
    "pg/mL": (1e3, False),
    **dict.fromkeys(("nmol/mL", "umol/L", "µmol/L", "uM", "µM"), (1.0, True)),
    **dict.fromkeys(("nmol/L", "nM", "pmol/mL"), (1e3, True)),
}
HOURS = {"h": 1.0, "hr": 1.0, "min": 1 / 60}


def level_unit(unit: str, mass: float) -> float:
    """What turns ng/mL into the unit."""
    factor, molar = CONCENTRATIONS[unit]
    return factor / mass if molar else factor


def area_unit(unit: str, mass: float) -> float:
    """What turns ng.h/mL into the unit: ng.min/mL, ng*h/mL, h*ng/mL, umol.h/L and the like."""
    for word, hours in sorted(HOURS.items(), key=lambda x: -len(x[0])):
        for mark in ".*·×":
            for rest in (
                unit.replace(f"{mark}{word}", "", 1),
                unit.replace(f"{word}{mark}", "", 1),
            ):
                if rest in CONCENTRATIONS:
                    return level_unit(rest, mass) / hours
    raise KeyError(unit)


def hours_of(unit: str) -> float:
    return HOURS[unit]
