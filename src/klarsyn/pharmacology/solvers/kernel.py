"""Many patients fast: sums of exponentials after repeated infusions, compiled when first called."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from klarsyn.errors import InputError
from klarsyn.pharmacology.solvers.closed import Modes, parent_and_metabolite
from klarsyn.pharmacology.solvers.linear import solve_exactly
from klarsyn.pharmacology.system import Dose, System, build_system, read_outputs

STEP_DIGITS = 12


def infuse_many(
    modes: Modes,
    *,
    starts: np.ndarray,
    durations: np.ndarray,
    amounts: np.ndarray,
    times: np.ndarray,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Concentrations (k, n, T) of n patients after infusions that all begin at the same hours.

    `starts` and `durations` (E,) in h, ascending and above 0; `amounts` (n, E); `times` ascending,
    (T,) shared or (n, T) one row a patient. On a shared grid the answer is a view of an array laid
    out by time; `out` takes one, (k, T, n), to be used again.

    Float64 without reassociation; patients do not depend on each other, so any split of them gives
    the same numbers. Where `modes.separate` is False the sums lose digits: refused.
    """
    from klarsyn.pharmacology.solvers import compiled

    starts, durations, amounts = checked(modes, starts, durations, amounts)
    when, running = switches(starts, durations, amounts)
    rates = np.ascontiguousarray(modes.rates.T)
    weights = np.ascontiguousarray(np.moveaxis(modes.weights, 2, 1))
    if times.ndim == 2:
        own = np.ascontiguousarray(times)
        answer = np.empty((weights.shape[0], *own.shape))
        compiled.own_grids(rates, weights, when, running, own, answer)
        return answer
    grid = np.unique(np.concatenate([when, times, [min(when[0], times[0])]]))
    steps = np.round(np.diff(grid), STEP_DIGITS)
    unique, which = np.unique(steps, return_inverse=True)
    shown = np.full(len(grid), -1)
    shown[np.searchsorted(grid, times)] = np.arange(len(times))
    current = np.searchsorted(when, grid, side="right") - 1
    active = np.any(running > 0, axis=1)
    lasting = np.where(current >= 0, active[np.clip(current, 0, None)], False)
    shape = (weights.shape[0], len(times), rates.shape[1])
    answer = np.empty(shape) if out is None else out
    if answer.shape != shape:
        raise InputError(f"out has the shape {answer.shape}; this run needs {shape}.")
    compiled.shared_grid(rates, weights, unique, which, shown, running, current, lasting, answer)
    return np.swapaxes(answer, 1, 2)


