from __future__ import annotations

import json
import re

import numpy as np
import pytest

from klarsyn.app.cli import main
from klarsyn.errors import InputError, UnknownNameError
from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.pharmacology.kinetics import solve
from klarsyn.pharmacology.model import read_model
from klarsyn.pharmacology.population import Demographics, sample_individuals
from klarsyn.pharmacology.simulate import dose_grid, expose, simulate, subset

KSR = read_model("KSR-1")
INFUSION = parse_regimen("0.5 mg/kg base iv over 40 min, twice a week for 1 week")
MANY = 20_000
SIX_SE = 6 / np.sqrt(MANY)  # Monte Carlo error of a mean of unit variance, six-fold
ROUNDING = 1e-9  # sums of exponentials against matrix exponentials
ARITHMETIC = 1e-12  # relative
HALF_LIFE = 1e-7  # relative: the slowest exponential after the others have faded
OF_200 = 0.03  # relative: sampling error of the design's 200 draws with a spread of 18 %, twice
TAIL_OF_200 = 0.06  # the same of a 5th or 95th percentile
SPREAD = 0.15  # relative error of an SD from 200 draws: three times 1/√400
RESIDUAL = 0.062  # relative error of an SD from 1,200 draws: three times 1/√2400
ON_GRID = 1e-8  # hours


def test_effects_have_the_published_covariance() -> None:
    people = sample_individuals(KSR, MANY, seed=1)
    typical = KSR.values(70.0)
    for block in KSR.between_subject:
        if block.transform != "log":
            continue
        logs = np.array([np.log(people.values[n] / typical[n]) for n in block.on])
        expected = np.array(block.covariance)
        error = SIX_SE * np.sqrt(np.outer(np.diag(expected), np.diag(expected)) * 2)
        assert np.all(np.abs(np.atleast_2d(np.cov(logs)) - expected) <= error)
        assert np.all(np.abs(logs.mean(axis=1)) <= SIX_SE * np.sqrt(np.diag(expected)))


def test_enantiomers_share_their_effects() -> None:
    people = sample_individuals(KSR, 20, seed=4)
    assert np.allclose(
        people.values["CL_R"] / people.values["CL_S"], 0.8826, rtol=ARITHMETIC, atol=0
    )


def test_chunks_and_regimens_meet_the_same_patients() -> None:
    whole = sample_individuals(KSR, 50, seed=2, demographics=Demographics(weight_sd=12))
    part = sample_individuals(
        KSR, 10, seed=2, first=30, demographics=Demographics(weight_sd=12), occasions=6
    )
    for name in ("CL_S", "VH_S", "scale_HNK", "ka_nasal", "V1_R"):
        assert np.array_equal(whole.values[name][30:40], part.values[name])
    assert np.array_equal(whole.weight[30:40], part.weight)


def test_the_level_of_the_uncertain_metabolite_is_sampled_over_seven_fold() -> None:
    scale = sample_individuals(KSR, MANY, seed=1).values["scale_HNK"]
    assert scale.min() > 0.25
    assert scale.max() < 1.8
    expected = (np.log(0.25) + np.log(1.8)) / 2
    assert abs(np.log(scale).mean() - expected) < SIX_SE * np.log(7.2) / np.sqrt(12)
    fixed = sample_individuals(KSR, 5, seed=1, uncertain={"scale_HNK": 1.0})
    assert np.all(fixed.values["scale_HNK"] == 1.0)


def test_occasions_differ_within_a_patient_and_patients_do_not_move() -> None:
    arterial = read_model("KSR-1-arterial")
    people = sample_individuals(arterial, 200, seed=3, occasions=3)
    first, second = people.at(1), people.at(2)
    assert np.all(first["F_film"] != second["F_film"])
    assert np.array_equal(first["CL_S"], second["CL_S"])
    spread = np.log(first["F_film"] / second["F_film"]).std()
    assert spread == pytest.approx(np.sqrt(2 * 0.060), rel=SPREAD)


def test_weight_scales_as_stated() -> None:
    light, heavy = KSR.values(70.0), KSR.values(140.0)
    assert heavy["V1_R"] / light["V1_R"] == pytest.approx(2.0, rel=ARITHMETIC)
    assert heavy["CL_R"] / light["CL_R"] == pytest.approx(2**0.75, rel=ARITHMETIC)


