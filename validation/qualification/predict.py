"""One row of an observation table: which dose led to it, and what the model gives for it.

Words and units of the table are read here; `run.py` compares, sums up and writes the page.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from units import HOURS, area_unit, hours_of, level_unit

from klarsyn.pharmacology.dosing import Amount, Regimen, build_step
from klarsyn.pharmacology.kinetics import solve
from klarsyn.pharmacology.model import Model, read_model
from klarsyn.pharmacology.nca import analyse_profile
from klarsyn.pharmacology.population import sample_individuals
from klarsyn.pharmacology.schedules import at_hours, once
from klarsyn.tables import Column, read_table

HERE = Path(__file__).parent
VENOUS, ARTERIAL = "KSR-1", "KSR-1-arterial"
END = 240.0
ROUTES = {
    "IV": "iv",
    "intravenous": "iv",
    "intranasal": "nasal",
    "nasal": "nasal",
    "oral": "oral",
    "oral tablet": "oral",
    "sublingual/buccal thin film": "film",
    "IM": "im",
    "intramuscular": "im",
    "SC": "sc",
    "subcutaneous": "sc",
}
FORMS = {
    **dict.fromkeys(("racemate", "racemic", "rac", "RS", "R,S"), "racemate"),
    **dict.fromkeys(("S", "(S)", "S(+)", "S+", "esketamine"), "S"),
    **dict.fromkeys(("R", "(R)", "R(-)", "R-", "arketamine"), "R"),
}
FAMILIES = {
    "ketamine": "ketamine",
    "K": "ketamine",
    "norketamine": "norketamine",
    "NK": "norketamine",
    "HNK": "hydroxynorketamine",
    "hydroxynorketamine": "hydroxynorketamine",
    "DHNK": "dehydronorketamine",
}
SPELLED = {
    "esketamine": "S-ketamine",
    "noresketamine": "S-norketamine",
    "arketamine": "R-ketamine",
    "norarketamine": "R-norketamine",
}
AMOUNT = re.compile(
    r"(ug|µg|mcg|mg|g)(/kg)?(/h|/min)?(?: ?\(?(base|(?:HCl|hydrochloride)(?: salt)?|salt)\)?)?"
)
GRAMS = {"ug": 1e-3, "µg": 1e-3, "mcg": 1e-3, "mg": 1.0, "g": 1e3}
AT = re.compile(
    r"(?:(?:geometric )?(?:mean|median) )?(?:conc(?:entration)?|C|level) ?(?:at )?([\d.]+) ?(h|min)"
)
AREA = re.compile(r"AUC ?(?:_?0?-?(inf|∞)|_?(?:0-)?([\d.]+) ?(h|min)?)?")
STATED = re.compile(r"digiti[sz]ed, ?(?:\+/-|±) ?([\d.]+) ?%")
RATIO = re.compile(r"(AUC|Cmax) ?(?:0-([\d.]+) ?h? )?ratio")
SAMPLES = np.array([0.5, 1, 2, 4, 6, 8, 12, 16, 24])  # h, the times of Hasan 2021
PROPERTIES = {"CL", "CL/F", "Vss", "MRT", "t1/2", "F"}


class NotPredictedError(Exception):
    """No model can predict this row; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    study: str
    route: str
    analyte: str
    family: str
    metric: str
    unit: str
    observed: float
    predicted: float
    model: str
    site: str
    relation: str
    counts: bool
    digitised: bool = False
    resolution: float | None = None  # one step of the reading, in `unit`; None: not known
    dose: str = ""
    population: str = ""
    aside: bool = False  # the table itself says that the row does not count

    @property
    def ratio(self) -> float:
        return self.predicted / self.observed

    @property
    def steps(self) -> float:
        """How many steps of its own reading the value stands above the axis."""
        return math.inf if self.resolution is None else round(self.observed / self.resolution, 2)

    @property
    def beyond(self) -> float:
        """Predicted over the nearest end of reading ± one step; 1 between the ends."""
        step = self.resolution or 0.0
        low, high = self.observed - step, self.observed + step
        return self.predicted / min(max(self.predicted, low), high)


