"""What `simulate` prints, writes and draws is one set of numbers, and obeys what must hold."""

from __future__ import annotations

import csv
import itertools
import json
import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from klarsyn.app.cli import main
from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.pharmacology.model import read_model
from klarsyn.pharmacology.session import Patients, Simulation, simulate_session
from klarsyn.pharmacology.substance import read_substance

ROUNDED = 1e-9  # a linear model of more or less drug: rounding of exact exponentials
SHOWN = ("cmax", "tmax", "auc", "half_life")
ENDS = {"p2.5": 2.5, "p5": 5, "p25": 25, "p50": 50, "p75": 75, "p95": 95, "p97.5": 97.5}
BASE = ["simulate", "--substance", "ketamine", "--seed", "11"]
INFUSION = ["--route", "iv", "--infusion", "40 min"]
DOSE = ["--dose", "0.5 mg/kg base", *INFUSION]
SIX = "0.5 mg/kg base iv over 40 min, twice a week for 3 weeks"


def run(capsys, *more: str) -> str:
    capsys.readouterr()
    main([*BASE, *more])
    return capsys.readouterr().out


def table(capsys, path: Path, *more: str) -> pl.DataFrame:
    run(capsys, *more, "--exposure-only", "--out", str(path))
    return pl.read_parquet(path)


def of(frame: pl.DataFrame, analyte: str, metric: str) -> np.ndarray:
    return frame.filter(pl.col("analyte") == analyte).sort("subject")[metric].to_numpy()


def cells_of(page: str, analytes: int) -> list[list[list[str]]]:
    """Numbers as drawn in the page's table of exposure: analyte, metric, then 1 or 3 of them."""
    start = page.index('id="table-exposure"')
    body = page[start : page.index("</table>", start)]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", r, re.S) for r in body.split("<tr")[2:]]
    assert len(rows) == analytes
    return [[re.findall(r"[0-9.]+", cell) for cell in row[1:]] for row in rows]


def test_table_json_parquet_and_page_hold_the_same_numbers(capsys, tmp_path) -> None:
    files = {n: str(tmp_path / n) for n in ("run.parquet", "run.csv", "run.html")}
    asked = [*DOSE, "--n", "40", "--followed", "3", "--days", "2"]
    text = run(capsys, *asked, "--out", files["run.parquet"], "--report", files["run.html"])
    found = json.loads(run(capsys, *asked, "--json", "--out", files["run.csv"]))["analytes"]
    frame = pl.read_parquet(files["run.parquet"])
    with Path(files["run.csv"]).open(encoding="utf-8") as file:
        plain = list(csv.DictReader(file))
    assert [float(r["auc"]) for r in plain] == frame["auc"].to_list()
    flat = " ".join(text.split())
    page = cells_of(Path(files["run.html"]).read_text(encoding="utf-8"), len(found))
    assert set(found) == set(frame["analyte"].unique())
    for (analyte, shown), drawn in zip(found.items(), page, strict=True):
        for metric, cell_drawn in zip(SHOWN, drawn, strict=True):
            values = np.sort(of(frame, analyte, metric))
            for name, percent in ENDS.items():
                place = percent / 100 * (len(values) - 1)
                low = math.floor(place)
                high = min(low + 1, len(values) - 1)
                own = values[low] + (place - low) * (values[high] - values[low])
                assert shown[metric][name] == pytest.approx(own, rel=1e-12)
            low, middle, high = (f"{shown[metric][p]:.4g}" for p in ("p5", "p50", "p95"))
            cell = middle if low == high else f"{middle} ({low} to {high})"
            assert cell in flat
            three = [shown[metric][p] for p in ("p50", "p5", "p95")]
            for said, value in zip(cell_drawn, three, strict=False):
                decimals = len(said.partition(".")[2])
                assert float(said) == pytest.approx(value, rel=1e-9, abs=0.5001 * 10**-decimals)


def test_the_first_patients_of_many_are_the_patients_of_few(capsys, tmp_path) -> None:
    few = table(capsys, tmp_path / "few.parquet", *DOSE, "--n", "7", "--weight-sd", "12")
    many = table(capsys, tmp_path / "many.parquet", *DOSE, "--n", "1003", "--weight-sd", "12")
    kept = many.filter(pl.col("subject") < 7)
    for metric in (*SHOWN, "weight_kg"):
        for analyte in few["analyte"].unique():
            assert of(kept, analyte, metric).tolist() == of(few, analyte, metric).tolist()


