"""Predicted against observed, row by row: how good is the default, per route, analyte and site?

    python validation/qualification/run.py [OBSERVED.csv] [--write]

Each row of the table is one observation with the dose that led to it. Venous rows meet the venous
default, arterial rows the arterial alternative; a row that no model can predict is listed with the
reason. `--write` renews docs/qualification.md and docs/qualification.svg. The exit code is 1 when
the intravenous default misses ketamine or norketamine by a geometric mean of more than 1.15-fold.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from klarsyn.errors import InputError, KlarsynError
from klarsyn.pharmacology.dosing import Amount, Regimen, at_hours, build_step, once
from klarsyn.pharmacology.kinetics import solve
from klarsyn.pharmacology.model import Model, read_model
from klarsyn.pharmacology.population import sample_individuals
from klarsyn.tables import Column, read_table, write_text

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
LIMIT = 1.15
VENOUS, ARTERIAL = "KSR-1", "KSR-1-arterial"
END = 240.0
ROUTES = {
    "IV": "iv",
    "IV bolus": "iv",
    "IV 3x60 min steps": "iv",
    "intranasal": "nasal",
    "oral": "oral",
    "oral tablet": "oral",
    "sublingual/buccal thin film": "film",
    "IM": "im",
    "SC": "sc",
}
FORMS = {"racemate": "racemate", "S": "S", "R": "R"}
FAMILIES = {
    "ketamine": "ketamine",
    "K": "ketamine",
    "norketamine": "norketamine",
    "NK": "norketamine",
    "HNK": "hydroxynorketamine",
    "hydroxynorketamine": "hydroxynorketamine",
    "DHNK": "dehydronorketamine",
}
SPELLED = {"esketamine": "S-ketamine", "noresketamine": "S-norketamine"}


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

    @property
    def ratio(self) -> float:
        return self.predicted / self.observed


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
    return {"site": site, "weight_kg": 70.0, "relation": "independent"}


def predict(row: dict) -> Row:
    study = study_of(row)
    analytes = analytes_of(row)
    name = VENOUS if study["site"] == "venous" or analytes[0].endswith("dehydronorketamine") else ""
    model = cached_model(name or ARTERIAL)
    regimen = regimen_of(row, study["weight_kg"])
    predicted, counts = metric_of(row, model, regimen, analytes, study["weight_kg"])
    return Row(
        study=row["study_id"],
        route=regimen.steps[-1].route,
        analyte=row["analyte"],
        family=analytes[0].split("-", 1)[-1],
        metric=row["metric"],
        unit=row["unit"],
        observed=number(row["value"]),
        predicted=predicted,
        model=model.id,
        site=study["site"],
        relation=RELATIONS.get((row["study_id"], row["analyte"]), study["relation"]),
        counts=counts and (row["study_id"], row["metric"]) not in READING_LIMIT,
    )


@lru_cache(maxsize=4)
def cached_model(name: str) -> Model:
    return read_model(name)


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise NotPredictedError(f"value {text!r} is not one number") from None


def analytes_of(row: dict) -> list[str]:
    parts = row["analyte"].split("/")
    return [analyte_of(p, row["form"]) for p in parts]


def analyte_of(text: str, form: str) -> str:
    text = SPELLED.get(text, text).removeprefix("total ")
    label, _, family = text.rpartition("-")
    if family not in FAMILIES:
        raise NotPredictedError(f"analyte {text!r} is not in the model")
    if label:
        return f"{label}-{FAMILIES[family]}"
    return FAMILIES[family] if form == "racemate" else f"{form}-{FAMILIES[family]}"


def regimen_of(row: dict, weight: float) -> Regimen:
    if row["route"] not in ROUTES:
        raise NotPredictedError(f"no parameters for {row['route']!r}")
    if row["form"] not in FORMS or not row["dose"]:
        raise NotPredictedError("form or dose not recorded")
    route, unit = ROUTES[row["route"]], row["dose_unit"]
    minutes = row["infusion_min"]
    if unit == "mg/kg/h":
        rates = [float(r) for r in row["dose"].split("/")]
        length = float(minutes) / 60 / len(rates)
        return Regimen(
            steps=tuple(
                step(r * length, True, route, "base", length, i * length)
                for i, r in enumerate(rates)
            )
        )
    if unit not in ("mg", "mg/kg", "mg base", "mg HCl salt"):
        raise NotPredictedError(f"dose in {unit!r}: how long it was given is not recorded")
    basis = "hydrochloride" if "HCl" in unit else "base"
    length = float(minutes) / 60 if minutes else 0.0
    value, per_kg = float(row["dose"]), unit == "mg/kg"
    if route == "nasal" and value > 28:
        return Regimen(steps=(step(value, per_kg, route, basis, 0.0, 0.0, round(value / 28)),))
    if film := re.search(r"after (\d+)-mg film", row["metric"]):
        first = step(float(film[1]), False, "film", "base", 0.0, 0.0)
        return Regimen(steps=(first, step(value, per_kg, route, basis, length, 6.0)))
    return Regimen(steps=(step(value, per_kg, route, basis, length, 0.0),))


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
READING_LIMIT = {("Hasan2021_curve", "mean conc at 16 h"), ("Hasan2021_curve", "mean conc at 24 h")}


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
    scale = {"nmol/mL": 1 / mass, "umol/L": 1 / mass, "ng/mL": 1.0}.get(unit, math.nan)
    if found := re.fullmatch(r"(?:mean|median) conc at ([\d.]+) h", metric):
        return float(curve(np.array([float(found[1])]), analytes[0])[0]) * scale, True
    if metric == "AUC ratio":
        return area(analytes[0]) / area(analytes[1]), True
    if found := re.fullmatch(r"AUC(?:0-([\d.]+)h?|inf)?", metric):
        per = {"ng.h/mL": 1.0, "ng.min/mL": 60.0}[unit]
        return area(analytes[0], float(found[1]) if found[1] else math.inf) * per, True
    if metric == "Cmax" or metric.startswith("Cmax after") or metric == "max conc":
        bolus = regimen.steps[-1].route == "iv" and regimen.steps[-1].duration == 0
        if bolus and analytes[0].endswith("-ketamine") | (analytes[0] == "ketamine"):
            raise NotPredictedError("the peak after a bolus depends on when the first sample is")
        times, outputs = dense(24.0)
        since = 6.0 if "after" in metric else 0.0
        return float(np.max(total(model, outputs, analytes[0])[times >= since])) * scale, True
    if metric == "Tmax":
        times, outputs = dense(24.0)
        at = float(times[np.argmax(total(model, outputs, analytes[0]))])
        if at == 0:
            raise NotPredictedError("the peak after a bolus is at once")
        return at * {"h": 1.0, "min": 60.0}[unit], False
    if metric == "CL":
        given_amount = sum(d.amount for d in doses if d.compartment.endswith(analytes[0][0]))
        per_hour = given_amount * mass / area(analytes[0])
        per = {
            "mL/min": 1000 / 60,
            "L/h": 1.0,
            "mL/min/kg": 1000 / 60 / weight,
            "L/min/kg": 1 / 60 / weight,
        }[unit]
        return per_hour * per, True
    raise NotPredictedError(f"{metric!r} is a property, not an observation of this dose")


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


def gmfe(rows) -> float:
    return math.exp(np.mean([abs(math.log(r.ratio)) for r in rows]))


def groups(rows: list[Row]) -> dict[tuple[str, str, str, str], list[Row]]:
    found: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        if row.counts:
            key = (row.route, row.family, row.site, row.relation)
            found.setdefault(key, []).append(row)
    return dict(sorted(found.items()))


def default_rows(rows: list[Row]) -> list[Row]:
    """What the acceptance of the default is about: intravenous, venous, parent and norketamine."""
    return [
        r
        for r in rows
        if r.counts
        and r.route == "iv"
        and r.model == VENOUS
        and r.family in ("ketamine", "norketamine")
    ]


def qualify(path: Path) -> tuple[list[Row], list[tuple[dict, str]]]:
    rows, left = [], []
    for record in read_rows(path):
        try:
            rows.append(predict(record))
        except NotPredictedError as reason:
            left.append((record, str(reason)))
        except (KeyError, ValueError) as odd:
            left.append((record, f"a unit or number was not understood ({odd})"))
        except InputError as reason:
            left.append((record, str(reason).split(". ")[0]))
    return rows, left


def mix(rows: list[Row]) -> str:
    """How many of the default's rows stand in which relation to it, and their error."""
    chosen = default_rows(rows)
    found = []
    for relation in ("in-sample", "partly", "independent"):
        members = [r for r in chosen if r.relation == relation]
        if members:
            found.append(f"{len(members)} {relation} ({gmfe(members):.2f})")
    return ", ".join(found)


