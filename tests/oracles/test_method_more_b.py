"""Worked numbers of points 5 to 9 on further inputs: durability, rare harms, bias, certainty, sets.

`method_more_b.csv` has the columns of `method_examples.csv`; `method_more_b.R` beside it wrote it
from R's packages and from the sources' formulas, and says how to run it again. How a row is
computed is chosen by its method and the words of its quantity; a row that nothing computes fails.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from klarsyn.bias.adjusted import Bias, BiasPrior, adjust_by_priors, adjust_estimate, pool_elicited
from klarsyn.bias.certainty import Thresholds, imprecision
from klarsyn.bias.inclusion import Assessment, IncludableTrial, inclusion
from klarsyn.bias.riskofbias import rob2_domain
from klarsyn.stats import hazard_ratios as ratios
from klarsyn.stats import information as needed
from klarsyn.stats import rates, sequential
from klarsyn.stats.contrasts import contrasts
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.rare_exact import conditional_events
from klarsyn.stats.reconstruction import digitised, reconstruct
from klarsyn.stats.relapse import Followed, fit_relapse
from klarsyn.stats.survival import (
    cox_two_groups,
    kaplan_meier,
    log_rank,
    restricted_mean,
)
from klarsyn.stats.vibration import vibration
from klarsyn.synthesis.effects import effects_from_arrays
from klarsyn.synthesis.pairwise import pool
from klarsyn.synthesis.rare import count_table, pool_rare, rate_table
from klarsyn.synthesis.subsets import subsets
from klarsyn.synthesis.withdrawal import enriched_withdrawal, withdrawal_confound

HERE = Path(__file__).parent
Inputs = dict[str, Any]


@cache
def rows() -> tuple[dict[str, str], ...]:
    with (HERE / "method_more_b.csv").open(encoding="utf-8") as file:
        return tuple(csv.DictReader(file))


def number_in(words: str) -> float:
    return float(words[words.index("(") + 1 : words.index(")")])


def curve(inputs: Inputs, quantity: str) -> float:
    found = kaplan_meier(inputs["time"], inputs["event"])
    if quantity == "median":
        return found.quantile()
    at = number_in(quantity.replace("log-log", ""))
    if quantity.startswith("S("):
        return float(found.at(at))
    if "Greenwood" in quantity:
        return float(found.standard_error(at))
    return float(found.interval(at)["upper" in quantity])


def two_groups(inputs: Inputs, quantity: str) -> float:
    people = inputs["time"], inputs["event"], inputs["group"]
    test = log_rank(*people)
    if "ties" not in inputs:
        return {
            "chi2": test.statistic,
            "p": test.p,
            "observed": test.observed,
            "expected": test.expected,
            "variance": test.variance,
            "Peto log HR": (test.observed - test.expected) / test.variance,
            "Peto SE": test.variance**-0.5,
        }[quantity]
    fit = cox_two_groups(*people, ties=inputs["ties"])
    return {
        "log HR": fit.estimate.value,
        "SE": fit.estimate.se,
        "log partial likelihood at 0": fit.log_likelihood_null,
        "log partial likelihood": fit.log_likelihood,
    }[quantity]


def mean_time(inputs: Inputs, quantity: str) -> float:
    time, event, group = (np.array(inputs[k]) for k in ("time", "event", "group"))
    arms = [
        restricted_mean(kaplan_meier(time[group == g], event[group == g]), inputs["tau"])
        for g in (0, 1)
    ]
    if quantity.startswith("RMST"):
        arm = arms["arm1" in quantity]
        return arm.se if "SE" in quantity else arm.value
    gap = Estimate(
        value=arms[1].value - arms[0].value, se=math.hypot(arms[0].se, arms[1].se), method=""
    )
    if quantity == "difference":
        return gap.value
    return gap.interval()["upper" in quantity]


def printed(inputs: Inputs, quantity: str) -> float:
    if "hr" in inputs:
        found = ratios.from_interval(
            inputs["hr"], inputs["low"], inputs["high"], inputs.get("level", 0.95)
        )
    elif "e1" in inputs:
        found = ratios.from_expected_events(*(inputs[k] for k in ("o1", "e1", "o0", "e0")))
    elif "median1" in inputs:
        found = ratios.from_medians(
            inputs["median1"], inputs["median0"], inputs["events1"], inputs["events0"]
        )
    elif "s1" in inputs:
        found = ratios.from_survival(*(inputs[k] for k in ("s1", "se1", "s0", "se0")))
    elif "events1" in inputs:
        found = ratios.from_p_value_and_arms(
            inputs["p"], favours_first=inputs["favours_1"], events1=inputs["events1"],
            events2=inputs["events0"],
        )  # fmt: skip
    else:
        found = ratios.from_p_value(
            inputs["p"], favours_first=inputs["favours_1"], events=inputs["events"],
            patients1=inputs["n1"], patients2=inputs["n0"],
        )  # fmt: skip
    v = found.se**-2
    return {"log HR": found.value, "SE": found.se, "O-E": found.value * v, "V": v}[quantity]


def rebuilt(inputs: Inputs, quantity: str) -> float:
    people = {name: reconstruct(digitised(**arm)) for name, arm in inputs.items()}
    if quantity.startswith("events"):
        return people[quantity.split()[1]].events
    both = [people["arm0"], people["arm1"]]
    return cox_two_groups(
        np.concatenate([p.time for p in both]),
        np.concatenate([p.event for p in both]),
        np.repeat([0, 1], [p.time.size for p in both]),
    ).estimate.value


def pooled_relapse(inputs: Inputs, quantity: str) -> float:
    followed = [
        Followed(time=np.array(s["time"]), event=np.array(s["event"], bool))
        for s in inputs["studies"]
    ]
    fit = fit_relapse(followed, model=inputs["model"])
    if quantity.startswith("S("):
        return float(fit.survival(number_in(quantity)))
    return {"log-likelihood": fit.log_likelihood, "tau": fit.tau}[quantity]


def withdrawn(inputs: Inputs, quantity: str) -> Any:
    if "gap_end" in inputs:
        # Of a thousand on the drug nobody relapses, of a thousand controls these shares.
        early, late = (round(1000 * inputs[k]) for k in ("gap_early", "gap_end"))
        control = kaplan_meier(
            [10] * early + [80] * (late - early) + [100] * (1000 - late),
            [1] * late + [0] * (1000 - late),
        )
        found = withdrawal_confound(
            kaplan_meier([100] * 1000, [0] * 1000), control, early_day=20, final_day=90
        )
        return str(found.flagged) if quantity == "flagged" else found.share
    (a, n), (c, m) = inputs["drug"], inputs["control"]
    found = enriched_withdrawal(
        started=inputs["started"], randomised=inputs["randomised"],
        relapsed_drug=a, drug=n, relapsed_control=c, control=m,
    )  # fmt: skip
    return {
        "relapse % drug": 100 * found.relapse_drug,
        "relapse % control": 100 * found.relapse_control,
        "share of starters %": 100 * found.share_of_starters,
        "NNT": found.number_needed,
    }[quantity]


def harm(inputs: Inputs, quantity: str) -> float:
    if "ai" in inputs or "x1" in inputs:
        return zero_events(inputs, quantity)
    if "rate" in inputs:
        plan = {k: v for k, v in inputs.items() if k != "rate"}
        return rates.patients_to_exclude(inputs["rate"], **plan)
    if "years" in inputs:
        return rates.poisson_limits(inputs["x"], inputs["years"])["upper" in quantity]
    x, n, level = inputs["x"], inputs["n"], inputs["level"]
    if "one-sided" in quantity:
        return (rates.upper_limit if "upper" in quantity else rates.lower_limit)(x, n, level)
    return rates.clopper_pearson(x, n, level)["upper" in quantity]


@cache
def rare(text: str, method: str) -> Any:
    inputs = json.loads(text)
    columns = list(inputs.values())
    table = rate_table if "x1" in inputs else count_table
    return pool_rare(table([str(i) for i in range(len(columns[0]))], *columns), [method]).fits[0]


def arcsine(inputs: Inputs, quantity: str) -> float:
    a, n1, c, n2 = (np.array(inputs[k], float) for k in ("ai", "n1", "ci", "n2"))
    found = contrasts("AS", {"ai": a, "bi": n1 - a, "ci": c, "di": n2 - c}, to="none")
    fit = pool(found.y, found.v, method="DL" if "DL" in quantity else "EE", test="z")
    return fit.tau2 if "tau2" in quantity else fit.se if "SE" in quantity else fit.estimate


def zero_events(inputs: Inputs, quantity: str) -> float:
    if "arcsine" in quantity:
        return arcsine(inputs, quantity)
    names = {
        "fixed-effects logistic": "UM.FS",
        "Poisson": "UM.FS",
        "exact": "exact OR",
        **{m: m for m in ("Peto", "CM.EL", "CM.AL", "beta-binomial")},
    }
    name = next((v for k, v in names.items() if quantity.startswith(k)), None)
    if name is None:  # MH log OR SE
        name = " ".join(w for w in quantity.split() if w in ("MH", "OR", "RR", "RD", "IRR", "IRD"))
    if name == "exact OR" and not quantity.endswith("OR"):  # limits exist where no estimate does
        limits = conditional_events(*(np.array(v, float) for v in inputs.values())).limits()
        return limits["upper" in quantity]
    fit = rare(json.dumps(inputs), name)
    if quantity.endswith("tau2"):
        return fit.tau2
    if quantity.endswith("log-likelihood"):
        return fit.log_likelihood
    if quantity.endswith("lower"):
        return fit.estimate.interval()[0]
    if quantity.endswith("upper"):
        return fit.estimate.interval()[1]
    if quantity.split()[0] in ("Poisson", "fixed-effects"):
        assert fit.boundary  # where studies do not differ, the model is the one without
    return fit.estimate.se if quantity.endswith("SE") else fit.estimate.value


def size(inputs: Inputs, quantity: str) -> float:
    plan = {k: inputs[k] for k in ("alpha", "power") if k in inputs}
    if "D2" in quantity or "I2" in quantity:
        y, v = inputs["y"], inputs["v"]
        random, common = (pool(y, v, method=m, test="z") for m in ("DL", "EE"))
        share = needed.diversity(random.se**2, common.se**2)
        if quantity == "D2":
            return share
        return needed.with_heterogeneity(
            inputs["size"], share if "D2" in quantity else random.i2 / 100
        )
    if "delta" in inputs:
        return needed.information_size_means(inputs["delta"], inputs["sd"], **plan)
    if "tau2" in inputs:
        effect = math.log(inputs["RR"])
        trials = needed.fewest_trials(effect, inputs["tau2"], **plan)
        if quantity.startswith("minimum"):
            return trials
        return math.ceil(
            needed.patients_per_trial(inputs["pC"], inputs["RR"], inputs["tau2"], trials, **plan)
        )
    shares = inputs["pC"], inputs["pI"]
    if "pooled" in quantity:
        return needed.information_size_shares(*shares, **plan)
    return needed.information_size_risk_difference(*shares, **plan)


def looks(inputs: Inputs, quantity: str) -> float:
    at = float(quantity.split()[-1])
    plan = {"alpha": inputs["alpha"], "sides": inputs["sides"]}
    if quantity.startswith("alpha spent"):
        return float(sequential.spent(at, **plan))
    place = [round(t, 6) for t in inputs["information"]].index(at)
    return float(sequential.boundaries(inputs["information"], **plan)[place])


def worth(inputs: Inputs, quantity: str) -> float:
    if "benefit" in inputs:
        return needed.net_clinical_benefit(**inputs)
    if "net_benefit" in inputs:
        return needed.value_of_perfect_information_from_draws(inputs["net_benefit"])
    mean, sd = inputs["INB_mean"], inputs["INB_sd"]
    if "patients" in inputs:
        sd = needed.preposterior_sd(sd, inputs["outcome_variance"], inputs["patients"])
        if quantity == "preposterior sd":
            return sd
    return needed.value_of_perfect_information(mean, sd)


def one_study(inputs: Inputs) -> Bias:
    names = ("additive", "additive_sd", "proportional", "proportional_sd")
    return Bias(**{k: inputs[k] for k in names})


def adjusted(inputs: Inputs, quantity: str) -> float:
    if "proportional" in inputs:
        raw = Estimate(value=inputs["y"], se=inputs["se"], method="trial")
        found = adjust_estimate(raw, one_study(inputs))
        return found.se if "SE" in quantity else found.value
    asked = {"EE": "common", 0: "common"}.get(inputs["tau2"], inputs["tau2"])
    if "as" in inputs:
        raws = [
            Estimate(value=y, se=s, method="trial")
            for y, s in zip(inputs["y"], inputs["s"], strict=True)
        ]
        columns = zip(*(inputs[k] for k in ("a", "as", "p", "ps")), strict=True)
        biases = [
            [Bias(additive=a, additive_sd=b, proportional=c, proportional_sd=d)]
            for a, b, c, d in columns
        ]
        told = pool_elicited(raws, biases, estimator=asked)
        return {
            "pooled effect": told.pooled.value, "pooled SE": told.pooled.se, "tau2": told.tau2[1],
        }[quantity]  # fmt: skip
    prior = BiasPrior(
        name="given", mean=inputs["b0"], mean_sd=inputs["phi"], between_sd=inputs["kappa"],
        source="",
    )  # fmt: skip
    variance = np.square(inputs["s"])
    if isinstance(asked, float):  # tau² as given: part of every study's variance
        variance, asked = variance + asked, "common"
    fit = adjust_by_priors(
        inputs["y"], variance, np.array(inputs["high"], bool), [prior] * 3, estimator=asked,
        test="z",
    )  # fmt: skip
    if quantity == "tau2":
        return fit.tau2[0]
    return fit.pooled[0].se if "SE" in quantity else fit.pooled[0].value


def judged(inputs: Inputs, quantity: str) -> str:
    if "answers" in inputs:
        return rob2_domain(inputs["domain"], inputs["answers"]).judgement
    from test_method_examples_2 import counted

    return "Low={},Some={},High={}".format(*counted(inputs["domain"]))


def sets(inputs: Inputs, quantity: str) -> float:
    a, n1, c, n2 = np.array(list(inputs["trials"].values()), float).T
    found = contrasts(inputs["measure"], {"ai": a, "bi": n1 - a, "ci": c, "di": n2 - c})
    trials = [
        IncludableTrial(id=name, y=float(y), v=float(v), published="2024")
        for name, y, v in zip(inputs["trials"], found.y, found.v, strict=True)
    ]
    chosen = Assessment(id="set", included=tuple(inputs["included"]), criteria="", search_date="")
    told = inclusion(
        trials, [chosen], measure=inputs["measure"], positive_favours="treated",
        tau2_method=inputs["tau2"], test="z",
    ).set("set")  # fmt: skip
    return {
        "estimate": told.estimate,
        "lower": told.interval[0],
        "upper": told.interval[1],
        "I2": told.i2 or 0.0,
    }[quantity]


def every_analysis(inputs: Inputs, quantity: str) -> float:
    effects = effects_from_arrays(inputs["y"], inputs["v"], measure="RR")
    found = subsets(effects, method=inputs["model"])
    values, i2 = found.estimate, np.nan_to_num(found.i2)  # one study's I² does not exist: 0 there
    shaken = vibration(values, log=True)
    return {
        "estimate, 1st percentile": lambda: shaken.low,
        "estimate, 99th percentile": lambda: shaken.high,
        "relative effect (ratio of the 99th to the 1st percentile)": lambda: shaken.ratio,
        "share above zero": lambda: shaken.above,
        "subsets": lambda: found.count,
        "min estimate": values.min,
        "median": lambda: np.median(values),
        "max": values.max,
        "median I2": lambda: np.median(i2),
        "share with I2 above 50": lambda: np.mean(i2 > 50),
    }[quantity]()


def crossed(inputs: Inputs, quantity: str) -> int:
    low, high = inputs["low"], inputs["high"]
    estimate = Estimate(
        value=(low + high) / 2, se=(high - low) / 2 / 1.959963984540054, method="given"
    )
    small, moderate, large = inputs["thresholds"]
    thresholds = Thresholds(
        small=small, moderate=moderate, large=large, unit="points", origin="declared"
    )
    reason = imprecision(estimate, thresholds, participants=10_000, information_size=100).reason
    if "crosses no threshold" in reason:
        return 0
    return len(reason.split("crosses ")[1].split(" points")[0].split(","))


COMPUTED: dict[str, Callable[[Inputs, str], Any]] = {
    "3_RoB2_tables": judged,
    "3_bias_adjusted_MA": adjusted,
    "6_KM": curve,
    "6_HR_summary": printed,
    "6_logrank": two_groups,
    "6_HR": two_groups,
    "6_RMST": mean_time,
    "6_Guyot_IPD": rebuilt,
    "6_pooled_relapse": pooled_relapse,
    "6_randomised_withdrawal": withdrawn,
    "7_rare_harms": harm,
    "8_OIS_RIS": size,
    "8_sequential": looks,
    "8_VoI": worth,
    "8_benefit_risk": worth,
    "8_GRADE_imprecision": crossed,
    "9_inclusion": sets,
    "9_GOSH_multiverse": every_analysis,
}


def named(row: dict[str, str]) -> str:
    return f"{row['method']}-{row['example_id']}-{row['quantity']}"[:110]


@pytest.mark.parametrize("row", rows(), ids=named)
def test_row_is_reproduced_within_its_tolerance(row: dict[str, str]) -> None:
    got = COMPUTED[row["method"]](json.loads(row["inputs_json"]), row["quantity"])
    if row["tolerance"] == "exact":
        assert str(got) == row["value"]
    else:
        assert float(got) == pytest.approx(
            float(row["value"]), abs=float(row["tolerance"]) + 1e-12, rel=1e-10
        )
