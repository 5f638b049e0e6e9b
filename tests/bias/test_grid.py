"""The sensitivity grid: each cell is the fit it names, and influence is computed, not argued."""

from __future__ import annotations

import math
from functools import partial
from typing import ClassVar

import numpy as np
import pytest

from klarsyn.bias.grid import Variants, sensitivity_grid, variants
from klarsyn.bias.grid_null import compare_with_null
from klarsyn.errors import InputError, NumericalError, UnknownNameError
from klarsyn.provenance import stream
from klarsyn.stats.many_fits import every_subset, fit_many

STUDIES = ("A", "B", "C", "D")
EXACT = 1e-12
TWO_DECIMALS = 6e-3


def data() -> Variants:
    return variants(
        STUDIES,
        {
            ("1 week", "SMD"): [-0.8, -0.5, -0.9, -0.2],
            ("1 week", "MD"): [-7.0, -4.0, -8.0, -2.0],
            ("4 weeks", "SMD"): [-0.1, 0.2, -0.2, math.nan],
        },
        {
            ("1 week", "SMD"): [0.04] * 4,
            ("1 week", "MD"): [4.0] * 4,
            ("4 weeks", "SMD"): [0.05, 0.05, 0.04, math.nan],
        },
        ("time", "measure"),
    )


def grid(**changes):
    options = {
        "estimators": ("common", "REML"),
        "intervals": ("wald", "knapp_hartung"),
        "benefit": "lower",
        "inclusion_sets": {"all": STUDIES, "first": ("A",), "late": ("C", "D")},
        "exclusions": {"none": (), "high risk": ("C",)},
    } | changes
    return sensitivity_grid(data(), **options)


def test_a_cell_is_the_analysis_it_names():
    found = grid().cell(
        time="1 week",
        measure="SMD",
        exclusion="high risk",
        estimator="common",
        interval="wald",
        **{"inclusion set": "all"},
    )
    alone = fit_many(
        np.array([[-0.8, -0.5, -0.2]]), np.full((1, 3), 0.04), np.ones((1, 3), bool), "common"
    )
    assert found["estimate"] == pytest.approx(alone.mean[0, 0], rel=EXACT)
    assert found["studies"] == 3
    assert found["conclusion"] == "benefit"


def test_the_grid_is_the_whole_cross_and_absent_data_are_not_estimable():
    whole = grid()
    assert whole.cells == 2 * 2 * 1 * 3 * 2 * 2 * 2
    missing = whole.cell(
        time="4 weeks",
        measure="MD",
        exclusion="none",
        estimator="common",
        interval="wald",
        **{"inclusion set": "all"},
    )
    assert missing["conclusion"] == "not_estimable"
    assert missing["studies"] == 0
    assert sum(whole.shares().values()) == pytest.approx(1, rel=EXACT)


def test_blocks_do_not_change_a_number(monkeypatch):
    draw = stream(1, "blocks")
    y = {(f"v{i}",): draw.normal(0, 1, 8) for i in range(5)}
    many = variants([f"s{i}" for i in range(8)], y, {k: np.full(8, 0.1) for k in y}, ("variant",))
    arguments = {
        "estimators": ("DL", "REML"),
        "intervals": ("wald",),
        "benefit": "lower",
        "inclusion_sets": every_subset(8),
    }
    whole = sensitivity_grid(many, **arguments)
    monkeypatch.setattr("klarsyn.bias.grid._BLOCK", 37)
    pieces = sensitivity_grid(many, **arguments)
    assert np.allclose(whole.estimate, pieces.estimate, rtol=EXACT, atol=EXACT)
    assert whole.digest == pieces.digest


def test_progress_reaches_the_total():
    seen: list[tuple[int, int]] = []
    cells = grid(progress=lambda done, total: seen.append((done, total))).cells
    assert seen[-1] == (cells, cells)
    assert seen == sorted(seen)


def test_a_choice_that_only_shifts_the_estimate_has_that_range():
    bias = [-0.4, -0.4, -0.4, -0.4]
    found = grid(
        unblinding_shares=(0.0, 0.5, 1.0),
        unblinding_bias=bias,
        inclusion_sets=None,
        exclusions=None,
    )
    shares = {i.choice: i for i in found.influence()}["unblinding share"]
    assert shares.mean_range == pytest.approx(0.4, rel=EXACT)
    assert shares.largest_range == pytest.approx(0.4, rel=EXACT)


