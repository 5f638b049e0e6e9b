"""One synthesis through every door: CSV, Excel, polars and pandas; and its named failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from klarsyn.app.cli import main
from klarsyn.errors import NumericalError
from klarsyn.synthesis.effects import effects_from_arrays, effects_from_table
from klarsyn.synthesis.influence import leave_one_out
from klarsyn.synthesis.location_scale import regress_location_scale
from klarsyn.synthesis.network import fit_network
from klarsyn.synthesis.network_data import network_from_arms, network_from_contrasts
from klarsyn.synthesis.pairwise import pool
from klarsyn.synthesis.regression import regress

SAME = 1e-12  # the same numbers through another door
TRIALS = {
    "study": ["Aronson", "Ferguson", "Rosenthal", "Hart", "Frimodt", "Stein"],
    "ai": [4, 6, 3, 62, 33, 180],
    "bi": [119, 300, 228, 13536, 5036, 1361],
    "ci": [11, 29, 11, 248, 47, 372],
    "di": [128, 274, 209, 12619, 5761, 1079],
    "year": [1948, 1949, 1960, 1977, 1973, 1953],
}
ARMS = {
    "study": [1, 1, 1, 2, 2, 3, 3, 4, 4],
    "treatment": ["A", "B", "C", "A", "B", "B", "C", "A", "C"],
    "events": [10, 15, 20, 8, 16, 12, 18, 9, 22],
    "n": [50, 52, 49, 40, 41, 60, 61, 70, 69],
}
LINES = {
    "pool": (TRIALS, "--measure RR"),
    "regress": (TRIALS, "--measure RR --moderators year"),
    "smallstudy": (TRIALS, "--measure RR --favoured negative"),
    "subsets": (TRIALS, "--measure RR"),
    "network": (ARMS, "--measure OR --reference A"),
}


@pytest.mark.parametrize("command", LINES)
def test_csv_and_excel_give_the_same_json(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, rest = LINES[command]
    frame = pl.DataFrame(table)
    frame.write_csv(tmp_path / "t.csv")
    frame.write_excel(tmp_path / "t.xlsx")
    said = []
    for name in ("t.csv", "t.xlsx"):
        main([command, str(tmp_path / name), *rest.split(), "--json"])
        said.append(json.loads(capsys.readouterr().out))
    assert said[0] == said[1]
    assert len(said[0]["digest"]) > 8


@pytest.mark.parametrize("frame", [pl.DataFrame, pd.DataFrame], ids=["polars", "pandas"])
def test_columns_of_frames_are_arrays(frame: Callable[[Any], Any]) -> None:
    table, arms = frame(TRIALS), frame(ARMS)
    roles = {c: c for c in ("ai", "bi", "ci", "di")}
    plain = effects_from_table(TRIALS, "RR", roles)
    effects = effects_from_table(table, "RR", roles)
    assert regress(effects, ["year"]).digest == regress(plain, ["year"]).digest
    made = frame({"y": plain.y.tolist(), "v": plain.v.tolist(), "who": list(plain.study)})
    pooled = pool(made["y"], made["v"], study=made["who"], measure="RR")
    assert pooled.estimate == pytest.approx(pool(plain).estimate, rel=SAME)
    assert pooled.effects.study == plain.study
    fit = fit_network(
        network_from_arms(
            arms["study"], arms["treatment"], measure="OR", events=arms["events"], n=arms["n"]
        )
    )
    same = network_from_arms(
        ARMS["study"], ARMS["treatment"], measure="OR", events=ARMS["events"], n=ARMS["n"]
    )
    np.testing.assert_allclose(fit.effects, fit_network(same).effects, rtol=SAME)


def no_events() -> object:
    table = {"ai": [0, 3], "n1i": [30, 40], "ci": [0, 5], "n2i": [31, 42]}
    return pool(effects_from_table(table, "OR", {c: c for c in table}, to="none"))


def one_study() -> object:
    return leave_one_out(effects_from_arrays([0.1], [0.1]))


def follows() -> object:
    x = list(range(8))
    e = effects_from_arrays(x, [1.0] * 8, covariates={"a": x, "b": [2 * i for i in x]})
    return regress(e, ["a", "b"])


def no_maximum() -> object:
    e = effects_from_arrays([0.1] * 8, [1.0] * 8, covariates={"x": list(range(8))})
    return regress_location_scale(e, [], ["x"])


def alone() -> object:
    data = network_from_contrasts(
        ["x", "y"], ["A", "C"], ["B", "D"], [0.5, 0.9], [0.2, 0.3], measure="MD"
    )
    return fit_network(data)


@pytest.mark.parametrize(
    ("call", "status", "sentence"),
    [
        (no_events, "not_estimable", r"Study 1"),
        (one_study, "too_few_studies", "at least two studies"),
        (follows, "rank_deficient", "follow from the others: b"),
        (no_maximum, "not_converged", "no finite solution"),
        (alone, "disconnected", r"2 pieces.*A.*B.*C.*D"),
    ],
)
def test_what_cannot_be_computed_has_a_named_status_and_a_sentence(
    call: Callable[[], object], status: str, sentence: str
) -> None:
    with pytest.raises(NumericalError, match=sentence) as caught:
        call()
    assert caught.value.status == status
    assert str(caught.value).endswith(".")
