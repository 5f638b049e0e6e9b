"""What small-study results must say about themselves: where simulations saw each method fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from klarsyn.synthesis import simulated as seen
from klarsyn.synthesis.cautions import Caution

if TYPE_CHECKING:
    from klarsyn.stats.asymmetry import AsymmetryTest
    from klarsyn.stats.selection import SelectionFit
    from klarsyn.synthesis.effects import Effects

FEW_STUDIES = 10
FEW_FOR_MIXED = 20  # with 10 heterogeneous studies the mixed test is liberal, with 20 it holds
RATIOS_OF_COUNTS = frozenset({"OR", "RR", "IRR", "PETO"})


def cautions_of_small_studies(
    effects: Effects,
    left_out: int,
    tests: Sequence[AsymmetryTest],
    models: Sequence[SelectionFit],
    *,
    counted: bool,
    adjusted: bool,
) -> tuple[Caution, ...]:
    """Names and sentences; `counted` says that tests made for counts were run.

    `adjusted` says that an adjusted mean other than by a selection model is shown.
    """
    said = _of_numbers(effects.k, left_out)
    said += _of_tests(effects, tests, counted)
    if adjusted:
        said += _of_adjusted_means()
    return (*said, *_of_models(models))


def _of_numbers(k: int, left_out: int) -> list[Caution]:
    said: list[Caution] = []
    if k < FEW_STUDIES:
        three, five = seen.PET_ERROR
        said.append(("few", f"Only {k} studies: these tests have little power below {FEW_STUDIES}, "
                            f"and adjusted effects are guesses (with 3 and 5 studies the error of "
                            f"PET-PEESE was {three:g} and {five:g} times the unadjusted mean's in "
                            f"simulations)."))  # fmt: skip
    if left_out:
        said.append(("left_out", f"{left_out} studies without an effect are left out."))
    sentence = (
        "Asymmetry has other causes than selection: real differences between small and large "
        "studies, and measures whose variance depends on the effect."
    )
    return [*said, ("other_causes", sentence)]


def _of_tests(effects: Effects, tests: Sequence[AsymmetryTest], counted: bool) -> list[Caution]:
    said: list[Caution] = []
    if effects.measure in RATIOS_OF_COUNTS:
        low, high = seen.EGGER_ON_ODDS
        held = seen.MADE_FOR_COUNTS
        advice = "and" if counted else "give the counts for those made for them:"
        sentence = (
            f"A ratio of counts is correlated with its standard error: Egger's test raised {low} "
            f"to {high} % false alarms at 5 % with an odds ratio of 0.4, {advice} Harbord's, "
            f"Peters' and Deeks' raised {held[0]} to {held[1]} %."
        )
        if counted:
            sentence += f" Macaskill's raised {seen.MACASKILL[0]} to {seen.MACASKILL[1]} %."
        said.append(("egger_on_ratios", sentence))
    if not any(t.tau2 for t in tests):
        return said
    low, high = seen.RANK
    sentence = (
        f"The studies are heterogeneous: the rank test is then conservative ({low} to {high} % "
        f"false alarms at 5 % in simulations)."
    )
    said.append(("rank_conservative", sentence))
    if effects.k < FEW_FOR_MIXED or effects.measure.startswith("SMD"):
        low, high = seen.MIXED
        sentence = (
            f"The mixed Egger and Thompson–Sharp tests raised {low} to {high} % false alarms at "
            f"5 % with 10 heterogeneous studies or large standardised mean differences; Egger's "
            f"own held, and so did Pustejovsky–Rodgers (give `groups`)."
        )
        said.append(("mixed_liberal", sentence))
    return said


def _of_adjusted_means() -> list[Caution]:
    said: list[Caution] = []
    for key, name, label in (
        ("pet_peese", "PET-PEESE", "PET-PEESE"),
        ("trim_and_fill", "trim and fill", "Trim and fill"),
        ("limit", "limit", "The limit estimate"),
    ):
        (alike, of_alike), (differing, of_differing) = seen.HALVED[name]
        low, high = seen.UNSELECTED_HETEROGENEOUS[name]
        worst, best = seen.SELECTED_HETEROGENEOUS[name]
        sentence = (
            f"{label} halved the bias of selection in {alike} of {of_alike} simulated settings "
            f"with homogeneous studies and {differing} of {of_differing} with heterogeneous ones; "
            f"with the latter its 95 % interval covered {low} to {high} % without selection and "
            f"{worst} to {best} % under it."
        )
        said.append((key, sentence))
    return said


def _of_models(models: Sequence[SelectionFit]) -> list[Caution]:
    said: list[Caution] = []
    steps = [m for m in models if m.kind == "stepfun"]
    if steps:
        sentence = (
            "The step model undoes only selection of its own form; where the chance of publication "
            "fell smoothly with p it was about as biased as the unadjusted mean in simulations."
        )
        said.append(("step_form", sentence))
    if any(m.tau2 > 0 for m in steps):
        low, high = seen.STEP_OWN
        sentence = (
            f"Its 95 % interval covered {low} to {high} % with heterogeneous studies even where "
            f"its form was right."
        )
        said.append(("step_interval", sentence))
    if any(m.kind != "stepfun" for m in models):
        none, own, step = seen.SMOOTH_UNSELECTED, seen.SMOOTH_OWN, seen.SMOOTH_STEP
        sentence = (
            f"With heterogeneous studies the intervals of the smooth selection models covered "
            f"{own[0]} to {own[1]} % even where their form was right ({none[0]} to {none[1]} % "
            f"without selection), and {step[0]} to {step[1]} % under a step; beta and power can "
            f"run far off with 10 studies."
        )
        said.append(("smooth_models", sentence))
    return said
