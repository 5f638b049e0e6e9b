"""Vibration of effects: by hand on a ladder of estimates; values in oracles/method_more_b.csv."""

from __future__ import annotations

import math

import numpy as np
import pytest

from klarsyn.errors import NumericalError
from klarsyn.stats.vibration import vibration


def test_a_ladder_by_hand() -> None:
    found = vibration(np.linspace(-1, 1, 101), log=True)
    assert (found.low, found.high) == pytest.approx((-0.98, 0.98))
    assert found.ratio == pytest.approx(math.exp(1.96))
    assert found.janus
    assert found.above == pytest.approx(50 / 101)
    assert "Janus" in found.summary()


def test_one_sided_estimates_have_one_face() -> None:
    found = vibration([0.2, 0.3, math.nan, 0.4], log=False)
    assert not found.janus
    assert found.ratio is None
    assert "on one side" in found.summary()


def test_nothing_to_compare_is_said() -> None:
    with pytest.raises(NumericalError, match="No analysis has an estimate"):
        vibration([math.nan], log=True)
