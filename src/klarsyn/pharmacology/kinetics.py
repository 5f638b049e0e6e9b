"""A dose becomes a course of amounts and concentrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.pharmacology.solvers.linear import NotLinearError, solve_exactly
from klarsyn.pharmacology.solvers.numeric import integrate
from klarsyn.pharmacology.system import Change, Dose, Reset, System, affine_system, read_outputs
from klarsyn.provenance import digest_of

METHODS = ("auto", "exact", "integrate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a system does over time: amounts (T, d) by compartment and outputs (T,) by name."""

    times: np.ndarray
    amounts: np.ndarray
    outputs: Mapping[str, np.ndarray]
    compartments: tuple[str, ...]
    method: str
    inputs: str

    def amount(self, compartment: str) -> np.ndarray:
        """The amounts of one compartment over time."""
        if compartment not in self.compartments:
            raise unknown_name("compartment", compartment, self.compartments)
        return self.amounts[:, self.compartments.index(compartment)]

    def summary(self) -> str:
        """One line: how it was solved and the peak of each output."""
        peaks = ", ".join(f"{n} {np.max(v):.4g}" for n, v in self.outputs.items())
        return f"{len(self.times)} times, {self.method}; peaks: {peaks}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: times and outputs as lists."""
        return {
            "method": self.method,
            "inputs": self.inputs,
            "times": self.times.tolist(),
            "outputs": {n: v.tolist() for n, v in self.outputs.items()},
        }


def is_linear(system: System) -> bool:
    """Whether every equation is linear in the amounts and free of time."""
    return affine_system(system) is not None


def solve(
    system: System,
    doses: Sequence[Dose],
    times: Sequence[float] | np.ndarray,
    *,
    changes: Sequence[Change] = (),
    resets: Sequence[Reset] = (),
    method: str = "auto",
) -> Course:
    """The course of one individual at `times` (h); after, not before, what happens at an instant.

    `auto` solves a linear system exactly (matrix exponentials) and integrates any other;
    `exact` refuses a nonlinear one; `integrate` integrates in any case. Amounts are in the unit
    of the doses. `changes` set parameters and `resets` empty the system at their times.

    Raises InputError for doses and times that cannot be, NumericalError when no answer exists.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    when = np.asarray(times, float)
    if when.ndim != 1 or not len(when) or not np.all(np.isfinite(when)):
        raise InputError("times must be a list of finite hours with at least one entry.")
    used, amounts = _amounts(system, doses, when, changes, resets, method)
    if not np.all(np.isfinite(amounts)):
        raise NumericalError("degenerate", "An amount is not finite. Check volumes and rates.")
    return Course(
        times=when,
        amounts=amounts,
        outputs=_outputs(system, when, amounts, changes),
        compartments=system.compartments,
        method=used,
        inputs=digest_of(
            [str(system.equations[c]) for c in system.compartments],
            {k: np.asarray(v).tolist() for k, v in system.parameters.items()},
            list(doses),
            when,
            list(changes),
            list(resets),
        ),
    )


def _amounts(
    system: System,
    doses: Sequence[Dose],
    when: np.ndarray,
    changes: Sequence[Change],
    resets: Sequence[Reset],
    method: str,
) -> tuple[str, np.ndarray]:
    if method != "integrate":
        try:
            return "exact", solve_exactly(system, doses, when, changes, resets)
        except NotLinearError:
            if method == "exact":
                raise InputError(
                    "method 'exact' needs equations that are linear in the amounts; these are "
                    "not. Use 'auto' or 'integrate'."
                ) from None
    return "integrated", integrate(system, doses, when, changes, resets)


def _outputs(
    system: System, when: np.ndarray, amounts: np.ndarray, changes: Sequence[Change]
) -> dict[str, np.ndarray]:
    outputs = read_outputs(system, when, amounts)
    for change in sorted(changes, key=lambda c: c.time):
        system = system.with_parameters(change.parameters)
        after = when >= change.time
        for name, values in read_outputs(system, when[after], amounts[after]).items():
            outputs[name][after] = values
    return outputs
