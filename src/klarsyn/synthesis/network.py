"""Network meta-analysis: every treatment against every other, from direct and indirect evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from klarsyn.errors import InputError, NumericalError, unknown_name
from klarsyn.provenance import digest_of
from klarsyn.stats.bounded_newton import Certificate
from klarsyn.stats.estimate import Estimate
from klarsyn.stats.network import Decoupled, decouple, heterogeneity, laplacians, solve
from klarsyn.stats.network_arms import LOG_MEASURES
from klarsyn.stats.scalar_heterogeneity import ESTIMATORS
from klarsyn.synthesis.network_data import Ignored, NetworkData
from klarsyn.synthesis.simulated import NETWORK_OF_12

Vector = NDArray[np.floating]
Matrix = NDArray[np.floating]

MODELS = ("common", *ESTIMATORS)
PREDICTION = ("df", "df-1", "normal")
BETTER = ("lower", "higher")
FEW_DF = 10
FEW_TRIALS = 20  # 12 trials covered too little where 30 held (validation/dependent)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFit:
    """Relative effects of all treatments on the measure's scale (logarithms for ratios).

    `effects` are about their mean and mean nothing alone: use `estimate(a, b)`. Positive a − b
    means more of the outcome under a. `Q` with `df` tests total heterogeneity and inconsistency at
    tau² = 0; `I2` (percent) is 100 (Q − df) / Q (NaN for Mantel–Haenszel). `heterogeneity` names
    the estimator of the common tau² (`common`: none). `adjustment` says what was added to empty
    cells, `ignored` which studies carry no information.
    """

    measure: str
    treatments: tuple[str, ...]
    reference: str
    better: str | None
    heterogeneity: str
    tau2: float
    certificate: Certificate
    effects: Vector = field(repr=False)
    covariance: Matrix = field(repr=False)
    Q: float
    df: int
    p: float
    I2: float
    studies: int
    comparisons: Mapping[tuple[str, str], int] = field(repr=False)
    ignored: tuple[Ignored, ...]
    adjustment: str
    method: str
    digest: str
    data: NetworkData = field(repr=False)
    network: Decoupled = field(repr=False)

    @property
    def tau(self) -> float:
        """The heterogeneity's standard deviation."""
        return math.sqrt(self.tau2)

    @property
    def scale(self) -> str:
        """`log` for ratio measures, otherwise `natural`."""
        return "log" if self.measure in LOG_MEASURES else "natural"

    def estimate(self, treatment: str, against: str | None = None) -> Estimate:
        """The effect of a treatment against another (default: the reference)."""
        a, b = self._place(treatment), self._place(against or self.reference)
        C = self.covariance
        return Estimate(
            value=float(self.effects[a] - self.effects[b]),
            se=math.sqrt(max(C[a, a] + C[b, b] - 2 * C[a, b], 0.0)),
            method=self.method,
            scale=self.scale,
        )

    def prediction(
        self,
        treatment: str,
        against: str | None = None,
        *,
        level: float = 0.95,
        definition: str = "df",
    ) -> tuple[float, float]:
        """Interval for the true effect in a new study.

        t reference with Q's df (`df`), one less (`df-1`, Higgins et al. 2009), or `normal`.
        Raises NumericalError `not_estimable` without degrees of freedom.
        """
        if definition not in PREDICTION:
            raise unknown_name("prediction interval", definition, PREDICTION)
        df = {"df": self.df, "df-1": self.df - 1, "normal": math.inf}[definition]
        if df <= 0:
            raise NumericalError(
                "not_estimable", "A prediction interval needs more comparisons than treatments."
            )
        mean = self.estimate(treatment, against)
        wide = Estimate(
            value=mean.value,
            se=math.sqrt(mean.se**2 + self.tau2),
            method=self.method,
            scale=self.scale,
            df=float(df),
        )
        return wide.interval(level)

    def p_scores(self) -> dict[str, float]:
        """Mean certainty that a treatment is better than another (Rücker & Schwarzer 2015).

        Raises InputError where the fit was not told which direction is better.
        """
        from scipy.special import ndtr

        if self.better is None:
            raise InputError("P-scores need better='lower' or better='higher' in fit_network.")
        sign = -1.0 if self.better == "lower" else 1.0
        difference = np.subtract.outer(self.effects, self.effects)
        z = sign * difference / np.where(self._se() > 0, self._se(), 1.0)
        chance = ndtr(z)
        np.fill_diagonal(chance, 0.0)
        score = chance.sum(axis=1) / (len(self.treatments) - 1)
        return {t: float(s) for t, s in zip(self.treatments, score, strict=True)}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on where these data are known to make the method fail."""
        return tuple(sentence for _, sentence in self.cautions)

    @property
    def cautions(self) -> tuple[tuple[str, str], ...]:
        """The warnings with their names: no_tau, few_df, few_trials, empty_cells."""
        out = []
        if self.heterogeneity != "common" and self.df <= 0:
            sentence = "No comparison is made twice: tau cannot be estimated and is taken as 0."
            out.append(("no_tau", sentence))
        elif self.heterogeneity != "common" and self.df < FEW_DF:
            sentence = (
                f"tau rests on {self.df} degrees of freedom: the intervals are likely too narrow."
            )
            out.append(("few_df", sentence))
        elif self.heterogeneity != "common" and self.studies < FEW_TRIALS:
            sentence = (
                f"tau rests on {self.studies} studies: the normal intervals may be too narrow "
                f"(with 12 trials they covered {NETWORK_OF_12} % of simulated truths)."
            )
            out.append(("few_trials", sentence))
        empty = sum(
            any(e in (0, n) for e, n in counts.values()) for counts in self.data.counts if counts
        )
        if empty and self.measure in ("OR", "RR") and self.adjustment != "none":
            sentence = (
                f"{empty} of {self.studies} studies have an empty cell; what is added to it biases "
                f"the effects. Compare with Mantel-Haenszel."
            )
            out.append(("empty_cells", sentence))
        return tuple(out)

    def league(self) -> list[dict[str, Any]]:
        """Every ordered pair once: treatment, against, value, se, interval, p."""
        rows = []
        for i, a in enumerate(self.treatments):
            for b in self.treatments[i + 1 :]:
                e = self.estimate(a, b)
                low, high = e.interval()
                rows.append(
                    {
                        "treatment": a,
                        "against": b,
                        "value": e.value,
                        "se": e.se,
                        "low": low,
                        "high": high,
                        "p": e.p_value(),
                        "studies": self.comparisons.get((a, b), 0),
                    }
                )
        return rows

    def summary(self) -> str:
        """The network in a few lines, each treatment against the reference."""
        lines = [
            f"{len(self.treatments)} treatments, {self.studies} studies, {self.measure}, "
            f"{self.method}",
            f"tau = {self.tau:.4g}, "
            + (f"I2 = {self.I2:.1f} % (Q), " if math.isfinite(self.I2) else "")
            + f"Q = {self.Q:.4g} on {self.df} df"
            + (f" (p = {self.p:.3g})" if self.df > 0 else ""),
        ]
        scores = self.p_scores() if self.better else {}
        for name in self.treatments:
            if name == self.reference:
                continue
            e = self.estimate(name)
            low, high = (f"{x:.3g}" for x in e.interval())
            score = f", P-score {scores[name]:.2f}" if scores else ""
            count = sum(self._place(name) in c.arms for c in self.data.contrasts)
            lines.append(
                f"{name} against {self.reference}: {e.value:.3g} ({low} to {high}){score}, "
                f"in {count} {'study' if count == 1 else 'studies'}"
            )
        return "\n".join([*lines, *(f"Warning: {w}" for w in self.warnings), *self._unused()])

    def _unused(self) -> list[str]:
        reasons: dict[str, list[str]] = {}
        for i in self.ignored:
            reasons.setdefault(i.reason, []).append(i.study)
        return [
            f"Not used: {f'{len(names)} studies' if len(names) > 3 else ', '.join(names)} ({why})"
            for why, names in reasons.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready result."""
        return {
            "measure": self.measure,
            "scale": self.scale,
            "method": self.method,
            "heterogeneity": self.heterogeneity,
            "treatments": list(self.treatments),
            "reference": self.reference,
            "better": self.better,
            "studies": self.studies,
            "tau2": self.tau2,
            "tau": self.tau,
            "Q": self.Q,
            "df": self.df,
            "p": self.p,
            "I2": self.I2,
            "definitions": {
                "I2": "(Q − df)/Q, never below 0, Q of heterogeneity and inconsistency",
                "prediction": "t with Q's degrees of freedom, √(SE² + τ²)",
            },
            "league": self.league(),
            "p_scores": self.p_scores() if self.better else None,
            "warnings": list(self.warnings),
            "adjustment": self.adjustment,
            "ignored": [
                {"study": i.study, "patients": i.patients, "reason": i.reason} for i in self.ignored
            ],
            "certificate": self.certificate.to_dict(),
            "digest": self.digest,
        }

    def plot(self, kind: str = "network") -> Any:
        """A picture as an Altair chart: `network`, `league` or `forest`.

        Who was compared with whom; all contrasts as a heat table; all treatments against the
        reference with their prediction intervals.
        """
        from klarsyn.figures import network as figures

        if kind == "forest":
            return self._forest()
        if kind == "network":
            return figures.network_graph(
                self.treatments, [(a, b, k) for (a, b), k in self.comparisons.items()]
            )
        if kind == "league":
            order = sorted(self.treatments, key=lambda t: -self.effects[self._place(t)])
            if self.better:
                scores = self.p_scores()
                order = sorted(self.treatments, key=lambda t: -scores[t])
            cells = [(a, b, self.estimate(a, b)) for a in order for b in order if a != b]
            return figures.league_table(
                order,
                [(a, b, e.value, *e.interval()) for a, b, e in cells],
                measure=self.measure,
                logarithmic=self.scale == "log",
            )
        raise unknown_name("network figure", kind, ("network", "league", "forest"))

    def _forest(self) -> Any:
        from klarsyn.figures.forest import ForestAxis, ForestRow, forest
        from klarsyn.figures.theme import housed

        show = math.exp if self.scale == "log" else float
        rows = []
        for name in sorted(self.treatments, key=lambda t: self.effects[self._place(t)]):
            if name == self.reference:
                continue
            e = self.estimate(name)
            low, high = e.interval()
            new = None
            if self.df > 0:
                new = tuple(show(x) for x in self.prediction(name))
            rows.append(
                ForestRow(
                    kind="pooled",
                    label=name,
                    estimate=show(e.value),
                    lower=show(low),
                    upper=show(high),
                    prediction=(new[0], new[1]) if new else None,
                    numbers=f"{show(e.value):.2f} ({show(low):.2f} to {show(high):.2f})",
                )
            )
        axis = ForestAxis(
            title=f"{self.measure} against {self.reference}",
            null=1.0 if self.scale == "log" else 0.0,
            log=self.scale == "log",
        )
        return housed(forest(rows, axis))

    def _place(self, treatment: str) -> int:
        if treatment not in self.treatments:
            raise unknown_name("treatment", treatment, self.treatments)
        return self.treatments.index(treatment)

    def _se(self) -> Matrix:
        v = np.diag(self.covariance)
        return np.sqrt(np.maximum(v[:, None] + v[None, :] - 2 * self.covariance, 0.0))


