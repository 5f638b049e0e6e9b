"""When a half-life or an infinite area should not be trusted, by exact exponentials."""

from __future__ import annotations

import math

import numpy as np
import pytest

from klarsyn.app.cli import main
from klarsyn.pharmacology.nca import analyse_profile

ROUNDING = 1e-12


def _falling(until: float, half_life: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    t = np.linspace(0.0, until, 9)
    return t, 100.0 * 0.5 ** (t / half_life)


def test_what_lies_beyond_a_profile_of_one_half_life_is_half_of_the_area() -> None:
    found = analyse_profile(*_falling(4.0))
    assert found.extrapolated == pytest.approx(0.5, rel=ROUNDING)
    assert any("50 % of the area to infinity" in c for c in found.cautions)


@pytest.mark.parametrize(("lives", "said"), [(2.0, True), (2.3, True), (2.33, False), (5.0, False)])
def test_a_fifth_lies_beyond_until_ln_5_over_ln_2_half_lives(lives: float, said: bool) -> None:
    """0.5^x = 0.2 at x = 2.32."""
    assert (lives < math.log(5) / math.log(2)) == said
    found = analyse_profile(*_falling(4.0 * lives))
    assert any("beyond the last level" in c for c in found.cautions) == said


def test_a_span_of_fewer_than_two_half_lives_is_said() -> None:
    """Nine points over 4 h; the line leaves out the first, which is the peak: 3.5 of 4 h."""
    found = analyse_profile(*_falling(4.0))
    assert found.half_life == pytest.approx(4.0, rel=1e-9)
    assert any("span 0.88 of it" in c for c in found.cautions)


def test_a_long_profile_of_one_exponential_has_nothing_to_be_said() -> None:
    assert analyse_profile(*_falling(40.0)).cautions == ()


def test_too_short_a_window_halves_the_half_life_of_two_exponentials_and_says_so() -> None:
    """80 exp(-1.4 t) + 20 exp(-0.1 t), 6.9 h in truth, sampled for 3 h."""
    t = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
    found = analyse_profile(t, 80 * np.exp(-1.4 * t) + 20 * np.exp(-0.1 * t))
    assert found.half_life is not None
    assert found.half_life < 0.5 * math.log(2) / 0.1
    assert any("the real one may be longer" in c for c in found.cautions)


def test_a_line_through_scattered_points_is_said_to_fit_badly() -> None:
    t = np.arange(8.0)
    found = analyse_profile(t, 100 * np.array([1, 0.5, 0.9, 0.3, 0.8, 0.2, 0.7, 0.15]))
    assert found.slope_r2_adjusted is not None
    assert found.slope_r2_adjusted < 0.9
    assert any("fits badly" in c for c in found.cautions)


def test_without_a_terminal_line_there_is_no_caution_on_it() -> None:
    assert analyse_profile([0.0, 1.0, 2.0], [0.0, 5.0, 4.0]).cautions == ()


def test_at_steady_state_clearance_is_dose_over_the_area_of_the_interval(tmp_path, capsys) -> None:
    """One compartment, V 10, CL 10 ln 2 / 4, 100 every 4 h: levels 20 to 10.

    Dose over the area to infinity would give half of it: earlier doses lie in that area.
    """
    clearance = 10 * math.log(2) / 4
    t = np.linspace(0.0, 4.0, 17)
    c = 20.0 * 0.5 ** (t / 4)
    found = analyse_profile(t, c, dose=100.0, tau=4.0)
    assert found.interval is not None
    assert found.interval.clearance == pytest.approx(clearance, rel=1e-9)
    assert found.clearance == pytest.approx(clearance / 2, rel=1e-9)
    assert any("holds what earlier doses left" in x for x in found.cautions)
    table = tmp_path / "steady.csv"
    rows = "\n".join(f"{a!r},{b!r}" for a, b in zip(t.tolist(), c.tolist(), strict=True))
    table.write_text("time,concentration\n" + rows)
    main(["nca", str(table), "--dose", "100", "--tau", "4"])
    printed = capsys.readouterr().out
    assert "CL (tau)" in printed
    assert f"{clearance:.5g}" in printed
