"""NONMEM-style event tables: doses in, doses and concentrations out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from klarsyn.errors import InputError, unknown_name
from klarsyn.pharmacology.system import Change, Dose, Reset, check_dose
from klarsyn.tables import Column, csv_text, read_table, write_text

HEADER = ("ID", "TIME", "EVID", "AMT", "RATE", "II", "ADDL", "SS", "CMT", "DV", "MDV")
KNOWN = {*HEADER, "DUR"}
OBSERVATION, DOSE, OTHER, RESET, RESET_AND_DOSE = range(5)
NUMBERS = ("AMT", "RATE", "II", "DV", "DUR")
COUNTS = ("EVID", "ADDL", "SS", "MDV")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One individual's record: doses, times to be observed, values seen, covariates over time.

    A time whose record stands before a dose or reset of the same time is the last moment before it
    (one step of the floating-point line): a trough taken at the time of the next dose.
    """

    id: str
    doses: tuple[Dose, ...]
    times: tuple[float, ...]
    observed: tuple[float | None, ...]
    changes: tuple[Change, ...]
    resets: tuple[Reset, ...] = ()


def read_events(
    path: str | Path, compartments: Sequence[str], *, covariates: Sequence[str] = ()
) -> tuple[Subject, ...]:
    """Read an event table (ID, TIME, EVID, AMT, RATE or DUR, II, ADDL, SS, CMT, DV, MDV).

    CMT is a compartment's name or its number counted from 1; without CMT everything enters the
    first. `covariates` names columns whose value holds from their row on (NONMEM itself lets it
    hold up to its row). EVID 0 observes, 1 doses, 2 is any other time, at which covariates may
    change, 3 resets all amounts to their initial values and cancels what earlier rows still bring,
    4 resets and doses. RATE -1 and -2 take rate or duration from the model. Rows stand in the order
    of time; of rows of one time, an observation before a dose sees the moment before it.

    Names of the header may be in lower case, as mrgsolve writes them. A row that begins with '#',
    or whose first cell is C or begins with 'C ', is a comment (NONMEM's IGNORE), so no individual
    can be called C; a first column called C may mark such rows.

    Raises InputError naming the row.
    """
    columns = [
        Column(name="ID"),
        Column(name="TIME", kind="number"),
        *(Column(name=n, kind="number", required=False) for n in NUMBERS),
        *(Column(name=n, kind="count", required=False) for n in COUNTS),
        *(Column(name=n, kind="number", may_be_empty=True) for n in covariates),
    ]

    def rename(name: str) -> str:
        return name if name in covariates or name.upper() not in KNOWN else name.upper()

    table = read_table(path, columns, rename=rename, remark=_remark)
    for place, name in enumerate(table.columns):
        marks = place == 0 and name.upper() == "C"
        if name not in KNOWN and name not in covariates and not marks:
            raise unknown_name("column of an event table", name, KNOWN, str(path))
    grouped: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    before = None
    for row, record in table.numbered():
        if record["ID"] in grouped and record["ID"] != before:
            raise InputError(
                f"{path}: row {row}: ID {record['ID']} begins again after ID {before}. Let the "
                f"rows of each individual stand together, or give it another ID."
            )
        before = record["ID"]
        grouped.setdefault(record["ID"], []).append((row, record))
    return tuple(
        _subject(str(path), name, rows, compartments, covariates) for name, rows in grouped.items()
    )


def _remark(cells: Sequence[str]) -> bool:
    """Whether a row is a comment; a header that begins with a column C is not."""
    first = cells[0].strip()
    if first.startswith("#") or first[:2] in ("C ", "c "):
        return True
    names = {c.strip().upper() for c in cells}
    return first in ("C", "c") and not {"ID", "TIME"} <= names


def _subject(
    path: str,
    name: str,
    rows: Sequence[tuple[int, dict[str, Any]]],
    compartments: Sequence[str],
    covariates: Sequence[str],
) -> Subject:
    doses, times, observed, changes, resets = [], [], [], [], []
    last = -np.inf
    acts = [r["TIME"] for _, r in rows if _acts(r)]
    for row, record in rows:
        where = f"{path}: row {row}"
        time = record["TIME"]
        kind = _kind(record, where)
        if record.get("MDV") not in (None, 0, 1):
            raise InputError(f"{where}: MDV {record['MDV']} is not 0 (seen) or 1 (missing).")
        if time < last:
            raise InputError(_backwards(where, time, last, kind))
        last = time
        values = {n: record[n] for n in covariates if record[n] is not None}
        if values:
            changes.append(Change(time=time, parameters=values))
        if kind in (RESET, RESET_AND_DOSE):
            if any(d.time == time for d in doses):
                raise InputError(
                    f"{where}: the reset at {time:g} would wipe out a dose of the same time that "
                    f"stands before it. Leave that dose out, or put it after the reset."
                )
            resets.append(Reset(time=time))
        if kind in (DOSE, RESET_AND_DOSE):
            doses.append(_dose(record, compartments, where))
        if _acts(record):
            acts.pop(0)
        elif kind == OBSERVATION:
            times.append(float(np.nextafter(time, -np.inf)) if time in acts else time)
            observed.append(None if record.get("MDV") else record.get("DV"))
    return Subject(
        id=name,
        doses=tuple(doses),
        times=tuple(times),
        observed=tuple(observed),
        changes=tuple(changes),
        resets=tuple(resets),
    )


