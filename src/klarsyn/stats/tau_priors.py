"""Prior distributions of the between-study standard deviation tau, and a user's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from klarsyn.errors import InputError, unknown_name

Array = np.ndarray
LogDensity = Callable[[Array], Array]


@dataclass(frozen=True, kw_only=True)
class TauPrior:
    """A log density of tau ≥ 0, zero above `upper`; `proper` says that it integrates to one.

    `parameters` and `name` identify it in results.
    """

    name: str
    log_density: LogDensity
    parameters: dict[str, float] = field(default_factory=dict)
    upper: float = math.inf
    proper: bool = True

    @property
    def label(self) -> str:
        """Name and parameters in one line."""
        inside = ", ".join(f"{k} {v:g}" for k, v in self.parameters.items())
        return f"{self.name}({inside})" if inside else self.name


def half_normal(scale: float) -> TauPrior:
    """|N(0, scale²)|."""
    _positive(scale=scale)
    constant = 0.5 * math.log(2 / math.pi) - math.log(scale)
    return TauPrior(
        name="half-normal", parameters={"scale": scale},
        log_density=lambda t: constant - 0.5 * (t / scale) ** 2,
    )  # fmt: skip


def half_cauchy(scale: float) -> TauPrior:
    """|Cauchy(0, scale)|."""
    _positive(scale=scale)
    constant = math.log(2 / (math.pi * scale))
    return TauPrior(
        name="half-Cauchy", parameters={"scale": scale},
        log_density=lambda t: constant - np.log1p((t / scale) ** 2),
    )  # fmt: skip


def half_t(scale: float, df: float) -> TauPrior:
    """|Student t| with `df` degrees of freedom and that scale."""
    _positive(scale=scale, df=df)
    constant = (
        math.log(2) + special.gammaln((df + 1) / 2) - special.gammaln(df / 2)
        - 0.5 * math.log(df * math.pi) - math.log(scale)
    )  # fmt: skip
    return TauPrior(
        name="half-t", parameters={"scale": scale, "df": df},
        log_density=lambda t: constant - 0.5 * (df + 1) * np.log1p((t / scale) ** 2 / df),
    )  # fmt: skip


def exponential(scale: float) -> TauPrior:
    """Exponential with that mean."""
    _positive(scale=scale)
    return TauPrior(
        name="exponential", parameters={"scale": scale},
        log_density=lambda t: -math.log(scale) - t / scale,
    )  # fmt: skip


def log_normal(mean: float, sd: float) -> TauPrior:
    """log tau ~ N(mean, sd²). Turner's and Rhodes's priors of tau² have half that mean and sd."""
    _positive(sd=sd)

    def log_density(t: Array) -> Array:
        with np.errstate(divide="ignore"):
            logs = np.log(t)
        return -logs - 0.5 * ((logs - mean) / sd) ** 2 - math.log(sd) - 0.5 * math.log(2 * math.pi)

    return TauPrior(
        name="log-normal", parameters={"mean": mean, "sd": sd},
        log_density=lambda t: np.where(t > 0, log_density(np.maximum(t, 1e-300)), -np.inf),
    )  # fmt: skip


def inverse_gamma_variance(shape: float, scale: float) -> TauPrior:
    """tau² ~ inverse gamma (shape, scale). Its peak near 0 is informative when scale is small."""
    _positive(shape=shape, scale=scale)
    constant = math.log(2) + shape * math.log(scale) - special.gammaln(shape)

    def log_density(t: Array) -> Array:
        safe = np.maximum(t, 1e-150)
        return constant - (2 * shape + 1) * np.log(safe) - scale / safe**2

    return TauPrior(
        name="inverse gamma of tau²", parameters={"shape": shape, "scale": scale},
        log_density=log_density,
    )  # fmt: skip


def uniform(upper: float) -> TauPrior:
    """Flat between 0 and `upper`."""
    _positive(upper=upper)
    return TauPrior(
        name="uniform", parameters={"upper": upper}, upper=upper,
        log_density=lambda t: np.where(t <= upper, -math.log(upper), -np.inf),
    )  # fmt: skip


def flat() -> TauPrior:
    """Improper, constant on tau ≥ 0; needs at least three studies."""
    return TauPrior(name="flat", log_density=np.zeros_like, proper=False)


def user_prior(
    density: Callable[[Array], Array], *, name: str, upper: float = math.inf, proper: bool = True
) -> TauPrior:
    """A prior from any vectorised density of tau; `proper` promises that it integrates to one.

    Raises InputError where the density is negative or gives another shape.
    """
    probe = np.array([0.1, 0.5, 1.0]) * min(upper, 1.0)
    values = np.asarray(density(probe), dtype=float)
    if values.shape != probe.shape or (values < 0).any() or np.isnan(values).any():
        raise InputError(
            f"The prior {name!r} must give a density ≥ 0 for each element of an array of tau."
        )

    def log_density(t: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.log(np.asarray(density(t), dtype=float))

    return TauPrior(name=name, log_density=log_density, upper=upper, proper=proper)


PRIORS: dict[str, tuple[Callable[..., TauPrior], tuple[str, ...]]] = {
    "half-normal": (half_normal, ("scale",)),
    "half-cauchy": (half_cauchy, ("scale",)),
    "half-t": (half_t, ("scale", "df")),
    "exponential": (exponential, ("scale",)),
    "log-normal": (log_normal, ("mean", "sd")),
    "inverse-gamma": (inverse_gamma_variance, ("shape", "scale")),
    "uniform": (uniform, ("upper",)),
    "flat": (flat, ()),
}


def read_prior(text: str) -> TauPrior:
    """The prior written as e.g. `half-normal 0.5` or `half-t 0.5 4`."""
    name, *numbers = text.replace("(", " ").replace(")", " ").replace(",", " ").split() or [""]
    if name not in PRIORS:
        raise unknown_name("prior of tau", name, PRIORS)
    make, needs = PRIORS[name]
    if len(numbers) != len(needs):
        raise InputError(
            f"The prior {name} takes {len(needs)} numbers ({', '.join(needs) or 'none'}), "
            f"not {len(numbers)}: {text!r}."
        )
    try:
        return make(*(float(n) for n in numbers))
    except ValueError:
        raise InputError(f"{text!r}: the prior's parameters must be numbers.") from None


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise InputError(f"The prior's {name} is a positive number; {value:g} is not.")
