"""A sign that does not turn is not a conclusion that stands."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import t

from klarsyn.evidence import open_base
from klarsyn.report.appraisal import build_report
from klarsyn.report.document import Prose
from klarsyn.report.grids import measured_cells
from klarsyn.report.sections.works import typical_sd
from klarsyn.synthesis.extraction import derive_effects

PRINTED = 0.005


def interval(y: np.ndarray, v: np.ndarray) -> tuple[float, float]:
    """Restricted likelihood with Knapp and Hartung's interval, never narrower than normal."""

    def minus(tau2: float) -> float:
        w = 1 / (v + tau2)
        mean = (w * y).sum() / w.sum()
        return float((np.log(v + tau2) + w * (y - mean) ** 2).sum() + np.log(w.sum()))

    tau2 = float(minimize_scalar(minus, bounds=(0, 5), method="bounded", options={"xatol": 1e-9}).x)
    w = 1 / (v + tau2)
    mean = float((w * y).sum() / w.sum())
    spread = float((w * (y - mean) ** 2).sum() / (len(y) - 1))
    half = t.ppf(0.975, len(y) - 1) * math.sqrt(max(1.0, spread) / w.sum())
    return mean - half, mean + half


def test_scores_alone_leave_the_first_day_undecided() -> None:
    """Trials that report scores, at 24 hours against an inert control: −1.09 to 0.01."""
    report, context = build_report(open_base("ketamine_depression"))
    first = derive_effects(context.base, context.settings.windows[0].question)
    cells = measured_cells(context, typical_sd(context, first))
    scores = [e for e in cells["scores", "day1"].values() if e.comparator == "inert"]
    low, high = interval(np.array([e.y for e in scores]), np.array([e.v for e in scores]))
    assert (low, high) == pytest.approx((-1.09, 0.01), abs=PRINTED)
    found = next(r.value for r in report.results() if r.id == "choices.undecided")
    assert "scores" in found["day1.inert"]
    assert "REML" not in found["day1.inert"]
    assert found["end.inert"] == []


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", "the 95 % interval holds no difference under some estimator"),
        ("nb", "rommer 95 % konfidensintervallet ingen forskjell med en annen estimator"),
    ],
)
def test_the_page_tells_both_the_sign_and_the_interval(lang: str, words: str) -> None:
    report, _ = build_report(open_base("ketamine_depression"), lang)
    section = next(s for s in report.sections if s.id == "choices")
    said = " ".join(str(p) for b in section.blocks if isinstance(b, Prose) for p in b.paragraphs)
    assert words in said.replace("\u00a0", " ")
