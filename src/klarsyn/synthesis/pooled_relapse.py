"""Relapse curves of several arms become one: by intervals, or by a model of whole curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from klarsyn.errors import InputError
from klarsyn.provenance import digest_of
from klarsyn.stats.relapse import Followed, PooledCurve, RelapseModel, fit_relapse, pool_curves
from klarsyn.synthesis.durability import ArmDurability, participants

DEFINITIONS = {
    "i2": "(Q − df)/Q as a share, never below 0, over all studies and intervals of time",
    "predicted_low": "a new study's curve: √(SE² + variance between studies) with the curve's own "
    "t or normal quantile, on log(−log)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledRelapse:
    """The pooled relapse curve of several arms with its heterogeneity; days from the last dose."""

    curve: PooledCurve
    arms: tuple[ArmDurability, ...]
    notes: tuple[str, ...]
    method: str
    digest: str

    def summary(self) -> str:
        """One sentence at the last pooled time."""
        c = self.curve
        new = ""
        if len(self.arms) > 1:
            new = (
                f"; a new study: {100 * c.predicted_low[-1]:.0f} to "
                f"{100 * c.predicted_high[-1]:.0f} %"
            )
        return (
            f"{100 * c.survival[-1]:.0f} % without relapse {c.time[-1]:g} days after the last dose "
            f"({100 * c.low[-1]:.0f} to {100 * c.high[-1]:.0f} %{new}), "
            f"{len(self.arms)} arms, I² {100 * c.i2:.0f} %."
        )

    def plot(self, **labels: Any) -> Any:
        """The pooled curve with limits and prediction limits (Altair)."""
        from klarsyn.figures.survival import pooled_curve
        from klarsyn.figures.theme import housed

        c = self.curve
        names = ("low", "high", "predicted_low", "predicted_high")
        start: dict[str, float] = {"day": 0.0, "share": 1.0, "studies": float(len(self.arms))}
        rows = [start | dict.fromkeys(names, 1.0)] + [
            {"day": float(c.time[i]), "share": float(c.survival[i]), "studies": int(c.studies[i])}
            | {name: float(getattr(c, name)[i]) for name in names}
            for i in range(c.time.size)
        ]
        return housed(pooled_curve(rows, **labels))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        c = self.curve
        return {
            "days": c.time.tolist(),
            "remaining": c.survival.tolist(),
            "low": c.low.tolist(),
            "high": c.high.tolist(),
            "predicted_low": c.predicted_low.tolist(),
            "predicted_high": c.predicted_high.tolist(),
            "studies": c.studies.tolist(),
            "q": c.q,
            "df": c.df,
            "i2": c.i2,
            "definitions": DEFINITIONS,
            "notes": list(self.notes),
            "method": self.method,
            "digest": self.digest,
        }


def pool_relapse(
    arms: Sequence[ArmDurability], days: ArrayLike, *, heterogeneity: str = "random"
) -> PooledRelapse:
    """Pool rebuilt arms at `days` after the last dose; says where arms are no like with like."""
    if not arms:
        raise InputError("There is no arm to pool.")
    notes = []
    if len({a.redosed for a in arms}) == 2:
        redosed = ", ".join(a.study for a in arms if a.redosed)
        notes.append(f"Dosing went on in {redosed} and stopped in the others: two questions.")
    if len({a.study for a in arms}) < len(arms):
        notes.append("Two arms of one study are pooled as if they were independent.")
    if 1 < len(arms) < 4:
        notes.append(f"{len(arms)} arms say little about how much studies differ: wide limits.")
    pooled = pool_curves([a.curve for a in arms], days, heterogeneity=heterogeneity)
    return PooledRelapse(
        curve=pooled,
        arms=tuple(arms),
        notes=tuple(notes),
        method=pooled.method,
        digest=digest_of([a.digest for a in arms], np.asarray(days, dtype=float)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RelapseShare:
    """A study that printed only how many had relapsed by one day after the last dose."""

    study: str
    day: float
    relapsed: int
    counted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelledRelapse:
    """Parametric relapse curves fitted to whole curves and single shares together.

    `models` in order of their AIC, best first; studies differ in scale by a normal random effect.
    """

    models: tuple[RelapseModel, ...]
    studies: tuple[str, ...]
    method: str
    digest: str

    def summary(self) -> str:
        """One sentence with the better model and by how much."""
        best = self.models[0]
        gap = "".join(
            f"; {m.model} is worse by {m.aic - best.aic:.1f} AIC" for m in self.models[1:]
        )
        return (
            f"{best.model} fits {len(self.studies)} studies best (SD between studies "
            f"{best.tau:.2f} on its log scale){gap}."
        )

    def to_dict(self, days: ArrayLike = (28.0, 84.0, 168.0)) -> dict[str, Any]:
        """JSON-ready, with each model's typical share without relapse at `days`."""
        t = np.asarray(days, dtype=float)
        rows = []
        for model in self.models:
            low, high = model.interval(t)
            rows.append(
                {
                    "model": model.model,
                    "aic": model.aic,
                    "tau": model.tau,
                    "location": model.location.value,
                    "log_shape": model.log_shape.value,
                    "gradient": model.gradient,
                    "days": t.tolist(),
                    "remaining": model.survival(t).tolist(),
                    "low": low.tolist(),
                    "high": high.tolist(),
                }
            )
        return {
            "models": rows,
            "studies": list(self.studies),
            "method": self.method,
            "digest": self.digest,
        }

    def plot(self, until: float = 168.0, **labels: Any) -> Any:
        """Each model's typical curve up to day `until`, with its limits (Altair)."""
        from klarsyn.figures.survival import modelled_curves
        from klarsyn.figures.theme import housed

        days = np.linspace(0, until, 85)[1:]
        rows: list[dict[str, Any]] = []
        for model in self.models:
            start = {"model": model.model, "day": 0.0, "share": 1.0, "low": 1.0, "high": 1.0}
            columns = (days, model.survival(days), *model.interval(days))
            names = ("day", "share", "low", "high")
            rows += [start] + [
                {"model": model.model, **dict(zip(names, map(float, row), strict=True))}
                for row in zip(*columns, strict=True)
            ]
        return housed(modelled_curves(rows, **labels))


def model_relapse(
    arms: Sequence[ArmDurability],
    shares: Sequence[RelapseShare] = (),
    *,
    models: Sequence[str] = ("weibull", "lognormal"),
) -> ModelledRelapse:
    """Fit parametric models to rebuilt arms and to studies that gave one share each."""
    followed = []
    for arm in arms:
        time, event = participants(arm.curve)
        followed.append(Followed(time=time, event=event))
    nobody, nothing = np.array([]), np.array([], dtype=bool)
    followed += [
        Followed(
            time=nobody, event=nothing, fixed_time=s.day, relapsed=s.relapsed, counted=s.counted
        )
        for s in shares
    ]
    if not followed:
        raise InputError("There is no arm and no share to model.")
    fits = sorted((fit_relapse(followed, model=m) for m in models), key=lambda f: f.aic)
    return ModelledRelapse(
        models=tuple(fits),
        studies=tuple([a.study for a in arms] + [s.study for s in shares]),
        method="maximum likelihood, one stage, random study scale",
        digest=digest_of([a.digest for a in arms], list(shares), list(models)),
    )
