from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klarsyn.errors import InputError, UnknownNameError
from klarsyn.pharmacology.chemistry import check_structures, draw
from klarsyn.pharmacology.substance import (
    formula_mass,
    read_substance,
    resolve,
    substances,
)

LABEL_ROUNDING = 0.05  # mg: labels print one decimal
ARITHMETIC = 1e-12
MASS_ROUNDING = 0.006  # g/mol: masses are printed to two decimals
KETAMINE = read_substance("ketamine")


@pytest.mark.parametrize(("salt", "base"), [(32.3, 28.0), (57.7, 50.0)])
def test_salt_and_base_agree_with_the_labels(salt: float, base: float) -> None:
    assert KETAMINE.base_mass(salt, "hydrochloride") == pytest.approx(base, abs=LABEL_ROUNDING)
    assert KETAMINE.salt_mass(base, "hydrochloride") == pytest.approx(salt, abs=LABEL_ROUNDING)


@given(st.floats(1e-3, 1e6))
@settings(deadline=None, derandomize=True)
def test_salt_and_base_conversion_is_its_own_inverse(mass: float) -> None:
    there = KETAMINE.salt_mass(mass, "hydrochloride")
    assert KETAMINE.base_mass(there, "hydrochloride") == pytest.approx(mass, rel=ARITHMETIC)


@pytest.mark.parametrize("name", substances())
def test_every_formula_of_the_library_has_its_printed_mass(name: str) -> None:
    substance = read_substance(name)
    pairs = [(substance.formula, substance.molar_mass)]
    pairs += [(m.formula, m.molar_mass) for m in substance.metabolites]
    pairs += [(s.formula, s.molar_mass) for s in substance.salts.values()]
    for formula, mass in pairs:
        assert formula_mass(formula) == pytest.approx(mass, abs=MASS_ROUNDING)


@pytest.mark.parametrize("name", substances())
def test_every_structure_has_its_formula_mass_and_chirality(name: str) -> None:
    checks = check_structures(read_substance(name))
    assert [c.name for c in checks if not c.agrees] == []


def test_a_mirrored_structure_is_found_out() -> None:
    import dataclasses

    swapped = {
        "S": dataclasses.replace(KETAMINE.enantiomers["R"], label="S"),
        "R": dataclasses.replace(KETAMINE.enantiomers["S"], label="R"),
    }
    checks = check_structures(dataclasses.replace(KETAMINE, enantiomers=swapped))
    assert {c.name for c in checks if not c.agrees} == {"S-ketamine", "R-ketamine"}


def test_a_drawing_is_svg() -> None:
    assert "<svg" in draw(KETAMINE.enantiomers["S"].smiles)


def test_forms_sum_to_one_and_an_excess_reads_back() -> None:
    assert KETAMINE.form("racemate").excess("S") == 0
    form = KETAMINE.form("S 99.5 % ee")
    assert form.excess("S") == pytest.approx(0.995, rel=ARITHMETIC)
    assert sum(form.shares.values()) == pytest.approx(1, rel=ARITHMETIC)


def test_a_resolution_by_hand() -> None:
    # 41 % a round at 99.5 % ee, 99 % of the rest racemised: 0.41 (1 + 0.5841 + 0.5841^2)
    found = resolve(yield_per_round=0.41, excess=0.995, racemised=0.99, rounds=3)
    assert found.product == pytest.approx(0.41 * (1 + 0.5841 + 0.5841**2), rel=ARITHMETIC)
    assert found.limit == pytest.approx(0.41 / (1 - 0.59 * 0.99), rel=ARITHMETIC)
    assert found.wanted / found.product == pytest.approx(0.9975, rel=ARITHMETIC)


@given(st.floats(0, 0.5), st.floats(0, 1), st.floats(0, 1), st.integers(1, 60))
@settings(deadline=None, derandomize=True)
def test_a_resolution_loses_no_mass(y: float, excess: float, racemised: float, n: int) -> None:
    found = resolve(yield_per_round=y, excess=excess, racemised=racemised, rounds=n)
    assert found.wanted + found.unwanted == pytest.approx(found.product, abs=ARITHMETIC)
    assert found.product + found.left + found.lost == pytest.approx(1, abs=ARITHMETIC)
    assert found.lost >= -ARITHMETIC
    assert found.product <= found.limit + ARITHMETIC


def test_a_product_cannot_hold_more_of_one_enantiomer_than_the_racemate() -> None:
    with pytest.raises(InputError, match="more of one enantiomer than the racemate has"):
        resolve(yield_per_round=0.6, excess=0.99, racemised=0.9, rounds=1)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_share_outside_zero_to_one_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="share between 0 and 1"):
        resolve(yield_per_round=0.4, excess=0.9, racemised=value, rounds=1)


def test_an_unknown_substance_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match=r"'ketamin' is not a known substance\. Nearest: k"):
        read_substance("ketamin")


def test_an_unknown_salt_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="'sulfate' is not a known salt"):
        KETAMINE.base_mass(1.0, "sulfate")


def test_an_unknown_form_is_refused_and_told_of_the_excess() -> None:
    with pytest.raises(InputError, match=r"'levo' is not a known form.*99.5 % ee"):
        KETAMINE.form("levo")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = 'x'", "the key 'formula' is missing"),
        ("name = ", "not a TOML text file"),
        ("name='x'\nformula='C'\nmolar_mass=-1", "must be a number above 0"),
        (
            "name='x'\nformula='C'\nmolar_mass=12\n[forms]\na={S=0.5}",
            "'S' is not a known enantiomer",
        ),
    ],
)
def test_a_broken_substance_file_says_what_is_wrong(tmp_path, text: str, says: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=says):
        read_substance(file)