def read_rows(path: Path) -> list[dict]:
    names = (
        "study_id citation drug form route dose dose_unit infusion_min analyte metric value unit "
        "locator"
    )
    columns = [Column(name=n, may_be_empty=True) for n in names.split()]
    return [{k: v or "" for k, v in r.items()} for r in read_table(path, columns).records()]


@lru_cache(maxsize=1)
def studies() -> dict[str, dict]:
    columns = [
        Column(name="study_id"),
        Column(name="site"),
        Column(name="weight_kg", kind="number"),
        Column(name="relation"),
    ]
    return {r["study_id"]: r for r in read_table(HERE / "studies.csv", columns).records()}


def study_of(row: dict) -> dict:
    known = studies().get(row["study_id"])
    if known:
        return known
    text = f"{row['citation']} {row['locator']}".casefold()
    site = "arterial" if "arterial" in text else "venous"
    weight = re.search(r"\b(\d{2,3}(?:\.\d+)?) ?kg\b", text)
    kilograms = float(weight[1]) if weight else 70.0
    return {"site": site, "weight_kg": kilograms, "relation": "independent"}


def check_population(row: dict) -> None:
    text = f"{row['drug']} {row['citation']} {row['locator']} {row['metric']}".casefold()
    if re.search(r"\b(child|children|p(a)?ediatric|infants?|neonat\w*)\b", text):
        raise NotPredictedError("children: the default describes adults")
    if "whole blood" in text:
        raise NotPredictedError("whole blood: the ratio of blood to plasma is not in the model")
    if re.search(r"\b(rat|mouse|mice|dog|monkey|pig)s?\b", text):
        raise NotPredictedError("animals: the default describes people")


def predict(row: dict) -> Row:
    check_population(row)
    study = study_of(row)
    row = {**row, "form": form_of(row)}
    observed = number(row["value"])
    analytes = analytes_of(row)
    name = VENOUS if study["site"] == "venous" or analytes[0].endswith("dehydronorketamine") else ""
    model = cached_model(name or ARTERIAL)
    regimen = regimen_of(row, study["weight_kg"])
    predicted, counts = metric_of(row, model, regimen, analytes, study["weight_kg"])
    if not (math.isfinite(predicted) and predicted > 0):
        raise NotPredictedError(f"the prediction is {predicted:g}, of which no ratio can be formed")
    return Row(
        study=row["study_id"],
        route=regimen.steps[-1].route,
        analyte=row["analyte"],
        family=analytes[0].split("-", 1)[-1],
        metric=row["metric"],
        unit=row["unit"],
        observed=observed,
        predicted=predicted,
        model=model.id,
        site=study["site"],
        relation=RELATIONS.get((row["study_id"], row["analyte"]), study["relation"]),
        counts=counts,
        digitised=is_digitised(row),
        resolution=resolution_of(row, observed),
        dose=f"{row['dose']} {row['dose_unit']}",
        population=row.get("population", ""),
        aside=row.get("counts") == "no",
    )


def is_digitised(row: dict) -> bool:
    return "digitis" in row["locator"].casefold() or "digitiz" in row["locator"].casefold()


def resolution_of(row: dict, value: float) -> float | None:
    """One step of the reading in the row's unit, from the columns `resolution` or `sd_or_cv`.

    Neither has to be there: a reading of a figure that observed.csv holds has the figure's step.
    Of the row, only what was read enters.
    """
    written = row.get("resolution", "")
    if written:
        return number(written, "resolution")
    if stated := STATED.search(row.get("sd_or_cv", "")):
        return value * float(stated[1]) / 100
    return steps_known().get(figure_of(row)) if is_digitised(row) else None


@lru_cache(maxsize=1)
def steps_known() -> dict[tuple, float]:
    """One pixel of each digitised panel of observed.csv."""
    rows = read_rows(HERE / "observed.csv")
    return {figure_of(r): float(r["resolution"]) for r in rows if r["resolution"]}


