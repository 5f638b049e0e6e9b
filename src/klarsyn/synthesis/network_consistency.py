"""Does direct evidence agree with indirect? Node-splitting and the decomposition of Q by design."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import NumericalError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.network import Decoupled, pairwise_contrasts, solve
from klarsyn.stats.scalar_heterogeneity import estimate_tau2
from klarsyn.synthesis.network import NetworkFit
from klarsyn.synthesis.network_data import connected_pieces
from klarsyn.synthesis.rows import Rows

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]

SPLITS = ("back-calculation", "SIDDE", "side")
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSplit:
    """One comparison's direct, indirect and network evidence (treatment a against b).

    `share` is the direct evidence's part of the network estimate's information. A part without
    evidence is None. `difference` is direct minus indirect. `tau2` is the heterogeneity used.
    """

    a: str
    b: str
    studies: int
    direct: Estimate | None
    indirect: Estimate | None
    network: Estimate
    share: float
    difference: Estimate | None
    tau2: float
    method: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""

        def plain(e: Estimate | None) -> dict[str, float] | None:
            return None if e is None else {"value": e.value, "se": e.se, "p": e.p_value()}

        return {
            "a": self.a,
            "b": self.b,
            "studies": self.studies,
            "direct": plain(self.direct),
            "indirect": plain(self.indirect),
            "network": plain(self.network),
            "share": self.share,
            "difference": plain(self.difference),
            "tau2": self.tau2,
            "method": self.method,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSplits(Rows[NodeSplit]):
    """The splits of every comparison that some study makes."""

    measure: str
    method: str
    digest: str
    splits: tuple[NodeSplit, ...] = field(repr=False)

    @property
    def rows(self) -> tuple[NodeSplit, ...]:
        """The splits."""
        return self.splits

    def summary(self) -> str:
        """One line a comparison."""
        lines = [f"{self.measure}, {self.method}"]
        for s in self.splits:
            found = "no indirect evidence"
            if s.direct is not None and s.indirect is not None and s.difference is not None:
                found = (
                    f"direct {s.direct.value:.3g}, indirect {s.indirect.value:.3g}, "
                    f"p of difference {s.difference.p_value():.3g}"
                )
            lines.append(f"{s.a} against {s.b}: direct share {s.share:.0%}, {found}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready result."""
        return {
            "measure": self.measure,
            "method": self.method,
            "digest": self.digest,
            "splits": [s.to_dict() for s in self.splits],
        }

    def plot(self) -> Any:
        """Direct, indirect and network estimates, as an Altair chart.

        Raises NumericalError `not_estimable` where no comparison has both kinds of evidence.
        """
        from klarsyn.figures.theme import housed

        return housed(splits_chart(self.splits, self.measure))


def node_splits(fit: NetworkFit, method: str = "back-calculation") -> NodeSplits:
    """Direct against indirect evidence for every comparison that some study makes.

    back-calculation: the indirect estimate is what remains of the network estimate without the
    pooled direct one (König, Krahn & Binder 2013). SIDDE: the indirect estimate is the network
    without the studies that make the comparison (Efthimiou et al. 2019). Both keep the fit's tau².
    side: one inconsistency parameter, half on each arm of those studies (White 2015), tau²
    re-estimated; `indirect` is then the consistent part and `direct` that plus the parameter.
    """
    if method not in SPLITS:
        raise unknown_name("node-splitting method", method, SPLITS)
    pairs = pairwise_contrasts(fit.network, fit.data.contrasts)
    keys = sorted(set(zip(pairs["low"].tolist(), pairs["high"].tolist(), strict=True)))
    return NodeSplits(
        measure=fit.measure,
        method=method,
        digest=digest_of(fit.digest, method),
        splits=tuple(_split(fit, pairs, i, j, method) for i, j in keys),
    )


