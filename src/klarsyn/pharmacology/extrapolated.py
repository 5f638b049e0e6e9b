"""Where relapse is asked for after other numbers of doses than it was calibrated with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from klarsyn.pharmacology.between import Between
from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.pharmacology.runs import Study
from klarsyn.pharmacology.spread import Spread

DAY = 24.0
SINGLE = ("free_of_relapse_14_single", 14.0)  # what was seen after one dose, and days after it


@dataclass(frozen=True, slots=True, kw_only=True)
class Extrapolated:
    """`doses` lie outside the two numbers that relapse was `calibrated` after.

    After one dose `seen` is the share of responders without relapse on day `day` in the follow-up
    that the file of patients names, and `modelled` the same here: 5th, 50th and 95th percentile
    over the sets. Both are None where nothing was seen or the course is too short.
    """

    doses: int
    calibrated: tuple[int, int]
    day: float | None = None
    seen: float | None = None
    modelled: tuple[float, float, float] | None = None

    @property
    def fewer(self) -> bool:
        """Whether there are fewer doses than calibrated, where relapse comes out too fast."""
        return self.doses < self.calibrated[0]

    def notes(self) -> tuple[str, ...]:
        """What to keep in mind, in sentences."""
        first, second = self.calibrated
        said = [
            f"Relapse was calibrated after {first} and after {second} doses. With {self.doses} it "
            f"is extrapolated along the consolidation, and with fewer doses it comes out too fast."
        ]
        if self.seen is not None and self.modelled is not None:
            low, middle, high = (100 * v for v in self.modelled)
            said.append(
                f"After one dose {100 * self.seen:.0f} % of responders were without relapse on day "
                f"{self.day:g} in the one follow-up seen; the sets say {middle:.0f} % ({low:.0f} "
                f"to {high:.0f})."
            )
        return tuple(said)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def extrapolated(
    study: Study, doses: int, between: Between | None, courses: Mapping[str, Spread]
) -> Extrapolated | None:
    """What is extrapolated after so many doses; None where the calibration holds them."""
    parts = (study.data["hazard"]["first"], study.data["hazard"]["second"])
    one, two = sorted(parse_regimen(study.run(p["run"])["regimen"]).administrations for p in parts)
    if one <= doses <= two:
        return None
    found = Extrapolated(doses=doses, calibrated=(one, two))
    name, day = SINGLE
    course = courses.get("surviving")
    numbers = {} if between is None else between.constants.numbers
    if doses != 1 or name not in numbers or course is None or course.times[-1] < day * DAY:
        return found
    low, middle, high = (
        float(np.interp(day * DAY, course.times, course.sets[p])) for p in ("p5", "p50", "p95")
    )
    return Extrapolated(
        doses=doses,
        calibrated=(one, two),
        day=day,
        seen=numbers[name].value,
        modelled=(low, middle, high),
    )
