"""A base as files: an empty one to fill in, one Excel workbook, a folder of CSV, or JSON."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from klarsyn.errors import InputError, unknown_name
from klarsyn.evidence.base import (
    ABOUT_SHEET,
    EXCEL,
    PACKAGE,
    SETTINGS,
    SETTINGS_SHEET,
    package_of,
    settings_text,
)
from klarsyn.evidence.schema import TABLES, Field, TableSchema
from klarsyn.evidence.trial import Base
from klarsyn.evidence.vocabulary import LISTS
from klarsyn.tables import csv_text, whole_files, write_text

Rows = Sequence[Mapping[str, object]]
FORMATS = ("folder", "xlsx", "json")
_TYPES = {"number": "number", "count": "integer", "whole": "integer", "truth": "boolean"}

README = """# {name}: an evidence base

One row per trial in `trials.csv`, per group in `arms.csv`, and one number a row in `findings.csv`.
Every name in a closed list must stand in `vocabulary.csv` (lists of this base) or in the lists
below (lists of the engine). A number that was looked for and not found is a row with the status
`not_reported` and an empty value. Times are in days. `klarsyn evidence check {path}` tests the
arithmetic of every record.

## An example to copy

`trials.csv`: trial_id `smith_2020`, label `Smith 2020`, design `parallel`, comparator `inert`,
participants `40`, source_id `smith_2020`.
`arms.csv`: trial_id `smith_2020`, arm_id `drug`, label `drug 10 mg`, treatment `drug`, role `test`,
randomised `20`; and the same for the control.
`findings.csv`: finding_id `smith_2020:1`, trial_id `smith_2020`, arm_id `drug`, outcome
`symptom_score`, scale `SCALE`, days_from_first_dose `28`, analysis_set `itt`, estimator `raw`,
statistic `mean`, value `18.2`, unit `points`, source_id `smith_2020`, locator `Table 2`, kind
`reported`, confidence `primary`, status `reported`, chosen `true`.
`vocabulary.csv`: list `outcome`, name `symptom_score`, definition `total score of a symptom scale`;
list `treatment`, name `drug`, definition `the drug at its usual dose`.
`scales.csv`: name `SCALE`, label `Symptom scale`, minimum `0`, maximum `60`, higher_is `worse`,
integer `true`.
`sources.csv`: source_id `smith_2020`, citation `Smith J. Journal 2020;1:1-9`.

## Tables
{tables}
## Closed lists of the engine
{lists}"""

SETTINGS_START = """# What is asked of this base. Each line may be left out: the data then decide.
# Take away the leading "# " to use one.
# title = { en = "Drug for a disorder", nb = "Legemiddel mot en sykdom" }
# drug = { en = "the drug", nb = "legemiddelet" }
# points_scale = "SCALE"
# scales = ["SCALE"]
# comparators = ["inert", "psychoactive"]
# outcomes = ["symptom_score", "symptom_change"]
# binary_outcomes = ["response"]
# treatments = ["drug"]
# harms = ["ae_nausea"]
# rare_harms = ["death"]
# rates_to_exclude = [0.01, 0.001]
# selection = "review"

# [pooling]
# measure = "SMD"
# method = "REML"
# test = "knha"

# Trials of interest by name: klarsyn evidence select DIR review
# [selections.review]
# criteria = ["controlled", "repeated", "participants>=50", "followup_days>=28"]

# What to count as known of each trial: klarsyn evidence known DIR
# [[questions]]
# name = "spread of the primary outcome"
# outcomes = ["symptom_score"]
# statistics = ["sd", "se"]

# Each harm that matters, with the outcomes that speak of it: a block of the page
# [[harm_blocks]]
# id = "heart"
# label = { en = "Heart", nb = "Hjerte" }
# outcomes = ["ae_arrhythmia"]

# A trial with a margin against the reference treatment, and the trial to hold beside it
# [noninferiority]
# trial = "smith_2020"
# outcome = "response"
# margin = 0.10
# margin_basis = { en = "declared by the trial", nb = "oppgitt av studien" }
# refusals = "dropout_before_treatment"
# elsewhere = { trial = "jones_2021", outcome = "remission" }
# anchor = "remission"

