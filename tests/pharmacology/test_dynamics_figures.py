"""Pictures hold the numbers they are given and the words they are given."""

from __future__ import annotations

import numpy as np
import pytest

from klarsyn.figures.pharmacodynamics import (
    ConflictWords,
    effect_courses,
    response_bands,
)
from klarsyn.figures.theme import finish
from klarsyn.pharmacology.magnesium import magnesium_conflict, metabolite_dispute
from klarsyn.pharmacology.receptor import read_receptor

WHOLE = 0.5  # percent, without decimals

RECEPTOR = read_receptor("ketamine_receptor")


def _svg(chart) -> str:
    import vl_convert as vlc

    return vlc.vegalite_to_svg(finish(chart))


def _bands(top: float) -> dict[str, list[float]]:
    x = np.linspace(0, 1, 30)
    return {k: (top * x * f).tolist() for k, f in
            (("p5", 0.5), ("p25", 0.8), ("p50", 1.0), ("p75", 1.2), ("p95", 1.6))}  # fmt: skip


def test_the_conflict_shows_the_strip_and_the_crossing_apart() -> None:
    found = magnesium_conflict(RECEPTOR)
    chart = found.plot().to_dict()
    layers = chart["hconcat"][0]["layer"]
    strip = layers[0]["data"]["values"][0]
    turn = layers[1]["data"]["values"][0]["theta"]
    assert strip["to"] < turn
    assert turn == pytest.approx(found.crossing)
    assert "µM" in _svg(found.plot())


def test_words_are_arguments() -> None:
    found = magnesium_conflict(RECEPTOR)
    from klarsyn.figures import pharmacodynamics as draw

    chart = draw.magnesium_conflict(
        theta=found.theta.tolist(),
        resting_ic50=found.resting_ic50.tolist(),
        selectivity=found.selectivity.tolist(),
        crossing=found.crossing,
        needed=found.needed,
        wanted=found.wanted,
        words=ConflictWords(theta="theta: hvor mye magnesium hindrer"),
    )
    assert "hvor mye" in _svg(chart)


def test_the_dispute_has_one_curve_an_assumption() -> None:
    found = metabolite_dispute(RECEPTOR, RECEPTOR.constants.rest["dispute"])
    svg = _svg(found.plot())
    assert "peak in mouse hippocampus" in svg
    lines = found.plot().to_dict()["layer"][1]["data"]["values"]
    assert len({r["assumption"] for r in lines}) == 3
    at = [r["block"] for r in lines if r["assumption"].startswith("reported") and r["c"] > 45]
    assert at[0] == pytest.approx(50, abs=WHOLE)


def test_courses_draw_every_group() -> None:
    at = np.linspace(0, 24, 30).tolist()
    groups = {"S": _bands(0.3), "R": _bands(0.1)}
    chart = response_bands(days=at, bands=groups, y_title="skår")
    rows = chart.to_dict()["data"]["values"]
    assert max(r["p50"] for r in rows if r["group"] == "S") == pytest.approx(0.3)
    assert "skår" in _svg(chart)
    panels = effect_courses(
        hours=at, bands={"pain": _bands(-3)}, titles={"pain": "smerte"}, units={"pain": "cm"}
    )
    assert "smerte" in _svg(panels)
