"""Networks: identities, symmetries and small networks calculated by hand."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from klarsyn.errors import InputError, NumericalError, UnknownNameError
from klarsyn.synthesis.multilevel import fit_multilevel
from klarsyn.synthesis.network import fit_network
from klarsyn.synthesis.network_components import fit_components
from klarsyn.synthesis.network_consistency import decompose_designs, node_splits, splits_chart
from klarsyn.synthesis.network_contributions import contribution_shares
from klarsyn.synthesis.network_data import (
    NetworkData,
    network_from_arms,
    network_from_contrasts,
)
from klarsyn.synthesis.network_sparse import fit_network_mantel_haenszel
from klarsyn.synthesis.random_terms import Inner

SAME = 1e-9  # two routes to one number
SOLVED = 1e-7  # tau² from two different solvers
SIX_DECIMALS = 5e-7
ROUNDING = 1e-12  # the same sums in another order
THREE_ERRORS = 0.08  # relative error of a variance from 3,000 draws: three times √(2/3000)


def smoking() -> dict[str, list]:
    from pathlib import Path

    file = Path(__file__).parents[1] / "oracles" / "data" / "dat.hasselblad1998.csv"
    rows = [line.replace('"', "").split(",") for line in file.read_text().splitlines()[1:]]
    return {
        "study": [r[1] for r in rows],
        "treatment": [r[-3] for r in rows],
        "events": [float(r[-2]) for r in rows],
        "n": [float(r[-1]) for r in rows],
    }


def smoking_network():
    return network_from_arms(measure="OR", **smoking())


def triangle(ab=(0.5, 0.2), ac=(0.9, 0.25), bc=(0.1, 0.3)):
    """One study for each side; effects are of the first treatment against the second."""
    return network_from_contrasts(
        ["1", "2", "3"],
        ["A", "A", "B"],
        ["B", "C", "C"],
        [ab[0], ac[0], bc[0]],
        [ab[1], ac[1], bc[1]],
        measure="MD",
    )


def lone():
    return network_from_contrasts(["1"], ["A"], ["B"], [0.5], [0.2], measure="MD")


def test_two_treatments_pool_as_a_pairwise_meta_analysis() -> None:
    y, v = np.array([0.2, -0.1, 0.7, 0.4]), np.array([0.04, 0.02, 0.09, 0.05])
    data = network_from_contrasts(range(4), ["new"] * 4, ["old"] * 4, y, np.sqrt(v), measure="MD")
    w = 1 / v
    Q = (w * (y - (w @ y) / w.sum()) ** 2).sum()
    tau2 = (Q - 3) / (w.sum() - (w**2).sum() / w.sum())
    fit = fit_network(data, heterogeneity="DL")
    ws = 1 / (v + tau2)
    assert fit.tau2 == pytest.approx(tau2, rel=SAME)
    assert abs(fit.Q / Q - 1) < SAME
    assert fit.estimate("new", "old").value == pytest.approx(ws @ y / ws.sum(), rel=SAME)
    assert fit.estimate("new", "old").se == pytest.approx(ws.sum() ** -0.5, rel=SAME)


def test_indirect_evidence_adds_effects_and_variances_by_hand() -> None:
    # Bucher 1997: without B–C studies, A–C minus A–B is the indirect effect of B against C.
    data = network_from_contrasts(
        ["1", "2"], ["A", "A"], ["B", "C"], [0.5, 0.9], [0.2, 0.25], measure="MD"
    )
    e = fit_network(data, heterogeneity="common").estimate("B", "C")
    assert e.value == pytest.approx(0.9 - 0.5, rel=SAME)
    assert e.se == pytest.approx(np.hypot(0.2, 0.25), rel=SAME)


def test_a_triangle_combines_direct_and_indirect_by_inverse_variance() -> None:
    fit = fit_network(triangle(), heterogeneity="common")
    direct, indirect = 1 / 0.2**2, 1 / (0.25**2 + 0.3**2)
    expected = (0.5 * direct + (0.9 - 0.1) * indirect) / (direct + indirect)
    assert fit.estimate("A", "B").value == pytest.approx(expected, rel=SAME)
    split = next(s for s in node_splits(fit) if (s.a, s.b) == ("A", "B"))
    assert split.share == pytest.approx(direct / (direct + indirect), rel=SAME)
    assert split.indirect is not None
    assert split.indirect.value == pytest.approx(0.8, rel=SAME)
    # One loop: Q is the squared loop inconsistency over its variance.
    by_hand = 0.3**2 / (0.2**2 + 0.25**2 + 0.3**2)
    assert abs(fit.Q / by_hand - 1) < SAME


@pytest.mark.parametrize("method", ["back-calculation", "SIDDE"])
def test_in_two_arm_networks_both_splits_agree_and_recombine(method: str) -> None:
    fit = fit_network(triangle(), heterogeneity="common")
    for s in node_splits(fit, method):
        assert s.direct is not None
        assert s.indirect is not None
        w, u = s.direct.se**-2, s.indirect.se**-2
        assert (w * s.direct.value + u * s.indirect.value) / (w + u) == pytest.approx(
            s.network.value, rel=SAME
        )
        assert (w + u) ** -0.5 == pytest.approx(s.network.se, rel=SAME)


def test_every_split_of_one_loop_tests_the_same_inconsistency() -> None:
    fit = fit_network(triangle(), heterogeneity="common")
    for method in ("back-calculation", "SIDDE", "side"):
        z = [abs(s.difference.value / s.difference.se) for s in node_splits(fit, method)]
        assert z == pytest.approx([np.sqrt(fit.Q)] * 3, rel=SAME)
    designs = decompose_designs(fit)
    assert designs.Q_between == pytest.approx(fit.Q, rel=SAME)
    assert designs.df_between == 1
    assert designs.df_within == 0


def test_no_number_depends_on_the_order_of_arms_or_the_reference() -> None:
    rows = smoking()
    base = fit_network(network_from_arms(measure="OR", **rows), reference="no_contact")
    turn = np.random.default_rng(1).permutation(len(rows["study"]))
    turned = {k: [v[i] for i in turn] for k, v in rows.items()}
    other = fit_network(network_from_arms(measure="OR", **turned), reference="self_help")
    # The full covariance of three-arm studies.
    assert base.tau == pytest.approx(0.670992, abs=SIX_DECIMALS)
    assert other.tau == pytest.approx(base.tau, rel=ROUNDING)
    for a, b in itertools.permutations(base.treatments, 2):
        assert other.estimate(a, b).value == pytest.approx(base.estimate(a, b).value, rel=SAME)
        assert other.estimate(a, b).se == pytest.approx(base.estimate(a, b).se, rel=SAME)


def test_renaming_treatments_changes_only_names() -> None:
    rows = smoking()
    renamed = {**rows, "treatment": [t[::-1] for t in rows["treatment"]]}
    base = fit_network(network_from_arms(measure="OR", **rows))
    other = fit_network(network_from_arms(measure="OR", **renamed))
    assert other.tau2 == pytest.approx(base.tau2, rel=ROUNDING)
    assert other.estimate("pleh_fles", "tcatnoc_on").value == pytest.approx(
        base.estimate("self_help", "no_contact").value, rel=SAME
    )


def test_arms_and_their_contrasts_give_one_network() -> None:
    data = smoking_network()
    rows = []
    for name, c in zip(data.studies, data.contrasts, strict=True):
        value = np.append(0.0, c.effects)
        V = np.zeros((len(value), len(value)))
        V[1:, 1:] = c.covariance
        for i, j in itertools.combinations(range(len(value)), 2):
            se = np.sqrt(V[i, i] + V[j, j] - 2 * V[i, j])
            rows.append(
                (name, data.treatments[c.arms[i]], data.treatments[c.arms[j]],
                 value[i] - value[j], se)
            )  # fmt: skip
    other = network_from_contrasts(*zip(*rows, strict=True), measure="OR")
    base, again = fit_network(data), fit_network(other)
    assert again.tau2 == pytest.approx(base.tau2, rel=SOLVED)
    assert again.estimate("self_help", "no_contact").value == pytest.approx(
        base.estimate("self_help", "no_contact").value, rel=SOLVED
    )


def test_reml_is_the_multivariate_model_with_half_correlated_deviations() -> None:
    # The same model as y = X d + study contrasts with covariance V + tau² (1 on, ½ off diagonal).
    data = smoking_network()
    base = fit_network(data, reference="no_contact")
    y, X, study = [], [], []
    V = np.zeros((26, 26))
    at = 0
    deviation = []
    for k, c in enumerate(data.contrasts):
        m = len(c.effects)
        V[at : at + m, at : at + m] = c.covariance
        for j, effect in enumerate(c.effects):
            y.append(effect)
            row = np.zeros(4)
            row[c.arms[j + 1]], row[c.arms[0]] = 1, -1
            X.append(row)
            study.append(k)
            deviation.append(j)
        at += m
    keep = [i for i, t in enumerate(data.treatments) if t != "no_contact"]
    loss = []
    for tau2 in base.tau2 * np.array([0.999, 1.0, 1.001]):
        D = np.where(np.equal.outer(study, study), 0.5, 0.0) + 0.5 * np.eye(26)
        M = V + tau2 * D
        W = np.linalg.inv(M)
        Z = np.array(X)[:, keep]
        A = Z.T @ W @ Z
        b = np.linalg.solve(A, Z.T @ W @ y)
        e = np.array(y) - Z @ b
        loss.append(np.linalg.slogdet(M)[1] + np.linalg.slogdet(A)[1] + e @ W @ e)
        if tau2 == base.tau2:
            for i, value in zip(keep, b, strict=True):
                assert base.estimate(data.treatments[i]).value == pytest.approx(value, rel=SAME)
    assert loss[1] < min(loss[0], loss[2])


def test_two_arm_networks_are_the_multilevel_model_with_one_effect_a_study() -> None:
    rng = np.random.default_rng(6)
    pairs = [("A", "B"), ("A", "C"), ("B", "C")] * 4
    y, se = rng.normal(0.3, 0.4, 12), rng.uniform(0.1, 0.3, 12)
    data = network_from_contrasts(
        range(12), [p[0] for p in pairs], [p[1] for p in pairs], y, se, measure="MD"
    )
    X = np.array([[(p[0] == t) - (p[1] == t) for t in "AB"] for p in pairs], dtype=float)
    levels = fit_multilevel(
        y, se**2, random=[Inner(name="s", inner=range(12), outer=range(12), structure="ID")],
        design=X, names=["A", "B"],
    )  # fmt: skip
    fit = fit_network(data, reference="C")
    assert fit.tau2 == pytest.approx(levels.components["tau2[s]"], rel=SOLVED)
    assert fit.estimate("A").se == pytest.approx(levels.coefficients["A"].se, rel=SOLVED)


@pytest.mark.parametrize("estimator", ["DL", "PM", "ML", "REML"])
@pytest.mark.parametrize("factor", [1e-5, 3.0, 1e7])
def test_rescaling_the_effects_rescales_everything(estimator: str, factor: float) -> None:
    rng = np.random.default_rng(7)
    pairs = [("A", "B"), ("A", "C"), ("B", "C"), ("C", "D")] * 3
    y, se = rng.normal(0.3, 0.5, 12), rng.uniform(0.1, 0.3, 12)

    def fit(f: float):
        return fit_network(
            network_from_contrasts(
                range(12), [p[0] for p in pairs], [p[1] for p in pairs], f * y, f * se, measure="MD"
            ),
            heterogeneity=estimator,
        )

    assert fit(factor).tau == pytest.approx(factor * fit(1).tau, rel=SOLVED)
    assert fit(factor).estimate("A", "D").se == pytest.approx(
        factor * fit(1).estimate("A", "D").se, rel=SOLVED
    )


def test_paule_mandel_brings_q_to_its_degrees_of_freedom() -> None:
    from klarsyn.stats.network import solve

    fit = fit_network(smoking_network(), heterogeneity="PM")
    assert abs(solve(fit.network, fit.tau2).Q / fit.df - 1) < SAME


def test_contributions_sum_to_one_and_direct_shares_stand_on_the_diagonal() -> None:
    fit = fit_network(triangle(), heterogeneity="common")
    shares = contribution_shares(fit)
    assert shares.by_comparison.sum(axis=1) == pytest.approx(np.ones(3), rel=SAME)
    assert shares.by_study.sum(axis=1) == pytest.approx(np.ones(3), rel=SAME)
    # A–B: the direct path has one step, the way over C two, each credited with half.
    split = next(s for s in node_splits(fit) if (s.a, s.b) == ("A", "B"))
    row = dict(zip(shares.comparisons, shares.by_comparison[0], strict=True))
    assert row["A", "B"] == pytest.approx(split.share, rel=SAME)
    assert shares.mean_path_length[0] == pytest.approx(2 - split.share, rel=SAME)
    assert shares.minimal_parallelism[0] == pytest.approx(1 / split.share, rel=SAME)
    assert row["A", "C"] == row["B", "C"] == pytest.approx((1 - split.share) / 2, rel=SAME)


def walks(step: dict[tuple[int, int], float], at: int, end: int):
    """Every path that follows the flow, with its probability."""
    if at == end:
        yield 1.0, []
        return
    leaving = {e: f for e, f in step.items() if e[0] == at and f > 0}
    for edge, f in leaving.items():
        for chance, rest in walks(step, edge[1], end):
            yield chance * f / sum(leaving.values()), [edge, *rest]


def test_contributions_are_the_sum_over_all_paths() -> None:
    from klarsyn.stats.network_flow import edge_flows
    from klarsyn.synthesis.network import edge_weights

    fit = fit_network(smoking_network(), reference="no_contact")
    shares = contribution_shares(fit)
    tails, heads, weights, _, _ = edge_weights(fit)
    edges = sorted(set(zip(tails.tolist(), heads.tolist(), strict=True)))
    total = np.array([weights[(tails == a) & (heads == b)].sum() for a, b in edges])
    a, b = (np.array(x) for x in zip(*edges, strict=True))
    for row, (s, t) in enumerate(itertools.combinations(range(4), 2)):
        flow = edge_flows(fit.covariance, a, b, total, np.array([[s, t]]))[0]
        step = {}
        for f, (u, v) in zip(flow, edges, strict=True):
            step[(u, v) if f > 0 else (v, u)] = abs(f)
        expected = dict.fromkeys(edges, 0.0)
        for chance, path in walks(step, s, t):
            for u, v in path:
                expected[min(u, v), max(u, v)] += chance / len(path)
        assert shares.by_comparison[row] == pytest.approx(list(expected.values()), abs=ROUNDING)


def test_components_without_combinations_are_the_ordinary_network() -> None:
    data = smoking_network()
    parts = fit_components(data, inactive="no_contact")
    fit = fit_network(data, reference="no_contact")
    assert parts.tau2 == pytest.approx(fit.tau2, rel=SOLVED)
    for name, e in parts.components.items():
        assert e.value == pytest.approx(fit.estimate(name).value, rel=SOLVED)
        assert e.se == pytest.approx(fit.estimate(name).se, rel=SOLVED)
    assert parts.df_difference == 0


def test_additive_components_bridge_a_disconnected_network() -> None:
    data = network_from_contrasts(
        ["1", "2"], ["A", "A+B"], ["none", "B"], [0.5, 0.6], [0.1, 0.1], measure="MD"
    )
    with pytest.raises(NumericalError, match="2 pieces"):
        fit_network(data)
    with pytest.raises(NumericalError, match=r"do not separate these components: B"):
        fit_components(data, inactive="none")
    more = network_from_contrasts(
        ["1", "2", "3"], ["A", "A+B", "B"], ["none", "B", "C"], [0.5, 0.6, 0.2], [0.1] * 3,
        measure="MD",
    )  # fmt: skip
    with pytest.raises(NumericalError, match=r"B, C"):
        fit_components(more, inactive="none")


def test_mantel_haenszel_of_two_treatments_is_the_classical_estimate() -> None:
    # Events and totals of two studies; MH odds ratio and Robins–Breslow–Greenland variance.
    events, n = np.array([[4, 1], [2, 5]]), np.array([[20, 22], [30, 28]])
    data = network_from_arms(
        ["1", "1", "2", "2"], ["T", "C"] * 2, measure="OR", events=events.ravel(), n=n.ravel()
    )
    fit = fit_network_mantel_haenszel(data, reference="C")
    a, c = events.T
    b, d = (n - events).T
    N = n.sum(axis=1)
    R, S, P, Q = a * d / N, b * c / N, (a + d) / N, (b + c) / N
    variance = (P * R).sum() / (2 * R.sum() ** 2) + (Q * S).sum() / (2 * S.sum() ** 2)
    variance += (P * S + Q * R).sum() / (2 * R.sum() * S.sum())
    assert fit.estimate("T").value == pytest.approx(np.log(R.sum() / S.sum()), rel=SAME)
    assert fit.estimate("T").se == pytest.approx(np.sqrt(variance), rel=SAME)


def test_mantel_haenszel_of_one_large_multi_arm_study_is_its_own_odds_ratio() -> None:
    events, n = [40, 60, 90], [200, 210, 220]
    data = network_from_arms(["1"] * 3, list("ABC"), measure="OR", events=events, n=n)
    mh, iv = fit_network_mantel_haenszel(data), fit_network(data, heterogeneity="common")
    for a, b in itertools.combinations("ABC", 2):
        assert mh.estimate(a, b).value == pytest.approx(iv.estimate(a, b).value, rel=SAME)
        # One study: the logistic variance, here from another formula.
        assert mh.estimate(a, b).se == pytest.approx(iv.estimate(a, b).se, rel=SAME)


def test_mantel_haenszel_standard_errors_are_right_in_sparse_simulated_networks() -> None:
    # Stated in advance: in 3000 networks of 40 three-arm studies, 12 patients an arm and risks of 6
    # to 17 %, the mean estimated covariance lies within 8 % of the estimates' covariance.
    from klarsyn.stats.network_mantel_haenszel import design_contrasts

    rng = np.random.default_rng(11)
    n = np.full((40, 3), 12.0)
    base = rng.uniform(0.06, 0.12, 40)
    odds = base / (1 - base)
    risk = np.stack([odds * f / (1 + odds * f) for f in (1.0, 1.5, 1.2)], axis=1)
    values, covariances = zip(
        *(design_contrasts(rng.binomial(12, risk).astype(float), n) for _ in range(3000)),
        strict=True,
    )
    seen = np.cov(np.array(values).T)
    assert np.mean(covariances, axis=0) == pytest.approx(seen, rel=THREE_ERRORS)


def test_a_treatment_without_events_is_left_out_of_mantel_haenszel_and_named() -> None:
    data = network_from_arms(
        ["1", "1", "2", "2", "3", "3"],
        ["A", "B", "A", "B", "A", "X"],
        measure="OR",
        events=[4, 8, 6, 9, 3, 0],
        n=[40, 41, 50, 52, 30, 31],
    )
    fit = fit_network_mantel_haenszel(data, reference="A")
    assert fit.treatments == ("A", "B")
    assert any(i.reason.startswith("X:") for i in fit.ignored)
    with pytest.raises(NumericalError, match="Choose another reference"):
        fit_network_mantel_haenszel(data, reference="X")


def test_studies_without_information_are_listed_and_not_counted() -> None:
    data = network_from_arms(
        ["1", "1", "2", "2"], ["A", "B"] * 2, measure="OR", events=[1, 3, 0, 0], n=[20, 20, 50, 50]
    )
    assert [(i.study, i.patients, i.reason) for i in data.ignored] == [
        ("2", 100.0, "no event in any arm")
    ]
    assert fit_network(data, heterogeneity="common").studies == 1


def test_known_weaknesses_are_said_in_the_result() -> None:
    lone = fit_network(triangle())
    assert "rests on 1 degrees of freedom" in lone.warnings[0]
    assert lone.warnings[0] in lone.summary()
    sparse = network_from_arms(
        ["1", "1", "2", "2"], ["A", "B"] * 2, measure="OR", events=[0, 3, 2, 4], n=[20, 20, 50, 50]
    )
    assert "1 of 2 studies have an empty cell" in fit_network(sparse).warnings[1]
    assert [n for n, _ in fit_network(sparse).cautions] == ["few_df", "empty_cells"]
    assert fit_network(smoking_network(), heterogeneity="common").warnings[0].startswith("2 of 24")
    assert fit_network_mantel_haenszel(sparse).warnings == ()


def test_a_network_of_few_trials_warns_though_its_degrees_of_freedom_are_many() -> None:
    """12 trials at tau 0.15 covered 92.0 % in validation/dependent, with 12 - 2 + 0 = 10 df."""

    def pairs(trials: int) -> NetworkData:
        names = [str(i) for i in range(trials)]
        against = ["B" if i % 2 else "C" for i in range(trials)]
        effects = [0.1 * (i % 3) for i in range(trials)]
        return network_from_contrasts(
            names, ["A"] * trials, against, effects, [0.2] * trials, measure="MD"
        )

    twelve = fit_network(pairs(12))
    assert twelve.df >= 10
    assert [n for n, _ in twelve.cautions] == ["few_trials"]
    assert "rests on 12 studies" in twelve.warnings[0]
    assert fit_network(pairs(12), heterogeneity="common").cautions == ()
    assert fit_network(pairs(20)).cautions == ()


def test_a_disconnected_network_is_an_error_that_names_its_pieces() -> None:
    data = network_from_contrasts(
        ["1", "2", "3"], ["A", "A", "X"], ["B", "C", "Y"], [0.1] * 3, [0.2] * 3, measure="MD"
    )
    with pytest.raises(NumericalError, match=r"2 pieces .*\(1\) A, B, C; \(2\) X, Y") as bad:
        fit_network(data)
    assert bad.value.status == "disconnected"


def test_errors_name_the_study_and_what_to_do() -> None:
    with pytest.raises(InputError, match="Study 7 has one arm only"):
        network_from_arms(["7"], ["A"], measure="OR", events=[1], n=[10])
    with pytest.raises(InputError, match=r"two arms A\. Combine"):
        network_from_arms(["7"] * 2, ["A", "A"], measure="OR", events=[1, 2], n=[10, 10])
    with pytest.raises(InputError, match="12 events lie outside 0 to n"):
        network_from_arms(["7"] * 2, ["A", "B"], measure="OR", events=[12, 2], n=[10, 10])
    with pytest.raises(InputError, match="Study 7 has an empty cell"):
        network_from_arms(["7"] * 2, ["A", "B"], measure="OR", events=[0, 2], n=[9, 9], add=0)
    with pytest.raises(InputError, match="add must be at least 0"):
        network_from_arms(["7"] * 2, ["A", "B"], measure="OR", events=[0, 2], n=[9, 9], add=-1)
    with pytest.raises(InputError, match="n of at least 2"):
        network_from_arms(["7"] * 2, ["A", "B"], measure="MD", mean=[0, 2], sd=[1, 1], n=[1, 9])
    with pytest.raises(NumericalError, match="No study of the network"):
        fit_network(network_from_arms(["7"] * 2, ["A", "B"], measure="RR", events=[9, 9], n=[9, 9]))
    with pytest.raises(InputError, match="3 arms and 2 of the 3"):
        network_from_contrasts(["1"] * 2, ["A", "A"], ["B", "C"], [0, 0], [1, 1], measure="MD")
    with pytest.raises(InputError, match="do not add up"):
        network_from_contrasts(
            ["1"] * 3, ["A", "A", "B"], ["B", "C", "C"], [1, 1, 1], [0.1] * 3, measure="MD"
        )
    with pytest.raises(InputError, match="no covariance of its arms"):
        network_from_contrasts(
            ["1"] * 3, ["A", "A", "B"], ["B", "C", "C"], [0, 0, 0], [0.1, 0.1, 5], measure="MD"
        )
    with pytest.raises(UnknownNameError, match="Nearest: no_contact"):
        fit_network(smoking_network(), reference="no contact")
    with pytest.raises(InputError, match="better='lower'"):
        fit_network(smoking_network()).p_scores()


def test_the_result_is_json_and_draws_its_figures() -> None:
    fit = fit_network(smoking_network(), reference="no_contact", better="higher")
    text = json.dumps(fit.to_dict(), allow_nan=True)
    assert json.loads(text)["tau"] == fit.tau
    assert len(fit.league()) == 6
    assert "P-score" in fit.summary()
    forest = fit.plot("forest").to_json()
    assert "OR against no_contact" in forest
    splits = json.dumps(splits_chart(node_splits(fit), "OR"))
    assert splits.count('"indirect"') == 6
    with pytest.raises(NumericalError, match="no closed loop"):
        splits_chart(node_splits(fit_network(lone())), "MD")
    graph, league = fit.plot().to_dict(), fit.plot("league").to_dict()
    assert json.dumps(graph).count("ind_counseling against no_contact") == 1
    assert "blueorange" in json.dumps(league)
    assert sum(fit.p_scores().values()) == pytest.approx(2.0, rel=SAME)  # T/2 by symmetry
