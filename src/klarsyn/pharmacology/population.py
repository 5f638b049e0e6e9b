"""Who is treated: weight, age, covariates, and the random effects that make patients differ."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.pharmacology.expressions import evaluate
from klarsyn.pharmacology.model import Model, Uncertain, Variability
from klarsyn.provenance import digest_of, normals, uniforms
from klarsyn.tables import Column, read_table

LIGHTEST, HEAVIEST, OLDEST = 1.0, 400.0, 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Demographics:
    """How covariates are drawn.

    Weight (kg) is log-normal with this mean and SD, fixed at SD 0; age (years) is uniform between
    its limits; each share is the probability that its 0/1 covariate is 1.
    """

    weight_mean: float = 70.0
    weight_sd: float = 0.0
    age_low: float = 40.0
    age_high: float = 40.0
    shares: Mapping[str, float] | None = None

    def __str__(self) -> str:
        weight = f"{self.weight_mean:g} kg"
        if self.weight_sd:
            weight = f"{self.weight_mean:g} (SD {self.weight_sd:g}) kg"
        age = f"{self.age_low:g}"
        if self.age_high > self.age_low:
            age = f"{self.age_low:g}-{self.age_high:g}"
        others = "".join(f", {n} {s:.0%}" for n, s in (self.shares or {}).items())
        return f"weight {weight}, age {age} years{others}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Individuals:
    """Patients of one model: covariates and parameter values, arrays (n,) by name.

    `occasions[k]` holds what is different at occasion k + 1 (between-occasion effects). `subjects`
    are the numbers that key every draw, so any subset has the values it has in the whole.
    """

    model: Model
    subjects: np.ndarray
    weight: np.ndarray
    covariates: Mapping[str, np.ndarray]
    values: Mapping[str, Any]
    occasions: tuple[Mapping[str, Any], ...]
    seed: int
    method: str

    def __len__(self) -> int:
        return len(self.subjects)

    @property
    def inputs(self) -> str:
        """Digest of what the individuals were drawn from."""
        return digest_of(self.model.id, self.seed, self.subjects, self.weight)

    def at(self, occasion: int) -> Mapping[str, Any]:
        """Parameter values at an occasion, counted from 1."""
        if not self.occasions:
            return self.values
        return self.occasions[min(occasion, len(self.occasions)) - 1]

    def summary(self) -> str:
        """One line: how many, how drawn."""
        return f"{len(self)} individuals of {self.model.id}, seed {self.seed}: {self.method}"


def sample_individuals(
    model: Model,
    n: int,
    *,
    seed: int,
    demographics: Demographics | None = None,
    table: Mapping[str, np.ndarray] | None = None,
    occasions: int = 1,
    variability: bool = True,
    uncertain: Mapping[str, float] | None = None,
    effects: Mapping[str, bool] | None = None,
    first: int = 0,
) -> Individuals:
    """Draw n individuals, numbered from `first`.

    `demographics` or a `table` of covariates (weight, age, ...) says who they are. `variability`
    False gives the typical patient. Numbers that the model calls uncertain are drawn over their
    range for each individual unless `uncertain` fixes them; `effects` switches covariate effects.
    Random effects are keyed by (seed, parameter, subject, occasion): two regimens, or two chunks,
    meet the same patients.

    Raises InputError for weights or shares that cannot be.
    """
    if n < 1:
        raise InputError(f"{n} individuals: at least one is needed.")
    subjects = np.arange(first, first + n)
    covariates = _covariates(model, demographics or Demographics(), table, seed, subjects)
    weight = covariates["weight"]
    base = model.values(weight)
    changed: dict[str, Any] = {}
    for name in model.parameters:
        changed[name] = np.broadcast_to(np.asarray(base[name], float), (n,)).copy()
    _apply_covariates(model, changed, covariates, effects or {})
    _apply_uncertain(model, changed, seed, subjects, uncertain or {})
    if variability:
        for block in model.between_subject:
            _apply_effects(changed, block, model, seed, subjects, 0)
    stages = _occasions(model, changed, seed, subjects, occasions, variability)
    return Individuals(
        model=model,
        subjects=subjects,
        weight=weight,
        covariates=covariates,
        values=model.values(weight, changed),
        occasions=tuple(model.values(weight, stage) for stage in stages),
        seed=seed,
        method=_said(model, demographics, table, variability, uncertain or {}),
    )


def read_individuals(path: str | Path) -> dict[str, np.ndarray]:
    """Covariates from a table: weight (kg), and any of age and 0/1 columns such as female."""
    limits = {"weight": (LIGHTEST, HEAVIEST), "age": (0.0, OLDEST)}
    columns = [
        Column(name=n, kind="number", minimum=low, maximum=high, required=n == "weight")
        for n, (low, high) in limits.items()
    ]
    table = read_table(path, columns)
    return {name: table.numbers(name) for name in table.columns}


def _said(
    model: Model,
    demographics: Demographics | None,
    table: Mapping[str, np.ndarray] | None,
    variability: bool,
    uncertain: Mapping[str, float],
) -> str:
    who = str(demographics or Demographics())
    if table is not None:
        idle = [n for n in table if n not in {"weight", *(e.covariate for e in model.covariates)}]
        who = "covariates from a table"
        who += f", without effect in {model.id}: {', '.join(idle)}" if idle else ""
    spread = "between-subject effects drawn" if variability else "typical patient"
    if variability and not model.between_subject:
        spread = "no between-subject effects published"
    ranges = [
        f"{n} {u.spread} {u.low:g}-{u.high:g}"
        for n, u in _uncertain(model).items()
        if n not in uncertain
    ]
    return "; ".join([who, spread, *(["sampled: " + ", ".join(ranges)] if ranges else [])])


def _covariates(
    model: Model,
    demographics: Demographics,
    table: Mapping[str, np.ndarray] | None,
    seed: int,
    subjects: np.ndarray,
) -> dict[str, np.ndarray]:
    if table is not None:
        return _from_table(table, subjects, {e.covariate for e in model.covariates} - {"age"})
    d = demographics
    if not LIGHTEST <= d.weight_mean <= HEAVIEST:
        raise InputError(
            f"a mean weight of {d.weight_mean:g} kg is outside {LIGHTEST:g} to {HEAVIEST:g} kg."
        )
    if not 0 <= d.weight_sd <= d.weight_mean:
        raise InputError(
            f"the weight's SD of {d.weight_sd:g} kg is outside 0 to its mean, {d.weight_mean:g} kg."
        )
    if not 0 <= d.age_low <= d.age_high <= OLDEST:
        raise InputError(
            f"ages {d.age_low:g} to {d.age_high:g} years: use 0 to {OLDEST:g}, low first."
        )
    log_variance = np.log1p((d.weight_sd / d.weight_mean) ** 2)
    center = np.log(d.weight_mean) - log_variance / 2
    z = normals(seed, "covariate:weight", subjects)[:, 0]
    weight = np.exp(center + np.sqrt(log_variance) * z)
    age = d.age_low + (d.age_high - d.age_low) * uniforms(seed, "covariate:age", subjects)[:, 0]
    found = {"weight": np.clip(weight, LIGHTEST, HEAVIEST), "age": age}
    for name, share in (d.shares or {}).items():
        if not 0 <= share <= 1:
            raise InputError(f"the share of {name} is {share:g}, not between 0 and 1.")
        found[name] = (uniforms(seed, f"covariate:{name}", subjects)[:, 0] < share).astype(float)
    return found


def _from_table(
    table: Mapping[str, np.ndarray], subjects: np.ndarray, yes_or_no: Collection[str]
) -> dict[str, np.ndarray]:
    if "weight" not in table:
        raise InputError("the table of individuals has no column 'weight' (kg).")
    rows = len(table["weight"])
    chosen = subjects % rows
    found = {n: np.asarray(v, float)[chosen] for n, v in table.items()}
    for name, values in found.items():
        if not np.all(np.isfinite(values)):
            raise InputError(f"the table of individuals has an empty {name}.")
        if name in yes_or_no and not np.all((values == 0) | (values == 1)):
            odd = values[(values != 0) & (values != 1)][0]
            raise InputError(
                f"the table of individuals has {name} {odd:g}. Give 1 for yes and 0 for no."
            )
    if np.any(found["weight"] <= 0):
        raise InputError("the table of individuals has a weight that is not above 0 kg.")
    return found


def _apply_covariates(
    model: Model,
    changed: dict[str, Any],
    covariates: Mapping[str, np.ndarray],
    effects: Mapping[str, bool],
) -> None:
    known = {e.covariate for e in model.covariates}
    for name in effects:
        if name not in known:
            raise unknown_name("covariate effect", name, known, model.id)
    for effect in model.covariates:
        on = effects.get(effect.covariate, effect.applied)
        if on and effect.covariate in covariates:
            factor = evaluate(effect.factor, covariates)
            for name in effect.on:
                changed[name] = changed[name] * factor


def _uncertain(model: Model) -> dict[str, Uncertain]:
    return {n: p.uncertain for n, p in model.parameters.items() if p.uncertain is not None}


def _apply_uncertain(
    model: Model,
    changed: dict[str, Any],
    seed: int,
    subjects: np.ndarray,
    fixed: Mapping[str, float],
) -> None:
    ranges = _uncertain(model)
    for name in fixed:
        if name not in model.parameters:
            raise unknown_name("parameter", name, model.parameters, model.id)
        changed[name] = np.full(len(subjects), float(fixed[name]))
    for name, spread in ranges.items():
        if name in fixed:
            continue
        u = uniforms(seed, f"uncertain:{name}", subjects)[:, 0]
        if spread.spread == "log-uniform":
            changed[name] = spread.low * (spread.high / spread.low) ** u
        else:
            changed[name] = spread.low + (spread.high - spread.low) * u


def _apply_effects(
    changed: dict[str, Any],
    block: Variability,
    model: Model,
    seed: int,
    subjects: np.ndarray,
    occasion: int,
) -> None:
    """Correlated effects: one stream of draws for each parameter, mixed by the symmetric root."""
    kind = "between-occasion" if occasion else "between-subject"
    z = np.column_stack(
        [
            normals(seed, f"{kind}:{model.id}:{name}", subjects, 1, occasion)[:, 0]
            for name in block.on
        ]
    )
    covariance = np.array(block.covariance)
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    for j, name in enumerate(block.on):
        eta = np.sum(z * root[:, j], axis=1)
        changed[name] = _moved(changed[name], eta, block.transform)


def _moved(value: Any, eta: np.ndarray, transform: str) -> np.ndarray:
    if transform == "log":
        return value * np.exp(eta)
    if transform == "logit":
        return 1 / (1 + (1 - value) / value * np.exp(-eta))
    return value + eta


def _occasions(
    model: Model,
    changed: Mapping[str, Any],
    seed: int,
    subjects: np.ndarray,
    occasions: int,
    variability: bool,
) -> Sequence[dict[str, Any]]:
    if not variability or not model.between_occasion:
        return ()
    stages = []
    for occasion in range(1, occasions + 1):
        stage = dict(changed)
        for block in model.between_occasion:
            _apply_effects(stage, block, model, seed, subjects, occasion)
        stages.append(stage)
    return stages


def residual_draws(individuals: Individuals, output: str, times: int) -> np.ndarray:
    """Standard normal residuals (n, times) of one output, keyed by subject and time index."""
    return normals(
        individuals.seed, f"residual:{individuals.model.id}:{output}", individuals.subjects, times
    )
