"""Many patients of one nonlinear model: two enantiomers drive a trapping block and a turnover.

Nine states: parent central, parent peripheral and metabolite of each enantiomer in closed form;
the blocked share B, a turnover response R and its feedback M by a stiff solver.

    dB/dt = on X (1 - B) - off B,  X = sum C/K over both enantiomers and their metabolites
    dR/dt = kout (1 + smax B^hill/(half^hill + B^hill) - R M)
    dM/dt = kt (R - M)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.provenance import digest_of

CHAIN = ("k10", "k12", "k21", "V1", "kf", "km", "Vm", "share")
PARAMETERS = (
    *(f"{name}_{e}" for e in ("1", "2") for name in CHAIN),
    "K_1",
    "Km_1",
    "K_2",
    "Km_2",
    "on",
    "off",
    "kout",
    "smax",
    "half",
    "hill",
    "kt",
)
STATES = (
    "central_1",
    "peripheral_1",
    "metabolite_1",
    "central_2",
    "peripheral_2",
    "metabolite_2",
    "block",
    "response",
    "feedback",
)
STATUS = {
    1: "needed more than 100,000 steps",
    2: "left the numbers that can be represented",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """States (n, T, 9) at `times` (h), in the order of STATES; `steps` (n,) that each needed."""

    times: np.ndarray
    states: np.ndarray
    steps: np.ndarray
    method: str
    inputs: str

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in STATES:
            raise unknown_name("state", name, STATES)
        return self.states[:, :, STATES.index(name)]


def simulate_driven(
    parameters: Mapping[str, Any],
    infusions: Sequence[tuple[float, float, Any]],
    times: Any,
    *,
    rtol: float,
    atol: float,
) -> Driven:
    """Solve every patient; `parameters` are arrays (n,) by the names of PARAMETERS, rates in /h.

    `infusions` are (start h, hours, amount): amount a number or (n,), in the amount unit that makes
    amount/V over K a ratio. Local errors are kept below atol + rtol |y| for B, R and M; amounts are
    exact. The steps end on every infusion's edges and every asked time.

    Raises InputError for what is missing or not positive, NumericalError when a patient fails.
    """
    from klarsyn.pharmacology.solvers.rodas import march

    matrix = _matrix(parameters)
    grid = np.ascontiguousarray(times, float)
    if grid.ndim != 1 or not len(grid) or grid[0] < 0 or np.any(np.diff(grid) <= 0):
        raise InputError("the times must rise from 0 or later, none given twice.")
    events, changes = _events(infusions, len(matrix))
    states, status, steps = march(matrix, events, changes, grid, float(rtol), float(atol))
    if status.any():
        who = int(np.flatnonzero(status)[0])
        raise NumericalError(
            "not_converged",
            f"Patient {who + 1} {STATUS[int(status[who])]}. Check its rates against the others.",
        )
    return Driven(
        times=grid,
        states=states,
        steps=steps,
        method=f"closed-form kinetics; Rodas4P2, rtol {rtol:g}, atol {atol:g}",
        inputs=digest_of(matrix, events, changes, grid, rtol, atol),
    )


def _matrix(parameters: Mapping[str, Any]) -> np.ndarray:
    for name in parameters:
        if name not in PARAMETERS:
            raise unknown_name("parameter", name, PARAMETERS)
    missing = [p for p in PARAMETERS if p not in parameters]
    if missing:
        raise InputError(f"the parameters {', '.join(missing)} are missing. Give all of them.")
    columns = np.broadcast_arrays(*(np.asarray(parameters[p], float) for p in PARAMETERS))
    matrix = np.ascontiguousarray(np.column_stack([np.ravel(c) for c in columns]))
    may_be_zero = np.array([p.startswith(("share", "kf")) or p == "smax" for p in PARAMETERS])
    bad = ~np.isfinite(matrix) | (matrix < 0) | ((matrix == 0) & ~may_be_zero)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InputError(
            f"patient {row + 1}: {PARAMETERS[column]} is {matrix[row, column]:g}; it must be a "
            f"finite number above 0."
        )
    return matrix


def _events(infusions: Sequence[tuple[float, float, Any]], n: int) -> tuple[np.ndarray, np.ndarray]:
    edges: dict[float, np.ndarray] = {0.0: np.zeros(n)}
    for start, hours, amount in infusions:
        if start < 0 or not hours > 0:
            raise InputError(
                f"an infusion from {start:g} h over {hours:g} h: it must start at 0 or later and "
                f"last longer than 0."
            )
        rate = np.broadcast_to(np.asarray(amount, float) / hours, (n,))
        for at, change in ((start, rate), (start + hours, -rate)):
            edges[at] = edges.get(at, np.zeros(n)) + change
    events = np.array(sorted(edges))
    return events, np.ascontiguousarray(np.stack([edges[e] for e in events], axis=1))
