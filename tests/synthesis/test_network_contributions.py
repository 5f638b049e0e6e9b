"""Contribution shares by their identities: they make the estimates, and no choice of ours shows.

The algorithm itself is compared with the sum over all paths in `test_network.py`.
"""

from __future__ import annotations

import csv
import itertools
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from klarsyn.stats.network_flow import edge_flows
from klarsyn.synthesis.network import NetworkFit, edge_weights, fit_network
from klarsyn.synthesis.network_contributions import Contributions, contribution_shares
from klarsyn.synthesis.network_data import NetworkData, network_from_arms

SAME = 1e-10  # one quantity by another order of operations
PAIRS = list(itertools.combinations(range(4), 2))


@cache
def smoking(backwards: bool = False) -> NetworkData:
    file = Path(__file__).parents[1] / "oracles" / "data" / "dat.hasselblad1998.csv"
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    if backwards:
        rows.reverse()
    columns = {n: [r[n] for r in rows] for n in rows[0]}
    return network_from_arms(
        columns["study"], columns["trt"], measure="OR",
        events=[float(x) for x in columns["xi"]], n=[float(x) for x in columns["ni"]],
    )  # fmt: skip


def edges(fit: NetworkFit) -> dict[tuple[int, int], tuple[float, float]]:
    """Weight and direct estimate of every comparison, arms of one study taken together."""
    tails, heads, weights, study, _ = edge_weights(fit)
    found: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for a, b, w, s in zip(tails.tolist(), heads.tolist(), weights, study.tolist(), strict=True):
        made = fit.data.contrasts[s]
        level = dict(zip(made.arms, [0.0, *made.effects.tolist()], strict=True))
        found.setdefault((a, b), []).append((float(w), level[a] - level[b]))
    return {
        e: (sum(w for w, _ in all_), sum(w * d for w, d in all_) / sum(w for w, _ in all_))
        for e, all_ in found.items()
    }


def by_names(shares: Contributions) -> dict[tuple[frozenset[str], frozenset[str]], float]:
    """Share by estimate and comparison, without a direction."""
    return {
        (frozenset(e), frozenset(c)): float(shares.by_comparison[i, j])
        for i, e in enumerate(shares.estimates)
        for j, c in enumerate(shares.comparisons)
    }


@pytest.mark.parametrize("heterogeneity", ["common", "REML", "DL"])
def test_the_flows_make_every_estimate_from_the_direct_ones(heterogeneity: str) -> None:
    fit = fit_network(smoking(), heterogeneity=heterogeneity)
    own = edges(fit)
    a, b = (np.array(x) for x in zip(*own, strict=True))
    total, direct = (np.array(x) for x in zip(*own.values(), strict=True))
    flows = edge_flows(fit.covariance, a, b, total, np.array(PAIRS))
    for (s, t), flow in zip(PAIRS, flows, strict=True):
        estimate = fit.estimate(fit.treatments[s], fit.treatments[t]).value
        assert float(flow @ direct) == pytest.approx(estimate, rel=SAME)


@pytest.mark.parametrize("heterogeneity", ["common", "REML"])
def test_rows_add_up_to_one_and_no_share_is_negative(heterogeneity: str) -> None:
    shares = contribution_shares(fit_network(smoking(), heterogeneity=heterogeneity))
    for made in (shares.by_comparison, shares.by_study):
        assert made.sum(axis=1) == pytest.approx(np.ones(len(PAIRS)), rel=SAME)
        assert made.min() >= 0


def test_shares_do_not_depend_on_the_reference_or_the_order_of_arms() -> None:
    expected = by_names(contribution_shares(fit_network(smoking())))
    fits = [fit_network(smoking(), reference=t) for t in smoking().treatments]
    for fit in (*fits, fit_network(smoking(backwards=True))):
        assert by_names(contribution_shares(fit)) == pytest.approx(expected, abs=SAME)


def test_an_estimate_with_direct_evidence_alone_is_all_its_own() -> None:
    line = network_from_arms(
        ["1", "1", "2", "2"], ["A", "B", "B", "C"], measure="OR", events=[4, 9, 6, 8],
        n=[40, 42, 50, 51],
    )  # fmt: skip
    found = by_names(contribution_shares(fit_network(line, heterogeneity="common")))
    ab, bc, ac = (frozenset(x) for x in ("AB", "BC", "AC"))
    assert found[ab, ab] == pytest.approx(1, rel=SAME)
    assert found[ab, bc] == pytest.approx(0, abs=SAME)
    assert found[ac, ab] == found[ac, bc] == pytest.approx(0.5, rel=SAME)
