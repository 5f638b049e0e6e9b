"""Parameter sets that all satisfy the experiments, and what they together can and cannot tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.pharmacology.experiments import Experiment, Runner, described, read_experiments
from klarsyn.pharmacology.runs import (
    Study,
    with_distance,
    with_equivalents,
    with_hazard,
    with_reference,
)
from klarsyn.pharmacology.substance import read_data
from klarsyn.provenance import digest_of, stream

SPREADS = ("log-uniform", "uniform", "normal")
PERCENTILES = (5.0, 25.0, 50.0, 75.0, 95.0)
BLOCK = 4000
CANNOT = "cannot be told from these data"
LEAST_SETS = 20
REPRODUCED = 0.9  # share of sets at which an experiment that is not required counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """Accepted parameter sets, arrays (n,) by name, and how they were found.

    `prior_pass` is each experiment's share of passing among sets that reached it during the
    search; `accepted_pass` its share among the accepted sets.
    """

    study: str
    values: Mapping[str, np.ndarray]
    index: np.ndarray
    drawn: int
    viable: int
    prior_pass: Mapping[str, tuple[int, int]]
    accepted_pass: Mapping[str, float]
    seed: int
    method: str
    inputs: str

    def __len__(self) -> int:
        return len(self.index)

    @property
    def digest(self) -> str:
        """Sixteen hex digits of which draws were accepted and of their values to nine digits."""
        rounded = {
            k: [float(f"{x:.9g}") for x in v] for k, v in sorted(self.values.items()) if len(v)
        }
        return digest_of(self.index.tolist(), rounded)

    def summary(self) -> str:
        """One line: how many sets, of how many drawn."""
        return (
            f"{len(self)} of {self.drawn} drawn parameter sets satisfy every required experiment "
            f"of {self.study} (seed {self.seed})."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: shares of passing and percentiles of every parameter."""
        return {
            "study": self.study,
            "accepted": len(self),
            "drawn": self.drawn,
            "viable": self.viable,
            "seed": self.seed,
            "method": self.method,
            "inputs": self.inputs,
            "digest": self.digest,
            "prior_pass": {k: list(v) for k, v in self.prior_pass.items()},
            "accepted_pass": dict(self.accepted_pass),
            "parameters": {
                k: np.percentile(v, PERCENTILES).tolist() for k, v in self.values.items()
            },
        }


def sample_priors(study: Study, n: int, seed: int, first: int = 0) -> dict[str, np.ndarray]:
    """Draw sets `first` to `first + n` from the priors; a set has the same values in any block.

    Blocks of 4000 sets have streams of their own, keyed by (seed, parameter, block).
    """
    return draw_sets(study.data["priors"], n, seed, study.id, first=first)


