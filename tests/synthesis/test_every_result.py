"""Every result of a synthesis speaks (`summary`), travels (`to_dict`) and draws (`plot`)."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import altair as alt
import numpy as np
import pytest
import vl_convert

import klarsyn.synthesis
from klarsyn.app.output import plain
from klarsyn.synthesis import rare
from klarsyn.synthesis.bayes import pool_bayes
from klarsyn.synthesis.dose_data import doses_from_means
from klarsyn.synthesis.doseresponse import fit_dose_response, fit_emax
from klarsyn.synthesis.durability import compare_durability, rebuild, relapse_curve
from klarsyn.synthesis.effects import Effects, effects_from_table
from klarsyn.synthesis.hazards import read_hazards
from klarsyn.synthesis.influence import cumulative, influence, leave_one_out
from klarsyn.synthesis.location_scale import regress_location_scale
from klarsyn.synthesis.multilevel import fit_multilevel
from klarsyn.synthesis.network import NetworkFit, fit_network
from klarsyn.synthesis.network_components import fit_components
from klarsyn.synthesis.network_consistency import decompose_designs, node_splits
from klarsyn.synthesis.network_contributions import contribution_shares
from klarsyn.synthesis.network_data import network_from_contrasts
from klarsyn.synthesis.pairwise import pool
from klarsyn.synthesis.pooled_relapse import RelapseShare, model_relapse, pool_relapse
from klarsyn.synthesis.random_terms import nested
from klarsyn.synthesis.rare_counts import count_table
from klarsyn.synthesis.rare_one_group import pool_proportions
from klarsyn.synthesis.regression import regress
from klarsyn.synthesis.regression_influence import regression_influence
from klarsyn.synthesis.resampling import bootstrap, permutation_test
from klarsyn.synthesis.robust import robust
from klarsyn.synthesis.sequential import sequential_analysis
from klarsyn.synthesis.smallstudy import analyse_small_studies
from klarsyn.synthesis.subgroups import subgroups
from klarsyn.synthesis.subsets import subsets
from klarsyn.synthesis.withdrawal import enriched_withdrawal, withdrawal_confound

# What is put in, and the rows and parts of results. Any other dataclass of the room is a result.
INPUTS = {
    "Counts", "Design", "DoseData", "Effects", "Extraction", "NetworkData", "NetworkQuestion",
    "Question", "RelapseCurve", "RelapseShare", "TrialEffect", "Unanswered", "Cell", "Derived",
    "Group", "CodedTerm", "Inner", "Intercepts", "Slopes", "Model",
}  # fmt: skip
PARTS = {
    "Coefficient", "Deviation", "Ignored", "Influence", "Look", "NodeSplit", "Omnibus", "Unread",
    "Prediction", "ProfileInterval", "RegressionCase", "Shrunken", "Step", "StudyRow", "Summary",
    "Wald",
}  # fmt: skip
SPEAKS = ("summary", "to_dict", "plot", "method", "digest")
# Keys whose number depends on a definition that programs do not share.
AMBIGUOUS = {
    "i2": "i2", "I2": "i2", "pi_lower": "pi", "predicted_low": "predicted_low", "r2": "r2",
    "new_study": "new_study", "prediction": "prediction",
}  # fmt: skip
K = 10


@cache
def effects() -> Effects:
    rng = np.random.default_rng(20260301)
    v = rng.uniform(0.05, 0.3, K)
    year = np.arange(K)
    table = {
        "study": [f"Trial {i}" for i in range(K)],
        "y": (0.2 + 0.05 * year + rng.normal(0, np.sqrt(v + 0.05))).tolist(),
        "v": v.tolist(),
        "year": (2000 + year).tolist(),
        "arm": ["a", "b"] * (K // 2),
    }
    return effects_from_table(table, "GEN", {"yi": "y", "vi": "v"})


@cache
def network() -> NetworkFit:
    pairs = [("A", "B"), ("B", "C"), ("A", "C"), ("A", "B"), ("C", "D"), ("B", "C")]
    data = network_from_contrasts(
        [f"s{i}" for i in range(6)],
        [a for a, _ in pairs],
        [b for _, b in pairs],
        [0.3, 0.2, 0.6, 0.1, -0.2, 0.4],
        [0.2, 0.25, 0.2, 0.3, 0.25, 0.2],
        measure="MD",
    )
    return fit_network(data, reference="A", better="lower")


def multilevel() -> Any:
    e = effects()
    study = [i // 2 for i in range(K)]
    return fit_multilevel(e.y, e.v, random=nested(study=study, effect=list(range(K))))


def doses() -> Any:
    dose = [0, 1, 2, 4] * 3
    mean = [0.0, 0.9, 1.4, 1.7, 0.1, 1.1, 1.5, 1.9, -0.1, 0.8, 1.3, 1.8]
    return doses_from_means([f"s{i // 4}" for i in range(12)], dose, mean, [1.0] * 12, [60] * 12)


def events() -> Any:
    return count_table(["a", "b", "c", "d"], [2, 0, 3, 1], [80, 90, 70, 60], [5, 2, 6, 0],
                       [82, 88, 71, 60])  # fmt: skip


def curve(arm: str, hazard: float) -> Any:
    days = np.arange(0.0, 181.0, 15.0)
    at_risk = np.round(80 * np.exp(-hazard * days[::4]))
    return rebuild(
        relapse_curve("Trial", arm, days, np.exp(-hazard * days), days[::4], at_risk,
                      origin="last_dose"),
        seed=1, repeats=20,
    )  # fmt: skip


def hazards() -> Any:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "printed.csv"
        path.write_text("study,ratio,lower,upper\nA,0.49,0.29,0.84\n", encoding="utf-8")
        return read_hazards(path)


@cache
def arms() -> tuple[Any, Any]:
    return curve("drug", 0.004), curve("control", 0.009)


BUILT: dict[str, Callable[[], Any]] = {
    "Pooled": lambda: pool(effects()),
    "Subgroups": lambda: subgroups(effects(), "arm"),
    "Steps": lambda: leave_one_out(effects()),
    "Steps, cumulative": lambda: cumulative(effects()),
    "Diagnostics": lambda: influence(effects()),
    "Regression": lambda: regress(effects(), ["year"]),
    "Regression, factors": lambda: regress(effects(), ["year", "arm"]),
    "RegressionDiagnostics": lambda: regression_influence(regress(effects(), ["year"])),
    "LocationScale": lambda: regress_location_scale(effects(), ["year"], []),
    "PermutationTest": lambda: permutation_test(effects(), ["year"], count=200, seed=1),
    "Bootstrap": lambda: bootstrap(effects(), count=200, seed=1),
    "Subsets": lambda: subsets(effects()),
    "MultilevelFit": multilevel,
    "RobustFit": lambda: robust(multilevel(), [i // 2 for i in range(K)]),
    "NetworkFit": network,
    "NodeSplits": lambda: node_splits(network()),
    "DesignDecomposition": lambda: decompose_designs(network()),
    "Contributions": lambda: contribution_shares(network()),
    "ComponentFit": lambda: fit_components(network().data, inactive="A"),
    "DoseResponseFit": lambda: fit_dose_response(doses(), curve="quadratic"),
    "DoseResponseFit, Emax": lambda: fit_emax(doses()),
    "SmallStudyEffects": lambda: analyse_small_studies(effects(), favoured="positive"),
    "RandomEffectsPosterior": lambda: pool_bayes(effects(), tau_prior="half-normal 0.5"),
    "ArmDurability": lambda: arms()[0],
    "DurabilityComparison": lambda: compare_durability(*arms()),
    "PooledRelapse": lambda: pool_relapse(arms(), [30, 90, 150]),
    "ModelledRelapse": lambda: model_relapse(arms(), [RelapseShare(
        study="Other", day=90.0, relapsed=20, counted=50)]),
    "EnrichedWithdrawal": lambda: enriched_withdrawal(
        started=705, randomised=297, relapsed_drug=24, drug=90, relapsed_control=39, control=86),
    "WithdrawalConfound": lambda: withdrawal_confound(
        *(a.curve for a in arms()), early_day=30, final_day=150),
    "RareFit": lambda: rare.fit_glmm(events(), "CM.EL"),
    "RareFit, common": lambda: rare.pool_rare(events(), ["MH RD"]).fits[0],
    "RareFit, exact": lambda: rare.pool_rare(events(), ["exact OR"]).fits[0],
    "SequentialAnalysis": lambda: sequential_analysis(effects(), [50] * K, size=900),
    "Hazards": hazards,
    "RareFit, one group": lambda: pool_proportions(["a", "b", "c"], [1, 0, 4], [40, 30, 50]),
    "RareEvents": lambda: rare.pool_rare(events(), ["MH OR", "Peto"]),
}  # fmt: skip


def classes() -> dict[str, type]:
    """Every public dataclass that a module of the room defines."""
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(klarsyn.synthesis.__path__):
        held = importlib.import_module(f"klarsyn.synthesis.{module.name}")
        for name, item in inspect.getmembers(held, inspect.isclass):
            mine = item.__module__ == held.__name__ and is_dataclass(item)
            if mine and not name.startswith("_"):
                found[name] = item
    return found


RESULTS = {name: c for name, c in classes().items() if name not in INPUTS | PARTS}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_class_has_what_every_result_has(name: str) -> None:
    """A new dataclass fails here until it has all five or is listed as an input or a part."""
    assert [part for part in SPEAKS if not hasattr(RESULTS[name], part)] == []


def test_every_result_class_is_built_here_and_no_name_is_stale() -> None:
    assert {name.partition(",")[0] for name in BUILT} == set(RESULTS)
    assert set(classes()) >= INPUTS | PARTS


def undefined(record: Any, said: frozenset[str] = frozenset()) -> set[str]:
    """Ambiguous keys without a definition beside them or further out."""
    if isinstance(record, list):
        return set().union(*(undefined(r, said) for r in record))
    if not isinstance(record, dict):
        return set()
    said = said | {key.lower() for key in record.get("definitions", {})}
    own = {AMBIGUOUS[k] for k in record if k in AMBIGUOUS} - said
    return own.union(*(undefined(v, said) for k, v in record.items() if k != "definitions"))


@pytest.mark.parametrize("name", BUILT)
def test_the_record_says_which_definition_it_uses(name: str) -> None:
    assert undefined(plain(BUILT[name]().to_dict())) == set()


CERTIFICATE = {"gradient", "curvature", "boundary", "maxima"}
# Maximised in closed form or on a concave likelihood, or parts that carry certificates themselves.
CONCAVE = {"RareFit, common", "RareFit, exact"}
REFUSED = 1e-3  # the slope above which fit_selection names a failure
SOLVED = 1e-4  # largest slope left, per unit of a parameter of order 1; quadratures included


@pytest.mark.parametrize("name", BUILT)
def test_a_result_by_likelihood_carries_its_certificate(name: str) -> None:
    result = BUILT[name]()
    likely = getattr(result, "log_likelihood", None) is not None or hasattr(result, "certificate")
    if not likely or name in CONCAVE:
        assert "certificate" not in result.to_dict()
        return
    record = plain(result.to_dict())["certificate"]
    assert set(record) >= CERTIFICATE
    assert abs(record["gradient"]) < SOLVED
    assert record["maxima"] >= 1


@pytest.mark.parametrize("model", rare.GLMM_MODELS)
def test_every_glmm_is_at_a_maximum_and_says_so(model: str) -> None:
    found = rare.fit_glmm(events(), model).certificate
    assert found is not None
    assert set(found) >= CERTIFICATE
    assert abs(found["gradient"]) < SOLVED
    assert found["curvature"] > 0
    assert found["maxima"] >= 1


def test_every_selection_model_is_at_a_maximum_and_says_so() -> None:
    for fit in analyse_small_studies(effects(), favoured="positive").selection:
        assert fit.gradient < REFUSED
        assert fit.curvature > 0
        assert fit.maxima >= 1


@pytest.mark.parametrize("name", BUILT)
def test_the_result_speaks_travels_and_draws(name: str) -> None:
    result = BUILT[name]()
    assert type(result).__name__ == name.partition(",")[0]
    assert len(result.summary()) > 20
    record = plain(result.to_dict())
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert isinstance(result.digest, str)
    assert isinstance(result.method, str)
    spec = result.plot().to_dict()
    alt.Chart.from_dict(spec, validate=True)
    assert spec["config"]["font"].startswith("Helvetica")
    assert "<svg" in vl_convert.vegalite_to_svg(spec)
