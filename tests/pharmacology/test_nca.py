from __future__ import annotations

import json

import numpy as np
import pytest

from klarsyn.app.cli import main
from klarsyn.errors import InputError
from klarsyn.pharmacology.nca import analyse_profile, analyse_table, areas

BY_HAND = 1e-14  # the same sum in another order
ADDED = 1e-9  # parts of an area that end where the terminal line begins

FITTED = 1e-10  # a log-linear fit through points of one exponential


def test_a_bolus_in_one_compartment_gives_its_constants_back() -> None:
    # 100 mg into 20 L, clearance 5 L/h; the log trapezoid is exact on an exponential
    times = np.array([0.0, 0.5, 1, 2, 4, 8, 16, 24])
    found = analyse_profile(times, 5 * np.exp(-0.25 * times), dose=100)
    assert found.half_life == pytest.approx(np.log(2) / 0.25, rel=FITTED)
    assert found.auc_infinite == pytest.approx(20, rel=FITTED)
    assert found.clearance == pytest.approx(5, rel=FITTED)
    assert found.volume_terminal == pytest.approx(20, rel=FITTED)
    assert found.mean_residence == pytest.approx(4, rel=FITTED)
    assert (found.cmax, found.tmax) == (5, 0)


def test_areas_by_hand() -> None:
    # up 0 to 4 in 1 h: 2; down 4 to 1 in 2 h: linear 5, logarithmic 2 (4-1)/ln 4
    t, c = np.array([0.0, 1, 3]), np.array([0.0, 4, 1])
    assert areas(t, c, "linear")[0] == pytest.approx(7, rel=1e-14)
    assert areas(t, c)[0] == pytest.approx(2 + 6 / np.log(4), rel=1e-14)


def test_the_infusion_is_taken_off_the_mean_residence() -> None:
    times = np.linspace(0, 60, 4001)
    level = np.where(
        times < 2,
        1 - np.exp(-0.3 * times),
        (1 - np.exp(-0.6)) * np.exp(-0.3 * (times - 2)),
    )
    found = analyse_profile(times, level, infusion=2.0)
    assert found.mean_residence == pytest.approx(1 / 0.3, rel=1e-4)


def test_two_falling_points_are_not_a_half_life() -> None:
    found = analyse_profile([0, 1, 2, 3], [0.0, 5, 3, 1])
    assert found.half_life is None
    assert "no terminal slope" in found.status


def test_values_below_the_limit_end_the_profile() -> None:
    found = analyse_profile([0, 1, 2, 3, 4, 5], [0.0, 8, 4, 2, 1, 0])
    assert found.tlast == 4
    assert found.auc_last < analyse_profile([0, 1, 2, 3, 4], [0.0, 8, 4, 2, 1]).auc_last + 1e-12
    assert found.half_life == pytest.approx(1, rel=FITTED)


BELOW = "time,concentration\n0,BLQ\n1,4\n2,<0.1\n3,1\n4,0.5\n5,0.25\n6,nd\n"


def test_levels_below_the_limit_by_hand(tmp_path) -> None:
    # zero first, left out between, the end after: 0 to 4 in 1 h: 2; 4 to 1 in 2 h: 6/ln 4; the rest
    # halves each hour
    file = tmp_path / "below.csv"
    file.write_text(BELOW)
    found = analyse_table(file).profiles[0]
    half = np.log(2)
    assert found.auc_last == pytest.approx(2 + 6 / np.log(4) + 0.75 / half, rel=BY_HAND)
    assert found.auc_infinite == pytest.approx(found.auc_last + 0.25 / half, rel=FITTED)
    assert (found.tlast, found.samples, found.slope_points) == (5, 6, 3)
    file.write_text(BELOW.replace("<0.1", "about 2"))
    with pytest.raises(InputError, match="row 4, column 'concentration': 'about 2' is not a numb"):
        analyse_table(file)