def draw_sets(
    priors: Mapping[str, Any], n: int, seed: int, where: str, *, first: int = 0
) -> dict[str, np.ndarray]:
    """Draws `first` to `first + n` of a table of priors, arrays (n,) by name."""
    if first % BLOCK:
        raise InputError(f"sets are drawn from a multiple of {BLOCK}; {first} is not one.")
    if n < 1:
        raise InputError(f"{n} sets: at least one is needed.")
    found = {}
    for name, prior in priors.items():
        parts = [
            _draw(prior, stream(seed, f"prior:{name}", (first + k) // BLOCK), f"{where}, {name}")
            for k in range(0, n, BLOCK)
        ]
        found[name] = np.concatenate(parts)[:n]
    return found


def _draw(prior: Mapping[str, Any], random: np.random.Generator, where: str) -> np.ndarray:
    """A block from one prior, by the inverse of its distribution."""
    u, none = random.random(BLOCK), random.random(BLOCK)
    low, high, spread = prior["low"], prior["high"], prior["spread"]
    if spread not in SPREADS:
        raise unknown_name("spread", spread, SPREADS, where)
    if spread == "log-uniform":
        found = low * (high / low) ** u
    elif spread == "uniform":
        found = low + (high - low) * u
    else:
        from scipy.special import ndtr, ndtri

        edges = ndtr([(x - prior["mean"]) / prior["sd"] for x in (low, high)])
        found = prior["mean"] + prior["sd"] * ndtri(edges[0] + (edges[1] - edges[0]) * u)
    return np.where(none < prior.get("zero", 0.0), 0.0, found)


def _chosen(values: Mapping[str, np.ndarray], mask: np.ndarray) -> dict[str, np.ndarray]:
    return {k: v[mask] for k, v in values.items()}


def _viable(
    study: Study, values: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Sets with an inverted U, a rise during the infusion and a reachable reference effect."""
    index = np.arange(len(values["selectivity"]))
    keep = (values["balance"] > 1) & (values["balance"] < values["selectivity"])
    values, index = _chosen(values, keep), index[keep]
    values = with_distance(study, with_equivalents(values))
    keep = np.isfinite(values["distance"])
    values, index = _chosen(values, keep), index[keep]
    values = with_reference(study, values)
    keep = np.isfinite(values["weight"]) & np.isfinite(values["spines_reference"])
    return _chosen(values, keep), index[keep]


def find_ensemble(
    study: Study, *, draws: int, seed: int, required: Sequence[str] | None = None
) -> Ensemble:
    """Draw from the priors and keep the sets that pass every required experiment.

    `required` names experiments; None takes those whose role is `accept`. Experiments are checked
    in the file's search order and a set leaves at its first failure, so `prior_pass` counts those
    that reached each. The hazard's two constants are solved set by set before experiments that
    read it.

    Raises NumericalError when no set is left.
    """
    experiments = read_experiments(study)
    by_id = {e.id: e for e in experiments}
    wanted = [e.id for e in experiments if e.role == "accept"] if required is None else required
    for name in wanted:
        if name not in by_id:
            raise unknown_name("experiment", name, by_id, study.id)
    chosen = [by_id[name] for name in wanted]
    counts = {e.id: [0, 0] for e in chosen}
    kept: list[dict[str, np.ndarray]] = []
    indices: list[np.ndarray] = []
    viable = 0
    for first in range(0, draws, BLOCK):
        size = min(BLOCK, draws - first)
        values, index = _viable(study, sample_priors(study, size, seed, first))
        viable += len(index)
        values, index = _filter(study, values, index, chosen, counts)
        if len(index):
            kept.append(values)
            indices.append(index + first)
    if not indices:
        raise NumericalError(
            "degenerate",
            f"None of {draws} parameter sets satisfies all of: {', '.join(wanted)}. Draw more, or "
            f"require fewer.",
        )
    index = np.concatenate(indices)
    values = {k: np.concatenate([v[k] for v in kept]) for k in sorted(kept[0])}
    runner = Runner(study, values)
    accepted = {e.id: float(runner.passes(e).mean()) for e in experiments}
    return Ensemble(
        study=study.id,
        values=values,
        index=index,
        drawn=draws,
        viable=viable,
        prior_pass={k: (a, b) for k, (a, b) in counts.items()},
        accepted_pass=accepted,
        seed=seed,
        method=f"rejection from priors, required: {', '.join(wanted)}",
        inputs=_inputs(study, draws, wanted),
    )


def _filter(
    study: Study,
    values: dict[str, np.ndarray],
    index: np.ndarray,
    experiments: Sequence[Experiment],
    counts: dict[str, list[int]],
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    order = list(study.data.get("search", {}).get("order", ()))
    place = {name: i for i, name in enumerate(order)}
    ranked = sorted(experiments, key=lambda e: place.get(e.id, len(order)))
    later = [e for e in ranked if any(".hazard@" in c for c in e.checks)]
    for e in [*(e for e in ranked if e not in later), *later]:
        if not len(index):
            break
        if e in later and "hazard_base" not in values:
            values = with_hazard(study, values)
        passed = Runner(study, values).passes(e)
        _count(counts, e, passed)
        values, index = _chosen(values, passed), index[passed]
    if len(index) and "hazard_base" not in values:
        values = with_hazard(study, values)
    return values, index


def _count(counts: dict[str, list[int]], experiment: Experiment, passed: np.ndarray) -> None:
    counts[experiment.id][0] += int(passed.sum())
    counts[experiment.id][1] += len(passed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A predicted number over the accepted sets."""

    name: str
    percentiles: Mapping[str, float]
    share_positive: float
    sets: int
    verdict: str

    def summary(self) -> str:
        """Median, 5 to 95 %, and the verdict."""
        p = self.percentiles
        return f"{self.name}: {p['p50']:.3g} ({p['p5']:.3g} to {p['p95']:.3g}); {self.verdict}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "name": self.name,
            "percentiles": dict(self.percentiles),
            "share_positive": self.share_positive,
            "sets": self.sets,
            "verdict": self.verdict,
        }


def band(name: str, values: Any, *, agreement: float) -> Band:
    """Percentiles over accepted sets, and whether they agree on the sign.

    Where less than `agreement` (0.5 to 1) of the sets share a sign, or fewer than 20 sets exist,
    the verdict is that it cannot be told from these data.
    """
    if not 0.5 < agreement <= 1:
        raise InputError(f"agreement is {agreement:g}; it is a share above 0.5 and at most 1.")
    x = np.asarray(values, float)
    x = x[np.isfinite(x)]
    if not len(x):
        raise NumericalError("not_estimable", f"{name}: no accepted set gives a value.")
    share = float((x > 0).mean())
    if len(x) < LEAST_SETS or max(share, float((x < 0).mean())) < agreement:
        verdict = CANNOT
    else:
        verdict = "positive" if share >= agreement else "negative"
    shown = np.percentile(x, PERCENTILES)
    return Band(
        name=name,
        percentiles={f"p{p:g}": float(v) for p, v in zip(PERCENTILES, shown, strict=True)},
        share_positive=share,
        sets=len(x),
        verdict=verdict,
    )


def bands_over_time(values: Any) -> dict[str, np.ndarray]:
    """Percentile curves (T,) of courses (n, T), by name such as 'p50'."""
    shown = np.percentile(np.asarray(values, float), PERCENTILES, axis=0)
    return {f"p{p:g}": row for p, row in zip(PERCENTILES, shown, strict=True)}


def fit_of_experiments(study: Study, ensemble: Ensemble) -> list[dict[str, Any]]:
    """One row an experiment: what was seen, the share of sets that reproduce it, the verdict."""
    rows = []
    for e in read_experiments(study):
        share = ensemble.accepted_pass[e.id]
        reached = ensemble.prior_pass.get(e.id, (0, 0))
        rows.append(
            described(e, study)
            | {
                "accepted_share": share,
                "search_share": reached[0] / reached[1] if reached[1] else None,
                "verdict": _fit_verdict(e, share),
                "why": e.why_reported,
            }
        )
    return rows


def _fit_verdict(experiment: Experiment, share: float) -> str:
    if experiment.role == "accept":
        return "required"
    if share >= REPRODUCED:
        return "reproduced"
    return "not reproduced" if share <= 1 - REPRODUCED else "by some sets only"


def failures(study: Study, ensemble: Ensemble) -> list[dict[str, Any]]:
    """What the accepted sets do not reproduce, or only by choice of a branch, and why."""
    rows = [r for r in fit_of_experiments(study, ensemble) if r["verdict"] != "required"]
    branch = ensemble.values["gain_metabolite"] > 0
    runner = Runner(study, ensemble.values)
    by_id = {e.id: e for e in read_experiments(study)}
    found = []
    for row in rows:
        if row["verdict"] == "reproduced":
            continue
        passed = runner.passes(by_id[row["id"]])
        found.append(
            row
            | {
                "share_without_metabolite": _mean(passed[~branch]),
                "share_with_metabolite": _mean(passed[branch]),
            }
        )
    return found


def _mean(passed: np.ndarray) -> float | None:
    return float(passed.mean()) if len(passed) else None


def shipped_ensemble(study: Study) -> Ensemble:
    """The accepted sets that ship with the library, drawn again from their seed.

    Only which draws were accepted is stored; priors, runs and experiments must be those of the
    search, or this raises InputError and asks for a new one.
    """
    record = read_data(study.id, "ensembles", "ensemble", ensembles())[0]
    wanted = [e.id for e in read_experiments(study) if e.role == "accept"]
    inputs = _inputs(study, record["draws"], wanted)
    if inputs != record["inputs"]:
        raise InputError(
            f"The shipped ensemble of {study.id} was found with other priors, runs or experiments. "
            f"Find one for this file with find_ensemble."
        )
    index = np.array(record["index"])
    values = redraw(study, index, record["seed"])
    experiments = {e.id: e for e in read_experiments(study)}
    return Ensemble(
        study=study.id,
        values=values,
        index=index,
        drawn=record["draws"],
        viable=record["viable"],
        prior_pass={k: (v[0], v[1]) for k, v in record["prior_pass"].items()},
        accepted_pass={k: float(record["accepted_pass"][k]) for k in experiments},
        seed=record["seed"],
        method=f"rejection from priors, required: {', '.join(wanted)}",
        inputs=inputs,
    )


def redraw(study: Study, index: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """The sets of these draw numbers with everything derived from them."""
    parts = []
    for block in np.unique(index // BLOCK):
        inside = index[index // BLOCK == block] - block * BLOCK
        parts.append(_chosen(sample_priors(study, BLOCK, seed, int(block) * BLOCK), inside))
    drawn = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    whole = with_reference(study, with_distance(study, with_equivalents(drawn)))
    whole = with_hazard(study, whole)
    return {k: whole[k] for k in sorted(whole)}


def ensembles() -> tuple[str, ...]:
    """The response models that ship with accepted sets."""
    place = resources.files("klarsyn.pharmacology") / "library" / "ensembles"
    return tuple(sorted(p.name[:-5] for p in place.iterdir() if p.name.endswith(".toml")))


def record_of(ensemble: Ensemble) -> str:
    """The text of a shipped ensemble: seed, counts and which draws were accepted."""
    counts = "\n".join(f'"{k}" = [{a}, {b}]' for k, (a, b) in ensemble.prior_pass.items())
    shares = "\n".join(f'"{k}" = {v!r}' for k, v in ensemble.accepted_pass.items())
    numbers = ensemble.index.tolist()
    lines = [", ".join(map(str, numbers[i : i + 12])) for i in range(0, len(numbers), 12)]
    listed = ",\n  ".join(lines)
    return (
        "# Written by validation/ensemble/run.py: which draws satisfy every required experiment.\n"
        f'study = "{ensemble.study}"\nseed = {ensemble.seed}\ndraws = {ensemble.drawn}\n'
        f'viable = {ensemble.viable}\ninputs = "{ensemble.inputs}"\ndigest = "{ensemble.digest}"\n'
        f"index = [\n  {listed},\n]\n\n[prior_pass]\n{counts}\n\n[accepted_pass]\n{shares}\n"
    )


def _inputs(study: Study, draws: int, wanted: Sequence[str]) -> str:
    kept = ("priors", "roles", "reference", "hazard", "runs")
    checks = [[e["id"], e["role"], e["checks"]] for e in study.data["experiments"]]
    return digest_of(
        {k: study.data[k] for k in kept},
        checks,
        {k: v.value for k, v in study.constants.numbers.items()},
        study.receptor.affinities(),
        draws,
        list(wanted),
    )
