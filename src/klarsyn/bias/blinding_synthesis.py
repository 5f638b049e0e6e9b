"""Bang's indices of many trials become one, and what moves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from klarsyn.bias.blinding import ArmIndex
from klarsyn.errors import InputError
from klarsyn.synthesis.effects import Effects, effects_from_arrays
from klarsyn.synthesis.pairwise import Pooled, pool
from klarsyn.synthesis.regression import Regression, regress


def index_effects(
    arms: Sequence[ArmIndex], covariates: Mapping[str, Sequence[Any]] | None = None
) -> Effects:
    """Bang's indices with their sampling variances, ready for every synthesis.

    Raises InputError when arms differ in role, respondent or treatment of don't-knows, when an arm
    stands twice (asked at two times, its patients are the same), and for an arm without a standard
    error (made with `add_half` it has one).
    """
    if not arms:
        raise InputError("There are no indices to pool.")
    kinds = {(a.role, a.respondent, a.dont_knows) for a in arms}
    if len(kinds) > 1:
        shown = "; ".join(", ".join(k) for k in sorted(kinds))
        raise InputError(
            f"Indices of different kinds do not pool ({shown}). Give one role, one respondent and "
            f"one treatment of don't-knows."
        )
    asked: dict[tuple[str, str], ArmIndex] = {}
    for a in arms:
        first = asked.setdefault((a.trial, a.arm), a)
        if first is not a:
            raise InputError(
                f"{a.trial}, arm {a.arm} stands twice (time {first.time or 'not given'!r} and "
                f"{a.time or 'not given'!r}); the same patients do not pool as others. Give one."
            )
        if not a.index.se > 0:
            raise InputError(
                f"{a.trial}, arm {a.arm}: the index has no standard error ({a.status}). "
                f"Add one half to its counts, or leave it out."
            )
    return effects_from_arrays(
        [a.index.value for a in arms],
        [a.index.se**2 for a in arms],
        study=[f"{a.trial} {a.arm}" for a in arms],
        covariates=covariates,
    )


def pool_indices(
    arms: Sequence[ArmIndex], *, tau2_method: str, test: str, level: float = 0.95
) -> Pooled:
    """The random-effects mean of Bang's index over arms of one kind."""
    return pool(index_effects(arms), method=tau2_method, test=test, level=level)


def moderate_indices(
    arms: Sequence[ArmIndex],
    moderators: Mapping[str, Sequence[Any]],
    *,
    tau2_method: str,
    test: str,
    level: float = 0.95,
) -> Regression:
    """How the index depends on traits of the arms: numbers give slopes, words give groups.

    `moderators`: name → one value an arm, such as the kind of control, when the guess was asked or
    the share of don't-knows.
    """
    for name, values in moderators.items():
        if len(values) != len(arms):
            raise InputError(f"{len(values)} values of {name} for {len(arms)} arms. Give one each.")
    effects = index_effects(arms, moderators)
    return regress(effects, list(moderators), method=tau2_method, test=test, level=level)