def figure_of(row: dict) -> tuple:
    return (row["study_id"], row["form"], row["analyte"], row["unit"])


def form_of(row: dict) -> str:
    written = row["form"] or {"esketamine": "S", "arketamine": "R"}.get(row["drug"], "")
    if written not in FORMS:
        raise NotPredictedError(f"form {written!r} is not racemate, S or R")
    return FORMS[written]


@lru_cache(maxsize=4)
def cached_model(name: str) -> Model:
    return read_model(name)


def number(text: str, what: str = "value") -> float:
    try:
        value = float(text)
    except ValueError:
        raise NotPredictedError(f"{what} {text!r} is not one number") from None
    if not (math.isfinite(value) and value > 0):
        raise NotPredictedError(f"{what} {text!r} is not above 0, so no ratio can be formed")
    return value


def analytes_of(row: dict) -> list[str]:
    parts = row["analyte"].split("/")
    return [analyte_of(p, row["form"]) for p in parts]


def analyte_of(text: str, form: str) -> str:
    text = text.strip().removeprefix("total ").removeprefix("plasma ")
    text = SPELLED.get(text, text).replace("(S)-", "S-").replace("(R)-", "R-")
    if re.match(r"\(2[RS],6[RS]\)", text):
        raise NotPredictedError(f"{text!r} is one isomer; the model holds the sum of an enantiomer")
    label, _, family = text.rpartition("-")
    if family not in FAMILIES or label not in ("", "S", "R"):
        raise NotPredictedError(f"analyte {text!r} is not in the model")
    if label:
        return f"{label}-{FAMILIES[family]}"
    return FAMILIES[family] if form == "racemate" else f"{form}-{FAMILIES[family]}"


def regimen_of(row: dict, weight: float) -> Regimen:
    route = route_of(row["route"])
    if not row["dose"]:
        raise NotPredictedError("dose not recorded")
    unit = AMOUNT.fullmatch(row["dose_unit"])
    if not unit:
        raise NotPredictedError(f"dose in {row['dose_unit']!r}, which is not read")
    scale, per_kg, minutes = GRAMS[unit[1]], bool(unit[2]), row["infusion_min"]
    basis = "base" if unit[4] in (None, "base") else "hydrochloride"
    length = float(minutes) / 60 if minutes else 0.0
    values = [scale * float(v) for v in row["dose"].split("/")]
    if unit[3]:
        if not length:
            raise NotPredictedError(
                f"dose in {row['dose_unit']!r}: how long it was given is not recorded"
            )
        each = length / len(values)
        values = [v * each / HOURS[unit[3][1:]] for v in values]
    elif len(values) > 1:
        raise NotPredictedError(f"several doses ({row['dose']}): when each was given is not said")
    if len(values) > 1:
        each = length / len(values)
        return Regimen(
            steps=tuple(step(v, per_kg, route, basis, each, i * each) for i, v in enumerate(values))
        )
    value = values[0]
    if route == "nasal":
        sprays = max(1, round(value * (weight if per_kg else 1.0) / 28))
        return Regimen(steps=(step(value, per_kg, route, basis, 0.0, 0.0, sprays),))
    if film := re.search(r"after (\d+)-mg film", row["metric"]):
        first = step(float(film[1]), False, "film", "base", 0.0, 0.0)
        return Regimen(steps=(first, step(value, per_kg, route, basis, length, 6.0)))
    return Regimen(steps=(step(value, per_kg, route, basis, length, 0.0),))


def route_of(text: str) -> str:
    if text in ROUTES:
        return ROUTES[text]
    if re.match(r"(IV|iv|[Ii]ntravenous)\b", text):  # IV bolus, IV 3x60 min steps
        return "iv"
    raise NotPredictedError(f"no parameters for {text!r}")


