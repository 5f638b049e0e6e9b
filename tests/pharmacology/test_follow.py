"""From words to consequences, and the engine that knows no drug."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import klarsyn.pharmacology
from klarsyn.app.commands.respond import command
from klarsyn.errors import InputError
from klarsyn.pharmacology.ensemble import shipped_ensemble
from klarsyn.pharmacology.follow import follow
from klarsyn.pharmacology.gating import read_scheme
from klarsyn.pharmacology.receptor import read_receptor
from klarsyn.pharmacology.runs import read_study

STUDY = read_study("ketamine_response")
DYNAMICS = (
    "constants", "gating", "receptor", "magnesium", "plasticity", "response", "runs",
    "experiments", "ensemble", "clinical", "effects", "follow", "driven",
)  # fmt: skip


@pytest.fixture(scope="module")
def ensemble():
    return shipped_ensemble(STUDY)


def _follow(ensemble, form: str, regimen: str, **other):
    return follow(
        STUDY,
        ensemble,
        model=other.get("model", "KSR-1-arterial"),
        form=form,
        regimen=regimen,
        days=other.get("days", 3),
        effects="ketamine_effects",
        seed=1,
    )


def test_the_engine_names_no_drug() -> None:
    room = Path(klarsyn.pharmacology.__file__).parent
    for name in DYNAMICS:
        text = (room / f"{name}.py").read_text().casefold()
        assert "ketamine" not in text, name
        assert "memantine" not in text, name


def test_everything_follows_from_words(ensemble) -> None:
    found = _follow(ensemble, "racemate", "0.5 mg/kg base iv over 40 min")
    assert set(found.occupancy) == {"p5", "p25", "p50", "p75", "p95"}
    assert found.occupancy["p50"].max() < 0.6
    assert found.response.score.shape == (len(ensemble), len(found.times))
    assert "extrapolated from the rat" in found.summary()
    json.dumps(found.to_dict())


def test_s_occupies_more_than_r_at_the_same_dose(ensemble) -> None:
    s = _follow(ensemble, "S", "0.5 mg/kg base iv over 40 min")
    r = _follow(ensemble, "R", "0.5 mg/kg base iv over 40 min")
    assert s.occupancy["p50"].max() > 1.5 * r.occupancy["p50"].max()


def test_a_nasal_dose_on_a_venous_model_says_what_does_not_fit(ensemble) -> None:
    found = _follow(ensemble, "S", "84 mg base nasal", model="KSR-1")
    assert any("arterial" in n for n in found.effects.notes)


def test_six_doses_last_longer_than_one(ensemble) -> None:
    one = _follow(ensemble, "racemate", "0.5 mg/kg base iv over 40 min", days=25)
    six = _follow(
        ensemble, "racemate", "0.5 mg/kg base iv over 40 min, 3 times a week for 2 weeks", days=25
    )
    at = np.searchsorted(six.times, 264 + 168)
    alone = np.searchsorted(one.times, 168)
    assert np.all(six.response.effect[:, at] > one.response.effect[:, alone])


def test_the_command_prints_bands_verdicts_and_failures() -> None:
    args = [
        "--form",
        "S",
        "--form",
        "R",
        "--regimen",
        "0.5 mg/kg base iv over 40 min",
        "--days",
        "8",
    ]
    text = CliRunner().invoke(command, [*args, "--fit"], catch_exceptions=False).output
    assert "cannot be told from these data" in text
    assert "#6 not reproduced" in text
    said = json.loads(CliRunner().invoke(command, [*args, "--json"], catch_exceptions=False).output)
    assert {c["verdict"] for c in said["contrasts"]} == {"cannot be told from these data"}


@pytest.mark.parametrize(
    ("read", "name", "words"),
    [
        (read_study, "ketamine_effects", "cannot serve as a response model: it has no receptor"),
        (read_receptor, "kampa2004", "cannot serve as a receptor: it has no ligands"),
        (read_scheme, "ketamine_receptor", "cannot serve as a gating scheme: it has no states"),
        (read_study, "nope", "not a known file of numbers"),
    ],
)
def test_a_file_for_another_purpose_is_one_sentence(read, name, words) -> None:
    with pytest.raises(InputError, match=words):
        read(name)


def test_no_days_cannot_be_followed(ensemble) -> None:
    with pytest.raises(InputError, match="0 days cannot be followed"):
        _follow(ensemble, "S", "0.5 mg/kg base iv", days=0)


def test_the_page_s_table_of_experiments_is_what_the_code_computes(ensemble) -> None:
    import importlib.util

    root = Path(__file__).parents[2]
    place = root / "validation" / "ensemble" / "document.py"
    spec = importlib.util.spec_from_file_location("document", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (root / "docs" / "dynamics.md").read_text()
    assert module.fit_table(STUDY, ensemble) in page
    assert module.parameter_table(STUDY, ensemble) in page
    assert module.prediction_table(STUDY, ensemble) in page
    assert module.why_tables(STUDY, ensemble) in page