def fit_network(
    data: NetworkData,
    *,
    reference: str | None = None,
    heterogeneity: str = "REML",
    better: str | None = None,
    tau2: float | None = None,
) -> NetworkFit:
    """Fit a network with one heterogeneity variance and the full covariance of multi-arm studies.

    `data` comes from `network_from_arms` or `network_from_contrasts`. `reference` (default: the
    first treatment) is only what others are shown against: no number depends on it.
    `heterogeneity` is common, DL, PM, ML or REML. `better` (lower or higher) is asked for by
    P-scores. Rarely needed: `tau2` presets the variance.

    Raises NumericalError `disconnected` naming the pieces, `too_few_studies`; UnknownNameError.
    """
    if heterogeneity not in MODELS:
        raise unknown_name("heterogeneity", heterogeneity, MODELS)
    if better is not None and better not in BETTER:
        raise unknown_name("direction", better, BETTER)
    if not data.contrasts:
        raise NumericalError("too_few_studies", "No study of the network carries information.")
    chosen = data.treatments[0] if reference is None else reference
    if chosen not in data.treatments:
        raise unknown_name("treatment", chosen, data.treatments)
    data.require_connected()
    network = decouple(data.contrasts, len(data.treatments))
    return fitted_network(
        data, network, reference=chosen, model=heterogeneity, better=better, tau2=tau2
    )