def describe(rows: list[Row]) -> list[str]:
    head = ["| route | analyte | site | relation | n | GMFE | median P/O | within 1.25 | worst |"]
    head += ["|---|---|---|---|---|---|---|---|---|"]
    for (route, family, site, relation), members in groups(rows).items():
        ratios = np.array([r.ratio for r in members])
        worst = max(members, key=lambda r: abs(math.log(r.ratio)))
        near = np.mean(np.maximum(ratios, 1 / ratios) <= 1.25)
        head.append(
            f"| {route} | {family} | {site} | {relation} | {len(members)} | {gmfe(members):.2f} | "
            f"{np.median(ratios):.2f} | {near:.0%} | {worst.ratio:.2f} ({worst.study}, "
            f"{worst.analyte} {worst.metric}) |"
        )
    return head


def main(argv: list[str]) -> int:
    paths = [a for a in argv if not a.startswith("--")]
    try:
        rows, left = qualify(Path(paths[0]) if paths else HERE / "observed.csv")
    except KlarsynError as bad:
        print(f"run.py: {bad}", file=sys.stderr)
        return 2
    for row in rows:
        print(
            f"{row.study:20} {row.route:6} {row.analyte:20} {row.metric:28} "
            f"{row.observed:9.4g} {row.predicted:9.4g} {row.unit:9} P/O {row.ratio:5.2f} "
            f"{row.model} {row.relation}"
        )
    for record, reason in left:
        print(
            f"not predicted: {record['study_id']} {record['analyte']} {record['metric']}: {reason}"
        )
    print("\n".join(describe(rows)))
    chosen = default_rows(rows)
    verdict = gmfe(chosen) if chosen else math.nan
    every = default_rows([replace(r, counts=True) for r in rows if r.metric != "Tmax"])
    whole = gmfe(every) if every else math.nan
    print(
        f"\nIntravenous default, ketamine and norketamine: GMFE {verdict:.3f} "
        f"(limit {LIMIT}), {whole:.3f} with what lies at the reading limit"
    )
    if "--write" in argv:
        write(rows, left, verdict, whole)
    return int(bool(chosen) and verdict > LIMIT)


