"""Simulated trials in which guess and outcome are tied in a known way, to judge adjustments.

Every patient has an arm, a belief and an outcome; the true direct effect is an argument. Szigeti
et al. 2023 is `activated_expectancy`; the others follow Muthukumaraswamy et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import unknown_name

Array = NDArray[np.float64]

MECHANISMS = (
    "activated_expectancy",
    "benign",
    "trait_same_sign",
    "trait_opposite_sign",
    "expectancy_and_trait",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuessWorld:
    """What is true.

    `effect`: direct effect of treatment, mean and SD over patients; `belief`: effect of believing
    one has the drug, mean and SD; `natural`: outcome without either, mean and SD; `right`: the
    probability of a right guess where guessing is by cues. `cue`, `trait_on_guess`: how far the
    arm and the trait move the guess on the probit scale; `trait_on_outcome`: outcome units per SD
    of the trait; `guess_noise`: SD of the noise between outcome and guess in `benign`.
    """

    mechanism: str
    effect: tuple[float, float] = (3.0, 0.0)
    belief: tuple[float, float] = (0.0, 0.0)
    natural: tuple[float, float] = (10.0, 4.0)
    right: float = 0.7
    cue: float = 0.0
    trait_on_guess: float = 0.0
    trait_on_outcome: float = 0.0
    guess_noise: float = 0.0
    noise_for_all: bool = False

    def __post_init__(self) -> None:
        if self.mechanism not in MECHANISMS:
            raise unknown_name("mechanism", self.mechanism, MECHANISMS)


def simulate_guesses(
    world: GuessWorld, n: int, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Array]:
    """Arm (true: active), belief (true: active) and outcome of `n` patients.

    With `noise_for_all` the SDs of both effects are added to everybody, only their means to those
    concerned (the version whose Hedges g is the published 0.40).
    """
    active = rng.random(n) < 0.5
    trait = rng.standard_normal(n)
    outcome = rng.normal(*world.natural, size=n)
    direct, believed = rng.standard_normal(n), rng.standard_normal(n)
    outcome += world.trait_on_outcome * trait
    outcome += world.effect[0] * active
    outcome += world.effect[1] * direct * (1 if world.noise_for_all else active)
    if world.mechanism == "activated_expectancy":
        belief = np.where(rng.random(n) < world.right, active, ~active)
    elif world.mechanism == "benign":
        middle = world.natural[0] + world.effect[0] / 2
        belief = outcome + world.guess_noise * rng.standard_normal(n) > middle
    else:
        pull = world.cue * (2.0 * active - 1) + world.trait_on_guess * trait
        belief = pull + rng.standard_normal(n) > 0
    outcome += world.belief[0] * belief
    outcome += world.belief[1] * believed * (1 if world.noise_for_all else belief)
    return active, belief, outcome


def stratify(
    active: NDArray[np.bool_], belief: NDArray[np.bool_], outcome: Array
) -> tuple[Array, Array, Array]:
    """n, mean and SD in the order ACAC, ACPL, PLAC, PLPL; an empty stratum has mean NaN."""
    n, mean, sd = np.zeros(4), np.full(4, np.nan), np.full(4, np.nan)
    for k, (arm, guess) in enumerate(((True, True), (True, False), (False, True), (False, False))):
        held = outcome[(active == arm) & (belief == guess)]
        n[k] = held.size
        if held.size:
            mean[k] = held.mean()
        if held.size > 1:
            sd[k] = held.std(ddof=1)
    return n, mean, sd
