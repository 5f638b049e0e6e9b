"""Opening an evidence base: a shipped name, a folder of tables or an Excel workbook."""

from __future__ import annotations

import importlib.resources
import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from klarsyn.errors import InputError, unknown_name
from klarsyn.evidence.schema import TABLES, Field, TableSchema
from klarsyn.evidence.trial import (
    TOGETHER,
    Arm,
    Base,
    Correlation,
    Finding,
    Guess,
    GuessOutcome,
    Inclusion,
    PublishedRisk,
    RiskAnswer,
    Scale,
    Term,
    Trial,
)
from klarsyn.evidence.vocabulary import BASE_LISTS, LISTS, check_name
from klarsyn.provenance import Source, digest_of
from klarsyn.tables import read_table, sheet_names

R = TypeVar("R")
Row = dict[str, Any]

PACKAGE = "datapackage.json"
SETTINGS = "appraisal.toml"
SETTINGS_SHEET = "appraisal"
ABOUT_SHEET = "about"
EXCEL = (".xlsx", ".xlsm")
# `origin` is an optional column of trials: a base of simulated trials must not pass for real.
ORIGINS = ("published", "simulated")


def known_bases() -> dict[str, Path]:
    """The bases that ship with the package, by name."""
    shelf = Path(str(importlib.resources.files("klarsyn.bases")))
    return {p.name: p for p in sorted(shelf.iterdir()) if (p / "trials.csv").is_file()}


def open_base(base: str | Path) -> Base:
    """Read a whole base and check every name, reference and number in it.

    `base` is the name of a shipped base (see `known_bases`), a folder with `trials.csv` and its
    sister tables, or an Excel workbook with a sheet for each table. `published`, `guesses`,
    `guess_outcomes`, `inclusion`, `correlations`, `riskofbias` and `riskofbias_published` may be
    missing.

    Raises InputError with file, row, column, what was found and what is allowed; UnknownNameError
    with the nearest names where a closed list or a reference fails.
    """
    return _assemble(_locate(base), str(base))


def _locate(base: str | Path) -> Path:
    shipped = known_bases()
    if isinstance(base, str) and base in shipped:
        return shipped[base]
    if not str(base).strip():
        raise unknown_name("base", str(base), shipped)
    place = Path(base)
    if place.is_dir() or (place.is_file() and place.suffix.lower() in EXCEL):
        return place
    if place.is_file():
        raise InputError(
            f"{place}: a base is a folder of tables or an Excel workbook (.xlsx); this is a file "
            f"of another kind. Name the folder that holds trials.csv."
        )
    if len(place.parts) > 1 or place.suffix:
        raise InputError(f"{place}: there is no such base. Check the path and its spelling.")
    raise unknown_name("base", str(base), shipped)


def _assemble(place: Path, location: str) -> Base:
    rows = {name: _rows(place, schema) for name, schema in TABLES.items()}
    if not rows["trials"]:
        raise InputError(
            f"{_file(place, 'trials')}: the base has no trials yet. Add one row per trial, its "
            f"arms to arms and its numbers to findings."
        )
    for name, schema in TABLES.items():
        _check_keys(_file(place, name), rows[name], schema)
    for r in rows["trials"]:
        r["origin"] = r.get("origin") or ORIGINS[0]
        where = f"{_file(place, 'trials')}: row {r['row']}"
        check_name("origin", r["origin"], where, ORIGINS)
    terms = _terms(_file(place, "vocabulary"), rows["vocabulary"])
    scales = {r["name"]: _record(Scale, "scales", r) for r in rows["scales"]}
    known = _known(rows, terms)
    for name, schema in TABLES.items():
        _check_references(_file(place, name), rows[name], schema, known)
    _check_arms(place, rows)
    _check_scales(_file(place, "scales"), rows["scales"])
    _check_findings(_file(place, "findings"), rows["findings"])
    _check_grounds(_file(place, "riskofbias"), rows["riskofbias"], rows["findings"])
    package, settings = _package(place), _settings(place)
    return Base(
        name=str(package.get("name") or place.stem),
        title=str(package.get("title") or place.stem),
        trials=_trials(rows),
        sources={r["source_id"]: _record(Source, "sources", r) for r in rows["sources"]},
        scales=scales,
        terms=terms,
        published=tuple(_plain(r) for r in rows["published"]),
        guesses=_records(Guess, "guesses", rows),
        guess_outcomes=_records(GuessOutcome, "guess_outcomes", rows),
        inclusion=_records(Inclusion, "inclusion", rows),
        correlations=_records(Correlation, "correlations", rows),
        risk_answers=_records(RiskAnswer, "riskofbias", rows),
        published_risks=_records(PublishedRisk, "riskofbias_published", rows),
        settings=settings,
        digest=_digest(place),
        location=location,
    )