def test_half_the_dose_gives_half_the_area_and_peak_in_every_patient(capsys, tmp_path) -> None:
    whole = table(capsys, tmp_path / "whole.parquet", *DOSE, "--n", "25")
    half = table(
        capsys, tmp_path / "half.parquet", "--dose", "0.25 mg/kg base", *INFUSION, "--n", "25"
    )
    for analyte in whole["analyte"].unique():
        for metric in ("auc", "cmax"):
            ratio = of(half, analyte, metric) / of(whole, analyte, metric)
            assert ratio == pytest.approx(np.full(25, 0.5), rel=ROUNDED)
        for metric in ("tmax", "half_life"):
            same = of(half, analyte, metric)
            assert same == pytest.approx(of(whole, analyte, metric), rel=ROUNDED)


@pytest.mark.parametrize(
    ("form", "share"),
    [("racemate", 0.5), ("S", 1.0), ("R", 0.0), ("S 98 % ee", 0.99), ("R 98 % ee", 0.01)],
)
def test_a_form_is_its_enantiomers_given_apart(form, share, capsys, tmp_path) -> None:
    mixed = table(capsys, tmp_path / "mixed.parquet", *DOSE, "--form", form, "--n", "9")
    for letter, part in (("S", share), ("R", 1 - share)):
        alone = table(capsys, tmp_path / "alone.parquet", *DOSE, "--form", letter, "--n", "9")
        for analyte in alone["analyte"].unique():
            for metric in ("auc", "cmax"):
                if not part:
                    assert analyte not in mixed["analyte"].unique()
                    continue
                own = of(mixed, analyte, metric)
                assert own == pytest.approx(part * of(alone, analyte, metric), rel=ROUNDED)
    if 0 < share < 1:
        total = of(mixed, "S-ketamine", "auc") + of(mixed, "R-ketamine", "auc")
        assert of(mixed, "ketamine", "auc") == pytest.approx(total, rel=ROUNDED)


def test_two_regimens_meet_patients_with_the_same_parameters(capsys, tmp_path) -> None:
    once = table(capsys, tmp_path / "once.parquet", *DOSE, "--n", "12")
    six = table(capsys, tmp_path / "six.parquet", "--regimen", SIX, "--n", "12")
    for analyte in once["analyte"].unique():
        assert of(six, analyte, "half_life").tolist() == of(once, analyte, "half_life").tolist()
        sixfold = 6 * of(once, analyte, "auc")
        assert of(six, analyte, "auc") == pytest.approx(sixfold, rel=ROUNDED)


def test_areas_by_trapezoids_are_said_and_lie_within_a_thousandth(capsys, tmp_path) -> None:
    paths = [tmp_path / "one.csv", tmp_path / "six.csv"]
    arterial = ["--model", "KSR-1-arterial", "--n", "4", "--exposure-only"]
    single = SIX.partition(",")[0]
    one = run(capsys, *arterial, "--regimen", single, "--out", str(paths[0]))
    six = run(capsys, *arterial, "--regimen", SIX, "--out", str(paths[1]))
    said = "areas are trapezoids to the last time"
    assert said not in " ".join(one.split())
    assert said in " ".join(six.split())
    exact, stepped = (pl.read_csv(p) for p in paths)
    for analyte in ("S-ketamine", "R-ketamine", "S-norketamine", "R-norketamine"):
        ratio = of(stepped, analyte, "auc") / of(exact, analyte, "auc")
        assert ratio == pytest.approx(np.full(4, 6.0), rel=1e-3)


@cache
def followed(n: int, form: str = "racemate", words: str = SIX, days: float = 28.0) -> Simulation:
    return simulate_session(
        read_substance("ketamine"),
        form=form,
        regimen=parse_regimen(words),
        model=read_model("KSR-1"),
        patients=Patients(n=n, seed=11, followed=n),
        days=days,
    )


