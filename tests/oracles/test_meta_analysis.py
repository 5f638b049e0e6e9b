"""Pairwise pooling agrees with metafor 5.1 with tight stopping rules, row by row."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from meta_rows import Row, data, rows_of

from klarsyn.stats.contrasts import contrasts
from klarsyn.stats.heterogeneity import typical_variance
from klarsyn.stats.tau2_intervals import relative_intervals, tau2_interval
from klarsyn.synthesis.effects import Effects, effects_from_table
from klarsyn.synthesis.pairwise import Pooled, pool

COVERED = ("P01", "P02", "P03", "P04", "P22", "P25.PLO", "P25.PFT.est", "P25.PFT.tau2", "P25.PAS",
           "P28", "P20.DL", "P20.ccall")  # fmt: skip

CLOSED_FORM = 1e-8  # the bar of the project; the table is printed to ten digits
# metafor's Farebrother algorithm and root search stop at about 1e-6 here; the tail probability at
# our limits is 0.025 to 1e-12 (tests/stats/test_quadratic_form.py).
FAREBROTHER = 2e-5
TOLERANCE = {"P04.GENQ.lb": FAREBROTHER, "P04.GENQ.ub": FAREBROTHER}
BCG = {"ai": "tpos", "bi": "tneg", "ci": "cpos", "di": "cneg"}


@cache
def bcg() -> Effects:
    return effects_from_table(data("dat.bcg"), "RR", BCG)


def prefixed(prefix: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}.{name}": value for name, value in values.items()}


def common(p: Pooled) -> dict[str, float]:
    """What the table's `co(m)` lists."""
    return {
        "k": p.k,
        "est": p.estimate,
        "se": p.se,
        "stat": p.statistic,
        "pval": p.p_value,
        "ci.lb": p.ci_lower,
        "ci.ub": p.ci_upper,
        "tau2": p.tau2,
        "se.tau2": p.tau2_se,
        "I2": p.i2,
        "H2": p.h2,
        "Q": p.q,
        "Qp": p.q_p,
    }


def p01() -> dict[str, float]:
    p = pool(bcg(), method="REML", test="z")
    return common(p) | {
        "pi.lb": p.pi_lower,
        "pi.ub": p.pi_upper,
        "ll": p.log_likelihood,
        "AICc": p.aicc,
        "yi1": bcg().y[0],
        "vi1": bcg().v[0],
    }


def p02() -> dict[str, float]:
    out: dict[str, float] = {}
    for method in ("EE", "DL", "HE", "HS", "HSk", "SJ", "ML", "EB", "PM", "PMM", "GENQ"):
        weights = 1 / bcg().v if method == "GENQ" else None
        out |= prefixed(method, common(pool(bcg(), method=method, test="z", weights=weights)))
    return out


def p03() -> dict[str, float]:
    p = pool(bcg(), method="REML", test="knha")
    riley = pool(bcg(), method="REML", test="knha", prediction="k-2")
    adhoc = pool(bcg(), method="PM", test="adhoc")
    return common(p) | {
        "tval": p.statistic,
        "pi.lb": p.pi_lower,
        "pi.ub": p.pi_upper,
        "pi.riley.lb": riley.pi_lower,
        "pi.riley.ub": riley.pi_upper,
        "adhoc.se": adhoc.se,
        "adhoc.lb": adhoc.ci_lower,
        "adhoc.ub": adhoc.ci_upper,
    }


def p04() -> dict[str, float]:
    y, v = bcg().y, bcg().v
    out: dict[str, float] = {}
    for name, kind in (("tau2", "QP"), ("PL", "PL"), ("GENQ", "GENQ")):
        limits = tau2_interval(y, v, interval=kind, weights=1 / v)
        out |= {f"{name}.lb": limits[0], f"{name}.ub": limits[1]}
        if kind == "QP":
            for ratio, pair in relative_intervals(limits, typical_variance(v, None)).items():
                out |= {f"{ratio.upper()}.lb": pair[0], f"{ratio.upper()}.ub": pair[1]}
    return out


def p20() -> dict[str, float]:
    table, cells = data("dat.nielweise2007"), {c: c for c in ("ai", "n1i", "ci", "n2i")}
    dl = pool(effects_from_table(table, "OR", cells), method="DL", test="z")
    everywhere = pool(effects_from_table(table, "OR", cells, to="all"), method="REML", test="z")
    return {
        "DL": dl.estimate,
        "DL.tau2": dl.tau2,
        "ccall": everywhere.estimate,
        "ccall.tau2": everywhere.tau2,
    }


def p22() -> dict[str, float]:
    out: dict[str, float] = {}
    for measure in ("MD", "SMD", "ROM", "SMDH"):
        cells = {c: c for c in ("m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i")}
        effects = effects_from_table(data("dat.normand1999"), measure, cells)
        out |= prefixed(measure, common(pool(effects, method="REML", test="z")))
    return out


def p25() -> dict[str, float]:
    out: dict[str, float] = {}
    for measure in ("PLO", "PFT", "PAS"):
        effects = effects_from_table(data("dat.pritz1997"), measure, {"xi": "xi", "ni": "ni"})
        out |= prefixed(measure, common(pool(effects, method="REML", test="z")))
    return out


def p28() -> dict[str, float]:
    d = data("dat.bourassa1996")
    keep = d["sex"] == "combined"
    cells = {role: d[name][keep] for role, name in
             (("ai", "lh.le"), ("bi", "lh.re"), ("ci", "rh.le"), ("di", "rh.re"))}  # fmt: skip
    made = contrasts("OR", cells, add=0.5, to="all")
    return common(pool(made.y, made.v, method="REML", test="z"))


COMPUTE: dict[str, Callable[[], dict[str, float]]] = {
    f.__name__.upper(): f for f in (p01, p02, p03, p04, p20, p22, p25, p28)
}


@cache
def computed(analysis: str) -> dict[str, float]:
    return COMPUTE[analysis]()


@pytest.mark.parametrize("row", rows_of(COVERED), ids=lambda row: row.id)
def test_row_is_reproduced(row: Row) -> None:
    tolerance = TOLERANCE.get(row.id, CLOSED_FORM)
    assert computed(row.analysis)[row.name] == pytest.approx(row.value, rel=tolerance, abs=0)
