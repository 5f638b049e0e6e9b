"""Pictures of blinding, expectancy, refusals and inclusion sets."""

from __future__ import annotations

import json
from typing import Any

import vl_convert

from klarsyn.bias.belief import BeliefEvidence, tipping
from klarsyn.bias.blinding import trial_blinding
from klarsyn.bias.expectancy import GuessStratum, read_guesses
from klarsyn.bias.guesses import ArmGuesses
from klarsyn.bias.inclusion import Assessment, IncludableTrial, inclusion
from klarsyn.bias.noninferiority import Counts
from klarsyn.bias.refusals import Refusals, refusal_grid
from klarsyn.stats.estimate import Estimate

GRID = refusal_grid(
    Refusals(
        analysed=Counts(
            name="ELEKT-D", new_events=108, new_total=195, reference_events=70, reference_total=170
        ),
        new_refused=5,
        reference_refused=33,
    ),
    0.1,
)
BLINDING = trial_blinding(
    [
        ArmGuesses(trial="Lii", arm="ketamine", role="active", correct=9, wrong=5, dont_know=5),
        ArmGuesses(trial="Lii", arm="placebo", role="control", correct=5, wrong=8, dont_know=6),
    ]
)
READ = read_guesses(
    [
        GuessStratum(received="active", guessed="active", n=48, mean=19.6, sd=9.6),
        GuessStratum(received="active", guessed="control", n=43, mean=12.3, sd=10.5),
        GuessStratum(received="control", guessed="active", n=39, mean=18.4, sd=9.9),
        GuessStratum(received="control", guessed="control", n=102, mean=10.9, sd=10.9),
    ],
    timing="after_outcome",
    se_method="fixed",
)
TIPPING = tipping(
    Estimate(value=-6.0, se=1.5, method=""),
    belief_difference=0.6,
    belief_interval=(0.4, 0.75),
    threshold=0.0,
    evidence=[BeliefEvidence(label="Lii 2023", value=-7.5, low=-11, high=-4, source="OSF")],
)
SETS = inclusion(
    [
        IncludableTrial(id="A", y=0.5, v=0.03, published="2023"),
        IncludableTrial(id="B", y=-0.3, v=0.02, published="2022"),
    ],
    [Assessment(id="Agency", included=("A",), criteria="", search_date="2024")],
    measure="RR",
    positive_favours="treated",
    tau2_method="DL",
    test="z",
)


def values(chart: Any, key: str) -> list[Any]:
    """Every value of a key in the chart's data."""
    found: list[Any] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if key in node:
                found.append(node[key])
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(json.loads(chart.to_json()))
    return found


def test_every_picture_renders() -> None:
    for chart in (GRID.plot(), BLINDING.plot(), READ.plot(), TIPPING.plot(), SETS.plot()):
        svg = vl_convert.vegalite_to_svg(chart.to_json())
        assert svg.startswith("<svg")
        assert "NaN" not in svg


def test_the_refusal_grid_shows_every_cell_and_scenario() -> None:
    chart = GRID.plot()
    assert len([1 for v in values(chart, "left") if isinstance(v, (int, float))]) >= 6 * 34
    assert {"all against new", "none respond"} <= {str(v) for v in values(chart, "label")}


def test_words_come_from_the_caller() -> None:
    chart = GRID.plot(
        region_title="Konklusjon",
        regions={"superior": "overlegen", "non-inferior": "ikke dårligere"},
        names={"all_against_new": "alle mot ketamin"},
    )
    text = chart.to_json()
    for word in ("Konklusjon", "overlegen", "alle mot ketamin"):
        assert word in text
    assert '"superior"' not in text
    assert "Gjetning" in BLINDING.plot(role_title="Gjetning").to_json()
    assert "Trosforskjell" in TIPPING.plot(delta_title="Trosforskjell").to_json()
    assert "uavklart" in SETS.plot(conclusions={"undecided": "uavklart"}).to_json()


def test_the_picture_of_expectancy_holds_both_readings() -> None:
    chart = READ.plot(effect_title="Forskjell")
    rho = [v for v in values(chart, "rho") if isinstance(v, (int, float))]
    assert {0.0, 1.0} <= set(rho)
    assert len(chart.to_dict()["hconcat"]) == 2


def test_the_same_input_gives_the_same_bytes() -> None:
    assert GRID.plot().to_json() == GRID.plot().to_json()
