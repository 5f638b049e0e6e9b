"""Blinding, unblinding, missing outcomes, margins and printed numbers, against values made apart.

`method_more_a/make.py` says how `method_more_a.csv` is made. A row whose method or quantity has no
computation here fails.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_method_examples_1 import reference_arm

from klarsyn.bias import belief, controls, history, noninferiority
from klarsyn.bias.blinding import arm_index, trial_blinding
from klarsyn.bias.expectancy import GuessStratum, read_guesses
from klarsyn.bias.guesses import ArmGuesses, guesses_from_percent
from klarsyn.bias.missing import (
    BinaryStudy,
    ContinuousStudy,
    Missingness,
    binary_with_missing,
    continuous_with_missing,
    tipping_delta,
)
from klarsyn.bias.reference_based import (
    VisitMeans,
    jump_to_reference_approximation,
    reference_based,
)
from klarsyn.bias.refusals import Refusals, refusal_grid
from klarsyn.stats import blinding_indices as indices
from klarsyn.stats import conversions, granularity, reported_tests, sanity
from klarsyn.stats import guess_strata as strata
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.proportions import difference_interval, restricted_mle, score_z, wilson

FILE = Path(__file__).with_name("method_more_a.csv")
Z95 = 1.959963984540054
Inputs = dict[str, Any]


def rows() -> list[dict[str, str]]:
    with FILE.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def estimate(value: float, se: float) -> Estimate:
    return Estimate(value=value, se=se, method="given")


def blinding(i: Inputs, quantity: str) -> float:
    table = np.asarray(i["table"], float)
    if quantity.startswith("James"):
        index = indices.james(table, i.get("weights"))
        end = {"BI": index.value, "SE": index.se, "LCL": index.value - Z95 * index.se}
        return end[quantity.split()[1]]
    if quantity.startswith("kappa"):
        index = indices.kappa(table[:2])
        return index.se if "SE" in quantity else index.value
    arms = [
        ArmGuesses(
            trial="T", arm=role, role=role, dont_know=table[2, k],
            correct=table[k, k], wrong=table[1 - k, k],
        )
        for k, role in enumerate(("active", "control"))
    ]  # fmt: skip
    trial = trial_blinding(arms)
    if quantity.startswith("SBI"):
        return {"SBI": trial.sbi.value, "SBI lower": trial.sbi_interval[0],
                "SBI upper": trial.sbi_interval[1], "SBI p": trial.sbi_p}[quantity]  # fmt: skip
    arm = trial.arm(quantity.split()[-1])
    kind = quantity.removeprefix("Bang ").rsplit(" ", 1)[0]
    return {"BI": arm.index.value, "SE": arm.index.se, "one-sided lower": arm.lower,
            "UCL": arm.interval[1]}[kind]  # fmt: skip


def one_arm(i: Inputs, quantity: str) -> Any:
    counts = ("correct", "wrong", "dont_know", "somewhat_correct", "somewhat_wrong")
    guesses = ArmGuesses(trial="T", arm="a", role="active", **{k: i.get(k, 0) for k in counts})
    found = arm_index(
        guesses,
        dont_knows=i.get("dont_knows", "kept"),
        somewhat_weight=i.get("somewhat_weight"),
        add_half=i.get("add_half", False),
    )
    return {"index": found.index.value, "se": found.index.se, "lower": found.interval[0],
            "class (cut 0.2)": found.guess}[quantity]  # fmt: skip


def score_limits(i: Inputs, quantity: str) -> float:
    found = indices.bang_score_interval(i["correct"], i["wrong"], i["total"], 0.95)
    return dict(zip(("lower", "upper"), found, strict=True))[quantity]


def percent_correct(i: Inputs, quantity: str) -> float:
    found = guesses_from_percent(trial="T", arm="a", role="active", **i)
    return {"lowest index": found.index[0], "highest index": found.index[1],
            "tables": found.tables}[quantity]  # fmt: skip


def guessing(i: Inputs, quantity: str) -> Any:
    n = i["n"]
    if quantity == "stratum sizes":
        sizes = strata.stratum_sizes(n, i["c"])
        return "/".join(str(sizes[k]) for k in strata.STRATA[:4])
    comp = strata.composition(n)
    mean, sd = (
        [v if held else math.nan for v, held in zip(i[k], n, strict=True)] for k in ("mean", "sd")
    )
    at = strata.contrast(comp, i.get("c", 0.5), i.get("u"))
    raw = strata.difference(strata.raw_contrast(n), mean)
    by_hand = {
        "correct-guess rate": lambda: comp.correct,
        "share of all": lambda: comp.correct * (1 - comp.unknown),
        "raw difference": lambda: raw,
        "Delta(c)": lambda: strata.difference(at, mean),
        "Delta(c, u)": lambda: strata.difference(at, mean),
        "SE, weights fixed": lambda: strata.fixed_weight_se(at, n, sd),
    }
    if quantity in by_hand:
        return by_hand[quantity]()
    if min(v for v in n if v) < 2:  # the readings need an SD in each stratum
        half = strata.difference(strata.contrast(comp, 0.5), mean)
        a, b, c, d = mean[:4]
        se = {k: sd[x] ** 2 / n[x] + sd[y] ** 2 / n[y] for k, x, y in (("a", 0, 2), ("c", 1, 3))}
        return {
            "Delta at benign share": raw - (1 - i.get("rho", 1)) * (raw - half),
            "within guessed active": a - c, "within guessed control": b - d,
            "interaction": a - c - b + d, "guess effect, active arm": a - b,
            "guess effect, control arm": c - d, "within guessed active SE": math.sqrt(se["a"]),
            "interaction SE": math.sqrt(se["a"] + se["c"]),
        }[quantity]  # fmt: skip
    return reading(i, quantity)


def reading(i: Inputs, quantity: str) -> float:
    arms = {"AC": "active", "PL": "control", "U": "unknown"}
    groups = [
        GuessStratum(received=arms[k[:2]], guessed=arms[k[2:]], n=n, mean=m, sd=s)
        for k, n, m, s in zip(strata.STRATA, i["n"], i["mean"], i["sd"], strict=True)
        if n
    ]
    rhos = (i["rho"],) if "rho" in i else (0.0,)
    se_method = "sampled" if "sampled" in quantity else "fixed"
    found = read_guesses(groups, timing="unknown", se_method=se_method, rhos=rhos)
    raw, _, curve = found.readings
    assert found.interaction is not None
    return {
        "raw SE": raw.se,
        "SE, weights sampled": (curve[0].high - curve[0].value) / Z95,
        "Delta at benign share": curve[0].value,
        "within guessed active": found.within_guess["active"].value,
        "within guessed control": found.within_guess["control"].value,
        "within guessed active SE": found.within_guess["active"].se,
        "guess effect, active arm": found.guess_effect["active"].value,
        "guess effect, control arm": found.guess_effect["control"].value,
        "interaction": found.interaction.value,
        "interaction SE": found.interaction.se,
    }[quantity]


def tipping(i: Inputs, quantity: str) -> float | None:
    found = belief.tipping(
        estimate(i["effect"], i["se"]),
        belief_difference=i["belief"],
        belief_interval=(i["belief"], i["belief"]),
        threshold=i["threshold"],
    )
    return {"estimate falls at": found.at_estimate, "limit falls at": found.at_limit}[quantity]


def benchmark(i: Inputs, quantity: str) -> float:
    found = belief.control_benchmark(
        estimate(i["control"], i["se"]),
        reference_class="usual",
        reference_mean=estimate(i["mean"], i["mean_se"]),
        reference_tau2=i["tau2"],
        standardised_by="SD of the change",
        active=estimate(i["active"], 0.1),
    )
    assert found.contrast_if_reference is not None
    return {"z": found.z, "p": found.p_value,
            "contrast if usual": found.contrast_if_reference.value}[quantity]  # fmt: skip


def standardised(i: Inputs, quantity: str) -> float:
    found = controls.standardised_change(i["change"], i["sd"], i["n"], "T")
    return found.value if quantity == "SMCC" else found.se**2


def binary(cells: list[int], name: str) -> BinaryStudy:
    keys = ("treated_events", "treated_observed", "treated_missing",
            "control_events", "control_observed", "control_missing")  # fmt: skip
    return BinaryStudy(study=name, **dict(zip(keys, cells, strict=True)))


EXTREMES = {"none": "none_had_event", "all": "all_had_event"}


def missing_events(i: Inputs, quantity: str, method: str) -> float:
    studies = [binary(s, str(k)) for k, s in enumerate(i.get("studies", [i.get("study")]))]
    imor, sd = i.get("imor", (None, None)), i.get("sd", (0, 0))
    named = i.get("assumption", "odds_ratio")
    missingness = Missingness(
        assumption="gamble_hollis" if "Gamble" in method else EXTREMES.get(named, named),
        treated=imor[0], control=imor[1], sd_treated=sd[0], sd_control=sd[1],
        correlation=i.get("correlation", 0),
    )  # fmt: skip
    found = binary_with_missing(
        studies, missingness, measure=i["measure"], event_is_good=True, tau2_method="PM", test="z"
    )
    if "studies" in i:
        return pooled(found, quantity)
    se = math.sqrt(found.v[0])
    return {"effect": found.y[0], "variance": found.v[0], "se": se, "lower": found.y[0] - Z95 * se,
            "upper": found.y[0] + Z95 * se}[quantity]  # fmt: skip


def pooled(found: Any, quantity: str) -> float:
    return {"common": found.common.estimate, "random": found.random.estimate,
            "tau2": found.random.tau2, "se": found.random.se}[quantity]  # fmt: skip


def continuous(cells: list[float], name: str) -> ContinuousStudy:
    keys = [
        f"{arm}_{k}"
        for arm in ("treated", "control")
        for k in ("mean", "sd", "observed", "missing")
    ]
    return ContinuousStudy(study=name, **dict(zip(keys, cells, strict=True)))


def missing_means(i: Inputs, quantity: str) -> float:
    studies = [continuous(s, str(k)) for k, s in enumerate(i.get("studies", [i.get("study")]))]
    missingness = Missingness(
        assumption=i["kind"], treated=i["parameter"][0], control=i["parameter"][1],
        sd_treated=i["sd"][0], sd_control=i["sd"][1], correlation=i["correlation"],
    )  # fmt: skip
    found = continuous_with_missing(
        studies, missingness, kind=i["kind"], tau2_method="PM", test="z"
    )
    if "studies" in i:
        return pooled(found, quantity)
    return {"effect": found.y[0], "variance": found.v[0]}[quantity]


def tips_at(i: Inputs, quantity: str) -> float | None:
    assert quantity == "delta"
    return tipping_delta(
        [continuous(s, str(k)) for k, s in enumerate(i["studies"])],
        arm=i["arm"], threshold=i["threshold"], tau2_method="PM", test="z", widest=100,
    )  # fmt: skip


def by_visit(i: Inputs, quantity: str) -> float:
    assert quantity == "difference"
    trial = VisitMeans(
        treated=tuple(i["treated"]), control=tuple(i["control"]),
        covariance=tuple(map(tuple, i["covariance"])), treated_last_seen=tuple(i["last_seen"]),
        control_last_seen=tuple(i["last_seen"]),
    )  # fmt: skip
    return reference_based(
        trial, i["strategy"], control_dropouts="missing_at_random"
    ).difference.value


def by_patient(i: Inputs, quantity: str) -> float:
    assert quantity == "difference"
    return reference_arm(i, quantity)


def aggregate(i: Inputs, quantity: str) -> float:
    assert quantity == "difference"
    seen = estimate(i["difference"], (i["upper"] - i["lower"]) / (2 * Z95))
    return jump_to_reference_approximation(seen, 1 - i["seen"] / i["began"]).value


def proportions_of(i: Inputs, quantity: str) -> float:
    cells = [i[k] for k in ("x1", "n1", "x2", "n2")]
    if quantity in ("lower", "upper"):
        if i["method"] == "wilson":
            found = wilson(*cells[:2])
        else:
            found = difference_interval(*cells, method=i["method"], level=i.get("level", 0.95))
        return float(found.low if quantity == "lower" else found.high)
    d = i["null_difference"]
    if quantity.startswith("restricted"):
        return float(restricted_mle(*cells, d)[int(quantity[-1]) - 1])
    kind = {"FM": "farrington_manning", "MN": "miettinen_nurminen"}[quantity[:2]]
    z = float(score_z(*cells, d, variance=kind))
    return math.erfc(z / math.sqrt(2)) / 2 if "p" in quantity else z


def synthesis(i: Inputs, quantity: str) -> float:
    z, p = noninferiority.synthesis_test(
        estimate(i["difference"], i["se"]), estimate(i["history"], i["history_se"]), i["fraction"]
    )
    return {"z": z, "p": p}[quantity]


def margin(i: Inputs, quantity: str) -> float | None:
    found = noninferiority.preserved_fraction_margin(
        estimate(i["history"], i["history_se"]), i["fraction"], basis="given"
    )
    return {"M1": found.m1, "M2": found.value}[quantity]


def from_history(i: Inputs, quantity: str) -> float:
    found = history.history_from_odds_ratio(i["odds_ratio"], i["lower"], i["upper"], rate=i["rate"])
    return {"placebo rate": found.placebo_rate, "difference": found.difference.value,
            "lower": found.lower, "se": found.difference.se}[quantity]  # fmt: skip


def counts(cells: list[float]) -> noninferiority.Counts:
    keys = ("new_events", "new_total", "reference_events", "reference_total")
    return noninferiority.Counts(name="T", **dict(zip(keys, cells, strict=True)))


def assay(i: Inputs, quantity: str) -> float | None:
    cells = i.get("cells") or (10, 20, i["events"], i["total"])
    found = noninferiority.assay_sensitivity(
        counts(cells),
        noninferiority.fixed_margin(i.get("margin", 0.1), "given"),
        history_rate=0.5,
        history=(estimate(i["mean"], i["mean_se"]), i["tau2"]) if "mean" in i else None,
        interval_method="newcombe",
    )
    return {"z": found.z, "rate": found.lost_at}[quantity]


def verdict(i: Inputs, quantity: str) -> str:
    assert quantity == "verdict"
    limits = noninferiority.fixed_margin(i["margin"], "given")
    return noninferiority.noninferiority([counts(i["cells"])], limits).verdict


def refusals(i: Inputs, quantity: str) -> Any:
    grid = refusal_grid(
        Refusals(
            analysed=counts(i["cells"]), new_refused=i["refused"][0],
            reference_refused=i["refused"][1],
        ),
        i["margin"],
    )  # fmt: skip
    if quantity.startswith("cells "):
        return sum(c.region == quantity.removeprefix("cells ") for c in grid.cells)
    lost = {"superiority lost from": grid.superiority_lost_from,
            "non-inferiority lost from": grid.noninferiority_lost_from}[quantity]  # fmt: skip
    return "never" if lost is None else str(lost)


def existence(i: Inputs, quantity: str, method: str) -> str:
    assert quantity == "consistent"
    check = {"10_GRIM": granularity.grim, "10_GRIMMER": granularity.grimmer,
             "10_DEBIT": granularity.debit}[method]  # fmt: skip
    return str(check(**i).possible)


def sd_limits(i: Inputs, quantity: str) -> float:
    found = granularity.sd_limits(i["mean"], i["n"], i["min"], i["max"])
    return found[0 if quantity.startswith("minimum") else 1]


def statcheck(i: Inputs, quantity: str) -> float:
    assert quantity == "computed p"
    (result,) = reported_tests.read_test_results(i["text"])
    return reported_tests.recompute(result).p


def percentage(i: Inputs, quantity: str) -> str:
    assert quantity == "counts"
    found = sanity.counts_of_percent(i["percent"], i["n"])
    return "none" if found.status == "inconsistent" else f"{found.first} to {found.last}"


def carlisle(i: Inputs, quantity: str) -> float:
    return {"Stouffer combined": lambda: sanity.stouffer(i["p"]),
            "P(at least this similar)": lambda: sanity.similarity(**i)}[quantity]()  # fmt: skip


def converted(i: Inputs, name: str) -> float:
    more = {k: v for k, v in i.items() if k != "values"}
    return getattr(conversions, name)(*i["values"], **more).value


COMPUTE: dict[str, Callable[[Inputs, str], Any]] = {
    "1_blinding_indices": blinding,
    "1_bang_arm": one_arm,
    "1_bang_class": one_arm,
    "1_bang_score": score_limits,
    "1_percent_correct": percent_correct,
    "2_CGRC": guessing,
    "2_belief": lambda i, _: belief.belief_difference(**i),
    "2_tipping": tipping,
    "2_expectancy_context": lambda i, _: belief.control_share(i["control"], i["active"]),
    "2_control_benchmark": benchmark,
    "2_standardised_change": standardised,
    **{
        m: lambda i, q, m=m: missing_events(i, q, m)
        for m in (
            "4_IMOR",
            "4_IMOR_uncertain",
            "4_GambleHollis",
            "4_extremes",
            "4_ICA",
            "4_IMOR_pooled",
        )
    },
    "4_IMDoM": missing_means,
    "4_IMDoM_pooled": missing_means,
    "4_tipping_delta": tips_at,
    "4_reference_based": by_visit,
    "4_aggregate_J2R": aggregate,
    "4_reference_based_patients": by_patient,
    "5_noninferiority": proportions_of,
    "5_synthesis": synthesis,
    "5_margin": margin,
    "5_history": from_history,
    "5_assay": assay,
    "5_assay_lost_at": assay,
    "5_refusals": refusals,
    "5_verdict": verdict,
    "10_conversion": converted,
    **{m: lambda i, q, m=m: existence(i, q, m) for m in ("10_GRIM", "10_GRIMMER", "10_DEBIT")},
    "10_SPRITE": sd_limits,
    "10_statcheck": statcheck,
    "10_percent": percentage,
    "10_Carlisle": carlisle,
}


def named(row: dict[str, str]) -> str:
    return f"{row['method']}-{row['example_id']}-{row['quantity']}"[:90]


@pytest.mark.parametrize("row", rows(), ids=named)
def test_row_is_reproduced_within_its_tolerance(row: dict[str, str]) -> None:
    value = COMPUTE[row["method"]](json.loads(row["inputs_json"]), row["quantity"])
    if row["tolerance"] == "exact":
        assert value == row["value"]
    else:
        assert abs(value - float(row["value"])) <= float(row["tolerance"])


def test_every_method_has_rows() -> None:
    assert {r["method"] for r in rows()} == set(COMPUTE)
    assert len(rows()) > 500
