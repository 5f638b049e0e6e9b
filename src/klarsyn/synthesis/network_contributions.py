"""Which direct comparisons, and which studies, carry each network estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import NumericalError, unknown_name
from klarsyn.stats.network_flow import contributions as flow_contributions
from klarsyn.stats.network_flow import edge_flows
from klarsyn.synthesis.network import NetworkFit, edge_weights

Matrix = NDArray[np.floating]

METHOD = "random walk (Davies et al. 2022)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributions:
    """Shares (0 to 1, rows sum to 1) of direct comparisons and of studies in network estimates.

    A comparison's share is divided among its studies by their weights (Papakonstantinou et al.
    2018). `mean_path_length` is the mean number of comparisons that the evidence for an estimate
    passes (1: all direct), `minimal_parallelism` one over the largest flow through any comparison
    (König, Krahn & Binder 2013).
    """

    estimates: tuple[tuple[str, str], ...]
    comparisons: tuple[tuple[str, str], ...]
    studies: tuple[str, ...]
    by_comparison: Matrix = field(repr=False)
    by_study: Matrix = field(repr=False)
    mean_path_length: tuple[float, ...] = field(repr=False)
    minimal_parallelism: tuple[float, ...] = field(repr=False)
    method: str
    digest: str

    def of(self, a: str, b: str) -> Mapping[str, float]:
        """The studies' shares in the estimate of a against b, largest first."""
        pair = (a, b) if (a, b) in self.estimates else (b, a)
        if pair not in self.estimates:
            raise unknown_name("comparison", f"{a}:{b}", [f"{x}:{y}" for x, y in self.estimates])
        row = self.by_study[self.estimates.index(pair)]
        order = np.argsort(-row, kind="stable")
        return {self.studies[i]: float(row[i]) for i in order if row[i] > 0}

    def summary(self) -> str:
        """For each estimate its three largest studies."""
        lines = []
        for a, b in self.estimates:
            best = list(self.of(a, b).items())[:3]
            lines.append(f"{a} against {b}: " + ", ".join(f"{s} {x:.0%}" for s, x in best))
        return "\n".join(lines)

    def plot(self) -> Any:
        """The direct comparisons' shares in every estimate, as an Altair chart."""
        from klarsyn.figures.shares import share_table

        rows, columns = (
            [f"{a} against {b}" for a, b in pairs] for pairs in (self.estimates, self.comparisons)
        )
        return share_table(rows, columns, self.by_comparison, title="Direct comparison")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return {
            "method": self.method,
            "estimates": [list(e) for e in self.estimates],
            "comparisons": [list(c) for c in self.comparisons],
            "studies": list(self.studies),
            "by_comparison": self.by_comparison.tolist(),
            "by_study": self.by_study.tolist(),
            "mean_path_length": list(self.mean_path_length),
            "minimal_parallelism": list(self.minimal_parallelism),
            "digest": self.digest,
        }


def contribution_shares(fit: NetworkFit) -> Contributions:
    """Contributions of every direct comparison and study to all estimates of a network.

    Raises NumericalError `degenerate` where a multi-arm study's covariance gives a comparison a
    negative weight, for which no flow exists.
    """
    tails, heads, weights, study, names = edge_weights(fit)
    T = len(fit.treatments)
    edge, member = np.unique(tails * T + heads, return_inverse=True)
    total = np.bincount(member, weights).astype(float)
    if (weights < -1e-9 * np.abs(weights).max()).any():
        at = int(np.argmin(weights))
        raise NumericalError(
            "degenerate",
            f"Study {names[study[at]]}: its covariance gives a comparison a negative weight, so "
            f"contributions have no meaning. Check its standard errors.",
        )
    low, high = np.triu_indices(T, 1)
    pairs = np.stack([low, high], axis=1)
    flows = edge_flows(fit.covariance, edge // T, edge % T, total, pairs)
    shares = flow_contributions(flows, edge // T, edge % T, pairs, T)
    split = np.zeros((len(edge), len(names)))
    np.add.at(split, (member, study), weights / total[member])
    return Contributions(
        estimates=tuple((fit.treatments[i], fit.treatments[j]) for i, j in pairs),
        comparisons=tuple((fit.treatments[e // T], fit.treatments[e % T]) for e in edge),
        studies=tuple(names),
        by_comparison=shares,
        by_study=shares @ split,
        mean_path_length=tuple(np.abs(flows).sum(axis=1).tolist()),
        minimal_parallelism=tuple((1 / np.abs(flows).max(axis=1)).tolist()),
        method=METHOD,
        digest=fit.digest,
    )
