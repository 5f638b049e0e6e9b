"""What stands on the page beside the four answers: choices, the network, exposure."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from klarsyn.evidence import open_base
from klarsyn.pharmacology.dosing import parse_regimen
from klarsyn.report.appraisal import build_report
from klarsyn.report.document import Figure, Prose, Report, Result, TableBlock
from klarsyn.synthesis.extraction import as_effects, derive_effects
from klarsyn.synthesis.pairwise import pool

PRINTED = 0.005  # the design prints two decimals
READ_OFF = 0.015  # a crossing is found between points of a grid

ARITHMETIC = 1e-9  # order of operations, and a batched fit against a single one


@pytest.fixture(scope="module")
def page() -> Report:
    return build_report(open_base("ketamine_depression"), "en")[0]


def results(page: Report) -> dict[str, Result]:
    return {r.id: r for r in page.results()}


def figure(page: Report, name: str) -> Figure:
    return next(f for f in page.figures() if f.id == name)


def test_the_range_over_all_sets_of_trials_is_that_of_every_single_pooling(page: Report) -> None:
    from klarsyn.report.settings import read_settings

    base = open_base("ketamine_depression")
    question = read_settings(base).windows[0].question
    effects = derive_effects(base, question).against("inert").effects
    every = [
        pool(as_effects(chosen), method="REML", test="z").estimate
        for k in range(1, len(effects) + 1)
        for chosen in itertools.combinations(effects, k)
    ]
    value = results(page)["choices.range"].value
    assert value["subsets"] == 2 ** len(effects) - 1
    assert value["subsets_lowest"] == pytest.approx(min(every), rel=ARITHMETIC)
    assert value["subsets_highest"] == pytest.approx(max(every), rel=ARITHMETIC)


def test_the_range_of_choices_contains_the_page_s_own_estimate(page: Report) -> None:
    value = results(page)["choices.range"].value
    assert value["lowest"] <= value["estimate"] <= value["highest"]
    assert 0 <= value["crossing"] <= value["choices"]


def test_every_set_of_the_cloud_names_its_members(page: Report) -> None:
    cloud = figure(page, "subsets").wide["hconcat"][0]["layer"][-1]["data"]["values"]
    assert all(point["k"] == len(point["members"]) >= 2 for point in cloud)
    assert len({tuple(p["members"]) for p in cloud}) == len(cloud)


def test_the_league_is_consistent_row_by_column(page: Report) -> None:
    """What a does against b and b against c adds up to a against c."""
    fit = results(page)["network.fit"].value
    pairs = {(r["treatment"], r["against"]): r["estimate"] for r in fit["league"]}
    both = pairs | {(b, a): -y for (a, b), y in pairs.items()}
    for a, b, c in itertools.permutations(fit["treatments"], 3):
        assert both[a, b] + both[b, c] == pytest.approx(both[a, c], abs=ARITHMETIC)


def test_the_league_table_shows_each_treatment_against_every_other(page: Report) -> None:
    section = next(s for s in page.sections if s.id == "network")
    table = next(b for b in section.blocks if isinstance(b, TableBlock))
    assert len(table.rows) == len(results(page)["network.fit"].value["treatments"])
    assert all(len(row) == len(table.header) for row in table.rows)


def test_half_a_racemate_gives_the_exposure_of_half_the_dose_of_one_form(page: Report) -> None:
    """The chains of the mirror images do not meet: 0.25 mg/kg S alone, or within the racemate."""
    found = results(page)
    alone = found["action.s_iv.S-ketamine"].value["cmax"]
    within = found["action.racemate_iv.S-ketamine"].value["cmax"]
    assert alone == pytest.approx(within, rel=ARITHMETIC)


def test_a_form_that_was_not_given_is_not_shown(page: Report) -> None:
    assert not any(name.startswith("action.s_nasal.R-") for name in results(page))


def test_the_simulated_regimens_are_those_of_the_settings(page: Report) -> None:
    wanted = open_base("ketamine_depression").settings["action"]["regimens"]  # type: ignore[index]
    for entry in wanted:
        shown = next(r for n, r in results(page).items() if n.startswith(f"action.{entry['id']}."))
        assert shown.value["regimen"] == str(parse_regimen(entry["regimen"]))
        assert shown.seed == 1


def test_no_section_shows_a_number_that_is_not_finite(page: Report) -> None:
    def numbers(value: object) -> list[float]:
        if isinstance(value, dict):
            return [n for v in value.values() for n in numbers(v)]
        if isinstance(value, (list, tuple)):
            return [n for v in value for n in numbers(v)]
        return [float(value)] if isinstance(value, (int, float)) else []

    assert all(np.isfinite(n) for r in page.results() for n in numbers(r.value))


def test_a_base_without_such_settings_has_no_such_sections() -> None:
    other = build_report(open_base("mdma_ptsd"), "en")[0]
    assert {"network", "action"} & {s.id for s in other.sections} == set()


def test_the_cautions_of_adjusted_effects_and_priors_reach_the_page(page: Report) -> None:
    """Every warning of a method that the figure shows stands beside it, with simulated numbers."""
    from klarsyn.synthesis import simulated as seen

    section = next(s for s in page.sections if s.id == "choices")
    prose = [b for b in section.blocks if isinstance(b, Prose) and b.tone == "caution"]
    said = " ".join(str(p) for p in prose[-1].paragraphs)
    found = results(page)
    warned = {w["name"] for w in found["choices.small_studies"].value["warnings"]}
    assert {"few", "pet_peese", "trim_and_fill", "limit", "smooth_models"} <= warned
    assert "is a guess" in said
    assert f"{seen.SMOOTH_OWN[0]}–{seen.SMOOTH_OWN[1]} %" in said
    assert f"{seen.PRIOR_TOO_NARROW_NEW[0]}–{seen.PRIOR_TOO_NARROW_NEW[1]} %" in said
    table = next(b for b in section.blocks if isinstance(b, TableBlock))
    alike, differing = seen.HALVED["limit"]
    assert f"{alike[0]} of {alike[1]}" in table.rows[-1]
    assert f"{differing[0]} of {differing[1]}" in table.rows[-1]


def test_the_figure_of_adjusted_effects_shows_what_the_results_say(page: Report) -> None:
    found = results(page)
    estimates = found["choices.small_studies"].value["estimates"]
    marks = json.dumps(figure(page, "missing-trials").wide, ensure_ascii=False)
    shown = [
        e for e in estimates if not e["method"].startswith(("trim and fill R0", "trim and fill Q0"))
    ]
    assert len(shown) == len(estimates) - 2
    for e in shown:
        assert f"{e['value']:.2f}".replace("-", "−") in marks
    for number, prior in enumerate(("half-normal(scale 0.5)", "half-normal(scale 1)"), start=1):
        assert found[f"choices.prior_{number}"].value["tau_prior"] == prior


def test_every_pooled_number_stands_with_its_range_over_each_kind_of_choice(page: Report) -> None:
    found = results(page)
    pooled = {
        name: r.value
        for name, r in found.items()
        if r.method.startswith("SMD, random effects") and r.value["k"] > 1
    }
    ranges = found["choices.ranges"].value
    assert set(ranges) == set(pooled)
    for name, kinds in ranges.items():
        k, own = pooled[name]["k"], pooled[name]["estimate"]
        assert kinds["estimators"][0] == 9
        assert kinds["sets"][0] == 2**k - k - 1
        for _, lowest, highest in kinds.values():
            assert lowest - ARITHMETIC <= own <= highest + ARITHMETIC


def test_the_conflict_and_the_dispute_of_the_pharmacology_stand_on_the_page(page: Report) -> None:
    """Design, pharmacology B 1c and 1e: theta 0.11 to 0.22 against 0.53; 10 against 50 µM."""
    found = results(page)
    conflict, dispute = found["action.conflict"].value, found["action.dispute"].value
    assert conflict["theta_needed"] == pytest.approx([0.11, 0.22], abs=PRINTED)
    assert conflict["theta_crossing"] == pytest.approx(0.53, abs=READ_OFF)
    assert dispute["concentrations_um"] == [8, 10, 50]
    assert dispute["blocked"][0][0] == pytest.approx(0.15, abs=PRINTED)
    for name in ("conflict", "dispute"):
        assert figure(page, name).alt


def test_occupancy_is_drawn_over_hours_and_the_score_over_days(page: Report) -> None:
    first, second = figure(page, "response").wide["hconcat"]
    assert max(row["t"] for row in first["data"]["values"]) == pytest.approx(8)
    assert max(row["t"] for row in second["data"]["values"]) == pytest.approx(14)


def test_the_first_screen_gives_sizes_with_their_intervals_and_certainty(page: Report) -> None:
    works, duration, safety, sure = (str(card["answer"]) for card in page.summary)
    size = "6.9 MADRS points lower at about 24 hours"
    assert f"{size} (95\N{NO-BREAK SPACE}% CI 1.8 to 12.0; 7 trials)" in works
    assert "placebo under anaesthesia: undecided" in works
    assert "Hardly known beyond day 10 after the last dose" in duration
    assert "dissociation 34 (22 to 53 across 4 trials)" in safety
    assert "Confirmed by a person: 0" in sure
