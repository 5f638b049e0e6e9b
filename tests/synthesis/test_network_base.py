"""The network of a base: arms as treatments, those that cannot answer named."""

from __future__ import annotations

import pytest

from klarsyn.errors import InputError, UnknownNameError
from klarsyn.evidence.base import open_base
from klarsyn.synthesis.network import fit_network
from klarsyn.synthesis.network_base import NetworkQuestion, largest_piece, network_from_base

THREE_DECIMALS = 5e-4

INERT = {"saline": "inert", "placebo_nasal": "inert", "placebo_oral": "inert"}


def question(**changes) -> NetworkQuestion:
    asked = {
        "measure": "OR", "outcomes": ("response",), "clock": "first_dose", "target": 28,
        "earliest": 11, "latest": 45, "merge": INERT,
    }  # fmt: skip
    return NetworkQuestion(**(asked | changes))


def test_every_trial_of_the_base_is_a_study_or_ignored_with_a_reason() -> None:
    base = open_base("ketamine_depression")
    data = network_from_base(base, question())
    assert len(data.studies) + len(data.ignored) == len(base.trials)
    assert all(i.reason for i in data.ignored)
    assert "inert" in data.treatments
    assert "saline" not in data.treatments


def test_one_trial_s_arms_come_with_their_printed_counts() -> None:
    # ELEKT-D (Anand 2023): response 108 of 195 on ketamine, 70 of 170 on ECT.
    base = open_base("ketamine_depression")
    data = network_from_base(base, question(), trials=["anand_2023"])
    counts = dict(zip(data.treatments, (data.counts[0][i] for i in range(2)), strict=True))
    assert counts["ketamine_iv"] == (108, 195)
    assert counts["ect"] == (70, 170)
    e = fit_network(data, heterogeneity="common").estimate("ketamine_iv", "ect")
    assert e.value == pytest.approx(0.573, abs=THREE_DECIMALS)  # log of 108·100 / (87·70)


def test_what_is_not_connected_is_left_out_by_name_only_when_asked() -> None:
    base = open_base("ketamine_depression")
    whole = network_from_base(base, question(earliest=0.5, latest=3, target=1))
    assert len(whole.pieces()) > 1
    part = largest_piece(whole)
    assert part.pieces() == (part.treatments,)
    lost = {i.study for i in part.ignored} - {i.study for i in whole.ignored}
    assert lost == set(whole.studies) - set(part.studies)
    assert largest_piece(part) is part


def test_errors_say_what_is_allowed() -> None:
    base = open_base("ketamine_depression")
    with pytest.raises(InputError, match="No trial reports nothing of two treatments"):
        network_from_base(base, question(outcomes=("nothing",)))
    with pytest.raises(
        UnknownNameError, match=r"'salin' is not a known treatment\. Nearest: saline"
    ):
        network_from_base(base, question(merge={"salin": "inert"}))
    with pytest.raises(UnknownNameError, match="'birth' is not a known clock"):
        question(clock="birth")