def test_covariates_do_what_their_source_says() -> None:
    # Perez-Ruixo: CL = Qh E with Qh lower by 2.19 L/h a year above 60; at 70 years Qh 129.1
    table = {"weight": np.full(2, 70.0), "age": np.array([60.0, 70.0])}
    old = sample_individuals(KSR, 2, seed=1, table=table, variability=False)
    expected = (129.1 * 391.88 / (129.1 + 391.88)) / (151 * 391.88 / (151 + 391.88))
    assert old.values["CL_S"][1] / old.values["CL_S"][0] == pytest.approx(expected, rel=ARITHMETIC)
    women = {"weight": np.full(2, 70.0), "female": np.array([0.0, 1.0])}
    off = sample_individuals(KSR, 2, seed=1, table=women, variability=False)
    on = sample_individuals(
        KSR, 2, seed=1, table=women, variability=False, effects={"female": True}
    )
    assert off.values["CL_S"][0] == off.values["CL_S"][1]
    assert on.values["CL_S"][1] / on.values["CL_S"][0] == pytest.approx(1.2, rel=ARITHMETIC)


@pytest.mark.parametrize(
    ("name", "words", "form"),
    [
        ("KSR-1", "0.5 mg/kg base iv over 40 min, twice a week for 1 week", "racemate"),
        ("KSR-1", "84 mg base nasal in 3 portions 5 min apart", "S"),
        ("KSR-1", "25 mg hydrochloride oral, every 8 h for 3 doses", "R"),
        ("KSR-1-arterial", "50 mg base film, on days 0, 1", "S"),
    ],
)
def test_a_population_is_its_individuals(name: str, words: str, form: str) -> None:
    model, regimen = read_model(name), parse_regimen(words)
    people = sample_individuals(
        model, 4, seed=9, demographics=Demographics(weight_sd=15), occasions=regimen.administrations
    )
    times = np.unique(np.concatenate([np.arange(0, 30, 0.7), [48.0, 75.0]]))
    together = expose(people, regimen, model.substance.form(form), times)
    for i in (0, 3):
        alone = _alone(subset(people, np.array([i])), regimen, form, times)
        for analyte, values in alone.items():
            floor = 1e-6 * max(values.max(), 1e-300)
            gap = np.abs(together[analyte][i] - values) / np.maximum(values, floor)
            assert gap.max() < ROUNDING


def _alone(one, regimen, form: str, times):
    from klarsyn.pharmacology.exposing import _one_by_one

    found = _one_by_one(one, regimen, one.model.substance.form(form), times)
    return {k: v[0] for k, v in found.items() if k in one.model.outputs}


def test_areas_and_half_lives_are_those_of_the_equations() -> None:
    people = sample_individuals(KSR, 3, seed=1, variability=False, uncertain={"scale_HNK": 1.0})
    found = simulate(people, parse_regimen("0.5 mg/kg base iv over 40 min"), "racemate")
    area = found.metrics["S-ketamine"]["auc"][0]
    assert area == pytest.approx(35 / 2 / 95.2 * 1000, rel=ARITHMETIC)
    times = np.array([60.0, 61.0])
    values = KSR.values()
    doses = KSR.doses(
        parse_regimen("0.5 mg/kg base iv over 40 min").given(70),
        KSR.substance.form("racemate"),
        values,
    )
    late = solve(KSR.with_values(values), doses, times).outputs["S-ketamine"]
    half = np.log(2) / np.log(late[0] / late[1])
    assert found.metrics["S-ketamine"]["half_life"][0] == pytest.approx(half, rel=HALF_LIFE)


def test_the_virtual_population_has_the_designs_spread() -> None:
    # design: total ketamine Cmax, n = 200, median 166, 5-95 % 120-211; here n = 2000
    people = sample_individuals(KSR, 2000, seed=1)
    grid = np.array([0.5, 2 / 3, 1.0])
    found = simulate(people, parse_regimen("0.5 mg/kg base iv over 40 min"), "racemate", times=grid)
    low, middle, high = found.quantiles("ketamine", "cmax")
    assert middle == pytest.approx(166, rel=OF_200)
    assert low == pytest.approx(120, rel=TAIL_OF_200)
    assert high == pytest.approx(211, rel=TAIL_OF_200)


