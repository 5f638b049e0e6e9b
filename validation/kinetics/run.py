"""Solve every case of a kinetics table from its own columns and print the worst difference.

    python validation/kinetics/run.py tests/oracles/kinetics.csv

The table has one value a row: case_id, model, params and regimen (JSON), time_h, analyte, value.
The regimen holds doses, F, ALAG, D and R (durations and rates of the model, for rate -2 and -1),
init, compartments, odes, outputs and covariates: [{"time": 12, "CL": 3}, ...] from their time on. A
dose names its compartment or counts it from 1; evid 3 resets, 4 resets and doses. A linear case
must agree to 1e-9 relative, a nonlinear one to 1e-6; the exit code is 1 when one does not.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from klarsyn.errors import InputError, KlarsynError
from klarsyn.pharmacology.kinetics import is_linear, solve
from klarsyn.pharmacology.system import Change, Dose, Reset, System, build_system
from klarsyn.tables import Column, read_table

LINEAR = 1e-9
NONLINEAR = 1e-6
FLOOR = 1e-15  # of the analyte's peak: below it a value is zero
TINY = 1e-300
KEYS = {
    *("doses", "F", "ALAG", "D", "R", "init", "covariates"),
    *("compartments", "odes", "outputs", "desc"),
}
DOSE_KEYS = {"time", "amt", "cmt", "rate", "dur", "ii", "addl", "ss", "evid"}
COLUMNS = [
    Column(name="case_id"),
    Column(name="model"),
    Column(name="params"),
    Column(name="regimen"),
    Column(name="time_h", kind="number"),
    Column(name="analyte"),
    Column(name="value", kind="number"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    case_id: str
    model: str
    system: System
    doses: tuple[Dose, ...]
    changes: tuple[Change, ...]
    resets: tuple[Reset, ...]
    rows: tuple[tuple[float, str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    case_id: str
    model: str
    method: str
    worst: float
    at: str
    limit: float
    rows: int

    @property
    def passes(self) -> bool:
        return self.worst <= self.limit


def read_cases(path: str | Path) -> list[Case]:
    table = read_table(path, COLUMNS)
    grouped: dict[str, list[dict]] = {}
    for record in table.records():
        grouped.setdefault(record["case_id"], []).append(record)
    return [read_case(name, records) for name, records in grouped.items()]


def read_case(name: str, records: list[dict]) -> Case:
    texts = {(r["params"], r["regimen"]) for r in records}
    if len(texts) != 1:
        raise InputError(f"{name}: its rows disagree on params or regimen.")
    params, regimen = (json.loads(text) for text in texts.pop())
    for key in set(regimen) - KEYS:
        raise InputError(f"{name}: regimen holds {key!r}, which is not read.")
    doses = regimen.get("doses") or []
    for dose in doses:
        for key in set(dose) - DOSE_KEYS:
            raise InputError(f"{name}: a dose holds {key!r}, which is not read.")
        if dose.get("evid", 1) not in (1, 3, 4):
            raise InputError(f"{name}: a dose's evid is {dose['evid']}, not 1, 3 or 4.")
    names = regimen["compartments"]
    return Case(
        case_id=name,
        model=records[0]["model"],
        system=build_system(
            compartments=regimen["compartments"],
            equations=regimen["odes"],
            parameters=params,
            outputs=regimen["outputs"],
            bioavailability=regimen.get("F"),
            lag=regimen.get("ALAG"),
            duration=regimen.get("D"),
            rate=regimen.get("R"),
            initial=regimen.get("init"),
            where=name,
        ),
        doses=tuple(read_dose(d, names) for d in doses if d.get("evid") != 3),
        changes=tuple(
            Change(time=c["time"], parameters={k: v for k, v in c.items() if k != "time"})
            for c in regimen.get("covariates") or []
        ),
        resets=tuple(Reset(time=d.get("time", 0)) for d in doses if d.get("evid") in (3, 4)),
        rows=tuple((r["time_h"], r["analyte"], r["value"]) for r in records),
    )


def read_dose(dose: dict, names: list[str]) -> Dose:
    cmt = dose.get("cmt", 1)
    if isinstance(cmt, int) and 1 <= cmt <= len(names):
        cmt = names[cmt - 1]
    return Dose(
        time=dose.get("time", 0),
        amount=dose.get("amt", 0),
        compartment=str(cmt),
        rate=dose.get("rate", 0),
        duration=dose.get("dur", 0),
        interval=dose.get("ii", 0),
        additional=int(dose.get("addl", 0)),
        steady=int(dose.get("ss", 0)),
    )


def judge(case: Case) -> Outcome:
    times = np.unique([time for time, _, _ in case.rows])
    course = solve(case.system, case.doses, times, changes=case.changes, resets=case.resets)
    worst, at = -1.0, ""
    peaks = {a: max(abs(v) for _, n, v in case.rows if n == a) for _, a, _ in case.rows}
    for time, analyte, value in case.rows:
        if analyte not in course.outputs:
            raise InputError(f"{case.case_id}: {analyte!r} is not among the outputs.")
        ours = course.outputs[analyte][np.searchsorted(times, time)]
        difference = abs(ours - value) / max(abs(value), FLOOR * peaks[analyte], TINY)
        if not difference <= worst:
            worst, at = float(difference), f"{analyte} at {time:g} h"
    linear = is_linear(case.system)
    return Outcome(
        case_id=case.case_id,
        model=case.model,
        method=course.method,
        worst=worst,
        at=at,
        limit=LINEAR if linear else NONLINEAR,
        rows=len(case.rows),
    )


def main(argv: list[str]) -> int:
    if len(argv) != 1:
        print("usage: run.py FILE.csv", file=sys.stderr)
        return 2
    try:
        cases = read_cases(argv[0])
    except (KlarsynError, json.JSONDecodeError, KeyError) as bad:
        print(f"run.py: {bad}", file=sys.stderr)
        return 2
    failed = 0
    for case in cases:
        try:
            found = judge(case)
        except KlarsynError as bad:
            failed += 1
            print(f"{case.case_id:8} FAILS  {case.model}: {bad}")
            continue
        failed += not found.passes
        word = "ok" if found.passes else "FAILS"
        print(
            f"{found.case_id:8} {word:6} {found.worst:8.1e} (limit {found.limit:.0e}) "
            f"{found.method:10} {found.rows:3d} rows  {found.model}  worst: {found.at}"
        )
    print(f"{len(cases) - failed} of {len(cases)} cases agree.")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