def checked(
    modes: Modes, starts: np.ndarray, durations: np.ndarray, amounts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts and durations (E,) and amounts (n, E) of infusions that the kernel can take."""
    starts, durations = np.asarray(starts, float), np.asarray(durations, float)
    if np.any(durations <= 0) or np.any(np.diff(starts) <= 0):
        raise InputError("infusions must start one after another and last longer than 0 h.")
    n = len(modes.rates)
    amounts = np.ascontiguousarray(np.broadcast_to(np.asarray(amounts, float), (n, len(starts))))
    if not np.all(modes.separate):
        who = int(np.flatnonzero(~modes.separate)[0])
        raise InputError(
            f"patient {who} has rates that nearly coincide ({modes.rates[who]}). Solve such "
            f"patients with solve_many, which is exact for them."
        )
    return starts, durations, amounts


def switches(
    starts: np.ndarray, durations: np.ndarray, amounts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """When the input changes, and each patient's input rate from then on, (switches, n)."""
    when = np.unique(np.concatenate([starts, starts + durations]))
    middle = np.append((when[1:] + when[:-1]) / 2, math.inf)
    on = (starts <= middle[:, None]) & (middle[:, None] < starts + durations)
    # Added up one by one: a matrix product rounds differently with the number of patients.
    running = np.zeros((len(when), len(amounts)))
    for each, rate in zip(on.T, (amounts / durations).T, strict=True):
        running += each[:, None] * rate
    return when, running


def courses(
    parameters: Mapping[str, Any],
    *,
    starts: np.ndarray,
    durations: np.ndarray,
    amounts: np.ndarray,
    times: np.ndarray,
) -> np.ndarray:
    """Parent and metabolite concentrations (2, n, T) of any patients after repeated infusions.

    `parameters` are the arguments of `closed.parent_and_metabolite`. Patients whose rates nearly
    coincide, for whom sums of exponentials lose digits, are solved by matrix exponentials.
    """
    modes = parent_and_metabolite(**parameters)
    apart = without_close(modes)
    answer = infuse_many(apart, starts=starts, durations=durations, amounts=amounts, times=times)
    whole = np.broadcast_to(np.asarray(amounts, float), (len(modes.rates), len(starts)))
    for i in np.flatnonzero(~modes.separate):
        own = times[i] if times.ndim == 2 else times
        answer[:, i] = _exact(parameters, int(i), starts, durations, whole[i], own)
    return answer


def without_close(modes: Modes) -> Modes:
    """The same modes, with nothing in place of individuals whose rates nearly coincide."""
    if np.all(modes.separate):
        return modes
    safe = np.ones_like(modes.rates) * (1.0 + np.arange(modes.rates.shape[1]))
    return Modes(
        rates=np.where(modes.separate[:, None], modes.rates, safe),
        weights=np.where(modes.separate[None, :, None], modes.weights, 0.0),
        separate=np.ones(len(modes.rates), bool),
    )


def _exact(
    parameters: Mapping[str, Any],
    patient: int,
    starts: np.ndarray,
    durations: np.ndarray,
    amounts: np.ndarray,
    times: np.ndarray,
) -> np.ndarray:
    system = one_patient(parameters, patient)
    amount = solve_exactly(system, infusions(starts, durations, amounts), times)
    return np.stack(list(read_outputs(system, times, amount).values())[:2])


def infusions(starts: np.ndarray, durations: np.ndarray, amounts: np.ndarray) -> list[Dose]:
    """One patient's infusions into the parent's central compartment, as doses."""
    return [
        Dose(time=float(t), amount=float(a), compartment="K", duration=float(d))
        for t, d, a in zip(starts, durations, amounts, strict=True)
    ]


def one_patient(parameters: Mapping[str, Any], patient: int) -> System:
    """One patient's equations: the outputs are both concentrations, then the areas under them."""

    def own(value: Any) -> float:
        return float(np.asarray(value)[patient])

    def exchange(letter: str, pairs: Any) -> tuple[list[str], dict[str, str], dict[str, float]]:
        names, equations, numbers = [letter], {letter: "0"}, {}
        for k, (flow, volume) in enumerate(pairs):
            side, q, v = f"{letter}{k}", f"Q{letter}{k}", f"V{letter}{k}"
            numbers |= {q: own(flow), v: own(volume)}
            equations[side] = f"{q}/V{letter}*{letter} - {q}/{v}*{side}"
            equations[letter] += f" - ({equations[side]})"
            names.append(side)
        return names, equations, numbers

    first = exchange("K", parameters["exchanges"])
    second = exchange("M", parameters.get("metabolite_exchanges", ()))
    first[1]["K"] += " - CLK/VK*K"
    second[1]["M"] += " + formed*CLK/VK*K - CLM/VM*M"
    areas = {"AK": "K/VK", "AM": "M/VM"}
    return build_system(
        compartments=[*first[0], *second[0], *areas],
        equations=first[1] | second[1] | areas,
        parameters={
            **first[2],
            **second[2],
            "CLK": own(parameters["clearance"]),
            "VK": own(parameters["volume"]),
            "formed": own(parameters["formed"]),
            "CLM": own(parameters["metabolite_clearance"]),
            "VM": own(parameters["metabolite_volume"]),
        },
        outputs={
            "parent": "K/VK",
            "metabolite": "M/VM",
            "parent_area": "AK",
            "metabolite_area": "AM",
        },
    )