def test_partial_areas_by_hand(tmp_path, capsys) -> None:
    file = tmp_path / "below.csv"
    file.write_text(BELOW)
    wanted = [(0.0, 2.0), (0.5, 10.0), (7.0, 8.0), (0.0, 5.0)]
    profile = analyse_table(file, partial=wanted).profiles[0]
    half, total = np.log(2), profile.auc_infinite
    by_hand = [
        2 + 2 / half,  # the line falls from 4 to 2 (log) between 1 and 2
        total - 0.5 * 2 / 2 - 0.25 / 32 / half,  # less 0 to 0.5, less beyond 10
        (1 / 16 - 1 / 32) / half,
        profile.auc_last,
    ]
    assert [area for _, _, area in profile.partial] == pytest.approx(by_hand, rel=FITTED)
    linear = analyse_profile([0, 1, 3], [0.0, 4, 1], rule="linear", partial=[(0, 2), (1, 9)])
    assert linear.partial == ((0, 2, 2 + (4 + 2.5) / 2), (1, 9, None))
    with pytest.raises(InputError, match="the end must lie later"):
        analyse_profile([0, 1], [1.0, 2], partial=[(2, 1)])
    main(["nca", str(file), "--partial", "0,2"])
    assert f"{by_hand[0]:.5g}" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["nca", str(file), "--partial", "2"])
    assert "give two times with a comma between" in capsys.readouterr().err


def test_parts_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.uniform(0.2, 2, 14))
    levels = np.exp(-0.2 * times) * rng.uniform(0.6, 1.4, 14)
    cuts = np.sort(rng.uniform(times[0], 60, 7))
    pieces = list(zip([times[0], *cuts], [*cuts, 500.0], strict=True))
    found = analyse_profile(times, levels, partial=pieces)
    assert sum(area for _, _, area in found.partial) == pytest.approx(found.auc_infinite, rel=ADDED)


def test_the_theophylline_profile_gives_the_published_answer() -> None:
    # Theoph subject 1 (R datasets); linear-up log-down AUClast 147.2347 and half-life 14.30438
    # as PKNCA's vignette prints them, for the linear rule 148.923 (NonCompart vignette)
    times = [0, 0.25, 0.57, 1.12, 2.02, 3.82, 5.1, 7.03, 9.05, 12.12, 24.37]
    levels = [0.74, 2.84, 6.57, 10.5, 9.66, 8.58, 8.36, 7.47, 6.89, 5.94, 3.28]
    log_down = analyse_profile(times, levels)
    linear = analyse_profile(times, levels, rule="linear")
    assert log_down.auc_last == pytest.approx(147.2347, rel=1e-6)
    assert log_down.half_life == pytest.approx(14.30438, rel=1e-6)
    assert linear.auc_last == pytest.approx(148.923, rel=1e-5)


@pytest.mark.parametrize(
    ("times", "levels", "says"),
    [
        ([0, 1], [1.0, -2], "negative"),
        ([0, 0], [1.0, 2], "must rise"),
        ([0], [1.0], "two or more"),
    ],
)
def test_a_profile_that_cannot_be_is_refused(times, levels, says) -> None:
    with pytest.raises(InputError, match=says):
        analyse_profile(times, levels)


def test_a_table_is_split_by_subject(tmp_path) -> None:
    file = tmp_path / "c.csv"
    file.write_text("subject,time,concentration\n1,0,4\n1,1,2\n1,2,1\n1,3,.5\n2,0,8\n2,1,\n2,2,2\n")
    found = analyse_table(file)
    assert [p.group for p in found.profiles] == [("1",), ("2",)]
    assert found.profiles[0].half_life == pytest.approx(1, rel=FITTED)
    assert found.profiles[1].samples == 2


def test_the_command_prints_json_and_names_a_missing_column(tmp_path, capsys) -> None:
    file = tmp_path / "c.csv"
    file.write_text("time,conc\n0,4\n1,2\n2,1\n3,.5\n")
    main(["nca", str(file), "--concentration", "conc", "--dose", "10", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["profiles"][0]["clearance"] == pytest.approx(10 / (4 / np.log(2)), rel=1e-9)
    with pytest.raises(SystemExit):
        main(["nca", str(file)])
    assert "there is no column 'concentration'. Nearest: conc" in capsys.readouterr().err