def test_the_choice_that_carries_the_difference_comes_first():
    found = sensitivity_grid(
        variants(
            STUDIES,
            {("before",): [-1.0] * 4, ("after",): [1.0] * 4},
            {("before",): [0.01] * 4, ("after",): [0.01] * 4},
            ("time",),
        ),
        estimators=("common", "DL"),
        intervals=("wald",),
        benefit="lower",
    )
    first, second = found.influence()
    assert (first.choice, first.redrawn, first.flips) == ("time", 1.0, 1.0)
    assert first.variance_share == pytest.approx(1, rel=EXACT)
    assert (second.choice, second.redrawn, second.mean_range) == ("estimator", 0.0, 0.0)
    assert "moves the conclusion most is time" in found.summary()


def test_redrawn_is_fair_between_few_and_many_options():
    """Two of ten options differ: two drawn options disagree with chance 2·8·2 / (10·9)."""
    sets = {f"set {i}": ("A",) if i < 2 else ("B",) for i in range(10)}
    found = sensitivity_grid(
        variants(("A", "B"), {("x",): [-1.0, 1.0]}, {("x",): [0.01, 0.01]}, ("data",)),
        estimators=("common",),
        intervals=("wald",),
        benefit="lower",
        inclusion_sets=sets,
    )
    (only,) = found.influence()
    assert only.redrawn == pytest.approx(32 / 90, rel=EXACT)
    assert only.flips == 1.0


def test_turning_the_effects_around_turns_the_conclusions_around():
    there = data()
    back = Variants(
        studies=there.studies,
        choices=there.choices,
        options=there.options,
        effects=-there.effects,
        variances=there.variances,
    )
    one = sensitivity_grid(there, estimators=("DL",), intervals=("wald",), benefit="lower")
    other = sensitivity_grid(back, estimators=("DL",), intervals=("wald",), benefit="higher")
    assert one.shares() == other.shares()


def test_the_curve_is_sorted_and_thinned_evenly():
    curve = grid().curve(most=10)
    estimates = [c["estimate"] for c in curve]
    assert estimates == sorted(estimates)
    assert len(curve) == 10
    assert curve[0]["rank"] == 1


def test_the_figure_holds_the_cells_in_the_readers_language():
    found = grid()
    chart = found.plot(title="Alle analyser", names={"benefit": "nytte"}).to_dict()
    upper, lower = chart["vconcat"]
    assert upper["title"]["text"] == "Alle analyser"
    shown = [row["conclusion"] for row in upper["layer"][1]["data"]["values"]]
    assert set(shown) <= {"nytte", "harm", "inconclusive", "not estimable"}
    assert len(shown) == len(found.curve())
    assert lower["layer"][0]["encoding"]["x"]["axis"]["title"] == (
        f"Rank among {found.cells} analyses"
    )


def test_a_choice_with_too_many_options_has_no_ticks_but_is_read_on_hover():
    found = grid()
    few = found.plot(most_options=2).to_dict()
    ticks = {row["line"].split("|")[0] for row in few["vconcat"][1]["layer"][0]["data"]["values"]}
    assert ticks == {i.choice for i in found.influence()} - {"inclusion set"}
    told = {t["title"] for t in few["vconcat"][0]["layer"][1]["encoding"]["tooltip"]}
    assert {"Effect", *(i.choice for i in found.influence())} == told


def test_a_grid_without_alternatives_is_drawn_without_ticks():
    one = grid(estimators=("REML",), intervals=("wald",), inclusion_sets=None, exclusions=None)
    alone = sensitivity_grid(
        variants(("A", "B"), {("x",): [0.1, 0.3]}, {("x",): [0.04, 0.05]}, ("measure",)),
        estimators=("DL",),
        intervals=("wald",),
        benefit="lower",
    )
    assert len(one.plot().to_dict()["vconcat"]) == 2
    assert len(alone.plot().to_dict()["vconcat"]) == 1


