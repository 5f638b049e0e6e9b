"""The labelled results of small-study analyses and of Bayesian pooling, and their commands."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from klarsyn.app.cli import main
from klarsyn.errors import InputError, UnknownNameError
from klarsyn.figures.funnel import contour_lines
from klarsyn.synthesis.bayes import pool_bayes
from klarsyn.synthesis.effects import effects_from_arrays
from klarsyn.synthesis.rare import count_table
from klarsyn.synthesis.smallstudy import analyse_small_studies

MIRRORED = 1e-9  # relative; the same fit on effects of the other sign
NEAR_ZERO = 1e-12  # absolute, of an effect that is zero
ROUNDING = 1e-12  # relative; a quantile and back
LAST_BIT = 1e-15  # 1 − p + p
ROOT = 1e-10  # a probability at a quantile that was searched for

Y = [0.52, 0.91, 0.10, 0.64, 0.33, 1.20, 0.05, 0.44, 0.71, 0.28, 0.95, -0.12]
V = [0.04, 0.12, 0.01, 0.06, 0.02, 0.25, 0.03, 0.05, 0.09, 0.02, 0.18, 0.08]
EFFECTS = effects_from_arrays(Y, V, study=[f"S{i}" for i in range(12)])


def test_mirrored_effects_have_mirrored_adjustments() -> None:
    one = analyse_small_studies(EFFECTS, favoured="positive")
    other = analyse_small_studies(effects_from_arrays([-y for y in Y], V), favoured="negative")
    for first, second in zip(one.estimates(), other.estimates(), strict=True):
        assert second.value == pytest.approx(-first.value, rel=MIRRORED, abs=NEAR_ZERO)
        assert second.se == pytest.approx(first.se, rel=MIRRORED)


def test_what_fails_is_named_and_the_rest_is_there() -> None:
    precise = effects_from_arrays([0.5, 0.6, 0.7, 0.55], [0.001] * 4)
    result = analyse_small_studies(precise, favoured="positive", selection=["stepfun"])
    assert result.selection == ()
    assert any("p-value between" in why for _, why in result.failed)
    assert result.notes[0].startswith("Only 4 studies")


def test_counts_add_the_tests_made_for_them() -> None:
    counts = count_table(
        ["A", "B", "C", "D"], [3, 5, 8, 2], [50, 60, 90, 40], [6, 9, 9, 6], [48, 61, 88, 41]
    )
    effects = effects_from_arrays([-0.7, -0.6, -0.1, -1.1], [0.5, 0.35, 0.25, 0.7], measure="OR")
    names = {
        t.name for t in analyse_small_studies(effects, favoured="negative", counts=counts).tests
    }
    assert {"Harbord", "Peters", "Macaskill", "Deeks", "Rücker–Schwarzer arcsine"} <= names


def test_group_sizes_add_pustejovsky_and_rodgers() -> None:
    sizes = [20.0] * 12
    found = analyse_small_studies(
        EFFECTS, favoured="positive", groups=(sizes, list(np.linspace(10, 60, 12)))
    )
    assert found.tests[-1].name == "Pustejovsky–Rodgers"


def test_too_few_studies_are_refused() -> None:
    with pytest.raises(InputError, match="need 3 studies"):
        analyse_small_studies(EFFECTS.take([0, 1]), favoured="positive")
    with pytest.raises(UnknownNameError, match="negative"):
        analyse_small_studies(EFFECTS, favoured="up")


def test_contours_are_where_the_z_test_has_that_p() -> None:
    for line in contour_lines(0.5, null=0.2):
        z = (line["high"] - 0.2) / 0.5
        assert math.erfc(z / math.sqrt(2)) == pytest.approx(line["p"], rel=ROUNDING)
        assert line["low"] == pytest.approx(0.4 - line["high"], rel=ROUNDING)


def test_the_funnel_shows_every_study_and_what_was_filled_in() -> None:
    result = analyse_small_studies(EFFECTS, favoured="positive")
    rows = result.plot().to_dict()["layer"][-1]["data"]["values"]
    assert [r["study"] for r in rows[:12]] == [f"S{i}" for i in range(12)]
    assert len(rows) == 12 + result.trimmed[0].missing


def test_probabilities_agree_with_the_distribution_and_add_to_one() -> None:
    found = pool_bayes(EFFECTS, tau_prior="half-cauchy 0.5", mu_sd=2.0)
    for part in ("mu", "new_study", "tau"):
        below = found.probability_below(0.3, of=part)
        assert below + found.probability_above(0.3, of=part) == pytest.approx(1, abs=LAST_BIT)
    assert found.probability_below(found.mu.median) == pytest.approx(0.5, abs=ROOT)
    assert found.prior_probability_below(0.0) == 0.5
    assert pool_bayes(EFFECTS, tau_prior="half-normal 1").prior_probability_below(0.0) is None


def test_central_intervals_leave_equal_tails() -> None:
    found = pool_bayes(EFFECTS, tau_prior="half-normal 0.5", interval="central", level=0.8)
    for s, law in ((found.mu, found.distribution.mu), (found.tau, found.distribution.tau)):
        assert law.cdf(s.low) == pytest.approx(0.1, abs=ROOT)
        assert law.cdf(s.high) == pytest.approx(0.9, abs=ROOT)


def test_the_bayes_factor_of_homogeneous_data_favours_no_spread() -> None:
    same = effects_from_arrays([0.3] * 6, [0.05] * 6)
    found = pool_bayes(same, tau_prior="half-normal 0.5", mu_sd=2.0)
    assert found.log_bayes_factor_homogeneity is not None
    assert found.log_bayes_factor_homogeneity > 0


def test_bad_choices_are_named() -> None:
    with pytest.raises(UnknownNameError, match="shortest"):
        pool_bayes(EFFECTS, tau_prior="half-normal 1", interval="hpd")
    with pytest.raises(InputError, match="between 0 and 1"):
        pool_bayes(EFFECTS, tau_prior="half-normal 1", level=95)
    with pytest.raises(InputError, match="is positive"):
        pool_bayes(EFFECTS, tau_prior="half-normal 1", mu_sd=0)
    with pytest.raises(UnknownNameError, match="new_study"):
        pool_bayes(EFFECTS, tau_prior="half-normal 1").probability_below(0, of="next")


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def rows(header: str, *cells: str) -> str:
    return "\n".join([header, *cells]) + "\n"


def test_klarsyn_rare_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(
        tmp_path / "t.csv",
        rows("study,ai,n1i,ci,n2i", "A,1,100,4,100", "B,0,80,0,70", "C,3,120,5,118"),
    )
    main(["rare", file, "--json"])
    out = json.loads(capsys.readouterr().out)
    assert [f["ignored"] for f in out["fits"] if f["method"] == "Peto"] == [150]


def test_klarsyn_rare_prints_a_table_with_ignored_patients(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "t.csv", rows("study,ai,bi,ci,di", "A,1,99,4,96", "B,3,117,5,113"))
    main(["rare", file, "--methods", "MH OR,CM.EL"])
    out = capsys.readouterr().out
    assert "patients ignored" in out
    assert "CM.EL" in out


def test_klarsyn_smallstudy_prints_json_and_writes_the_funnel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"S{i},{y},{v}" for i, (y, v) in enumerate(zip(Y, V, strict=True))]
    file = write(tmp_path / "t.csv", rows("study,yi,vi", *lines))
    funnel = tmp_path / "funnel.json"
    main(["smallstudy", file, "--measure", "GEN", "--favoured", "positive", "--study", "study",
          "--funnel", str(funnel), "--json"])  # fmt: skip
    assert json.loads(capsys.readouterr().out)["studies"] == 12
    assert json.loads(funnel.read_text(encoding="utf-8"))["layer"]


def test_klarsyn_bayes_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"S{i},{y},{v}" for i, (y, v) in enumerate(zip(Y, V, strict=True))]
    file = write(tmp_path / "t.csv", rows("study,yi,vi", *lines))
    main(["bayes", file, "--measure", "GEN", "--tau-prior", "half-normal 0.5", "--mu-sd", "4",
          "--below", "0", "--json"])  # fmt: skip
    out = json.loads(capsys.readouterr().out)
    assert out["probabilities"][0]["mu_prior"] == 0.5
    assert len(out["shrinkage"]) == 12


def test_a_missing_column_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "t.csv", rows("study,a,n1i,ci,n2i", "A,1,100,4,100"))
    with pytest.raises(SystemExit, match="2"):
        main(["rare", file])
    assert "there is no column 'ai'" in capsys.readouterr().err


def test_a_posterior_of_few_studies_warns_of_a_prior_below_the_truth() -> None:
    """validation/bayes: 3 to 10 studies with tau² 0.5 and a half-normal prior of 0.5 fail."""
    few = pool_bayes(EFFECTS, tau_prior="half-normal 0.5")
    assert any("Compare a wider prior" in note for note in few.notes)
    assert "Compare a wider prior" in few.summary()
    many = effects_from_arrays(Y * 2, V * 2)
    assert not any("wider" in n for n in pool_bayes(many, tau_prior="half-normal 0.5").notes)
    assert not any("wider" in n for n in pool_bayes(EFFECTS, tau_prior="flat").notes)


def test_known_failures_of_small_study_methods_are_said_where_they_apply() -> None:
    """validation/selection: heterogeneous studies, the mixed tests, the step model."""
    spread = effects_from_arrays([y + (0.6 if i % 2 else -0.6) for i, y in enumerate(Y)], V)
    said = " ".join(analyse_small_studies(spread, favoured="positive").notes)
    for sentence in (
        "rank test is then conservative", "mixed Egger and Thompson–Sharp",
        "only selection of its own form", "covered 83 to 94 %", "PET-PEESE halved the bias",
        "Trim and fill halved", "The limit estimate halved", "smooth selection models",
    ):  # fmt: skip
        assert sentence in said
    equal = effects_from_arrays([0.4, 0.41, 0.4, 0.39] * 3, V)
    calm = " ".join(analyse_small_studies(equal, favoured="positive", selection=()).notes)
    assert "step model" not in calm
    assert "are heterogeneous" not in calm
    many = effects_from_arrays(list(spread.y) * 2, list(spread.v) * 2)
    found = " ".join(analyse_small_studies(many, favoured="positive", selection=()).notes)
    assert "conservative" in found
    assert "mixed Egger" not in found
