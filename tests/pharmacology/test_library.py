"""The library's models give what their sources and the design say that they give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klarsyn.errors import InputError
from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.pharmacology.kinetics import solve
from klarsyn.pharmacology.model import models, read_model
from klarsyn.pharmacology.substance import read_substance, substances

PRINTED = 0.006  # the design prints three digits
WHOLE = 0.5  # ng/mL or L/h, printed without decimals
ONE_DECIMAL = 0.05
TWO_DECIMALS = 5e-3
TRAPEZOIDS = 1e-5  # relative: an area summed on a fine grid
SUMS = 1e-10  # relative: sums of exponentials
ROUNDING = 1e-12  # relative
THREE_DIGITS = 2e-3  # relative: a conversion printed as 0.753
RERUN = 1e-3  # relative: the design summed its own run on a grid that it does not print
INFUSION = "0.5 mg/kg base iv over 40 min"
FINE = np.unique(np.concatenate([np.linspace(0, 6, 3601), np.arange(6, 300, 0.05), [2 / 3]]))

# design, part A: 0.5 mg/kg racemate, 40 min, 70 kg; Cmax ng/mL, AUC to infinity ng h/mL
DESIGN = {
    "S-ketamine": (79.0, 184),
    "R-ketamine": (89.5, 208),
    "S-norketamine": (37.4, 303),
    "R-norketamine": (43.7, 354),
    "S-hydroxynorketamine": (14.3, 176),
    "R-hydroxynorketamine": (29.6, 364),
    "S-dehydronorketamine": (3.3, 29),
    "R-dehydronorketamine": (5.9, 53),
}
DESIGN_ROUNDING = {"S-dehydronorketamine": 0.02, "R-dehydronorketamine": 0.01}


def run(name: str, text: str, form: str, weight: float = 70.0, times=FINE):
    model = read_model(name)
    values = model.values(weight)
    doses = model.doses(parse_regimen(text).given(weight), model.substance.form(form), values)
    return solve(model.with_values(values), doses, times).outputs


@pytest.fixture(scope="module")
def racemate():
    return run("KSR-1", INFUSION, "racemate")


@pytest.mark.parametrize("analyte", DESIGN)
def test_the_default_gives_the_designs_peaks_and_areas(racemate, analyte: str) -> None:
    peak, area = DESIGN[analyte]
    tolerance = DESIGN_ROUNDING.get(analyte, PRINTED)
    assert racemate[analyte].max() == pytest.approx(peak, rel=tolerance)
    assert np.trapezoid(racemate[analyte], FINE) == pytest.approx(area, rel=tolerance)


def test_total_peaks_venous_and_arterial_are_the_designs(racemate) -> None:
    venous = racemate["S-ketamine"] + racemate["R-ketamine"]
    assert venous.max() == pytest.approx(169, abs=WHOLE)
    arterial = run("KSR-1-arterial", INFUSION, "racemate")
    assert (arterial["S-ketamine"] + arterial["R-ketamine"]).max() == pytest.approx(308, abs=WHOLE)


def test_peaks_come_when_the_design_says(racemate) -> None:
    assert FINE[racemate["S-norketamine"].argmax()] == pytest.approx(1.48, abs=TWO_DECIMALS)
    assert FINE[racemate["S-hydroxynorketamine"].argmax()] == pytest.approx(3.1, abs=ONE_DECIMAL)


def test_esketamine_alone_gives_the_designs_peak() -> None:
    found = run("KSR-1", "0.2 mg/kg base iv over 40 min", "S")
    assert found["S-ketamine"].max() == pytest.approx(63, abs=WHOLE)
    assert found["R-ketamine"].max() == 0


def test_area_is_dose_over_clearance_for_both_enantiomers(racemate) -> None:
    model = read_model("KSR-1")
    micromoles = model.substance.micromoles(17.5, "base")
    for label, clearance in (("S", 95.2), ("R", 95.2 * 0.8826)):
        area = np.trapezoid(racemate[f"{label}-ketamine"], FINE)
        assert area == pytest.approx(micromoles / clearance * 237.73, rel=TRAPEZOIDS)


@given(st.floats(0, 1))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_the_enantiomers_do_not_know_of_each_other(excess: float) -> None:
    times = np.array([0.5, 1.0, 4.0, 12.0])
    mixed = run("KSR-1", INFUSION, f"S {excess * 100:.6f} % ee", times=times)
    pure = run("KSR-1", INFUSION, "S", times=times)
    share = (1 + float(f"{excess * 100:.6f}") / 100) / 2
    for analyte in ("S-ketamine", "S-norketamine", "S-hydroxynorketamine"):
        assert np.allclose(mixed[analyte], share * pure[analyte], rtol=SUMS, atol=0)


def test_salt_gives_less_than_base_by_the_ratio_of_masses() -> None:
    times = np.array([0.5, 2.0])
    base = run("KSR-1", "20 mg base iv over 40 min", "S", times=times)["S-ketamine"]
    salt = run("KSR-1", "20 mg hydrochloride iv over 40 min", "S", times=times)["S-ketamine"]
    assert np.allclose(salt / base, 237.73 / 274.19, rtol=ROUNDING, atol=0)


def test_otto_as_published_is_the_default_before_conversion() -> None:
    # the default's norketamine is Otto's x 0.80 x 223.70/237.73, printed to three digits
    times = np.array([0.5, 1.0, 4.0, 10.0])
    otto = run("Otto2021", "10 mg base iv over 30 min", "S", times=times)
    default = run("KSR-1", "10 mg base iv over 30 min", "S", times=times)
    assert np.allclose(otto["S-ketamine"], default["S-ketamine"], rtol=SUMS, atol=0)
    assert np.allclose(otto["S-norketamine"], default["S-norketamine"], rtol=THREE_DIGITS, atol=0)


def test_the_nasal_models_venous_peak_is_the_designs() -> None:
    # design: pure Perez-Ruixo gives 38.7 ng/mL where Otto observed 56
    times = np.array([0.5])
    found = run("PerezRuixo2021", "10 mg base iv over 30 min", "S", times=times)["S-ketamine"]
    assert found[0] == pytest.approx(38.7, abs=ONE_DECIMAL)


def test_the_nasal_models_norketamine_area_is_the_one_its_table_does_not_print() -> None:
    # design, pitfall 5: re-run 386.7 where Table 4 prints 274.4
    times = np.arange(0, 24.0005, 0.001)
    found = run("PerezRuixo2021", "28 mg base nasal", "S", times=times)["S-norketamine"]
    assert np.trapezoid(found, times) == pytest.approx(386.7, rel=RERUN)


def test_the_nasal_fractions_give_the_published_bioavailability() -> None:
    # Perez-Ruixo 2021 abstract: 54 % at 56 mg and 51 % at 84 mg, swallowed 18.6 %
    for milligrams, share in ((56, 0.54), (84, 0.51)):
        direct = np.mean([0.54] + [0.54 * 0.62] * (milligrams // 28 - 1))
        assert direct + (1 - direct) * 0.186 == pytest.approx(share, abs=TWO_DECIMALS)


def test_the_published_clearance_follows_from_the_liver() -> None:
    # design: E = Vh(kel+kmet)/(Qh+Vh(kel+kmet)), CL = Qh E = 109 L/h
    times = np.arange(0, 400, 0.02)
    area = np.trapezoid(
        run("PerezRuixo2021", "28 mg base iv over 40 min", "S", times=times)["S-ketamine"], times
    )
    assert 28_000 / area == pytest.approx(109, abs=WHOLE)


@pytest.mark.parametrize("name", models())
def test_every_model_reads_runs_and_names_the_source_of_every_number(name: str) -> None:
    model = read_model(name)
    for parameter in model.parameters.values():
        assert parameter.number.source in model.sources
        assert parameter.number.locator
        assert parameter.number.unit
    form = next(f for f in ("racemate", "S") if _takes(model, f))
    times = np.array([0.1, 1.0, 5.0])
    doses = model.doses(
        parse_regimen("20 mg base iv over 20 min").given(),
        model.substance.form(form),
        model.values(),
    )
    outputs = solve(model.with_values(model.values()), doses, times).outputs
    given_ = [v for v in outputs.values() if v.max() > 0]
    assert given_
    assert all(np.all(np.isfinite(v)) for v in outputs.values())


def _takes(model, form: str) -> bool:
    if not model.enantiomers:
        return form == model.holds
    shares = model.substance.form(form).shares
    return all(not share or label in model.enantiomers for label, share in shares.items())


def test_a_route_without_parameters_is_refused() -> None:
    model = read_model("Otto2021")
    with pytest.raises(InputError, match="no absorption parameters for 'nasal'"):
        model.doses(
            parse_regimen("28 mg base nasal").given(), model.substance.form("S"), model.values()
        )


def test_a_form_that_a_model_cannot_follow_is_refused() -> None:
    given_ = parse_regimen("28 mg base iv").given()
    otto = read_model("Otto2021")
    with pytest.raises(InputError, match="no parameters for the R enantiomer"):
        otto.doses(given_, otto.substance.form("racemate"), otto.values())
    domino = read_model("Domino1982")
    with pytest.raises(InputError, match="describes the racemate only"):
        domino.doses(given_, domino.substance.form("S"), domino.values())


def test_a_nasal_dose_takes_its_time_from_the_model() -> None:
    with pytest.raises(InputError, match="takes its time from the model"):
        run("KSR-1", "28 mg base nasal over 10 min", "S")


def test_the_engine_takes_a_substance_and_a_model_from_a_users_files(tmp_path) -> None:
    (tmp_path / "mine.toml").write_text(
        "name = 'mine'\nformula = 'C2H6O'\nmolar_mass = 46.07\n[sources.me]\ncitation = 'own'\n"
        "[forms]\nonly = {}\n"
    )
    (tmp_path / "model.toml").write_text(
        "id = 'm'\nlabel = 'one compartment'\nsubstance = 'mine.toml'\nsite = 'venous'\n"
        "compartments = [{name='C', holds='mine'}]\n"
        "flows = [{from='C', rate='CL/V'}]\n"
        "[routes]\niv = [{into='C'}]\n"
        "[outputs]\nmine = {is='C/V*M_mine', unit='ng/mL'}\n"
        "[parameters]\n"
        "CL = {value=10, unit='L/h', kind='assumed', source='me', locator='-'}\n"
        "V = {value=20, unit='L', kind='assumed', source='me', locator='-'}\n"
        "[sources.me]\ncitation = 'own'\n"
    )
    outputs = run(str(tmp_path / "model.toml"), "46.07 mg base iv", "only", times=np.array([2.0]))
    assert outputs["mine"][0] == pytest.approx(46.07e3 / 20 * np.exp(-1), rel=ROUNDING)
    assert read_substance(tmp_path / "mine.toml").name == "mine"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("rate='CL/V'", "rate='CL/W'", "'W' is not a known parameter or compartment"),
        ("into='C'", "into='D'", "'D' is not a known compartment"),
        (
            "kind='assumed', source='me'",
            "kind='assumed', source='you'",
            "'you' is not a known source",
        ),
        ("from='C'", "from='X'", "'X' is not a known compartment"),
        ("site = 'venous'", "site = 'blood'", "'blood' is not a known site"),
        ("kind='assumed'", "kind='guessed'", "'guessed' is not a known kind"),
    ],
)
def test_a_broken_model_file_says_what_is_wrong(tmp_path, old: str, new: str, says: str) -> None:
    text = (
        "id = 'm'\nlabel = 'x'\nsubstance = 'ketamine'\nsite = 'venous'\n"
        "compartments = [{name='C'}]\nflows = [{from='C', rate='CL/V'}]\n"
        "[routes]\niv = [{into='C'}]\n[outputs]\nc = {is='C/V', unit='u'}\n[parameters]\n"
        "CL = {value=10, unit='L/h', kind='assumed', source='me', locator='-'}\n"
        "V = {value=20, unit='L', kind='assumed', source='me', locator='-'}\n"
        "[sources.me]\ncitation = 'own'\n"
    )
    file = tmp_path / "m.toml"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=says):
        read_model(file)


def test_the_model_in_the_guide_reads_and_runs(tmp_path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "kinetics.md").read_text()
    file = tmp_path / "mine.toml"
    file.write_text(guide.split("```toml\n")[1].split("```")[0])
    outputs = run(str(file), "50 mg base oral", "S", times=np.array([0.2, 1.0, 4.0]))
    assert outputs["S-ketamine"][0] == 0  # the lag is a quarter of an hour
    assert outputs["S-ketamine"][1] > 0


def test_the_engine_knows_no_drug() -> None:
    import klarsyn.pharmacology

    folder = Path(klarsyn.pharmacology.__file__).parent
    names = {read_substance(s).name for s in substances()}
    names |= {e.name for s in substances() for e in read_substance(s).enantiomers.values()}
    names |= set(models())
    for file in folder.rglob("*.py"):
        text = file.read_text()
        assert [n for n in names if n.casefold() in text.casefold()] == [], file.name
