"""A made-up base of four trials of drug X against depression, as rows that tests may change."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from klarsyn.evidence.schema import TABLES

SETTINGS = """
[selections.review]
criteria = ["route=iv", "controlled", "doses_per_week=2..3", "participants>=50"]
"""


def trial(trial_id: str, **rest: object) -> dict[str, object]:
    return {"trial_id": trial_id, "label": trial_id.title(), "source_id": "s1"} | rest


def arm(trial_id: str, arm_id: str, role: str, **rest: object) -> dict[str, object]:
    treatment = "x_iv" if role == "test" else "saline"
    return {
        "trial_id": trial_id,
        "arm_id": arm_id,
        "label": arm_id,
        "treatment": treatment,
        "role": role,
        "drug": "x" if role == "test" else "saline",
        "route": "iv",
    } | rest


def finding(
    trial_id: str, number: int, arm_id: str, statistic: str, value: object, **rest: object
) -> dict[str, object]:
    return {
        "finding_id": f"{trial_id}:{number}",
        "trial_id": trial_id,
        "arm_id": arm_id,
        "outcome": "depression_score",
        "scale": "MADRS",
        "days_from_first_dose": 28,
        "analysis_set": "observed",
        "estimator": "raw",
        "statistic": statistic,
        "value": value,
        "unit": "points",
        "source_id": "s1",
        "locator": "Table 1",
        "kind": "reported",
        "confidence": "primary",
        "status": "reported" if value is not None else "not_reported",
        "chosen": "true",
    } | rest


def small() -> dict[str, list[dict[str, object]]]:
    """Fresh tables of the whole base: change a row, write it, open it."""
    parallel = {"design": "parallel", "randomised": "true", "blinding": "double_blind"}
    long = {"doses": 8, "doses_per_week": 2, "treatment_days": 25}
    return {
        "trials": [
            trial(
                "alpha", participants=60, comparator="inert", followup_days=28, **parallel, **long
            ),
            trial("beta", participants=20, comparator="inert", **parallel, **long),
            trial("gamma", participants=90, comparator="inert", doses=1, **parallel),
            trial("delta", comparator="none", design="single_arm", participants=70),
        ],
        "arms": [
            arm("alpha", "x", "test", randomised=30, started=30, completed=25),
            arm("alpha", "p", "control", randomised=30, started=29, completed=27),
            arm("beta", "x", "test", randomised=10),
            arm("beta", "p", "control", randomised=10),
            arm("gamma", "x", "test", route="", randomised=45),
            arm("gamma", "p", "control", randomised=45),
            arm("delta", "x", "test"),
        ],
        "findings": [
            finding("alpha", 1, "x", "mean", 20.4),
            finding("alpha", 2, "x", "sd", 8.1),
            finding("alpha", 3, "x", "n", 25, unit="participants"),
            finding("alpha", 4, "p", "mean", 24.5),
            finding("alpha", 5, "p", "sd", 7.9),
            finding("alpha", 6, "p", "n", 26, unit="participants"),
            finding("alpha", 7, "x|p", "mean_difference", -4.1, estimator="model"),
            finding("alpha", 8, "x|p", "ci95_lower", -8.5, estimator="model"),
            finding("alpha", 9, "x|p", "ci95_upper", 0.3, estimator="model"),
            finding("alpha", 10, "x", "events", 12, outcome="response", unit="participants"),
            finding("alpha", 11, "x", "n", 25, outcome="response", unit="participants"),
            finding("alpha", 12, "x", "percent", 48, outcome="response", unit="percent"),
            finding("beta", 1, "x", "sd", None),
        ],
        "sources": [{"source_id": "s1", "citation": "Author A. Journal 2020."}],
        "scales": [
            {
                "name": "MADRS",
                "label": "Montgomery-Asberg",
                "minimum": 0,
                "maximum": 60,
                "higher_is": "worse",
                "integer": "true",
                "items": 10,
            }
        ],
        "vocabulary": [
            *(
                {"list": "outcome", "name": n, "definition": n.replace("_", " ")}
                for n in ("depression_score", "depression_change", "response", "age")
            ),
            {"list": "treatment", "name": "x_iv", "definition": "X by vein"},
            {"list": "treatment", "name": "saline", "definition": "salt water"},
            {"list": "drug", "name": "x", "definition": "X"},
            {"list": "drug", "name": "saline", "definition": "salt water"},
            {"list": "route", "name": "iv", "definition": "by vein"},
            {"list": "route", "name": "nasal", "definition": "by nose"},
        ],
        "guesses": [
            {
                "trial_id": "alpha",
                "arm_id": "x",
                "respondent": "patient",
                "correct": 20,
                "wrong": 5,
                "dont_know": 5,
                "total": 30,
                "kind": "reported",
            }
        ],
        "guess_outcomes": [
            {
                "trial_id": "alpha",
                "arm_id": "x",
                "guess": "test",
                "outcome": "depression_score",
                "scale": "MADRS",
                "n": 20,
                "mean": 18.5,
                "sd": 7,
                "kind": "reported",
            }
        ],
        "inclusion": [
            {"assessment": "agency", "trial_id": "alpha", "included": "true"},
            {"assessment": "agency", "trial_id": "beta", "included": "false", "reason": "small"},
        ],
    }


def csv_text(table: str, rows: list[dict[str, object]]) -> str:
    names = [f.name for f in TABLES[table].fields]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows([{k: "" if v is None else v for k, v in row.items()} for row in rows])
    return out.getvalue()


def write_base(folder: Path, tables: dict[str, list[dict[str, object]]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        (folder / f"{name}.csv").write_text(csv_text(name, rows), encoding="utf-8")
    (folder / "appraisal.toml").write_text(SETTINGS, encoding="utf-8")
    package = {"name": "small", "title": "A small base"}
    (folder / "datapackage.json").write_text(json.dumps(package), encoding="utf-8")
    return folder