def step(value, per_kg, route, basis, length, start, portions=1):
    return build_step(
        amount=Amount(value=value, per_kg=per_kg, basis=basis),
        route=route,
        schedule=once() if start == 0 else at_hours([start]),
        duration=length,
        portions=portions,
        gap=5 / 60 if portions > 1 else 0.0,
    )


STRATA = {
    "stratum Asian non-Japanese": {"asian": 1.0},
    "stratum Japanese": {"asian": 1.0, "japanese": 1.0},
    "stratum Caucasian >60 y": {"age": 70.0},
}
RELATIONS = {
    ("Kamp2020_BJA_rac", "S-DHNK"): "in-sample",
    ("Kamp2020_BJA_rac", "R-DHNK"): "in-sample",
    ("Kamp2020_BJA_rac", "R-norketamine"): "partly",
}


def values_of(row: dict, model: Model, weight: float) -> dict[str, float]:
    """The typical patient of the row's stratum; the level of HNK at 1, that of its source."""
    covariates = {"weight": weight, "age": 40.0, "asian": 0.0, "japanese": 0.0}
    for words, changed in STRATA.items():
        if words in row["locator"]:
            covariates |= changed
    one = sample_individuals(
        model,
        1,
        seed=0,
        table={k: np.array([v]) for k, v in covariates.items()},
        variability=False,
        uncertain={"scale_HNK": 1.0},
    )
    return {k: float(np.ravel(v)[0]) for k, v in one.values.items()}


def metric_of(row, model, regimen, analytes, weight) -> tuple[float, bool]:
    metric, unit = row["metric"], row["unit"]
    values = values_of(row, model, weight)
    form = model.substance.form(FORMS[row["form"]])
    given = regimen.given(weight)
    system = model.with_values(values)
    doses = model.doses(given, form, values)

    def curve(times, analyte):
        return total(model, solve(system, doses, times).outputs, analyte)

    def dense(until):
        times, outputs = dense_course(row_key(row, weight), system, doses, given)
        chosen = times <= until
        return times[chosen], {k: v[chosen] for k, v in outputs.items()}

    def area(analyte, until=END):
        times, outputs = dense(min(until, END))
        return float(np.trapezoid(total(model, outputs, analyte), times))

    mass = model.substance.molar_masses().get(analytes[0].split("-", 1)[-1], math.nan)
    at, span, ratio = AT.fullmatch(metric), AREA.fullmatch(metric), RATIO.fullmatch(metric)
    if at:
        hour = float(at[1]) * HOURS[at[2]]
        return float(curve(np.array([hour]), analytes[0])[0]) * level_unit(unit, mass), True
    if len(analytes) > 1 and not ratio:
        raise NotPredictedError(f"{metric!r} of two substances is not read")
    if ratio and len(analytes) == 2:
        if ratio[1] == "AUC":
            until = float(ratio[2]) if ratio[2] else math.inf
            return area(analytes[0], until) / area(analytes[1], until), True
        _, outputs = dense(24.0)
        return float(np.max(total(model, outputs, analytes[0]))) / float(
            np.max(total(model, outputs, analytes[1]))
        ), True
    if span:
        until = float(span[2]) * HOURS[span[3] or "h"] if span[2] else math.inf
        return area(analytes[0], until) * area_unit(unit, mass), True
    if metric in ("Cmax", "max conc") or metric.startswith("Cmax after"):
        bolus = regimen.steps[-1].route == "iv" and regimen.steps[-1].duration == 0
        if bolus and analytes[0].endswith("-ketamine") | (analytes[0] == "ketamine"):
            raise NotPredictedError("the peak after a bolus depends on when the first sample is")
        times, outputs = dense(24.0)
        since = 6.0 if "after" in metric else 0.0
        peak = float(np.max(total(model, outputs, analytes[0])[times >= since]))
        return peak * level_unit(unit, mass), True
    if metric == "Tmax":
        times, outputs = dense(24.0)
        found = float(times[np.argmax(total(model, outputs, analytes[0]))])
        if found == 0:
            raise NotPredictedError("the peak after a bolus is at once")
        return found / hours_of(unit), False
    if metric in PROPERTIES:
        times, outputs = dense(END)
        levels = total(model, outputs, analytes[0])
        return property_of(metric, unit, regimen, model, analytes[0], weight, (times, levels), row)
    raise NotPredictedError(f"{metric!r} is not read")


