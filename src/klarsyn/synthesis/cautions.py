"""What a pooled result must say about itself: where its intervals are known to fail.

The limits come from the simulations of `validation/pairwise`; the numbers in the sentences stand in
`klarsyn.synthesis.simulated`.
"""

from __future__ import annotations

import numpy as np

from klarsyn.stats.heterogeneity import Certificate
from klarsyn.synthesis import simulated as seen
from klarsyn.synthesis.effects import Effects

Caution = tuple[str, str]
FEW = 5  # fewer studies say next to nothing about τ²
NORMAL = 20  # with fewer studies a normal interval around a random-effects mean is too short
DOMINATED = 10  # up to so many studies Knapp–Hartung fails beside a dominant study
MANY_EVENTS = 10  # in the median study; a risk of 5 % (median 3 to 5) failed, 30 % (17) held
DOMINANT = 5.0  # times the other studies' mean common-effect weight; simulated with ten


def cautions(
    effects: Effects,
    excluded: tuple[tuple[str, str], ...],
    certificate: Certificate,
    *,
    random: bool,
    test: str,
    se: float,
    tau2_lower: float,
) -> tuple[str, tuple[Caution, ...]]:
    """The status of a result and its cautions, each a name and a sentence or two."""
    said: list[Caution] = []
    status = "ok"
    if effects.k == 1:
        status = "too_few_studies"
        said.append(ONE_STUDY)
    elif random:
        said += _of_random_effects(effects, test, tau2_lower)
    if se == 0:
        status = "degenerate"
        said.append(AGREE)
    if certificate.maxima > 1:
        sentence = (
            f"The likelihood of τ² has {certificate.maxima} local maxima; the highest was taken."
        )
        said.append(("several_maxima", sentence))
    return status, (*said, *_of_data(effects, excluded))


ONE_STUDY: Caution = (
    "one_study",
    "One study pools to itself: its own normal interval is shown, and nothing can be said about "
    "heterogeneity.",
)
AGREE: Caution = (
    "degenerate",
    "The studies agree exactly, so that Knapp–Hartung gives a standard error of 0. "
    "Use test adhoc or z.",
)


def _of_random_effects(effects: Effects, test: str, tau2_lower: float) -> list[Caution]:
    k, said = effects.k, []
    if k < FEW:
        said.append(("few_studies", f"{k} studies say next to nothing about τ²; its interval "
                                    f"shows how little."))  # fmt: skip
    if test == "z" and k < NORMAL:
        three, five, ten = seen.NORMAL_INTERVAL.values()
        sentence = (
            f"With {k} heterogeneous studies a normal interval covers less than it says (in "
            f"simulations {three} % with 3 studies, {five} % with 5, {ten} % with 10). Use knha or "
            f"adhoc."
        )
        said.append(("normal_interval", sentence))
    w = 1 / effects.v
    share = float(w.max() / w.sum())
    others = (w.sum() - w.max()) / max(k - 1, 1)
    if test == "knha" and k <= DOMINATED and w.max() > DOMINANT * others:
        name, (low, high) = effects.study[int(np.argmax(w))], seen.BESIDE_DOMINANT
        sentence = (
            f"{name} carries {100 * share:.0f} % of the common-effect weight; beside such a study "
            f"Knapp–Hartung covered {low} to {high} % in simulations. The truncated form (adhoc) "
            f"held."
        )
        said.append(("dominant_study", sentence))
    if tau2_lower == 0 and k > 2:
        low, high = seen.NEXT_STUDY
        sentence = (
            f"τ² could be 0 or several times its estimate; where it is small the prediction "
            f"interval covered only {low} to {high} % in simulations."
        )
        said.append(("prediction", sentence))
    return said


def _of_data(effects: Effects, excluded: tuple[tuple[str, str], ...]) -> list[Caution]:
    said: list[Caution] = []
    if any(effects.corrected):
        bias, rare, five = seen.SPARSE_BIAS, seen.SPARSE_COVERAGE, seen.SPARSE_COVERAGE_5
        sentence = (
            f"{sum(effects.corrected)} of {effects.k} studies had a zero cell and were corrected; "
            f"the result depends on the correction (in simulations ratios were biased by {bias[0]} "
            f"to {bias[1]} % at a risk of 1 %, towards no effect with equal groups and away from "
            f"it where the group with fewer events was the larger; Knapp–Hartung covered {rare[0]} "
            f"to {rare[1]} % there and {five[0]} to {five[1]} % at 5 %, least with 40 studies). "
            f"Compare with a method that needs none: Mantel–Haenszel, Peto, exact."
        )
        said.append(("sparse", sentence))
    if effects.measure in {"RD", "IRD"} and not _many_events(effects):
        low, high = seen.DIFFERENCE_COVERAGE
        sentence = (
            f"A difference of rare events is weighted by a variance made of the same counts: with "
            f"risks of 1 to 5 % and unequal groups it was biased by up to {seen.DIFFERENCE_BIAS} % "
            f"of the effect and Knapp–Hartung covered {low} to {high} % in simulations. Compare "
            f"Mantel–Haenszel's difference."
        )
        said.append(("rare_difference", sentence))
    if excluded:
        names = ", ".join(name for name, _ in excluded)
        said.append(("excluded", f"{len(excluded)} studies have no effect and are left out: "
                                 f"{names}."))  # fmt: skip
    return said


def _many_events(effects: Effects) -> bool:
    """Whether half of the studies or more are known to have enough events in both groups."""
    counts = np.array(effects.fewest)
    return counts.size > 0 and bool(np.isfinite(counts).all()) and np.median(counts) >= MANY_EVENTS
