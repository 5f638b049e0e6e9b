"""Every result of the bias room speaks and travels, and draws itself where it is a picture."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

import altair as alt
import pytest
import vl_convert

import klarsyn.bias
from klarsyn.bias.adjusted import BiasAdjusted, BiasPrior, pool_elicited
from klarsyn.bias.grid_null import NullComparison
from klarsyn.bias.guesses import guesses_from_percent
from klarsyn.bias.missing import BinaryStudy, Missingness, binary_with_missing
from klarsyn.bias.noninferiority import Counts, fixed_margin, noninferiority
from klarsyn.bias.reference_based import ReferenceBased, dropout_on_aggregates
from klarsyn.stats.estimate import Estimate

# A sentence or a table of judgements is all there is to see.
WITHOUT_PICTURE = {
    "AssaySensitivity",
    "Certainty",
    "Comparison",
    "ControlBenchmark",
    "DeltaCell",
    "ShiftToThreshold",
}


def results() -> dict[str, type]:
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(klarsyn.bias.__path__):
        held = importlib.import_module(f"klarsyn.bias.{module.name}")
        for name, item in inspect.getmembers(held, inspect.isclass):
            mine = item.__module__ == held.__name__ and is_dataclass(item)
            if mine and (hasattr(item, "summary") or hasattr(item, "plot")):
                found[name] = item
    return found


@pytest.mark.parametrize("name", results())
def test_a_result_speaks_travels_and_draws(name: str) -> None:
    wanted = {"summary", "to_dict"} | ({"plot"} if name not in WITHOUT_PICTURE else set())
    assert {w for w in wanted if not hasattr(results()[name], w)} == set()


def estimate(value: float, se: float, scale: str = "natural") -> Estimate:
    return Estimate(value=value, se=se, method="by hand", scale=scale)


def study(name: str) -> BinaryStudy:
    return BinaryStudy(
        study=name, treated_events=10, treated_observed=40, treated_missing=8, control_events=16,
        control_observed=41, control_missing=7,
    )  # fmt: skip


DRAWN: dict[str, Callable[[], Any]] = {
    "WithMissing": lambda: binary_with_missing(
        [study("A"), study("B")], Missingness(assumption="at_random"), event_is_good=False,
        tau2_method="REML", test="z",
    ),
    "Elicited": lambda: pool_elicited(
        [estimate(-0.4, 0.2, "log"), estimate(-0.1, 0.3, "log")], [[], []]
    ),
    "BiasAdjusted": lambda: BiasAdjusted(
        unadjusted=estimate(-0.5, 0.1), unadjusted_tau2=0.0, studies=2,
        priors=tuple(BiasPrior(name=n, mean=0.0, mean_sd=0.1, between_sd=0.1, source="")
                     for n in ("no bias", "wide")),
        pooled=(estimate(-0.4, 0.1), estimate(-0.3, 0.2)), tau2=(0.0, 0.0), high_risk=("A",),
        method="m", digest="d",
    ),
    "NonInferiority": lambda: noninferiority(
        [Counts(name="all", new_events=60, new_total=100, reference_events=62,
                reference_total=98)], fixed_margin(0.1, "declared")
    ),
    "ReferenceBased": lambda: ReferenceBased(
        strategy="jump_to_reference", control_dropouts="missing_at_random",
        difference=estimate(-2.0, 0.8), interval=(-3.6, -0.4),
        missing_at_random=estimate(-2.6, 0.8), treated_dropout=0.2, control_dropout=0.1,
        tipping_delta=1.2, method="m", inputs="i",
    ),
    "AggregateDropout": lambda: dropout_on_aggregates(
        "A", estimate(-2.0, 0.8), treated=(40, 32), control=(40, 36)
    ),
    "GuessBounds": lambda: guesses_from_percent(
        trial="T", arm="a", role="active", percent="62", n=50, denominator="all"
    ),
    "NullComparison": lambda: NullComparison(
        median=-0.3, p_median=0.02, benefit=0.7, p_benefit=0.03, expected_benefit=0.05, draws=200,
        method="m", digest="d", seed=1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWN)
def test_the_picture_is_valid_and_shows_the_result_s_numbers(name: str) -> None:
    result = DRAWN[name]()
    assert type(result).__name__ == name
    spec = result.plot().to_dict()
    alt.Chart.from_dict(spec, validate=True)
    assert "<svg" in vl_convert.vegalite_to_svg(spec)