def _file(place: Path, table: str) -> str:
    return f"{place}[{table}]" if place.is_file() else str(place / f"{table}.csv")


def _rows(place: Path, schema: TableSchema) -> list[Row]:
    columns = [f.column() for f in schema.fields]
    if place.is_file():
        if schema.name not in sheet_names(place):
            return _absent(place, schema, "sheet")
        table = read_table(place, columns, sheet=schema.name, least_rows=0)
    else:
        file = place / f"{schema.name}.csv"
        if not file.exists():
            return _absent(place, schema, "file")
        table = read_table(file, columns, least_rows=0)
    rows = table.records()
    for record, row in zip(rows, table.row_numbers, strict=True):
        record["row"] = row
    return rows


def _absent(place: Path, schema: TableSchema, what: str) -> list[Row]:
    if not schema.required:
        return []
    name = schema.name if what == "sheet" else f"{schema.name}.csv"
    needed = ", ".join(t.name for t in TABLES.values() if t.required)
    raise InputError(
        f"{place}: the {what} {name} is missing ({schema.meaning}). A base needs {needed}; "
        f"`klarsyn evidence new DIR` makes an empty one."
    )


def _check_keys(file: str, rows: Sequence[Row], schema: TableSchema) -> None:
    first: dict[tuple[object, ...], int] = {}
    for r in rows if schema.key else ():
        key = tuple(r[k] for k in schema.key)
        if key in first:
            raise InputError(
                f"{file}: row {r['row']} repeats {', '.join(schema.key)} = "
                f"{', '.join(map(str, key))} of row {first[key]}. Give each row its own."
            )
        first[key] = r["row"]


def _terms(file: str, rows: Sequence[Row]) -> dict[str, tuple[Term, ...]]:
    lists: dict[str, list[Term]] = {name: [] for name in BASE_LISTS}
    for r in rows:
        check_name("list of the base", r["list"], f"{file}: row {r['row']}", BASE_LISTS)
        lists[r["list"]].append(_record(Term, "vocabulary", r))
    return {name: tuple(terms) for name, terms in lists.items()}


def _known(
    rows: Mapping[str, Sequence[Row]], terms: Mapping[str, Sequence[Term]]
) -> dict[str, list[str]]:
    return {name: [t.name for t in group] for name, group in terms.items()} | {
        "trials": [r["trial_id"] for r in rows["trials"]],
        "sources": [r["source_id"] for r in rows["sources"]],
        "scales": [r["name"] for r in rows["scales"]],
    }


def _check_references(
    file: str, rows: Sequence[Row], schema: TableSchema, known: Mapping[str, Sequence[str]]
) -> None:
    for field in schema.fields:
        target = field.table or (field.list if field.list not in LISTS else "")
        if not target:
            continue
        names = frozenset(known[target])
        for r in rows:
            name = r.get(field.name)
            if name is not None and name not in names:
                raise _unknown_reference(file, r["row"], field, name, known[target])


def _unknown_reference(
    file: str, row: int, field: Field, name: str, known: Sequence[str]
) -> InputError:
    where = f"{file}: row {row}, column {field.name!r}"
    if not known:
        table = field.table or "vocabulary"
        return InputError(f"{where}: {name!r} has no row in {table}, which is empty. Add it there.")
    kind = {"trials": "trial", "sources": "source", "scales": "scale"}.get(field.table, field.list)
    return unknown_name(kind.replace("_", " "), name, known, where)