def fitted_network(
    data: NetworkData,
    network: Decoupled,
    *,
    reference: str,
    model: str,
    better: str | None,
    tau2: float | None = None,
    method: str | None = None,
) -> NetworkFit:
    """The fit of a network whose input has been checked."""
    from scipy.special import chdtrc

    if tau2 is not None:
        if not tau2 >= 0:
            raise InputError(f"tau2 must be at least 0, not {tau2:g}.")
        variance, certificate = float(tau2), _stated()
        label = f"tau2 preset to {tau2:g}"
    elif model == "common":
        variance, certificate, label = 0.0, _stated(), "common effect"
    else:
        variance, certificate = heterogeneity_of(network, model)
        label = f"random effects ({model})"
    solution = solve(network, variance)
    Q = solve(network, 0.0).Q if variance else solution.Q
    df = solution.df
    return NetworkFit(
        measure=data.measure,
        treatments=data.treatments,
        reference=reference,
        better=better,
        heterogeneity=model,
        tau2=variance,
        certificate=certificate,
        effects=solution.effects,
        covariance=solution.covariance,
        Q=Q,
        df=df,
        p=float(chdtrc(df, Q)) if df > 0 else math.nan,
        I2=max(0.0, 100 * (Q - df) / Q) if df > 0 and Q > 0 else 0.0,
        studies=len(data.studies),
        comparisons=_comparisons(data),
        ignored=data.ignored,
        adjustment=data.adjustment,
        method=method or label,
        digest=digest_of(data.digest, label, better or ""),
        data=data,
        network=network,
    )


def heterogeneity_of(network: Decoupled, model: str) -> tuple[float, Certificate]:
    """tau² and its certificate by the named estimator."""
    return heterogeneity(network, model)


def _stated() -> Certificate:
    return Certificate(
        gradient=0.0, curvature=1.0, boundary=(), maxima=1, runner_up=math.inf, starts=1
    )


def _comparisons(data: NetworkData) -> dict[tuple[str, str], int]:
    count: dict[tuple[int, int], int] = {}
    for contrast in data.contrasts:
        arms = sorted(contrast.arms)
        for i, a in enumerate(arms):
            for b in arms[i + 1 :]:
                count[a, b] = count.get((a, b), 0) + 1
    return {(data.treatments[a], data.treatments[b]): k for (a, b), k in sorted(count.items())}


def edge_weights(
    fit: NetworkFit,
) -> tuple[NDArray[np.intp], NDArray[np.intp], Vector, NDArray[np.intp], Sequence[str]]:
    """Tail, head, weight and study number of each study's every comparison at the fit's tau²."""
    low, high, weight, study = laplacians(fit.network, fit.tau2)
    swap = low > high
    return (
        np.where(swap, high, low),
        np.where(swap, low, high),
        weight,
        study,
        fit.data.studies,
    )
