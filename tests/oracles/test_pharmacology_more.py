"""Substance, doses in words, event tables, SBML and NCA, against values made apart.

`pharmacology_more/make.py` says how `pharmacology_more.csv` is made. A row whose method or quantity
has no computation here fails. A value of null is a quantity that does not exist for these inputs.
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

from klarsyn.app.cli import main
from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.pharmacology.events import read_events, write_events
from klarsyn.pharmacology.kinetics import is_linear, solve
from klarsyn.pharmacology.nca import Profile, analyse_profile
from klarsyn.pharmacology.sbml import read_sbml
from klarsyn.pharmacology.substance import formula_mass, mix, read_substance, resolve
from klarsyn.pharmacology.system import System, build_system

FILE = Path(__file__).with_name("pharmacology_more.csv")
FOLDER = Path(__file__).with_name("pharmacology_more")
Inputs = dict[str, Any]


def rows() -> list[dict[str, str]]:
    with FILE.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def mass(i: Inputs, _: str) -> float:
    return formula_mass(i["formula"])


def salt(i: Inputs, quantity: str) -> float:
    substance, name, mg = read_substance(i["substance"]), i["salt"], i["mg"]
    return {
        "base in salt": lambda: substance.base_mass(mg, name),
        "salt of base": lambda: substance.salt_mass(mg, name),
        "micromol of base": lambda: substance.micromoles(mg, "base"),
        "micromol of salt": lambda: substance.micromoles(mg, name),
    }[quantity]()


def excess(i: Inputs, quantity: str) -> float:
    form = read_substance(i["substance"]).form(i["form"])
    label, other = i["label"], i["other"]
    return {
        "share": form.shares[label],
        "other share": form.shares[other],
        "excess": form.excess(label),
        "excess of the other": form.excess(other),
    }[quantity]


def mixture(i: Inputs, quantity: str) -> float:
    substance = read_substance(i["substance"])
    form = mix([(substance.form(name), mass) for name, mass in i["parts"]])
    return {"excess of S": form.excess("S"), "share of S": form.shares["S"]}[quantity]


def resolution(i: Inputs, quantity: str) -> float:
    found = resolve(
        yield_per_round=i["yield"],
        excess=i["excess"],
        racemised=i["racemised"],
        rounds=i["rounds"],
    )
    if quantity == "excess of product":
        return (found.wanted - found.unwanted) / found.product
    if quantity == "excess of the other in the liquor":
        return found.excess_left
    return getattr(found, quantity)


def words(i: Inputs, quantity: str) -> Any:
    regimen = parse_regimen(i["text"])
    assert parse_regimen(str(regimen)) == regimen, "what is printed parses to something else"
    given = regimen.given(i["weight"])
    return {
        "hours": [g.time for g in given],
        "milligrams": [g.milligrams for g in given],
        "basis": [g.basis for g in given],
        "durations": [g.duration for g in given],
        "count": len(given),
    }[quantity]


def body(p: Inputs) -> System:
    here = p["compartments"]
    flows: dict[str, list[str]] = {c: [] for c in here}
    flows["central"].append("-CL/V*central")
    if "depot" in here:
        flows["depot"].append("-ka*depot")
        flows["central"].append("ka*depot")
    if "peripheral" in here:
        flows["central"].append("-Q/V*central + Q/V2*peripheral")
        flows["peripheral"].append("Q/V*central - Q/V2*peripheral")
    special = {k: {c: str(v) for c, v in p.get(k, {}).items()}
               for k in ("F", "lag", "rate", "duration")}  # fmt: skip
    return build_system(
        compartments=here,
        equations={c: " + ".join(terms) for c, terms in flows.items()},
        parameters={k: float(p[k]) for k in ("CL", "V", "Q", "V2", "ka") if k in p},
        outputs={c: c for c in here},
        bioavailability=special["F"],
        lag=special["lag"],
        rate=special["rate"],
        duration=special["duration"],
    )


@cache
def seen(table: str, model: str, path: Path) -> Any:
    p = json.loads(model)
    file, again = path / "events.csv", path / "again.csv"
    file.write_text(table)
    (subject,) = read_events(file, p["compartments"])
    write_events(again, [subject])
    assert read_events(again, p["compartments"]) == (subject,), "written and read: another table"
    return solve(body(p), subject.doses, subject.times, resets=subject.resets)


def profile(i: Inputs) -> Profile:
    levels = [math.nan if c is None else c for c in i["levels"]]
    return analyse_profile(
        i["times"],
        levels,
        rule=i.get("rule", "linear-up log-down"),
        dose=i.get("dose"),
        infusion=i.get("infusion", 0.0),
        partial=i.get("partial", ()),
        tau=i.get("tau"),
    )


def quantity_of(found: dict[str, Any], quantity: str) -> Any:
    """A quantity of a profile, as the API and the command's JSON both write it."""
    if quantity.startswith("partial"):
        start, end = (float(x) for x in quantity.split()[1:])
        return next(p[2] for p in found["partial"] if (p[0], p[1]) == (start, end))
    if quantity.startswith("interval"):
        return found["interval"][quantity.split()[1]]
    if quantity == "slope_points" and found["slope"] is None:
        return None
    return found[quantity]