def _check_arms(place: Path, rows: Mapping[str, Sequence[Row]]) -> None:
    arms: dict[str, list[str]] = {}
    for r in rows["arms"]:
        _check_arm_id(_file(place, "arms"), r)
        arms.setdefault(r["trial_id"], []).append(r["arm_id"])
    for table in ("findings", "guesses", "guess_outcomes", "correlations"):
        for r in rows[table]:
            _check_arm(_file(place, table), r, arms.get(r["trial_id"], []), table == "findings")


def _check_arm_id(file: str, r: Row) -> None:
    if r["arm_id"] in TOGETHER or "|" in r["arm_id"]:
        raise InputError(
            f"{file}: row {r['row']}: {r['arm_id']!r} cannot name an arm; `all` means everyone, "
            f"`all_test` all given the drug, and `|` joins two arms to a contrast. Choose another "
            f"id."
        )


def _check_arm(file: str, r: Row, arms: Sequence[str], contrasts: bool) -> None:
    where = f"{file}: row {r['row']}, trial {r['trial_id']}"
    parts = r["arm_id"].split("|")
    if len(parts) > 2 or (len(parts) == 2 and (not contrasts or parts[0] == parts[1])):
        raise InputError(
            f"{where}: {r['arm_id']!r} is not an arm"
            + (" or a contrast `a|b` of two different arms." if contrasts else " or `all`.")
        )
    together = TOGETHER if contrasts else TOGETHER[:1]
    for part in parts:
        if part not in arms and not (part in together and len(parts) == 1):
            raise unknown_name("arm", part, [*arms, *together], where)


def _check_scales(file: str, rows: Sequence[Row]) -> None:
    for r in rows:
        if r["minimum"] >= r["maximum"]:
            raise InputError(
                f"{file}: row {r['row']}: {r['name']} runs from {r['minimum']:g} to "
                f"{r['maximum']:g}; the minimum must lie below the maximum."
            )


def _check_findings(file: str, rows: Sequence[Row]) -> None:
    for r in rows:
        at = f"{file}: row {r['row']} ({r['finding_id']})"
        if r["status"] == "not_reported" and r["value"] is not None:
            raise InputError(
                f"{at}: the status is not_reported but the value is {r['value']:g}. Empty the "
                f"value or set the status to reported."
            )
        if r["status"] == "reported" and r["value"] is None:
            raise InputError(
                f"{at}: the value is empty but the status is reported. Give the value, or record "
                f"its absence with the status not_reported."
            )


def _check_grounds(file: str, rows: Sequence[Row], findings: Sequence[Row]) -> None:
    """Every finding that an answer rests on must be one of its own trial."""
    own: dict[str, list[str]] = {}
    for f in findings if rows else ():
        own.setdefault(f["trial_id"], []).append(f["finding_id"])
    for r in rows:
        known = own.get(r["trial_id"], [])
        for name in (i.strip() for i in (r["findings"] or "").split(";")):
            if name and name not in known:
                raise unknown_name(
                    f"finding of {r['trial_id']}", name, known, f"{file}: row {r['row']}"
                )


def _trials(rows: Mapping[str, Sequence[Row]]) -> tuple[Trial, ...]:
    arms: dict[str, list[Arm]] = {}
    for r in rows["arms"]:
        arms.setdefault(r["trial_id"], []).append(_record(Arm, "arms", r))
    findings: dict[str, list[Finding]] = {}
    for r in rows["findings"]:
        findings.setdefault(r["trial_id"], []).append(_record(Finding, "findings", r))
    return tuple(
        _record(
            Trial,
            "trials",
            r,
            origin=r["origin"],
            cited_by=tuple(c.strip() for c in (r["cited_by"] or "").split(";") if c.strip()),
            arms=tuple(arms.get(r["trial_id"], ())),
            findings=tuple(findings.get(r["trial_id"], ())),
        )
        for r in rows["trials"]
    )


# Records without a row of their own in the engine.
_ROWLESS = ("sources", "scales", "vocabulary")