def _backwards(where: str, time: float, last: float, kind: int) -> str:
    if kind in (RESET, RESET_AND_DOSE):
        return (
            f"{where}: TIME goes back to {time:g} at a reset. Let TIME run on from {last:g}, or "
            f"give the parts an ID each."
        )
    return f"{where}: TIME {time:g} comes after {last:g} of the same ID."


def _acts(record: Mapping[str, Any]) -> bool:
    """Whether the record doses or resets."""
    kind = record.get("EVID")
    return bool(record.get("AMT")) if kind is None else kind not in (OBSERVATION, OTHER)


def _kind(record: Mapping[str, Any], where: str) -> int:
    kind = record.get("EVID")
    if kind is None:
        return DOSE if record.get("AMT") else OBSERVATION
    if kind not in (OBSERVATION, DOSE, OTHER, RESET, RESET_AND_DOSE):
        raise InputError(
            f"{where}: EVID {kind} is not 0 (observation), 1 (dose), 2 (other), 3 (reset) or 4 "
            f"(reset and dose)."
        )
    for name in ("AMT", "RATE", "DUR", "II", "ADDL", "SS"):
        if kind in (OBSERVATION, OTHER, RESET) and record.get(name):
            raise InputError(
                f"{where}: EVID {kind} is not a dose, but {name} is {record[name]:g}. Use EVID 1 "
                f"or 4, or empty {name}."
            )
    return kind


def _dose(record: Mapping[str, Any], compartments: Sequence[str], where: str) -> Dose:
    if record.get("RATE") and record.get("DUR"):
        raise InputError(f"{where}: RATE and DUR both given. Keep one.")
    if record.get("AMT") is None:
        raise InputError(
            f"{where}: a dose without AMT. Give what is given; 0 where RATE alone says it (SS 1)."
        )
    dose = Dose(
        time=record["TIME"],
        amount=record["AMT"],
        compartment=_compartment(record.get("CMT"), compartments, where),
        rate=record.get("RATE") or 0.0,
        duration=record.get("DUR") or 0.0,
        interval=record.get("II") or 0.0,
        additional=record.get("ADDL") or 0,
        steady=record.get("SS") or 0,
    )
    check_dose(dose, where)
    return dose


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
    """Write an event table that `read_events` reads back to the same subjects.

    Raises InputError for an individual whose rows would be comments.
    """
    for subject in subjects:
        if _remark([subject.id]):
            raise InputError(
                f"the individual {subject.id!r} would be read back as a comment. Rename it."
            )
    rows = (row for subject in subjects for row in _rows(subject, covariates))
    write_text(path, csv_text([*HEADER, "DUR", *covariates], rows))


def _rows(subject: Subject, covariates: Sequence[str]) -> list[list[Any]]:
    """The cells of each row, those of one time in the order in which they are read back."""
    lines: list[tuple[float, int, dict[str, Any]]] = []
    waiting = {r.time for r in subject.resets}
    acts = waiting | {d.time for d in subject.doses}
    for dose in subject.doses:
        resets = dose.time in waiting
        waiting.discard(dose.time)
        lines.append((dose.time, 1 if resets else 2, _dose_cells(dose, resets)))
    lines += [(time, 1, {"EVID": RESET, "MDV": 1}) for time in waiting]
    for time, value in zip(subject.times, subject.observed, strict=True):
        cells = {"EVID": OBSERVATION, "DV": value, "MDV": int(value is None)}
        after = float(np.nextafter(time, np.inf))
        lines.append((after, -1, cells) if after in acts else (time, 3, cells))
    for change in subject.changes:
        lines.append((change.time, 0, {"EVID": OTHER, **change.parameters}))
    lines.sort(key=lambda x: (x[0], x[1]))
    names = (*HEADER, "DUR", *covariates)
    return [
        [_cell({"ID": subject.id, "TIME": time, **cells}.get(n)) for n in names]
        for time, _, cells in lines
    ]


def _dose_cells(dose: Dose, resets: bool) -> dict[str, Any]:
    return {
        "EVID": RESET_AND_DOSE if resets else DOSE,
        "AMT": float(dose.amount),
        "RATE": dose.rate or None,
        "II": dose.interval or None,
        "ADDL": dose.additional or None,
        "SS": dose.steady or None,
        "CMT": dose.compartment,
        "MDV": 1,
        "DUR": dose.duration or None,
    }


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, (str, int)):
        return value
    return _text(value)


def _text(value: Any) -> str:
    return repr(float(value)).removesuffix(".0")
