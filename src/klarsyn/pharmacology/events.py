"""NONMEM-style event tables: doses in, doses and concentrations out."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.pharmacology.system import Change, Dose
from klarsyn.tables import Column, read_table, write_text

HEADER = ("ID", "TIME", "EVID", "AMT", "RATE", "II", "ADDL", "SS", "CMT", "DV", "MDV")
KNOWN = {*HEADER, "DUR"}
OBSERVATION, DOSE, OTHER, RESET, RESET_AND_DOSE = range(5)
NUMBERS = ("AMT", "RATE", "II", "DV", "DUR")
COUNTS = ("EVID", "ADDL", "SS", "MDV")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One individual's record: doses, times to be observed, values seen, covariates over time."""

    id: str
    doses: tuple[Dose, ...]
    times: tuple[float, ...]
    observed: tuple[float | None, ...]
    changes: tuple[Change, ...]


def read_events(
    path: str | Path, compartments: Sequence[str], *, covariates: Sequence[str] = ()
) -> tuple[Subject, ...]:
    """Read an event table (ID, TIME, EVID, AMT, RATE or DUR, II, ADDL, SS, CMT, DV, MDV).

    CMT is a compartment's name or its number counted from 1; without CMT everything enters the
    first. `covariates` names columns whose value holds from their row on. EVID 0 observes, 1
    doses, 2 is any other time; resets (3, 4) are refused.

    Raises InputError naming the row.
    """
    columns = [
        Column(name="ID"),
        Column(name="TIME", kind="number"),
        *(Column(name=n, kind="number", required=False) for n in NUMBERS),
        *(Column(name=n, kind="count", required=False) for n in COUNTS),
        *(Column(name=n, kind="number", may_be_empty=True) for n in covariates),
    ]
    table = read_table(path, columns)
    for name in table.columns:
        if name not in KNOWN and name not in covariates:
            raise unknown_name("column of an event table", name, KNOWN, str(path))
    grouped: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for row, record in enumerate(table.records(), start=2):
        grouped.setdefault(record["ID"], []).append((row, record))
    return tuple(
        _subject(str(path), name, rows, compartments, covariates) for name, rows in grouped.items()
    )


def _subject(
    path: str,
    name: str,
    rows: Sequence[tuple[int, dict[str, Any]]],
    compartments: Sequence[str],
    covariates: Sequence[str],
) -> Subject:
    doses, times, observed, changes = [], [], [], []
    last = -np.inf
    for row, record in rows:
        where = f"{path}: row {row}"
        time = record["TIME"]
        if time < last:
            raise InputError(f"{where}: TIME {time:g} comes after {last:g} of the same ID.")
        last = time
        values = {n: record[n] for n in covariates if record[n] is not None}
        if values:
            changes.append(Change(time=time, parameters=values))
        kind = _kind(record, where)
        if kind == DOSE:
            doses.append(_dose(record, compartments, where))
        elif kind == OBSERVATION:
            times.append(time)
            observed.append(None if record.get("MDV") else record.get("DV"))
    return Subject(
        id=name,
        doses=tuple(doses),
        times=tuple(times),
        observed=tuple(observed),
        changes=tuple(changes),
    )


def _kind(record: Mapping[str, Any], where: str) -> int:
    kind = record.get("EVID")
    if kind is None:
        return DOSE if record.get("AMT") else OBSERVATION
    if kind in (RESET, RESET_AND_DOSE):
        raise InputError(f"{where}: EVID {kind} (reset) is not read. Give the parts an ID each.")
    if kind not in (OBSERVATION, DOSE, OTHER):
        raise InputError(f"{where}: EVID {kind} is not 0, 1 or 2.")
    return kind


def _dose(record: Mapping[str, Any], compartments: Sequence[str], where: str) -> Dose:
    if record.get("RATE") and record.get("DUR"):
        raise InputError(f"{where}: RATE and DUR both given. Keep one.")
    return Dose(
        time=record["TIME"],
        amount=record.get("AMT") or 0.0,
        compartment=_compartment(record.get("CMT"), compartments, where),
        rate=record.get("RATE") or 0.0,
        duration=record.get("DUR") or 0.0,
        interval=record.get("II") or 0.0,
        additional=record.get("ADDL") or 0,
        steady=record.get("SS") or 0,
    )


def _compartment(written: str | None, compartments: Sequence[str], where: str) -> str:
    if written is None:
        return compartments[0]
    if written in compartments:
        return written
    if written.isdigit() and 1 <= int(written) <= len(compartments):
        return compartments[int(written) - 1]
    raise unknown_name("compartment", written, compartments, where)


def write_events(
    path: str | Path,
    subjects: Sequence[Subject],
    *,
    covariates: Sequence[str] = (),
) -> None:
    """Write an event table that `read_events` reads back to the same subjects."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*HEADER, "DUR", *covariates])
    for subject in subjects:
        for row in _rows(subject, covariates):
            writer.writerow(row)
    write_text(path, stream.getvalue())


def _rows(subject: Subject, covariates: Sequence[str]) -> list[list[Any]]:
    lines: list[tuple[float, int, list[Any]]] = []
    for dose in subject.doses:
        cells = [
            subject.id,
            _text(dose.time),
            DOSE,
            _text(dose.amount),
            _text(dose.rate) if dose.rate else "",
            _text(dose.interval) if dose.interval else "",
            dose.additional or "",
            dose.steady or "",
            dose.compartment,
            "",
            1,
            _text(dose.duration) if dose.duration else "",
        ]
        lines.append((dose.time, 1, cells))
    for time, value in zip(subject.times, subject.observed, strict=True):
        cells = [subject.id, _text(time), OBSERVATION, *[""] * 6]
        cells += ["" if value is None else _text(value), int(value is None), ""]
        lines.append((time, 2, cells))
    for change in subject.changes:
        lines.append((change.time, 0, [subject.id, _text(change.time), OTHER, *[""] * 9]))
        lines[-1][2].extend(
            _text(change.parameters[n]) if n in change.parameters else "" for n in covariates
        )
    for line in lines:
        line[2].extend([""] * (len(HEADER) + 1 + len(covariates) - len(line[2])))
    return [cells for _, _, cells in sorted(lines, key=lambda x: (x[0], x[1]))]


def _text(value: Any) -> str:
    return repr(float(value)).removesuffix(".0")
