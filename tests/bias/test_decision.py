"""Options weighed: by hand without uncertainty, known shares under all weights, errors named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from klarsyn.app.cli import main
from klarsyn.bias.decision import Criterion, decide, read_decision
from klarsyn.errors import InputError, UnknownNameError
from klarsyn.stats.information import value_of_perfect_information
from klarsyn.stats.options import partial_values, rank_shares

BENEFIT = Criterion(name="benefit", worst=0, best=10, weight=None)
HARM = Criterion(name="harm", worst=50, best=0, weight=None)
DRAWS = 200_000
MONTE_CARLO = 4 * 0.5 / DRAWS**0.5  # of a share
CERTAIN = np.zeros((2, 2))
TABLE = """option,criterion,mean,sd,worst,best
drug,mood,6,1.2,0,12
drug,harm,8,4,50,0
placebo,mood,2,0.8,0,12
placebo,harm,3,2,50,0
"""


def weighed(benefit: float, harm: float) -> list[Criterion]:
    return [
        Criterion(name="benefit", worst=0, best=10, weight=benefit),
        Criterion(name="harm", worst=50, best=0, weight=harm),
    ]


def test_values_run_from_worst_to_best_and_stop_there() -> None:
    found = partial_values([[-1, 10], [5, 25], [20, 60]], [0, 50], [10, 0])
    assert found == pytest.approx(np.array([[0, 0.8], [0.5, 0.5], [1, 0]]))


def test_stated_weights_by_hand() -> None:
    found = decide(["a", "b"], weighed(3, 1), [[6, 20], [2, 5]], CERTAIN, seed=1, draws=10)
    assert found.weights == pytest.approx((0.75, 0.25))
    assert found.mean_value == pytest.approx((0.75 * 0.6 + 0.25 * 0.6, 0.75 * 0.2 + 0.25 * 0.9))
    assert found.ranks == ((1, 0), (0, 1))
    assert found.central[1] is None
    assert (found.evpi, found.evppi) == (0, (0, 0))


def test_all_weights_give_the_share_of_the_simplex() -> None:
    """a beats b where 0.6 w + 0.6 (1 - w) > 0.2 w + 0.9 (1 - w): w > 3/7."""
    found = decide(["a", "b"], [BENEFIT, HARM], [[6, 20], [2, 5]], CERTAIN, seed=1, draws=DRAWS)
    assert found.ranks[0][0] == pytest.approx(4 / 7, abs=MONTE_CARLO)
    assert found.central[0] == pytest.approx((5 / 7, 2 / 7), abs=MONTE_CARLO)


def test_an_order_keeps_half_of_two_weights() -> None:
    found = decide(
        ["a", "b"], [BENEFIT, HARM], [[6, 20], [2, 5]], CERTAIN, seed=1, draws=DRAWS,
        order=["harm", "benefit"],
    )  # fmt: skip
    assert found.ranks[0][0] == pytest.approx(1 / 7, abs=MONTE_CARLO)  # 3/7 < w < 1/2, of 1/2


def test_perfect_information_is_the_normal_formula() -> None:
    wide = [Criterion(name="x", worst=-1000, best=1000, weight=1.0)]
    found = decide(["a", "b"], wide, [[1.0], [0.0]], [[2.0], [0.0]], seed=3, draws=DRAWS)
    expected = value_of_perfect_information(1.0, 2.0) / 2000
    assert found.evpi == pytest.approx(expected, abs=4 * 2 / 2000 / DRAWS**0.5)
    assert found.evppi[0] == pytest.approx(found.evpi)


def test_ties_share_their_ranks() -> None:
    assert rank_shares(np.array([[1.0, 1.0, 0.0]])).tolist() == [
        [0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]
    ]  # fmt: skip


def test_the_command_reads_weighs_and_draws(tmp_path: Path, capsys) -> None:
    path = tmp_path / "options.csv"
    path.write_text(TABLE, encoding="utf-8")
    main(("decide", str(path), "--seed", "1", "--json"))
    record = json.loads(capsys.readouterr().out)
    assert record["options"] == ["drug", "placebo"]
    assert sum(record["ranks"][0]) == pytest.approx(1)
    main(("decide", str(path), "--seed", "1", "--order", "harm", "--order", "mood"))
    assert "Knowing everything would be worth" in capsys.readouterr().out
    assert read_decision(path, seed=1).plot().to_dict()["layer"]
    assert read_decision(path, seed=1) == read_decision(path, seed=1)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("placebo,harm,3,2,50,0\n", "", "'placebo' has no row for 'harm'"),
        ("placebo,harm,3,2,50,0", "placebo,harm,3,2,40,0", "row 5 .*differ from the criterion"),
        ("placebo,harm,3,2,50,0", "placebo,mood,3,2,0,12", "row 5 .*stands twice"),
        ("drug,harm,8,4,50,0", "drug,harm,8,-4,50,0", "row 3, column 'sd'"),
        ("drug,mood,6,1.2,0,12", "drug,mood,6,1.2,12,12", "row 2 .*they must differ"),
    ],
)
def test_a_table_that_cannot_be_weighed_is_named(
    tmp_path: Path, old: str, new: str, match: str
) -> None:
    path = tmp_path / "options.csv"
    path.write_text(TABLE.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=match):
        read_decision(path, seed=1)


def test_weights_and_orders_are_checked() -> None:
    half = [Criterion(name="benefit", worst=0, best=10, weight=1.0), HARM]
    with pytest.raises(InputError, match="'harm' has no weight"):
        decide(["a", "b"], half, CERTAIN, CERTAIN, seed=1)
    with pytest.raises(InputError, match="not both"):
        decide(["a", "b"], weighed(1, 1), CERTAIN, CERTAIN, seed=1, order=["harm", "benefit"])
    with pytest.raises(UnknownNameError, match="Nearest: harm"):
        decide(["a", "b"], [BENEFIT, HARM], CERTAIN, CERTAIN, seed=1, order=["harms"])
    with pytest.raises(InputError, match="each criterion once"):
        decide(["a", "b"], [BENEFIT, HARM], CERTAIN, CERTAIN, seed=1, order=["harm"])