@cache
def model_of(file: str) -> System:
    return read_sbml(FOLDER / file)


def sbml(i: Inputs, quantity: str) -> Any:
    system = model_of(i["file"])
    if quantity == "is linear":
        return is_linear(system)
    return solve(system, [], i["times"]).outputs[quantity]


def nca(i: Inputs, quantity: str) -> Any:
    return quantity_of(profile(i).to_dict(), quantity)


METHODS: dict[str, Callable[[Inputs, str], Any]] = {
    "formula_mass": mass,
    "salt": salt,
    "excess": excess,
    "mixture": mixture,
    "resolution": resolution,
    "words": words,
    "sbml": sbml,
    "nca": nca,
}


def close(found: Any, expected: Any, tolerance: float) -> None:
    if expected is None or isinstance(expected, str | bool):
        assert found == expected
        return
    if isinstance(expected, list) and expected and isinstance(expected[0], str):
        assert list(found) == expected
        return
    assert found is not None, "no value where the reference has one"
    a, b = np.atleast_1d(np.asarray(found, float)), np.atleast_1d(np.asarray(expected, float))
    assert a.shape == b.shape
    scale = np.max(np.abs(b)) * 1e-9 if len(b) > 1 else 0.0  # a tail beside its peak
    assert np.all(np.abs(a - b) <= tolerance * np.maximum(np.abs(b), scale) + 1e-300)


ROWS = rows()


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda r: f"{r['method']}|{r['example_id']}|{r['quantity']}"
)
def test_a_value_made_apart(row: dict[str, str], tmp_path_factory) -> None:
    i, expected = json.loads(row["inputs_json"]), json.loads(row["value"])
    if row["method"] == "events":
        folder = tmp_path_factory.getbasetemp()
        course = seen(i["table"], json.dumps(i["model"]), folder)
        found: Any = course.outputs[row["quantity"]]
    else:
        found = METHODS[row["method"]](i, row["quantity"])
    close(found, expected, float(row["tolerance"]))


def profiles() -> list[tuple[str, Inputs, dict[str, tuple[Any, float]]]]:
    """Each profile of the table that a command can be given, with all its quantities."""
    found: dict[str, tuple[str, Inputs, dict[str, tuple[Any, float]]]] = {}
    for row in ROWS:
        if row["method"] == "nca":
            name, i = row["example_id"], json.loads(row["inputs_json"])
            value = (json.loads(row["value"]), float(row["tolerance"]))
            found.setdefault(name, (name, i, {}))[2][row["quantity"]] = value
    return list(found.values())


@pytest.mark.parametrize(("name", "i", "expected"), profiles(), ids=[p[0] for p in profiles()])
def test_the_command_gives_the_same(name, i, expected, tmp_path, capsys) -> None:
    file = tmp_path / "levels.csv"
    lines = [f"{t!r},{'' if c is None else 'BLQ' if c == 0 else repr(c)}"
             for t, c in zip(i["times"], i["levels"], strict=True)]  # fmt: skip
    file.write_text("\n".join(["time,concentration", *lines]))
    options = [f"--{k}={i[k]!r}" for k in ("dose", "infusion", "tau") if k in i]
    options += [f"--partial={a},{b}" for a, b in i.get("partial", ())]
    options += ["--linear"] * ("rule" in i)
    main(["nca", str(file), "--json", *options])
    (found,) = json.loads(capsys.readouterr().out)["profiles"]
    for quantity, (value, tolerance) in expected.items():
        close(quantity_of(found, quantity), value, tolerance)


SAME = [
    ("28 mg hydrochloride nasal in 2 portions 5 min apart",
     f"{28 * 237.727 / 274.185!r} mg base nasal in 2 sprays 5 min apart", 2e-5),
    ("0.5 mg/kg base iv over 40 min", "35 mg base intravenous over 40 minutes", 1e-12),
    ("30 mg base im, 3 parts 5 min apart",
        "10 mg base im; 10 mg base im at 5 min; 10 mg base im at 10 min",
        1e-9),
    ("5000 ug base im, daily for 3 days", "5 mg base im, every 24 h, 3 doses", 1e-12),
    ("10 mg base iv over 2 h; 20 mg base iv over 1 h at 1 h",
     "5 mg base iv over 1 h; 25 mg base iv over 1 h at 1 h", 1e-9),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second", "tolerance"), SAME)
def test_regimens_that_give_the_same_expose_the_same(first, second, tolerance, capsys) -> None:
    """Molar masses of the table above; a dose per kg at 70 kg; a sum of infusions."""
    areas = []
    for words_given in (first, second):
        main(["simulate", "--substance", "ketamine", "--n", "2", "--typical", "--exposure-only",
              "--json", "--regimen", words_given])  # fmt: skip
        found = json.loads(capsys.readouterr().out)["analytes"]
        areas.append([a["auc"]["p50"] for a in found.values()])
    close(areas[0], areas[1], tolerance)