def numbers(found: Any, path: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(found, dict):
        for key, value in found.items():
            yield from numbers(value, f"{path}.{key}")
    elif isinstance(found, list):
        for value in found:
            yield from numbers(value, path)
    elif isinstance(found, float):
        yield path, found


@pytest.mark.parametrize(
    ("n", "form", "words", "days"),
    [
        (4, "racemate", SIX, 28.0),
        (1, "S", "0.5 mg/kg base iv over 40 min", 1.0),
        (1, "R", "0.5 mg/kg base iv over 40 min", 0.5),
        (2, "S 98 % ee", "0.000001 mg/kg base iv over 40 min", 3.0),
        (2, "racemate", "50 mg/kg base iv over 40 min", 3.0),
        (2, "S", "84 mg base nasal in 3 portions 5 min apart, twice a week for 2 weeks", 7.0),
        (2, "racemate", "0.5 mg/kg base im", 2.0),
    ],
)
def test_courses_are_finite_ordered_and_within_their_range(n, form, words, days) -> None:
    simulation = followed(n, form, words, days)
    assert all(math.isfinite(v) for _, v in numbers(json.loads(json.dumps(simulation.to_dict()))))
    assert simulation.crossed is not None
    courses = simulation.crossed.to_dict()["courses"]
    for name, course in courses.items():
        for over in ("between_sets", "between_patients"):
            lines = [np.array(course[over][p]) for p in ("p5", "p25", "p50", "p75", "p95")]
            for below, above in itertools.pairwise(lines):
                assert np.all(below <= above), (name, over)
            if name in {"occupancy", "surviving"}:
                assert np.all((lines[0] >= 0) & (lines[-1] <= 1)), name
            if name in {"score", "placebo"}:
                assert np.all((lines[0] >= 0) & (lines[-1] <= 60)), name
            if name == "below_placebo":
                assert np.all(lines[0] >= -1e-9)
            if name == "surviving":
                assert np.all(np.diff(np.array(lines)) <= 1e-12)
    for analyte in simulation.exposure.analytes:
        bands = simulation.exposure.bands(analyte)
        rising = [bands[p] for p in ENDS]
        assert all(np.all(a <= b) for a, b in itertools.pairwise(rising))
        assert np.all(rising[0] >= 0)


def test_followed_patients_do_not_depend_on_how_many_are_followed() -> None:
    few, many = followed(4).crossed, followed(43).crossed
    assert few is not None
    assert many is not None
    assert np.array_equal(few.scores, many.scores[:4])
    assert np.array_equal(few.occupied, many.occupied[:4])
    assert np.array_equal(few.felt, many.felt[:4])


def test_a_patient_keeps_its_placebo_course_under_any_drug() -> None:
    one = followed(4, "S", "0.5 mg/kg base iv over 40 min", 3.0).crossed
    other = followed(4, "R", "0.25 mg/kg base iv over 40 min", 3.0).crossed
    assert one is not None
    assert other is not None
    mine, theirs = (c.to_dict()["courses"]["placebo"] for c in (one, other))
    assert mine == theirs


def test_a_vanishing_dose_occupies_and_changes_nothing() -> None:
    crossed = followed(2, "S 98 % ee", "0.000001 mg/kg base iv over 40 min", 3.0).crossed
    assert crossed is not None
    assert np.all(crossed.occupied < 1e-5)
    courses = crossed.to_dict()["courses"]
    for name in ("below_placebo", "dissociation", "pressure", "heart_rate", "eeg"):
        assert np.max(np.abs(courses[name]["between_sets"]["p95"])) < 1e-3, name


def test_text_says_the_peaks_of_the_courses_written(capsys, tmp_path) -> None:
    path = tmp_path / "courses.csv"
    asked = [*DOSE, "--n", "3", "--followed", "3", "--days", "2"]
    text = run(capsys, *asked, "--courses", str(path))
    found = json.loads(run(capsys, *asked, "--json"))["follows"]["courses"]
    frame = pl.read_csv(path)
    for name, course in found.items():
        for over, key in (("sets", "between_sets"), ("patients", "between_patients")):
            part = frame.filter((pl.col("quantity") == name) & (pl.col("over") == over))
            assert part["time"].to_list() == course["times"]
            for p, line in course[key].items():
                assert part[p].to_numpy() == pytest.approx(np.array(line), rel=1e-12, abs=1e-300)
    said = re.search(r"occupancy at its peak, share of channels: ([0-9.]+)", text)
    assert said is not None
    assert float(said[1]) == pytest.approx(max(found["occupancy"]["between_sets"]["p50"]), abs=6e-4)