def write(rows: list[Row], left: list[tuple[dict, str]], verdict: float, whole: float) -> None:
    import vl_convert

    from klarsyn.figures.kinetics import predicted_over_observed

    points = [
        {
            "ratio": r.ratio,
            "group": f"{r.route}, {r.site}, {r.family}",
            "kind": r.relation,
            "label": f"{r.study} {r.analyte} {r.metric}",
            "note": f"observed {r.observed:.4g} {r.unit}, {r.model}",
        }
        for r in sorted(rows, key=lambda r: (r.route, r.site, r.family))
        if r.counts
    ]
    chart = predicted_over_observed(points, title="Predicted over observed, every counted row")
    write_text(DOCS / "qualification.svg", vl_convert.vegalite_to_svg(chart.to_dict()))
    write_text(DOCS / "qualification.md", page(rows, left, verdict, whole))


def page(rows: list[Row], left: list[tuple[dict, str]], verdict: float, whole: float) -> str:
    lines = (HERE / "text.md").read_text().replace("{GMFE}", f"{verdict:.2f}")
    lines = lines.replace("{ALL}", f"{whole:.2f}").replace("{MIX}", mix(rows)).splitlines()
    lines += ["", "## By route, analyte, site and relation", "", *describe(rows)]
    lines += ["", "## Every row", ""]
    lines += ["| study | route | analyte | metric | unit | observed | predicted | P/O | relation |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    lines += [
        f"| {r.study} | {r.route} | {r.analyte} | {r.metric} | {r.unit} | {r.observed:.4g} | "
        f"{r.predicted:.4g} | {r.ratio:.2f} | {r.relation}{'' if r.counts else ' (not counted)'} |"
        for r in rows
    ]
    lines += ["", "## Not predicted, and why", ""]
    lines += [f"- {x['study_id']} {x['analyte']} {x['metric']}: {why}" for x, why in left]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
