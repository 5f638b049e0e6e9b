"""Every call in the table for people who come from R is run, on small data of its section."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from klarsyn.stats.measures import MEASURES
from tests.test_coming_from_r import rows

# What stands in the table where a reader puts their own, in the words of this file's data.
READERS_OWN = (
    ("pool(...,", "pool(y, v,"),
    ("fit_network(…,", "fit_network(data,"), ("rate_table(...)", "rates"),
    ("macaskill(...)", "macaskill(y, a, n1, c, n2)"), ("deeks(...)", "deeks(y, a, n1, c, n2)"),
    ("doses_from_risks(…)", "risks"), ("name=…", 'name="o"'), ("names=[…]", 'names=["b1", "b2"]'),
    ("Inner(…,", 'Inner(name="o", inner=inner, outer=outer,'), ("knots=[…]", "knots=[1, 3, 8]"),
    ("kind=, ", "kind=kind, "), ("time=, phi=", "time=time, phi=0.8"),
    ("groups=(…), sizes=(…)", "groups=(g1, g2), sizes=(w1, w2)"),
)  # fmt: skip
OTHER_PROGRAMS = {'method.predict="HTS"', "network sidesplit", "byvar"}
K = 7
RNG = np.random.default_rng(20260304)
COUNTS = ([4, 6, 3, 9, 12, 2, 8], [60, 80, 45, 120, 150, 30, 95],
          [9, 10, 8, 14, 20, 6, 12], [61, 79, 44, 118, 152, 31, 96])  # fmt: skip


def pairwise() -> dict[str, Any]:
    a, n1, c, n2 = COUNTS
    d = {"tpos": a, "tneg": [n - x for n, x in zip(n1, a, strict=True)], "cpos": c,
         "cneg": [n - x for n, x in zip(n2, c, strict=True)]}  # fmt: skip
    cells = {"ai": "tpos", "bi": "tneg", "ci": "cpos", "di": "cneg"}
    v = np.array([0.2, 0.1, 0.3, 0.08, 0.05, 0.4, 0.12])
    y = np.array([-1.9, -0.2, -1.1, 0.4, -0.7, 0.9, -0.5])
    columns = {"yi": y.tolist(), "vi": v.tolist(), "year": list(range(1990, 1990 + K)),
               "ablat": [10, 20, 33, 44, 52, 13, 27], "alloc": [*"rrrasas"],
               "a": [1, 2, 3, 1, 5, 2, 4], "b": [2, 1, 1, 3, 2, 5, 1], "x": [1, 2, 4, 3, 6, 5, 7],
               "z": [1, 0, 1, 0, 1, 0, 1]}  # fmt: skip
    from klarsyn.synthesis.effects import effects_from_table
    from klarsyn.synthesis.pairwise import pool
    from klarsyn.synthesis.regression import regress
    from klarsyn.synthesis.subsets import subsets

    effects = effects_from_table(columns, "GEN", {"yi": "yi", "vi": "vi"})
    m = {"n.e": n1, "mean.e": y + 3, "sd.e": [1.1] * K, "n.c": n2, "mean.c": [3.0] * K,
         "sd.c": [0.9] * K}  # fmt: skip
    return {"d": d, "m": m, "cells": cells, "y": y, "v": v, "te": y, "se": np.sqrt(v),
            "effects": effects,
            "year": columns["year"], "p": pool(y, v),
            "r": regress(effects, ["ablat", "factor(alloc)"]), "s": subsets(effects)}  # fmt: skip


def batched() -> dict[str, Any]:
    return pairwise() | {"y": RNG.normal(size=(5, K))}


def network() -> dict[str, Any]:
    from klarsyn.synthesis.network import fit_network
    from klarsyn.synthesis.network_data import network_from_arms

    study = [s for s in "ABCDEF" for _ in range(2)] + ["G"] * 3
    treat = ["placebo", "a", "placebo", "b", "a", "b", "placebo", "a", "placebo", "b", "a", "b",
             "placebo", "a", "b"]  # fmt: skip
    r = [9, 5, 12, 8, 7, 6, 15, 9, 11, 9, 6, 7, 14, 9, 8]
    n = [50, 52, 60, 61, 48, 47, 80, 79, 66, 65, 50, 51, 70, 71, 69]
    data = network_from_arms(study, treat, measure="OR", events=r, n=n)
    effects, errors = [-0.6, -0.4, 0.1, -0.3, -0.7], [0.3, 0.2, 0.25, 0.3, 0.35]
    contrasts = {"studlab": [*"stuvw"], "treat1": ["a", "b", "a", "a", "b"], "TE": effects,
                 "treat2": ["placebo", "placebo", "b", "placebo", "placebo"],
                 "seTE": errors}  # fmt: skip
    fit = fit_network(data, reference="placebo")
    return contrasts | {"id": study, "treat": treat, "r": r, "n": n, "data": data, "fit": fit}


def dependent() -> dict[str, Any]:
    from klarsyn.synthesis.multilevel import fit_multilevel
    from klarsyn.synthesis.random_terms import nested

    study = [i // 2 for i in range(16)]
    X = np.column_stack([np.ones(16), np.arange(16) / 16])
    v = RNG.uniform(0.05, 0.2, 16)
    y = RNG.normal(0.3, 0.5, 16)
    shared = {"y": y, "v": v, "study": study, "effect": list(range(16)), "cluster": study, "X": X,
              "outer": study, "inner": ["p", "q"] * 8, "a": study, "b": [i % 4 for i in range(16)],
              "kind": ["m", "n"] * 8, "time": [0.0, 1.0] * 8, "g1": ["t", "u"] * 8,
              "g2": ["c"] * 16, "w1": [30] * 16, "w2": [32] * 16}  # fmt: skip
    term = nested(study=study, effect=list(range(16)))
    fit = fit_multilevel(y, v, random=term, design=X, names=["b1", "b2"])
    full = fit_multilevel(y, v, random=term, method="ML", design=X, names=["b1", "b2"])
    return shared | {"fit": fit, "full": full,
                     "reduced": fit_multilevel(y, v, random=term, method="ML")}  # fmt: skip


def doses() -> dict[str, Any]:
    from klarsyn.synthesis.dose_data import doses_from_means, doses_from_risks
    from klarsyn.synthesis.doseresponse import fit_dose_response

    risks = doses_from_risks(
        [s for s in "ABC" for _ in range(4)], [0, 2, 5, 9] * 3,
        [0, -0.1, -0.3, -0.5, 0, -0.2, -0.35, -0.4, 0, -0.05, -0.25, -0.6],
        [0, 0.15, 0.16, 0.2, 0, 0.12, 0.15, 0.17, 0, 0.14, 0.18, 0.22],
        [60, 50, 45, 40, 70, 62, 55, 50, 40, 38, 30, 25], [500] * 12, ["cumulative-incidence"] * 12,
    )  # fmt: skip
    study = [s for s in "ABC" for _ in range(4)]
    dose, mean = [0, 1, 2, 4] * 3, [0.0, 0.9, 1.4, 1.7, 0.1, 1.1, 1.5, 1.9, -0.1, 0.8, 1.3, 1.8]
    held = {"study": study, "dose": dose, "mean": mean, "sd": [1.0] * 12, "n": [60] * 12}
    data = doses_from_means(**held)
    fit = fit_dose_response(data, curve="quadratic")
    return held | {"risks": risks, "data": data, "fit": fit}


def doses_at() -> dict[str, Any]:
    return doses() | {"dose": 2.0}


def rare() -> dict[str, Any]:
    from klarsyn.synthesis.rare import fit_glmm
    from klarsyn.synthesis.rare_counts import count_table, rate_table

    names = [str(i) for i in range(K)]
    counts = count_table(names, *COUNTS)
    rates = rate_table(names, *COUNTS)
    return {"counts": counts, "rates": rates, "fit": fit_glmm(counts, "CM.EL"), "studies": names,
            "events": COUNTS[0], "totals": COUNTS[1], "times": COUNTS[1], "x": 0.6,
            "n": np.array(COUNTS[1], dtype=float)}  # fmt: skip


def small() -> dict[str, Any]:
    a, n1, c, n2 = (np.array(x, dtype=float) for x in COUNTS)
    held = pairwise()
    y = np.array([0.9, 0.5, 1.1, 0.4, -0.1, 0.3, 0.75])
    return held | {"y": y, "a": a, "n1": n1, "c": c, "n2": n2, "n": n1 + n2, "np": np,
                   "events": a + c}  # fmt: skip


def bayes() -> dict[str, Any]:
    from klarsyn.synthesis.bayes import pool_bayes

    held = pairwise()
    b = pool_bayes(held["effects"], tau_prior="half-normal 0.5", mu_sd=2.0)
    return held | {"b": b, "function": lambda t: np.exp(-t)}


DATA: dict[str, Callable[[], dict[str, Any]]] = {
    "Effects and pooling": pairwise, "Meta-regression": pairwise, "Every analysis": pairwise,
    "Networks": network, "Dependent effects": dependent, "Dose": doses, "Rare events": rare,
    "Small-study": small, "Bayes": bayes,
}  # fmt: skip
SPECIAL = {"fit_rows": batched, "fit.effect": doses_at}
# The table's own number of draws is for a reader with patience; these show the same call.
CHEAPER = (("sample=1_000_000", "sample=100"),)


def sections() -> dict[str, tuple[list[str], list[list[str]]]]:
    """The modules and, row by row, the code of each part of the table."""
    out: dict[str, tuple[list[str], list[list[str]]]] = {}
    name, room = "", ""
    for left, right in rows():
        if left.startswith("**"):
            name = next(n for n in DATA if left.strip("*").startswith(n))
            modules = []
            for found in re.findall(r"`([\w.]+)`", right):
                room = room if found.startswith(".") else found.partition(".")[0]
                modules.append(f"klarsyn.{room}.{found.rpartition('.')[2]}")
            out[name] = (modules, [])
            continue
        code = [c for c in re.findall(r"`([^`]+)`", right) if c not in OTHER_PROGRAMS]
        out[name][1].append([c for c in code if not c.startswith(("klarsyn ", "--"))])
    return out


class Reader:
    """Runs the pieces of code of one section one after the other."""

    def __init__(self, name: str, modules: list[str]) -> None:
        self.names: dict[str, Any] = {}
        for module in modules:
            held = vars(importlib.import_module(module))
            self.names |= {n: x for n, x in held.items() if not n.startswith("_")}
        self.names |= DATA[name]()
        self.calls: list[ast.Call] = []
        self.last: Any = None

    def read(self, code: str) -> None:
        for old, new in (*READERS_OWN, *CHEAPER):
            code = code.replace(old, new)
        if code.startswith("."):
            self.last = eval(f"_last{code}", self.names | {"_last": self.last})
        elif re.match(r"[a-z_]\w*=(?!=)", code):
            self.run(self.changed(ast.parse(f"f({code})", mode="eval").body.keywords))
        else:
            self.expression(ast.parse(code, mode="eval").body, code)

    def expression(self, node: ast.expr, code: str) -> None:
        if isinstance(node, ast.Constant):
            self.run(self.replaced(node))
        elif isinstance(node, ast.Name) and node.id not in self.names:
            known = set(MEASURES) | self.parameters() | set(dir(self.last))
            assert node.id in known, node.id
        elif isinstance(node, ast.Call):
            self.run(node)
        else:
            self.last = eval(code, dict(self.names))
            self.calls += [n for n in ast.walk(node) if isinstance(n, ast.Call)][:1]

    def run(self, node: ast.Call) -> None:
        text = ast.unparse(node)
        held = next((make() for start, make in SPECIAL.items() if text.startswith(start)), {})
        self.last = eval(text, self.names | held)
        self.calls.append(node)

    def changed(self, keywords: list[ast.keyword]) -> ast.Call:
        """The latest call that takes these arguments, with them."""
        asked = {k.arg for k in keywords}
        for call in reversed(self.calls):
            taken = inspect.signature(eval(ast.unparse(call.func), dict(self.names))).parameters
            if asked <= set(taken):
                kept = [k for k in call.keywords if k.arg not in asked]
                return ast.Call(func=call.func, args=call.args, keywords=[*kept, *keywords])
        raise AssertionError(f"no call takes {asked}")

    def replaced(self, node: ast.Constant) -> ast.Call:
        """The last call with its last quoted name replaced, or with one more argument."""
        text = ast.unparse(self.calls[-1])
        quoted = re.findall(r"'[^']*'", text)
        if not quoted:
            text = f"{text[:-1]}, {node.value!r})"
        else:
            head, _, tail = text.rpartition(quoted[-1])
            text = head + repr(node.value) + tail
        if "GENQ" in text and "weights" not in text:
            text = f"{text[:-1]}, weights=1 / v)"
        found = ast.parse(text, mode="eval").body
        assert isinstance(found, ast.Call)
        return found

    def parameters(self) -> set[str]:
        taken: set[str] = set()
        for item in self.names.values():
            if inspect.isfunction(item):
                taken |= set(inspect.signature(item).parameters)
        return taken


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize("name", DATA)
def test_every_line_of_the_table_runs(name: str) -> None:
    modules, lines = sections()[name]
    reader = Reader(name, modules)
    ran = 0
    for codes in lines:
        for code in codes:
            try:
                reader.read(code)
            except Exception as bad:
                raise AssertionError(f"{name}: {code!r} does not run: {bad!r}") from bad
            ran += 1
    assert ran >= 5


def test_the_table_has_a_line_for_each_function_that_r_users_call() -> None:
    """The exported work-horses of each package, as their manuals list them."""
    left = " ".join(cell for cell, _ in rows())
    for package, calls in CALLS.items():
        missing = [c for c in calls.split() if not re.search(rf"(?<![\w.]){re.escape(c)}\b", left)]
        assert missing == [], package


CALLS = {
    "metafor": "escalc rma rma.mv rma.mh rma.peto rma.glmm confint predict leave1out cumul "
    "influence regtest ranktest trimfill selmodel fsn permutest robust vcalc blup gosh forest "
    "funnel baujat labbe radial anova vif regplot",
    "meta": "metagen metabin metacont metaprop metainc metarate metamean metareg metabias trimfill "
    "metainf metacum update subgroup",
    "netmeta": "netmeta pairwise netleague netrank netgraph netsplit decomp.design netcontrib "
    "netcomb netmetabin netconnection netheat netimpact",
    "robumeta": "robu sensitivity",
    "bayesmeta": "bayesmeta bmr",
    "dosresmeta": "dosresmeta predict covar.logrr covar.smd",
    "clubSandwich": "coef_test conf_int Wald_test vcovCR",
}