def test_the_same_seed_gives_the_same_numbers_and_another_does_not() -> None:
    def run(seed: int):
        people = sample_individuals(KSR, 30, seed=seed)
        return simulate(people, INFUSION, "racemate").to_dict()

    assert json.dumps(run(1)) == json.dumps(run(1))
    assert json.dumps(run(1)["analytes"]) != json.dumps(run(2)["analytes"])


def test_residual_error_has_the_stated_size_and_leaves_areas_alone() -> None:
    people = sample_individuals(KSR, 400, seed=1, variability=False)
    regimen = parse_regimen("0.5 mg/kg base iv over 40 min")
    grid = np.array([0.5, 1.0, 2.0])
    clean = simulate(people, regimen, "S", times=grid)
    noisy = simulate(people, regimen, "S", times=grid, residual=True)
    ratio = noisy.curves["S-ketamine"] / clean.curves["S-ketamine"] - 1
    assert ratio.std() == pytest.approx(0.236, rel=RESIDUAL)
    assert np.array_equal(noisy.metrics["S-ketamine"]["auc"], clean.metrics["S-ketamine"]["auc"])


def test_the_grid_holds_every_dose_and_every_end_of_an_infusion() -> None:
    given_ = INFUSION.given(70)
    grid = dose_grid(given_)
    for dose in given_:
        assert np.min(np.abs(grid - dose.time)) < ON_GRID
        assert np.min(np.abs(grid - dose.time - dose.duration)) < ON_GRID


def test_the_plot_shows_every_analyte() -> None:
    people = sample_individuals(KSR, 20, seed=1)
    found = simulate(people, parse_regimen("28 mg base nasal"), "S")
    spec = found.plot().to_dict()
    assert len(spec["concat"]) == len(found.analytes)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"n": 0}, "at least one is needed"),
        ({"demographics": Demographics(weight_mean=-4)}, "mean weight of -4 kg"),
        ({"demographics": Demographics(age_low=50, age_high=40)}, "low first"),
        ({"demographics": Demographics(shares={"female": 2})}, "share of female is 2"),
        ({"table": {"age": np.array([4.0])}}, "no column 'weight'"),
        ({"effects": {"height": True}}, "'height' is not a known covariate effect"),
        ({"uncertain": {"scale": 1.0}}, "'scale' is not a known parameter"),
    ],
)
def test_people_who_cannot_be_are_refused(arguments, says) -> None:
    with pytest.raises(InputError, match=says):
        sample_individuals(KSR, **({"n": 3, "seed": 1} | arguments))


def test_an_unknown_analyte_is_refused() -> None:
    people = sample_individuals(KSR, 2, seed=1)
    found = simulate(people, parse_regimen("28 mg base nasal"), "S")
    with pytest.raises(UnknownNameError, match="not a known analyte"):
        found.quantiles("caffeine", "cmax")


RUN = ["simulate", "--substance", "ketamine", "--form", "racemate", "--dose", "0.5 mg/kg"]
RUN += ["--route", "iv", "--infusion", "40 min", "--schedule", "2 per week, 3 weeks"]
RUN += ["--n", "40", "--seed", "1", "--followed", "5"]


