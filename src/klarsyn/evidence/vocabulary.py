"""The closed lists that every base shares, each name with its definition.

Lists that belong to a base (outcome, treatment, drug, form, route, population, dose_unit) are data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from klarsyn.errors import unknown_name

_LEVELS = ("80", "90", "95", "97.5", "99")


def _limits() -> dict[str, str]:
    return {
        f"ci{level.replace('.', '_')}_{side}": f"{side} limit of the two-sided {level} % "
        "confidence interval of the effect or mean in the same cell"
        for level in _LEVELS
        for side in ("lower", "upper")
    }


LISTS: Mapping[str, Mapping[str, str]] = {
    "statistic": {
        "mean": "arithmetic mean of the participants counted by n",
        "sd": "standard deviation between participants",
        "se": "standard error of the mean or effect in the same cell",
        "n": "participants behind the numbers in the same cell",
        "events": "participants with at least one event",
        "percent": "participants with the event per hundred of n",
        "rate": "events per unit of exposure, in the unit given",
        "median": "median of the participants counted by n",
        "q1": "first quartile",
        "q3": "third quartile",
        "minimum": "smallest value observed",
        "maximum": "largest value observed",
        **_limits(),
        "mean_difference": "difference of two means, first minus second",
        "standardised_mean_difference": "difference of two means in standard deviations",
        "hazard_ratio": "ratio of hazards, first over second",
        "odds_ratio": "ratio of odds, first over second",
        "risk_ratio": "ratio of risks, first over second",
        "risk_difference": "difference of risks, first minus second, in the unit given",
        "rate_ratio": "ratio of event rates, first over second",
        "number_needed": "participants to treat for one more event (benefit or harm by outcome)",
        "p_value": "two-sided p of no difference",
        "p_below": "upper bound of p, as in p < 0.001",
        "t": "Student's t",
        "f": "Fisher's F",
        "chi2": "chi-square",
        "z": "standard normal statistic",
        "df": "degrees of freedom of the statistic in the same cell",
        "df2": "second (denominator) degrees of freedom of an F",
        "correlation": "product-moment correlation",
        "follow_up": "length of follow-up, in the unit given",
    },
    "analysis_set": {
        "randomised": "everyone randomised, as counted",
        "itt": "everyone randomised, analysed as randomised",
        "modified_itt": "randomised with a stated exception, such as at least one dose",
        "full_analysis": "the set that the source calls full analysis or efficacy set",
        "per_protocol": "those who followed the protocol",
        "safety": "everyone who received a dose, by treatment received",
        "observed": "those with a value at that time",
        "completers": "those who finished the treatment phase",
        "enriched": "those who first responded and were then randomised to go on or stop",
        "unknown": "the source does not say",
    },
    "estimator": {
        "raw": "computed from participants' scores directly",
        "model": "from a model, such as a least-squares mean",
        "locf": "with the last observation carried forward",
        "unknown": "the source does not say",
    },
    "period": {
        "": "the whole trial, or not a crossover",
        "first": "first period of a crossover",
        "second": "second period of a crossover",
        "both": "both periods of a crossover together",
    },
    "kind": {
        "reported": "printed in the source",
        "derived": "computed from reported values by a named formula",
        "digitised": "read off a figure",
        "assumed": "reported by nobody",
    },
    "confidence": {
        "primary": "the trial's own abstract, table or data",
        "registry": "the trial's entry in a registry",
        "secondary": "a review, a news report or a copy",
    },
    "status": {
        "reported": "a value was found",
        "not_reported": "it was looked for and not found",
    },
    "role": {
        "test": "the treatment whose effect the trial asks about",
        "control": "what the test treatment is compared with",
        "reference": "an established treatment beside it",
    },
    "design": {
        "parallel": "randomised or allocated groups side by side",
        "crossover": "each participant receives every treatment in turn",
        "randomised_withdrawal": "responders are randomised to go on or stop",
        "single_arm": "one group, no control",
        "case_report": "one or a few participants described",
        "extension": "continued treatment after another trial",
        "dose_finding": "parallel groups on several doses of the test treatment",
        "sequential": "groups one after the other, or participants re-randomised by response",
    },
    "blinding": {
        "double_blind": "participants and outcome raters were meant not to know",
        "rater_masked": "only the outcome raters were meant not to know",
        "open_label": "everyone knew",
        "masked_by_anaesthesia": "treatment was given under general anaesthesia",
        "triple_blind": "participants, raters and analysts were meant not to know",
        "unknown": "the source does not say",
    },
    "comparator": {
        "inert": "saline or another placebo without felt effects",
        "psychoactive": "an active placebo with felt effects, or a low active dose",
        "masked_by_anaesthesia": "placebo under general anaesthesia",
        "ect": "electroconvulsive therapy",
        "other_active": "another treatment of the same disorder",
        "same_drug": "only doses, forms or additions to the test drug are compared",
        "none": "no control",
    },
    "respondent": {
        "patient": "the participant",
        "rater": "the outcome rater",
        "clinician": "whoever treated",
    },
    "guess": {
        "test": "guessed the test treatment",
        "control": "guessed the control",
        "dont_know": "did not know or would not guess",
    },
    "effect_of_interest": {
        "assignment": "of being assigned to a treatment, whatever happened then",
        "adhering": "of starting the treatment and keeping to it as planned",
    },
    "higher_is": {
        "worse": "a higher score is worse",
        "better": "a higher score is better",
    },
}

BASE_LISTS = ("outcome", "treatment", "drug", "form", "route", "population", "dose_unit")


def check_name(
    list_name: str, name: str, where: str = "", known: Iterable[str] | None = None
) -> str:
    """The name itself when the list has it; `known` replaces the engine's list.

    Raises UnknownNameError with the nearest names.
    """
    names = tuple(LISTS[list_name] if known is None else known)
    if name not in names:
        raise unknown_name(list_name.replace("_", " "), name, names, where)
    return name