def _split(fit: NetworkFit, pairs: dict[str, NDArray], i: int, j: int, method: str) -> NodeSplit:
    a, b = fit.treatments[i], fit.treatments[j]
    here = (pairs["low"] == i) & (pairs["high"] == j)
    network = fit.estimate(a, b)
    w = 1 / (pairs["variance"][here] + fit.tau2)
    direct = Estimate(
        value=float((w * pairs["effect"][here]).sum() / w.sum()),
        se=float(1 / math.sqrt(w.sum())),
        method="direct",
        scale=fit.scale,
    )
    share = (network.se / direct.se) ** 2
    tau2, indirect, difference = fit.tau2, None, None
    if method == "back-calculation" and share < 1 - ROUNDING:
        rest = 1 / network.se**2 - 1 / direct.se**2
        value = (network.value / network.se**2 - direct.value / direct.se**2) / rest
        indirect = Estimate(value=value, se=1 / math.sqrt(rest), method=method, scale=fit.scale)
    elif method == "SIDDE":
        indirect = _without(fit, set(pairs["study"][here].tolist()), i, j)
    elif method == "side":
        found = _side(fit, np.isin(fit.network.study, pairs["study"][here]), i, j)
        if found is not None:
            indirect, difference, direct, tau2 = found
    if indirect is not None and difference is None:
        difference = Estimate(
            value=direct.value - indirect.value,
            se=math.hypot(direct.se, indirect.se),
            method=method,
            scale=fit.scale,
        )
    return NodeSplit(
        a=a,
        b=b,
        studies=int(here.sum()),
        direct=direct,
        indirect=indirect,
        network=network,
        share=min(share, 1.0),
        difference=difference,
        tau2=tau2,
        method=method,
    )


def _without(fit: NetworkFit, dropped: set[int], i: int, j: int) -> Estimate | None:
    """The comparison from the studies that do not make it, within its own piece of the network."""
    rest = [c.arms for k, c in enumerate(fit.data.contrasts) if k not in dropped]
    names = [str(t) for t in range(len(fit.treatments))]
    piece = next(p for p in connected_pieces(names, rest) if str(i) in p)
    if str(j) not in piece:
        return None
    members = np.array(sorted(int(p) for p in piece))
    full = fit.network
    keep = ~np.isin(full.study, list(dropped))
    keep &= np.abs(full.X[:, members]).sum(axis=1) > 0
    part = Decoupled(
        y=full.y[keep],
        X=full.X[keep][:, members],
        spread=full.spread[keep],
        study=full.study[keep],
        groups=(),
        treatments=len(members),
    )
    solution = solve(part, fit.tau2)
    at, to = np.searchsorted(members, [i, j])
    C = solution.covariance
    return Estimate(
        value=float(solution.effects[at] - solution.effects[to]),
        se=math.sqrt(C[at, at] + C[to, to] - 2 * C[at, to]),
        method="SIDDE",
        scale=fit.scale,
    )


def _side(
    fit: NetworkFit, here: NDArray[np.bool_], i: int, j: int
) -> tuple[Estimate, Estimate, Estimate, float] | None:
    network = fit.network
    extra = np.where(here, (network.X[:, i] - network.X[:, j]) / 2, 0.0)
    # Direct evidence shifts the comparison by ω relative to the consistent part.
    X = np.column_stack([np.delete(network.X, j, axis=1), extra])
    if np.linalg.matrix_rank(X) < X.shape[1]:
        return None
    tau2 = fit.tau2
    if fit.heterogeneity != "common":
        tau2, _ = estimate_tau2(network.y, X, network.spread, fit.heterogeneity)
    w = 1 / (network.spread + tau2)
    vcov = np.linalg.inv(X.T @ (w[:, None] * X))
    b = vcov @ (X.T @ (w * network.y))
    at = i if i < j else i - 1
    row = np.zeros(X.shape[1])
    row[at] = 1.0

    def estimate(contrast: Vector) -> Estimate:
        return Estimate(
            value=float(contrast @ b),
            se=math.sqrt(contrast @ vcov @ contrast),
            method="side",
            scale=fit.scale,
        )

    omega = np.zeros(X.shape[1])
    omega[-1] = 1.0
    return estimate(row), estimate(omega), estimate(row + omega), tau2


