"""What the methods for rare events answer: one method's fit, and all of them side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from klarsyn.errors import NumericalError, unknown_name
from klarsyn.stats.estimate import Estimate
from klarsyn.synthesis.rare_counts import Counts

if TYPE_CHECKING:
    from klarsyn.stats.rare_stratified import ChiSquare

METHODS = {
    "MH OR": "Mantel–Haenszel odds ratio",
    "MH RR": "Mantel–Haenszel risk ratio",
    "MH RD": "Mantel–Haenszel risk difference",
    "Peto": "Peto's one-step odds ratio",
    "exact OR": "common odds ratio, conditional, with exact limits",
    "CM.EL": "conditional model, exact (noncentral hypergeometric)",
    "CM.AL": "conditional model, approximate (binomial)",
    "UM.FS": "unconditional model, fixed study effects",
    "UM.RS": "unconditional model, random study effects",
    "beta-binomial": "beta-binomial with one intra-study correlation",
    "beta-binomial FS": "beta-binomial with fixed study effects",
}
TESTS = {
    "Breslow–Day": "each study's odds ratio against the pooled one (Breslow & Day 1980)",
    "Tarone": "the same with Tarone's 1985 correction",
    "Cochran Q": "squares around the pooled effect by inverse variance, ½ added beside a zero",
    "Peto Q": "squares of observed minus expected events around the pooled effect (Yusuf 1985)",
    "likelihood ratio": "one effect against an effect of its own in every study",
    "Wald": "the studies' own finite effects around their mean, weighted by information",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RareFit:
    """One method's answer, or the sentence why it has none.

    Ratios are natural logarithms (`estimate.scale`), first group against second. `ignored_studies`
    and `ignored` (patients, or person-time) get no weight. `rho` is the beta-binomial correlation.
    """

    method: str
    measure: str
    estimate: Estimate | None
    used_studies: int
    ignored_studies: tuple[str, ...]
    ignored: float
    tau2: float | None = None
    se_tau2: float | None = None
    rho: float | None = None
    log_likelihood: float | None = None
    boundary: bool = False
    tests: tuple[ChiSquare, ...] = ()
    effect_test: ChiSquare | None = None
    certificate: dict[str, float] | None = None
    notes: tuple[str, ...] = ()
    status: str = "ok"
    digest: str = ""

    @property
    def definitions(self) -> dict[str, str]:
        """How the interval is made, and which heterogeneity is meant."""
        if self.rho is not None:
            spread = "rho: correlation of patients within a group of a study (beta-binomial)"
        elif self.tau2 is not None and self.log_likelihood is not None:
            spread = "tau2: variance of the effects on their scale, by maximum likelihood"
        elif self.tau2 is not None:
            spread = f"tau2: variance of the effects on their scale ({self.method})"
        else:
            spread = "none: one common effect"
        reach = "estimate ± normal quantile × SE, on the estimate's scale"
        if self.method == "exact OR":
            reach = "exact: half the error in each tail of the events given the margins"
        return {
            "interval": reach,
            "heterogeneity": spread,
            "i2": "none: a model of counts has no typical sampling variance",
            "prediction": "none",
            **{f"test {t.name}": TESTS[t.name] for t in self.tests},
        }

    def natural(self, level: float = 0.95) -> tuple[float, float, float]:
        """Estimate and limits, ratios where the scale is logarithmic; the fit has an estimate."""
        assert self.estimate is not None
        value, low, high = self.estimate.value, *self.estimate.interval(level)
        if self.estimate.scale != "log":
            return value, low, high
        ratio, lower, upper = (math.exp(min(v, 709.0)) for v in (value, low, high))
        return ratio, lower, upper

    def summary(self, level: float = 0.95) -> str:
        """The estimate, whom it ignores and what to beware of; or why there is none."""
        if self.estimate is None:
            return f"{self.method}: {self.status}. {' '.join(self.notes)}"
        value, low, high = self.natural(level)
        first = (
            f"{self.method}: {self.measure} {value:.4g} ({low:.4g} to {high:.4g}), "
            f"{self.used_studies} studies; ignores {self.ignored:g} in "
            f"{len(self.ignored_studies)} studies"
        )
        return "\n".join([first, *self.notes])

    def plot(self) -> Any:
        """The estimate with its interval, as an Altair chart.

        Raises NumericalError with the fit's own status where it has no estimate.
        """
        from klarsyn.figures.estimates import estimate_lines

        if (found := self.estimate) is None:
            raise NumericalError(self.status, f"{self.method} has no estimate to draw.")
        # IRLN is the logarithm of a rate, not of a ratio of rates.
        compared = found.scale in {"log", "natural"} and self.measure != "IRLN"
        line = (self.method, found.value, *found.interval())
        return estimate_lines(
            [], pooled=[line], title=self.measure, log=found.scale == "log",
            null=0.0 if compared else None,
        )  # fmt: skip

    def to_dict(self, level: float = 0.95) -> dict[str, Any]:
        """JSON-ready; `ratio` and its limits appear where the estimate is a logarithm."""
        out: dict[str, Any] = {
            "method": self.method, "label": METHODS.get(self.method, self.method),
            "measure": self.measure, "status": self.status, "used_studies": self.used_studies,
            "ignored_studies": list(self.ignored_studies), "ignored": self.ignored,
            "notes": list(self.notes),
        }  # fmt: skip
        if self.estimate is not None:
            low, high = self.estimate.interval(level)
            out |= {
                "estimate": self.estimate.value, "se": self.estimate.se, "low": low, "high": high,
                "p": self.estimate.p_value(), "scale": self.estimate.scale, "level": level,
            }  # fmt: skip
            if self.estimate.scale == "log":
                out["ratio"] = list(self.natural(level))
        for name in ("tau2", "se_tau2", "rho", "log_likelihood", "certificate"):
            if getattr(self, name) is not None:
                out[name] = getattr(self, name)
        out["boundary"] = self.boundary
        tests = (*([self.effect_test] if self.effect_test else []), *self.tests)
        out["tests"] = [{"name": t.name, "value": t.value, "df": t.df, "p": t.p} for t in tests]
        return out | {"definitions": self.definitions, "digest": self.digest}


@dataclass(frozen=True, slots=True, kw_only=True)
class RareEvents:
    """All methods on the same counts; `total` counts patients (or person-time)."""

    counts: Counts
    fits: tuple[RareFit, ...]
    level: float
    method: str = "rare events, methods side by side"

    @property
    def digest(self) -> str:
        """The digest of the counts."""
        return self.counts.digest

    @property
    def total(self) -> float:
        """Patients (or person-time) in all studies."""
        return float(self.counts.total1.sum() + self.counts.total2.sum())

    @property
    def notes(self) -> tuple[str, ...]:
        """What to beware of, each said once after the methods that it applies to."""
        said: dict[str, list[str]] = {}
        for f in self.fits:
            for note in f.notes if f.estimate is not None else ():
                said.setdefault(note, []).append(f.method)
        return tuple(f"{', '.join(methods)}: {note}" for note, methods in said.items())

    def fit(self, method: str) -> RareFit:
        """The fit of that method; raises UnknownNameError with the nearest names."""
        for f in self.fits:
            if f.method == method:
                return f
        raise unknown_name("method in this result", method, [f.method for f in self.fits])

    def summary(self) -> str:
        """One line a method, then what to beware of, said once with the methods it applies to."""
        unit = "person-time" if self.counts.rates else "patients"
        lines = [f"{len(self.counts.studies)} studies, {self.total:g} {unit}"]
        for f in self.fits:
            if f.estimate is None:
                lines.append(f.summary())
                continue
            value, low, high = f.natural(self.level)
            lines.append(
                f"{f.method}: {f.measure} {value:.4g} ({low:.4g} to {high:.4g}); ignores "
                f"{f.ignored:g} {unit} in {len(f.ignored_studies)} studies"
            )
        return "\n".join([*lines, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "method": self.method, "digest": self.digest, "studies": len(self.counts.studies),
            "unit": "person-time" if self.counts.rates else "patients", "total": self.total,
            "events": [float(self.counts.events1.sum()), float(self.counts.events2.sum())],
            "fits": [f.to_dict(self.level) for f in self.fits],
        }  # fmt: skip

    def plot(self) -> Any:
        """The ratio of each method with its interval, as an Altair chart."""
        from klarsyn.figures.methods_side_by_side import methods_chart

        rows = [
            (f.method, *f.natural(self.level), f.ignored)
            for f in self.fits
            if f.estimate is not None and f.estimate.scale == "log"
        ]
        return methods_chart(rows, axis="Ratio, first group against second")