def test_ect_remission_by_inclusion_set():
    """Counts back-calculated from percentages: ELEKT-D 74/195 and 37/170, KetECT 44/95 and 57/91.

    Published direction by set (Ekstrand et al. 2024): 1.74, 0.74, and 1.13 (0.49 to 2.62) together.
    """
    counts = np.array([[74, 195, 37, 170], [44, 95, 57, 91]], float)
    a, n1, c, n2 = counts.T
    y, v = np.log(a / n1 / (c / n2)), 1 / a - 1 / n1 + 1 / c - 1 / n2
    found = sensitivity_grid(
        variants(("ELEKT-D", "KetECT"), {("RR",): y}, {("RR",): v}, ("measure",)),
        estimators=("DL",),
        intervals=("wald",),
        benefit="higher",
        inclusion_sets={
            "ELEKT-D only": ("ELEKT-D",),
            "KetECT only": ("KetECT",),
            "both": ("ELEKT-D", "KetECT"),
        },
    )
    ratios = {
        c["inclusion set"]: [math.exp(c[k]) for k in ("estimate", "low", "high")]
        for c in found.curve()
    }
    assert ratios["ELEKT-D only"] == pytest.approx([1.74, 1.25, 2.44], abs=TWO_DECIMALS)
    assert ratios["KetECT only"] == pytest.approx([0.74, 0.57, 0.97], abs=TWO_DECIMALS)
    assert ratios["both"] == pytest.approx([1.13, 0.49, 2.62], abs=TWO_DECIMALS)
    assert found.influence()[0].choice == "inclusion set"
    assert found.influence()[0].redrawn == 1.0


def test_wrong_input_is_named():
    with pytest.raises(UnknownNameError, match=r"only A: 'Z' is not a known study"):
        grid(inclusion_sets={"only A": ("A", "Z")})
    with pytest.raises(UnknownNameError, match="Nearest: REML"):
        grid(estimators=("RELM",))
    with pytest.raises(InputError, match="A confidence level lies between 0 and 1; 95"):
        grid(level=95)
    with pytest.raises(InputError, match="Shares of unblinding are numbers"):
        grid(unblinding_shares=(math.nan,))
    with pytest.raises(NumericalError, match="No cell of the grid has a study"):
        grid(inclusion_sets={"nobody": ()})
    with pytest.raises(InputError, match="unblinding_bias"):
        grid(unblinding_shares=(0.0, 0.5))
    with pytest.raises(InputError, match="B: a variance must be above 0"):
        variants(("A", "B"), {("x",): [1, 1]}, {("x",): [1, 0]}, ("d",))
    with pytest.raises(UnknownNameError, match="is not a known time"):
        grid().cell(time="2 weeks")


class TestNull:
    arguments: ClassVar = {
        "estimators": ("DL", "REML"),
        "intervals": ("wald", "knapp_hartung"),
        "benefit": "lower",
    }

    def studies(self, effect: float) -> Variants:
        draw = stream(3, "null studies")
        y = {k: draw.normal(effect, 0.3, 10) for k in [("a",), ("b",)]}
        return variants(
            [f"s{i}" for i in range(10)], y, {k: np.full(10, 0.05) for k in y}, ("variant",)
        )

    def test_a_strong_effect_is_not_what_no_effect_shows(self):
        found = compare_with_null(
            self.studies(-0.8), partial(sensitivity_grid, **self.arguments), draws=39, seed=1
        )
        assert (found.p_median, found.p_benefit) == (1 / 40, 1 / 40)
        assert found.expected_benefit < 0.2
        assert "conclude benefit where" in found.summary()

    def test_no_effect_is(self):
        found = compare_with_null(
            self.studies(0.0), partial(sensitivity_grid, **self.arguments), draws=39, seed=1
        )
        assert found.p_median > 0.05

    def test_the_same_seed_gives_the_same(self):
        one, two = (
            compare_with_null(
                self.studies(-0.2), partial(sensitivity_grid, **self.arguments), draws=19, seed=4
            )
            for _ in range(2)
        )
        assert one.to_dict() == two.to_dict()

    def test_too_few_draws_are_refused(self):
        with pytest.raises(InputError, match="At least 19"):
            compare_with_null(
                self.studies(0), partial(sensitivity_grid, **self.arguments), draws=5, seed=1
            )
