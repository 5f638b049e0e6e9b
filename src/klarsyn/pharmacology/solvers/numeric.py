"""The integrated solution of a nonlinear system, event by event."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from klarsyn.errors import NumericalError
from klarsyn.pharmacology.expressions import compile_vector
from klarsyn.pharmacology.solvers.marching import march
from klarsyn.pharmacology.solvers.timeline import Steady, cut, phase_after_dose
from klarsyn.pharmacology.system import Change, Dose, Reset, System

RELATIVE = 1e-12
SMALLEST = 1e-30  # of the largest amount: tails keep their relative accuracy down to here
STIFF = 2_000.0
ROUGH_POINTS = 9
MOST_INTERVALS = 5_000
SETTLED = 1e-11
INSTANT = 1e-14  # of the time (h): what lies nearer is the same moment
REPEATS = 1e-7  # of a dose: what may be gained from one dosing interval to the next


def integrate(
    system: System,
    doses: Sequence[Dose],
    times: np.ndarray,
    changes: Sequence[Change] = (),
    resets: Sequence[Reset] = (),
) -> np.ndarray:
    """Amounts at `times` (T, d), by DOP853 or, where rates are far apart, LSODA.

    Relative tolerance 1e-12 a step, so about 1e-9 in a result; steady states are fixed points of
    one dosing interval. Raises NumericalError when the integrator or the fixed point fails.
    """
    return march(system, doses, times, changes, NumericFlow, resets)


class NumericFlow:
    """The equations as a function, integrated from event to event."""

    def __init__(self, system: System) -> None:
        parameters = {k: float(v) for k, v in system.parameters.items()}
        self.function = compile_vector(
            [system.equations[c] for c in system.compartments], system.compartments, parameters
        )
        self.size = len(system.compartments)
        self.level = 0.0

    def many(
        self, state: np.ndarray, rates: np.ndarray, begin: float, times: np.ndarray
    ) -> np.ndarray:
        """The states at `times`, from `state` at `begin` under constant inputs, (n, d)."""
        answer = np.empty((len(times), self.size))
        at_begin = times <= begin
        answer[at_begin] = state
        later = times[~at_begin]
        if len(later) and later[-1] - begin < INSTANT * max(1.0, abs(begin)):
            answer[~at_begin] = state  # the moment before an event
        elif len(later):
            answer[~at_begin] = self._integrate(state, rates, begin, later)
        return answer

    def steady(self, steady: Steady, now: float) -> np.ndarray:
        """The fixed point of one dosing interval, or the rest point of a constant input."""
        if math.isinf(steady.interval):
            return self._rest_point(steady, now)
        trough = self._trough(steady, now)
        phase = phase_after_dose(steady)
        if phase >= steady.interval:
            return trough
        return self._interval(trough, steady, now, cut(steady.pattern(), phase))

    def _integrate(
        self, state: np.ndarray, rates: np.ndarray, begin: float, times: np.ndarray
    ) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the integrator says comes back as its message
            return self._integrated(state, rates, begin, times)

    def _integrated(
        self, state: np.ndarray, rates: np.ndarray, begin: float, times: np.ndarray
    ) -> np.ndarray:
        from scipy.integrate import solve_ivp

        function = self.function

        def derivative(t: float, x: np.ndarray) -> np.ndarray:
            return np.array(function(t, x.tolist())) + rates

        self.level = max(self.level, float(np.max(np.abs(state), initial=0.0)))
        self.level = max(self.level, float(np.max(rates, initial=0.0)) * (times[-1] - begin))
        if self.level == 0:  # all is empty, but the equations may fill it
            filling = np.max(np.abs(derivative(begin, state)), initial=0.0)
            self.level = float(filling) * (times[-1] - begin)
        stiff, noise = self._scout(derivative, begin, float(times[-1]), state)
        done = solve_ivp(
            derivative,
            (begin, times[-1]),
            state,
            method="LSODA" if stiff else "DOP853",
            t_eval=np.unique(times),
            rtol=RELATIVE,
            atol=np.maximum(max(self.level, 1e-250) * SMALLEST, noise),
        )
        if not done.success or not np.all(np.isfinite(done.y)):
            raise NumericalError(
                "not_converged",
                f"The equations could not be integrated from {begin:g} to {times[-1]:g} h: "
                f"{done.message} Look for a division by zero or a power of a negative amount.",
            )
        return done.y.T[np.searchsorted(done.t, times)]

    def _scout(
        self,
        derivative: Callable[[float, np.ndarray], np.ndarray],
        begin: float,
        end: float,
        state: np.ndarray,
    ) -> tuple[bool, np.ndarray]:
        """From a rough first solution: whether rates are fast against the stretch, and the noise.

        The noise of a compartment is the rounding error of what flows in and out at the quietest
        point: where large flows cancel (a distance from a baseline), nothing below it means
        anything, and steps would shrink without end to resolve it.
        """
        from scipy.integrate import solve_ivp

        rough = solve_ivp(
            derivative,
            (begin, end),
            state,
            method="LSODA",
            t_eval=np.linspace(begin, end, ROUGH_POINTS),
            rtol=1e-5,
            atol=max(self.level, 1e-250) * 1e-9,
        )
        fastest, noise = 0.0, np.full(self.size, math.inf)
        for time, x in zip(rough.t, rough.y.T, strict=True):
            slopes = self._slopes(derivative, time, x)
            if not np.all(np.isfinite(slopes)):
                return True, np.zeros(self.size)
            own = np.abs(np.diag(slopes))
            fastest = max(fastest, float(own.max()))
            flows = np.abs(slopes) @ np.abs(x)
            noise = np.minimum(noise, flows / np.maximum(own, 1 / (end - begin)))
        if not len(rough.t):
            return True, np.zeros(self.size)
        return fastest * (end - begin) > STIFF, np.finfo(float).eps * noise

    def _slopes(
        self,
        derivative: Callable[[float, np.ndarray], np.ndarray],
        time: float,
        state: np.ndarray,
    ) -> np.ndarray:
        """d(derivative i)/d(amount j) by differences."""
        base = derivative(time, state)
        step = 1e-7 * max(self.level, 1e-12)
        moved = state + step * np.eye(self.size)
        return np.array([derivative(time, x) - base for x in moved]).T / step

    def _interval(
        self, state: np.ndarray, steady: Steady, now: float, pieces: list[tuple[float, float]]
    ) -> np.ndarray:
        state = state.copy()
        if steady.rate == 0:
            state[steady.index] += steady.amount
        for length, rate in pieces:
            rates = np.zeros(self.size)
            rates[steady.index] = rate
            state = self.many(state, rates, now, np.array([now + length]))[0]
        return state

    def _trough(self, steady: Steady, now: float) -> np.ndarray:
        """Anderson-accelerated repetition of the dosing interval until it repeats itself."""
        pieces = steady.pattern()
        point = np.zeros(self.size)
        points: list[np.ndarray] = []
        images: list[np.ndarray] = []
        for _ in range(MOST_INTERVALS):
            image = self._interval(point, steady, now, pieces)
            gap = np.abs(image - point)
            near = np.all(gap <= SETTLED * np.maximum(np.abs(image), self.level * 1e-12))
            if near and gap[steady.index] <= REPEATS * steady.amount:
                return image
            points, images = [*points, point][-6:], [*images, image][-6:]
            point = _accelerated(points, images)
        raise NumericalError(
            "not_converged",
            "No steady state was found: the amount still grows from dose to dose. Elimination may "
            "be saturated at this dose.",
        )

    def _rest_point(self, steady: Steady, now: float) -> np.ndarray:
        from scipy.optimize import root

        rates = np.zeros(self.size)
        rates[steady.index] = steady.rate
        near = self.many(np.zeros(self.size), rates, now, np.array([now + 1e4]))[0]
        found = root(lambda x: np.array(self.function(now, x.tolist())) + rates, near, tol=1e-14)
        if not found.success and np.max(np.abs(found.fun)) > SETTLED * steady.rate:
            raise NumericalError("not_converged", "No rest point of this constant infusion exists.")
        return found.x


def _accelerated(points: list[np.ndarray], images: list[np.ndarray]) -> np.ndarray:
    if len(points) < 3:
        return images[-1]
    residuals = np.array([g - x for x, g in zip(points, images, strict=True)])
    steps = (residuals[1:] - residuals[:-1]).T
    moves = np.array([b - a for a, b in pairwise(images)]).T
    weights, *_ = np.linalg.lstsq(steps, residuals[-1], rcond=1e-12)
    candidate = images[-1] - moves @ weights
    return candidate if np.all(candidate >= 0) or np.any(images[-1] < 0) else images[-1]
