"""Every analysis that six features of 31 samples define, beside metafor and a public table of them.

Data: androgen-receptor repeats and right-hand digit ratio, as in the example of Voracek, Kossmeier
& Tran (2019, Zeitschrift für Psychologie 227:64), published with the adaptation of their method at
github.com/nikolaifries/multiverse-dashboard_intelligence_health_or (commit 486a6e1, data/R2D2.csv).
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from klarsyn.bias.grid import Grid, sensitivity_grid, variants
from klarsyn.bias.grid_table import read_feature_sets
from klarsyn.errors import InputError

HERE = Path(__file__).parent
DATA = HERE / "data" / "digit_ratio_right_hand.csv"
FEATURES = ("sex", "method", "age_group", "sample", "race", "published_estimate")
METRICS = ("r", "z")
MODELS = ("common", "DL", "REML", "unweighted")
PUBLIC = 680  # rows of the public table specs_R2D2_2.csv: each set once, two samples or more
CLOSED = 1e-12  # absolute, of means and limits in closed form; the data have nine digits
ITERATED = 1e-8  # REML: metafor's step ends at 1e-12 of τ², ours at 1e-10 of the score
STOPPED = 1e-4  # REML of the public table: metafor's default stops at 1e-5 of τ², far from 1e-12
# Rows of that table: samples, metric, model, mean and limits (z turned back into r).
PUBLISHED = (
    ((2, 4), "r", "common", -0.0469362580326864, -0.241333401324531, 0.147460885259158),
    ((2, 4), "z", "unweighted", -0.0342902717499735, -0.239174097451217, 0.173516899011882),
    ((1, 17, 20), "z", "common", -0.027548199973745, -0.0969381030056022, 0.0421082110949563),
    ((1, 17, 20), "r", "unweighted", 0.07, -0.049728400976809, 0.189728400976809),
    ((8, 13, 24, 29, 31), "r", "unweighted", -0.0266, -0.105651466482397, 0.0524514664823973),
    (
        (7, 12, 14, 21, 28, 30),
        "z",
        "unweighted",
        0.127164771502935,
        0.0171183306943862,
        0.23416719749009,
    ),
    (
        (1, 6, 10, 11, 17, 18, 20, 25),
        "z",
        "REML",
        -0.0168031634946629,
        -0.0711112332631578,
        0.0376042329720542,
    ),
)


def samples() -> list[dict[str, str]]:
    with DATA.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, ...]]:
    path = tmp_path_factory.mktemp("features") / "features.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["study", *FEATURES])
        writer.writerows([r["study"], *(r[f] for f in FEATURES)] for r in samples())
    return read_feature_sets(path, tuple(r["study"] for r in samples()))


@pytest.fixture(scope="module")
def grid(sets: dict[str, tuple[str, ...]]) -> Grid:
    rows = samples()
    return sensitivity_grid(
        variants(
            [r["study"] for r in rows],
            {(m,): [float(r[m]) for r in rows] for m in METRICS},
            {(m,): [float(r[f"{m}_se"]) ** 2 for r in rows] for m in METRICS},
            ["metric"],
        ),
        estimators=MODELS,
        intervals=("wald",),
        benefit="higher",
        inclusion_sets=sets,
    )


@pytest.fixture(scope="module")
def numbered(sets: dict[str, tuple[str, ...]]) -> dict[tuple[int, ...], str]:
    order = {r["study"]: i for i, r in enumerate(samples(), start=1)}
    return {tuple(order[s] for s in members): name for name, members in sets.items()}


def test_the_grid_has_every_analysis_of_the_public_table_and_no_other(grid: Grid) -> None:
    assert grid.cells == PUBLIC


def test_every_analysis_is_metafors(grid: Grid, numbered: dict[tuple[int, ...], str]) -> None:
    with (HERE / "digit_ratio_metafor.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == PUBLIC
    assert len({(r["set"], r["metric"], r["model"]) for r in rows}) == PUBLIC
    for r in rows:
        name = numbered[tuple(int(i) for i in r["set"].split())]
        cell = grid.cell(**{"metric": r["metric"], "estimator": r["model"], "inclusion set": name})
        close = ITERATED if r["model"] == "REML" else CLOSED
        for key in ("estimate", "low", "high"):
            assert cell[key] == pytest.approx(float(r[key]), abs=close), (r["set"], r["model"])


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda r: f"{len(r[0])} {r[1]} {r[2]}")
def test_analyses_of_the_public_table_come_out_as_printed(
    grid: Grid, numbered: dict[tuple[int, ...], str], row: tuple
) -> None:
    members, metric, model, *printed = row
    cell = grid.cell(**{"metric": metric, "estimator": model, "inclusion set": numbered[members]})
    found = [cell[k] for k in ("estimate", "low", "high")]
    found = [math.tanh(x) for x in found] if metric == "z" else found
    assert found == pytest.approx(printed, abs=STOPPED if model == "REML" else CLOSED)


def test_a_set_stands_once_under_the_name_that_says_least(
    sets: dict[str, tuple[str, ...]],
) -> None:
    assert len(sets) == len(set(sets.values())) == PUBLIC // (len(METRICS) * len(MODELS))
    assert len(sets["all"]) == len(samples())
    assert "sample healthy, published_estimate no" in sets
    assert all(len(members) >= 2 for members in sets.values())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("study\nA\nB\n", "no feature. Add a column for each"),
        ("study,sex\nA,m\n", "no row for B"),
        ("study,sex\nA,m\nA,m\n", "row 3 repeats A"),
        ("study,sex\nA,m\nC,m\n", "row 3: 'C' is not a known study"),
        ("study,sex\nA,m\nB,w\n", None),
    ],
)
def test_a_table_of_features_is_checked(tmp_path: Path, text: str, says: str | None) -> None:
    path = tmp_path / "features.csv"
    path.write_text(text, encoding="utf-8")
    if says is None:
        assert read_feature_sets(path, ("A", "B"), fewest=1) == {
            "all": ("A", "B"),
            "sex m": ("A",),
            "sex w": ("B",),
        }
        return
    with pytest.raises(InputError, match=says):
        read_feature_sets(path, ("A", "B"))