def _record(make: type[R], table: str, row: Row, **more: object) -> R:
    fields = TABLES[table].fields
    values = {f.attribute or f.name: _value(f, row.get(f.name)) for f in fields}
    if table == "findings" and not values["estimator"]:
        values["estimator"] = "unknown"
    if table not in _ROWLESS:
        values["row"] = row["row"]
    return make(**{**values, **more})


def _value(field: Field, cell: object) -> object:
    return "" if cell is None and field.kind == "text" else cell


def _records(make: type[R], table: str, rows: Mapping[str, Sequence[Row]]) -> tuple[R, ...]:
    return tuple(_record(make, table, r) for r in rows[table])


def _plain(row: Row) -> Mapping[str, object]:
    cells = {f.name: _value(f, row.get(f.name)) for f in TABLES["published"].fields}
    return cells | {"row": row["row"]}


def package_of(base: str | Path) -> Mapping[str, object]:
    """The properties of a base's data package (name, title, licences), without its resources."""
    return {k: v for k, v in _package(_locate(base)).items() if k not in {"resources", "profile"}}


def _package(place: Path) -> Mapping[str, object]:
    if place.is_file():
        return _about_sheet(place)
    file = place / PACKAGE
    if not file.exists():
        return {}
    try:
        package = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as bad:
        raise InputError(f"{file}: not readable as JSON ({bad}).") from None
    if not isinstance(package, dict):
        raise InputError(f"{file}: a data package is a JSON object with name, title, resources.")
    return package


def _about_sheet(book: Path) -> Mapping[str, object]:
    if ABOUT_SHEET not in sheet_names(book):
        return {}
    table = read_table(book, sheet=ABOUT_SHEET)
    return {k: v[0] for k, v in table.columns.items() if v[0] is not None}


def settings_text(base: str | Path) -> str:
    """The text of a base's settings as it stands in its file; empty where it has none."""
    return _settings_text(_locate(base))


def _settings(place: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(_settings_text(place))
    except tomllib.TOMLDecodeError as bad:
        file = f"{place}[{SETTINGS_SHEET}]" if place.is_file() else place / SETTINGS
        raise InputError(f"{file}: not readable as TOML: {bad}.") from None


def _settings_text(place: Path) -> str:
    if place.is_file():
        return _settings_sheet(place)
    file = place / SETTINGS
    if not file.exists():
        return ""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as bad:
        raise InputError(f"{file}: cannot be read ({bad}).") from None


def _settings_sheet(book: Path) -> str:
    if SETTINGS_SHEET not in sheet_names(book):
        return ""
    lines = read_table(book, sheet=SETTINGS_SHEET, least_rows=0)["line"]
    return "\n".join(line or "" for line in lines)


def _digest(place: Path) -> str:
    if place.is_file():
        return digest_of(place.read_bytes())
    names = [f"{t}.csv" for t in TABLES] + [PACKAGE, SETTINGS]
    files = [place / n for n in names if (place / n).exists()]
    return digest_of(*(part for f in files for part in (f.name, f.read_bytes())))


def contradictions(findings: Iterable[Finding]) -> dict[tuple[object, ...], list[Finding]]:
    """Findings that state the same statistic of the same cell more than once, by that cell."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for f in findings:
        groups.setdefault((*cell_of(f), f.statistic), []).append(f)
    return {key: group for key, group in groups.items() if len(group) > 1}


def cell_of(f: Finding) -> tuple[object, ...]:
    """What a finding's number is about; the statistics of one cell belong together."""
    return (
        f.trial,
        f.arm,
        f.outcome,
        f.scale,
        f.days_from_first_dose,
        f.days_from_last_dose,
        f.analysis_set,
        f.estimator,
        f.period,
    )


def chosen(findings: Iterable[Finding]) -> list[Finding]:
    """The findings with a value that no contradicting finding replaces."""
    return [f for f in findings if f.chosen and f.value is not None]


def row_counts(base: Base) -> Counter[str]:
    """How many trials, arms, findings and absences a base holds."""
    return Counter(
        trials=len(base.trials),
        arms=sum(len(t.arms) for t in base.trials),
        findings=len(base.findings),
        absences=sum(f.status == "not_reported" for f in base.findings),
        sources=len(base.sources),
    )