def test_the_command_answers_in_json(capsys) -> None:
    main([*RUN, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["regimen"] == "0.5 mg/kg base iv over 40 min, twice a week for 3 weeks"
    assert found["n"] == 40
    assert set(found["analytes"]["S-ketamine"]) == {
        "unit",
        "cmax",
        "tmax",
        "auc",
        "half_life",
        "course",
    }
    assert found["doses"]["assumed"]
    assert any("labelled in base" in note for note in found["notes"])
    assert any("seven-fold" in note for note in found["notes"])


def test_the_command_writes_patients_and_a_page(tmp_path, capsys) -> None:
    import polars as pl

    out, page = tmp_path / "run.parquet", tmp_path / "run.html"
    main([*RUN, "--out", str(out), "--report", str(page)])
    assert "S-ketamine" in capsys.readouterr().out
    frame = pl.read_parquet(out)
    assert frame.height == 40 * 11
    text = page.read_text()
    assert "<script" not in text
    assert re.findall(r'(?:src|srcset|href)="(?!data:|#)', text) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"--substance": "ketmine"}, "'ketmine' is not a known substance. Nearest: ketamine"),
        ({"--route": "rectal"}, "no route"),
        ({"--route": "film"}, "no absorption parameters for 'film'"),
        ({"--dose": "-1 mg"}, "not above 0"),
        ({"--form": "T"}, "'T' is not a known form"),
        ({"--weight": "heavy"}, "give one number"),
        ({"--model": "KSR-2"}, "'KSR-2' is not a known model. Nearest: KSR-1"),
        ({"--dose": "1 mg fumarate"}, "'fumarate' is not a known salt"),
    ],
)
def test_the_command_says_what_is_wrong(change, says: str, capsys) -> None:
    arguments = dict(zip(RUN[1::2], RUN[2::2], strict=True)) | change
    if change.get("--route") == "film":
        arguments.pop("--infusion")
    flat = [word for pair in arguments.items() for word in pair]
    with pytest.raises(SystemExit) as stop:
        main(["simulate", *flat])
    assert stop.value.code == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_a_regimen_may_mix_mg_and_mg_per_kg() -> None:
    regimen = parse_regimen("20 mg base iv over 40 min; 0.5 mg/kg base iv over 40 min on day 1")
    people = sample_individuals(KSR, 3, seed=1, demographics=Demographics(weight_sd=20))
    found = simulate(people, regimen, "S")
    expected = (20 + 0.5 * people.weight) * 1000 / people.values["CL_S"]
    assert np.allclose(found.metrics["S-ketamine"]["auc"], expected, rtol=ARITHMETIC, atol=0)


def test_a_total_of_one_enantiomer_is_not_repeated() -> None:
    people = sample_individuals(KSR, 2, seed=1)
    found = simulate(people, parse_regimen("28 mg base nasal"), "S")
    assert "ketamine" not in found.analytes
    assert "S-ketamine" in found.analytes


def test_a_time_varying_clearance_has_no_half_life_and_says_so() -> None:
    people = sample_individuals(read_model("Flint2017"), 2, seed=1)
    found = simulate(people, parse_regimen("10 mg base iv over 1 h"), "S")
    assert found.cell("S-norketamine", "half_life") == "not estimable"
    assert "nan" not in found.summary()


def test_the_command_takes_a_table_of_individuals(tmp_path, capsys) -> None:
    table, out = tmp_path / "people.csv", tmp_path / "out.csv"
    table.write_text("weight,age,female\n82,45,0\n64,71,1\n")
    words = ["simulate", "--substance", "ketamine", "--dose", "1 mg/kg base", "--route", "im"]
    words += ["--individuals", str(table), "--n", "2", "--typical"]
    main([*words, "--out", str(out)])
    capsys.readouterr()
    rows = [line.split(",") for line in out.read_text().splitlines()]
    assert [r[1] for r in rows if r[2] == "S-ketamine"] == ["82.0", "64.0"]
    table.write_text("weight,age\nheavy,45\n")
    with pytest.raises(SystemExit):
        main(words)
    assert "row 2, column 'weight': 'heavy' is not a number" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["KSR-1", "KSR-1-arterial"])
def test_a_patients_exposure_does_not_depend_on_the_others(name: str) -> None:
    model, regimen = read_model(name), parse_regimen("0.5 mg/kg base iv over 40 min")
    grid = np.array([0.3, 1.0, 5.0])
    whole = simulate(sample_individuals(model, 280, seed=1), regimen, "racemate", times=grid)
    part = sample_individuals(model, 7, seed=1, first=248)
    alone = simulate(part, regimen, "racemate", times=grid)
    for analyte in whole.analytes:
        assert np.array_equal(whole.curves[analyte][248:255], alone.curves[analyte])
        for metric, values in alone.metrics[analyte].items():
            assert np.array_equal(whole.metrics[analyte][metric][248:255], values)