def splits_chart(splits: Sequence[NodeSplit], measure: str) -> Any:
    """Direct, indirect and network estimates of every split comparison, as a Vega-Lite dict."""
    from klarsyn.figures.forest import ForestAxis, ForestRow, forest
    from klarsyn.figures.theme import finish

    require_loops(splits)
    rows: list[ForestRow] = []
    log = splits[0].network.scale == "log"
    show = math.exp if log else float
    for s in splits:
        if s.direct is None or s.indirect is None or s.difference is None:
            continue
        p = s.difference.p_value()
        rows.append(ForestRow(kind="heading", label=f"{s.a} against {s.b} (p = {p:.2g})"))
        for label, e in (("direct", s.direct), ("indirect", s.indirect), ("network", s.network)):
            low, high = e.interval()
            rows.append(
                ForestRow(
                    kind="pooled" if label == "network" else "study",
                    label=label,
                    estimate=show(e.value),
                    lower=show(low),
                    upper=show(high),
                    weight=s.share if label == "direct" else 1 - s.share,
                    numbers=f"{show(e.value):.2f} ({show(low):.2f} to {show(high):.2f})",
                )
            )
    axis = ForestAxis(title=measure, null=1.0 if log else 0.0, log=log)
    return finish(forest(rows, axis))


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignDecomposition:
    """Q of the network split into heterogeneity within designs and inconsistency between them.

    A design is a set of treatments compared in one study. `within` gives Q and df of each design
    with more than one study; `detached` the inconsistency that remains when one design is given
    effects of its own. `Q_random` is the design-by-treatment interaction's Wald test at
    `tau2_within`, the heterogeneity (`heterogeneity` names the estimator) within designs
    (Higgins et al. 2012; Krahn, Binder & König 2013).
    """

    Q_total: float
    df_total: int
    Q_within: float
    df_within: int
    Q_between: float
    df_between: int
    within: dict[str, tuple[float, int]]
    detached: dict[str, tuple[float, int]]
    tau2_within: float
    Q_random: float
    heterogeneity: str
    digest: str
    method: str = "Q decomposed by design"

    @staticmethod
    def p(Q: float, df: int) -> float:
        """Upper tail of chi-square; NaN without degrees of freedom."""
        from scipy.special import chdtrc

        return float(chdtrc(df, Q)) if df > 0 else math.nan

    def summary(self) -> str:
        """The three tests, the random-effects interaction, and each design's own."""
        rows = [
            ("total", self.Q_total, self.df_total),
            ("within designs", self.Q_within, self.df_within),
            ("between designs", self.Q_between, self.df_between),
            (f"interaction at tau2 {self.tau2_within:.4g}", self.Q_random, self.df_between),
            *((f"within {name}", *v) for name, v in self.within.items()),
            *((f"between, without {name}", *v) for name, v in self.detached.items()),
        ]
        return "\n".join(
            f"{name}: Q {q:.4g} on {df}" + (f", p = {self.p(q, df):.3g}" if df else "")
            for name, q, df in rows
        )

    def plot(self) -> Any:
        """Q beside the degrees of freedom it is expected to equal, as an Altair chart."""
        from klarsyn.figures.estimates import panels_of_values

        rows = [
            ("total", self.Q_total, self.df_total),
            ("within designs", self.Q_within, self.df_within),
            ("between designs", self.Q_between, self.df_between),
            *((f"within {name}", *v) for name, v in self.within.items()),
            *((f"between, without {name}", *v) for name, v in self.detached.items()),
        ]
        ratios = [q / df if df else math.nan for _, q, df in rows]
        panels = [
            ("Q", [q for _, q, _ in rows], []),
            ("Q per degree of freedom", ratios, [1.0]),
        ]
        return panels_of_values([name for name, _, _ in rows], panels, width=210)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields with p values."""

        def test(Q: float, df: int) -> dict[str, float]:
            return {"Q": Q, "df": df, "p": self.p(Q, df)}

        return {
            "total": test(self.Q_total, self.df_total),
            "within_designs": test(self.Q_within, self.df_within),
            "between_designs": test(self.Q_between, self.df_between),
            "by_design": {k: test(*v) for k, v in self.within.items()},
            "detached": {k: test(*v) for k, v in self.detached.items()},
            "random": test(self.Q_random, self.df_between),
            "tau2_within": self.tau2_within,
            "heterogeneity": self.heterogeneity,
            "method": self.method,
            "digest": self.digest,
        }


def decompose_designs(fit: NetworkFit, heterogeneity: str = "DL") -> DesignDecomposition:
    """Heterogeneity within designs and inconsistency between them."""
    network = fit.network
    designs = _designs(fit)
    full = np.concatenate(
        [_own_effects(network, arms, members) for arms, members in designs.values()], axis=1
    )
    common = network.X[:, 1:]
    flat = np.ones(len(network.y)) / network.spread
    Q_total, rank = _q(network.y, common, flat)
    Q_within, rank_full = _q(network.y, full, flat)
    within, detached = {}, {}
    for name, (arms, members) in designs.items():
        rows = np.isin(network.study, members)
        own = _own_effects(network, arms, members)
        df = int(rows.sum()) - (len(arms) - 1)
        if df > 0:
            within[name] = (_q(network.y[rows], own[rows], flat[rows])[0], df)
        loose, rank_loose = _q(network.y, np.concatenate([common, own], axis=1), flat)
        if rank_loose > rank:
            detached[name] = (max(loose - Q_within, 0.0), rank_full - rank_loose)
    tau2, _ = estimate_tau2(network.y, full, network.spread, heterogeneity)
    loose = 1 / (network.spread + tau2)
    return DesignDecomposition(
        Q_total=Q_total,
        df_total=len(network.y) - rank,
        Q_within=Q_within,
        df_within=len(network.y) - rank_full,
        Q_between=Q_total - Q_within,
        df_between=rank_full - rank,
        within=within,
        detached=detached,
        tau2_within=tau2,
        Q_random=_q(network.y, common, loose)[0] - _q(network.y, full, loose)[0],
        heterogeneity=heterogeneity,
        digest=digest_of(fit.digest, heterogeneity),
    )


def _designs(fit: NetworkFit) -> dict[str, tuple[tuple[int, ...], list[int]]]:
    found: dict[tuple[int, ...], list[int]] = {}
    for k, c in enumerate(fit.data.contrasts):
        found.setdefault(tuple(sorted(c.arms)), []).append(k)
    return {
        ":".join(fit.treatments[a] for a in arms): (arms, members)
        for arms, members in sorted(found.items())
    }


def _own_effects(network: Decoupled, arms: Sequence[int], members: Sequence[int]) -> Matrix:
    rows = np.isin(network.study, members)
    return np.where(rows[:, None], network.X[:, list(arms[1:])], 0.0)


def _q(y: Vector, X: Matrix, w: Vector) -> tuple[float, int]:
    """Residual weighted sum of squares and the rank of the design."""
    root = np.sqrt(w)
    U, size, _ = np.linalg.svd(root[:, None] * X, full_matrices=False)
    rank = int((size > 1e-10 * size[0]).sum())
    z = root * y
    e = z - U[:, :rank] @ (U[:, :rank].T @ z)
    return float(e @ e), rank


def require_loops(splits: Sequence[NodeSplit]) -> None:
    """Raise NumericalError `not_estimable` when no comparison has both kinds of evidence."""
    if all(s.indirect is None for s in splits):
        raise NumericalError(
            "not_estimable",
            "No comparison has both direct and indirect evidence: the network has no closed loop, "
            "so its consistency cannot be checked.",
        )