def property_of(metric, unit, regimen, model, analyte, weight, course, row) -> tuple[float, bool]:
    """Clearance, volume, residence, half-life and bioavailability, as NCA takes them off a curve.

    A half-life depends on when samples were taken, which a row does not say: predicted with
    SAMPLES, listed and, like a time of peak, not counted.
    """
    times, levels = course
    area, moment = np.trapezoid(levels, times), np.trapezoid(levels * times, times)
    last = regimen.steps[-1]
    if metric == "t1/2":
        sampled = np.interp(SAMPLES, times - times[0], levels)
        half_life = analyse_profile(SAMPLES, sampled).half_life
        if half_life is None:
            raise NotPredictedError("no falling points from which a half-life could be taken")
        return half_life / hours_of(unit), False
    if metric == "MRT":
        return float(moment / area - last.duration / 2) / hours_of(unit), True
    if analyte.split("-", 1)[-1] != "ketamine":
        raise NotPredictedError(f"{metric} of a metabolite: the amount formed is not observed")
    milligrams = model.substance.base_mass(last.amount.milligrams(weight), last.amount.basis)
    share = model.substance.form(row["form"]).shares.get(analyte[0], 1.0)
    clearance = 1000 * milligrams * share / float(area)
    if metric == "F":
        given = replace(regimen, steps=(replace(last, route="iv", portions=1, gap=0.0),))
        reference = metric_of(
            {**row, "route": "IV bolus", "metric": "CL", "unit": "L/h"},
            model,
            given,
            [analyte],
            weight,
        )
        return reference[0] / clearance * {"%": 100.0, "fraction": 1.0}[unit], True
    if metric == "CL" and last.route != "iv":
        raise NotPredictedError("a clearance needs an intravenous dose")
    per_kg = weight if unit.endswith("/kg") else 1.0
    unit = unit.removesuffix("/kg")
    if metric == "Vss":
        if last.route != "iv":
            raise NotPredictedError("a volume at steady state needs an intravenous dose")
        volume = clearance * float(moment / area - last.duration / 2)
        return volume / per_kg * {"L": 1.0, "mL": 1000.0}[unit], True
    per = {"mL/min": 1000 / 60, "L/min": 1 / 60, "L/h": 1.0, "mL/h": 1000.0}[unit]
    return clearance / per_kg * per, True


def total(model: Model, outputs, analyte: str) -> np.ndarray:
    parts = model.totals.get(analyte, (analyte,))
    if any(p not in outputs for p in parts):
        raise NotPredictedError(f"{model.id} does not give {analyte}")
    return np.sum([outputs[p] for p in parts], axis=0)


def row_key(row: dict, weight: float) -> tuple:
    film = re.search(r"after (\d+)-mg film", row["metric"])
    names = ("study_id", "form", "route", "dose", "dose_unit", "infusion_min", "locator")
    site = row["analyte"].endswith("DHNK")
    return (*(row[n] for n in names), weight, film and film[0], site)


KEPT: dict[tuple, tuple] = {}


def dense_course(key, system, doses, given):
    if key not in KEPT:
        times = dense_times(given)
        KEPT[key] = (times, solve(system, doses, times).outputs)
    return KEPT[key]


def dense_times(given) -> np.ndarray:
    points = [np.arange(0, 1, 1 / 120), np.arange(1, 12, 1 / 24), np.arange(12, END, 1.0)]
    shifted = [g.time + np.concatenate(points) for g in given if g.portion == 1]
    ends = [g.time + g.duration for g in given]
    whole = np.unique(np.round(np.concatenate([*shifted, ends, [END]]), 9))
    return whole[whole <= END]