# Differences between groups that count as small, moderate and large, in points
# [findings.thresholds]
# small = 2
# moderate = 5
# large = 8
# origin = { en = "who declared them, and why", nb = "hvem som valgte dem, og hvorfor" }

# What a person has decided: until all five domains of an outcome are here, it stays a suggestion
# [[findings.confirmed]]
# outcome = "day1.inert.symptoms"
# domain = "risk of bias"
# change = -1
# who = "A. Reader"
# when = "2026-01-01"
# why = "one sentence"
"""


def new_base(folder: str | Path) -> Path:
    """Make an empty base: every table with its header, the schema and a README with an example.

    Raises InputError when the folder already has a table of a base.
    """
    place = Path(folder)
    there = [n for n in (*(f"{t}.csv" for t in TABLES), PACKAGE) if (place / n).exists()]
    if there:
        raise InputError(
            f"{place} already has {', '.join(there)}. Choose an empty or new folder; nothing was "
            f"changed."
        )
    name = place.resolve().name
    files = {f"{t.name}.csv": _csv(t, []).encode() for t in TABLES.values()}
    files[PACKAGE] = _json(data_package(name, name)).encode()
    files["README.md"] = _readme(name, str(place)).encode()
    files[SETTINGS] = SETTINGS_START.encode()
    whole_files(place, files)
    return place


def data_package(
    name: str, title: str, tables: Sequence[str] = tuple(TABLES), **more: object
) -> dict[str, object]:
    """The Frictionless Tabular Data Package descriptor of a base, with every column's schema.

    `more` are further properties, such as licenses and sources.
    """
    return {
        "profile": "tabular-data-package",
        "name": name,
        "title": title,
        **more,
        "resources": [_resource(TABLES[t]) for t in tables],
    }


def export_base(base: Base, out: str | Path, form: str | None = None) -> Path:
    """Write a base as `folder` (CSV tables), `xlsx` (one workbook) or `json`; whole or not at all.

    Without `form` the ending of `out` decides. A folder or workbook opens again as the same base.
    """
    place = Path(out)
    chosen = form or _form(place)
    if chosen not in FORMATS:
        raise unknown_name("format", chosen, FORMATS)
    tables = rows_of(base)
    if chosen == "folder":
        whole_files(place, _folder(base, tables))
    elif chosen == "json":
        write_text(place, _json({"name": base.name, "title": base.title, **tables}))
    else:
        whole_files(place.parent, {place.name: _workbook(base, tables)})
    return place


def rows_of(base: Base) -> dict[str, list[dict[str, object]]]:
    """Every table of the base as rows with the columns of its schema."""
    records: dict[str, Sequence[Any]] = {
        "trials": base.trials,
        "arms": [a for t in base.trials for a in t.arms],
        "findings": base.findings,
        "sources": list(base.sources.values()),
        "scales": list(base.scales.values()),
        "vocabulary": [term for terms in base.terms.values() for term in terms],
        "guesses": base.guesses,
        "guess_outcomes": base.guess_outcomes,
        "inclusion": base.inclusion,
        "correlations": base.correlations,
        "riskofbias": base.risk_answers,
        "riskofbias_published": base.published_risks,
    }
    tables = {
        name: [_row(TABLES[name], record) for record in group] for name, group in records.items()
    }
    if any(t.origin != "published" for t in base.trials):
        for row, trial in zip(tables["trials"], base.trials, strict=True):
            row["origin"] = trial.origin
    columns = [f.name for f in TABLES["published"].fields]
    tables["published"] = [{c: row[c] for c in columns} for row in base.published]
    return {name: tables[name] for name in TABLES}


def _form(place: Path) -> str:
    ending = place.suffix.lower()
    if ending in EXCEL:
        return "xlsx"
    if ending == ".json":
        return "json"
    if ending == "":
        return "folder"
    raise InputError(
        f"{place}: an export ends in .xlsx or .json, or is a folder without an ending."
    )


def _row(schema: TableSchema, record: Any) -> dict[str, object]:
    values = {f.name: getattr(record, f.attribute or f.name) for f in schema.fields}
    if "cited_by" in values:
        values["cited_by"] = ";".join(record.cited_by)
    return values


def _folder(base: Base, tables: Mapping[str, Rows]) -> dict[str, bytes]:
    filled = [n for n, rows in tables.items() if rows or TABLES[n].required]
    files = {f"{n}.csv": _csv(TABLES[n], tables[n]).encode() for n in filled}
    more = {k: v for k, v in package_of(base.location).items() if k not in {"name", "title"}}
    files[PACKAGE] = _json(data_package(base.name, base.title, filled, **more)).encode()
    settings = settings_text(base.location)
    return files | ({SETTINGS: settings.encode()} if settings else {})


def _csv(schema: TableSchema, rows: Rows) -> str:
    names = _columns(schema, rows)
    return csv_text(names, ([_cell(row[n]) for n in names] for row in rows))


def _columns(schema: TableSchema, rows: Rows) -> list[str]:
    more = ["origin"] if schema.name == "trials" and any("origin" in r for r in rows) else []
    return [f.name for f in schema.fields] + more


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return str(value)


def _workbook(base: Base, tables: Mapping[str, Rows]) -> bytes:
    import xlsxwriter

    buffer = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book = xlsxwriter.Workbook(buffer, options)
    book.set_properties({"created": datetime(2000, 1, 1), "title": base.title})
    bold = book.add_format({"bold": True})
    for name, rows in tables.items():
        names = _columns(TABLES[name], rows)
        sheet = book.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        sheet.write_row(0, 0, names, bold)
        for i, row in enumerate(rows, start=1):
            for j, column in enumerate(names):
                _write(sheet, i, j, row[column])
    about = book.add_worksheet(ABOUT_SHEET)
    about.write_row(0, 0, ["name", "title"], bold)
    about.write_row(1, 0, [base.name, base.title])
    settings = settings_text(base.location)
    if settings:
        sheet = book.add_worksheet(SETTINGS_SHEET)
        for i, line in enumerate(["line", *settings.splitlines()]):
            sheet.write_string(i, 0, line)
    book.close()
    return buffer.getvalue()


def _write(sheet: Any, i: int, j: int, value: object) -> None:
    if value is None or value == "":
        return
    if isinstance(value, bool):
        sheet.write_string(i, j, str(value).lower())
    elif isinstance(value, (int, float)):
        sheet.write_number(i, j, value)
    else:
        sheet.write_string(i, j, str(value))


def _json(value: object) -> str:
    plain = json.dumps(value, ensure_ascii=False, indent=2, default=_plain, allow_nan=False)
    return plain + "\n"


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON.")


def _resource(schema: TableSchema) -> dict[str, object]:
    described: dict[str, object] = {"fields": [_described(f) for f in schema.fields]}
    if schema.key:
        described["primaryKey"] = list(schema.key)
    links = [
        {"fields": f.name, "reference": {"resource": f.table, "fields": TABLES[f.table].key[0]}}
        for f in schema.fields
        if f.table
    ]
    if links:
        described["foreignKeys"] = links
    described["missingValues"] = [""]
    return {
        "name": schema.name,
        "path": f"{schema.name}.csv",
        "profile": "tabular-data-resource",
        "description": schema.meaning,
        "format": "csv",
        "encoding": "utf-8",
        "schema": described,
    }


def _described(field: Field) -> dict[str, object]:
    constraints: dict[str, object] = {}
    if not field.empty:
        constraints["required"] = True
    if field.list in LISTS:
        constraints["enum"] = [n for n in LISTS[field.list] if n]
    minimum = 0 if field.kind == "count" else field.minimum
    if minimum is not None:
        constraints["minimum"] = minimum
    meaning = field.meaning
    if field.list and field.list not in LISTS:
        meaning += f" (list `{field.list}` of vocabulary.csv)"
    described: dict[str, object] = {
        "name": field.name,
        "type": _TYPES.get(field.kind, "string"),
        "description": meaning,
    }
    return described | ({"constraints": constraints} if constraints else {})


def _readme(name: str, path: str) -> str:
    tables = "".join(
        f"\n### {t.name}.csv\n{t.meaning}{'' if t.required else ' (may be missing)'}\n\n"
        + "".join(f"- `{f.name}`: {f.meaning}\n" for f in t.fields)
        for t in TABLES.values()
    )
    lists = "".join(
        f"\n### {name}\n" + "".join(f"- `{n}`: {meaning}\n" for n, meaning in terms.items() if n)
        for name, terms in LISTS.items()
    )
    return README.format(name=name, path=path, tables=tables, lists=lists)
