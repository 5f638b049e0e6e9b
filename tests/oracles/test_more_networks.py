"""Networks on further data sets, against generalised least squares written out in R."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
from meta_rows import data
from more import Compute, Values, analyses, misses, prefixed

from klarsyn.synthesis.network import NetworkFit, fit_network
from klarsyn.synthesis.network_components import fit_components
from klarsyn.synthesis.network_consistency import decompose_designs, node_splits
from klarsyn.synthesis.network_data import NetworkData, network_from_arms
from klarsyn.synthesis.network_sparse import fit_network_mantel_haenszel

CLOSED_FORM = 1e-8
TOLERANCE: dict[str, float] = {}
ABSOLUTE: dict[str, float] = {}
METHODS = ("common", "DL", "PM", "ML", "REML")


def made(name: str) -> str:
    """R's make.names."""
    return re.sub(r"[^A-Za-z0-9.]", ".", name)


def league(fit: NetworkFit) -> Values:
    out: Values = {"tau2": fit.tau2, "Q": fit.Q, "df": fit.df}
    for name in fit.treatments:
        if name != fit.reference:
            e = fit.estimate(name)
            out |= {f"est.{made(name)}": e.value, f"se.{made(name)}": e.se}
    return out


def leagues(network: NetworkData, reference: str) -> Values:
    out: Values = {}
    for method in METHODS:
        fit = fit_network(network, reference=reference, heterogeneity=method)
        out |= prefixed(method, league(fit))
    return out


def scores(network: NetworkData, heterogeneity: str, better: str) -> Values:
    fit = fit_network(network, heterogeneity=heterogeneity, better=better)
    return {f"P.{made(name)}": score for name, score in fit.p_scores().items()}


def designs(network: NetworkData) -> Values:
    d = decompose_designs(fit_network(network))
    r = decompose_designs(fit_network(network), "REML")
    return {
        "Q.within": d.Q_within, "df.within": d.df_within, "Q.between": d.Q_between,
        "df.between": d.df_between, "tau2.within": d.tau2_within, "Q.random": d.Q_random,
        "REML.tau2.within": r.tau2_within, "REML.Q.random": r.Q_random,
    }  # fmt: skip


def split(network: NetworkData, a: str, b: str) -> Values:
    """The three methods' numbers for a against b, which may be stored as b against a."""
    fit, out = fit_network(network), Values()
    for method, name in (("back-calculation", "back"), ("SIDDE", "sidde"), ("side", "omega")):
        found = next(s for s in node_splits(fit, method) if {s.a, s.b} == {a, b})
        sign = 1.0 if found.a == a else -1.0
        assert found.direct is not None
        assert found.indirect is not None
        assert found.difference is not None
        if method == "side":
            out |= {
                "omega": sign * found.difference.value, "omega.se": found.difference.se,
                "omega.tau2": found.tau2,
            }  # fmt: skip
            continue
        out |= {
            "direct": sign * found.direct.value, "direct.se": found.direct.se,
            "share": found.share, name: sign * found.indirect.value,
            f"{name}.se": found.indirect.se,
        }  # fmt: skip
    return out


@cache
def odds(dataset: str, study: str, treatment: str, events: str, n: str) -> NetworkData:
    d = data(dataset)
    return network_from_arms(d[study], d[treatment], measure="OR", events=d[events], n=d[n])


def baker() -> NetworkData:
    return odds("dat.baker2009", "study", "treatment", "exac", "total")


def dogliotti() -> NetworkData:
    return odds("dat.dogliotti2014", "study", "treatment", "stroke", "total")


def e01() -> Values:
    return leagues(baker(), "Placebo") | scores(baker(), "REML", "lower") | designs(baker())


def e02() -> Values:
    return prefixed("FP", split(baker(), "Fluticasone", "Salmeterol")) | prefixed(
        "ST", split(baker(), "Salmeterol", "Tiotropium")
    )


def e03() -> Values:
    out: Values = {}
    for method in ("DL", "REML"):
        fit = fit_components(baker(), inactive="Placebo", heterogeneity=method)
        out |= {f"{method}.tau2": fit.tau2, "Q": fit.Q, "df": fit.df}
        assert fit.Q_difference is not None
        out["Q.diff"] = fit.Q_difference
        for name, e in fit.components.items():
            out |= {f"{method}.{name}": e.value, f"{method}.se.{name}": e.se}
    return out


def e04() -> Values:
    return (
        leagues(dogliotti(), "Placebo/Control")
        | scores(dogliotti(), "DL", "lower")
        | designs(dogliotti())
        | prefixed("AV", split(dogliotti(), "Aspirin", "VKAs"))
    )


def e05() -> Values:
    d, out = data("dat.dogliotti2014"), Values()
    empty = set(d["study"][d["stroke"] == 0])
    rows = np.array([s not in empty for s in d["study"]])
    for measure in ("RR", "RD"):
        network = network_from_arms(
            d["study"][rows], d["treatment"][rows], measure=measure, events=d["stroke"][rows],
            n=d["total"][rows],
        )  # fmt: skip
        out |= prefixed(measure, league(fit_network(network, reference="VKAs")))
    return out


def means(dataset: str) -> NetworkData:
    d = data(dataset)
    return network_from_arms(
        d["study"], d["treatment"], measure="MD", mean=d["mean"], sd=d["sd"], n=d["n"]
    )


def e06() -> Values:
    return leagues(means("franchini2012_arms"), "Placebo")


def e07() -> Values:
    network = means("stowe2010_arms")
    return leagues(network, "Placebo") | designs(network) | scores(network, "REML", "lower")


def e08() -> Values:
    network = odds("linde2015_arms", "id", "treatment", "resp", "n")
    return (
        leagues(network, "Placebo")
        | scores(network, "REML", "higher")
        | designs(network)
        | prefixed("ST", split(network, "SSRI", "TCA"))
    )


def e09() -> Values:
    d = data("dat.dong2013")
    ids, sizes = np.unique(d["id"], return_counts=True)
    rows = np.isin(d["id"], ids[sizes == 2])
    network = network_from_arms(
        d["id"][rows], d["treatment"][rows], measure="OR", events=d["death"][rows],
        n=d["randomized"][rows],
    )  # fmt: skip
    return league(fit_network_mantel_haenszel(network, reference="Placebo"))


def e10() -> Values:
    network, out = odds("dat.dong2013", "id", "treatment", "death", "randomized"), Values()
    for method in ("common", "REML"):
        fit = fit_network(network, reference="Placebo", heterogeneity=method)
        out |= prefixed(method, league(fit))
    return out


COMPUTE: dict[str, Compute] = {
    f.__name__.upper(): f for f in (e01, e02, e03, e04, e05, e06, e07, e08, e09, e10)
}


@pytest.mark.parametrize("analysis", [a for a in analyses() if a[0] == "E"])
def test_every_row_of_the_analysis_is_reproduced(analysis: str) -> None:
    found = misses(analysis, COMPUTE[analysis](), TOLERANCE, CLOSED_FORM, ABSOLUTE)
    assert not found, "\n".join(found)
