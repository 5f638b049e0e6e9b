"""Bayesian random effects: ours beside base R's and scipy's adaptive integration.

    python benchmarks/bayes.py [--peer-python PATH] [--rounds 9]

One case is the whole answer: posterior of tau and mu, medians, shortest intervals, a new study,
Bayes factors. bayesmeta is timed as well where R has it. R's and scipy's `integrate` do the same
double integral for the mean of mu and its 2.5 % quantile only. Then time and memory against the
number of studies, simulated.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from beside import Peer, arguments, columns, in_python, in_r, ours, show
from growth import growth

# isort: split
import numpy as np

EVERYTHING, QUANTILE = "everything, BCG (k = 13)", "mu's 2.5 % quantile, BCG (k = 13)"
LADDER = (10, 30, 100, 300, 1000, 3000)

R = """
b <- read.csv(paste0(DATA, "dat.bcg.csv")); a <- b$tpos; n1 <- b$tpos + b$tneg; c <- b$cpos
n2 <- b$cpos + b$cneg; y <- log((a / n1) / (c / n2)); v <- 1 / a - 1 / n1 + 1 / c - 1 / n2
parts <- function(t) sapply(t, function(t) { w <- 1 / (v + t^2); i <- sum(w) + 1 / 16
  m <- sum(w * y) / i
  exp(0.5 * sum(log(w)) - 0.5 * sum(w * (y - m)^2) - m^2 / 32 - 0.5 * log(i) - 2 * t^2) })
below <- function(q) integrate(function(t) parts(t) * sapply(t, function(t) {
  w <- 1 / (v + t^2); i <- sum(w) + 1 / 16; pnorm(q, sum(w * y) / i, sqrt(1 / i)) }), 0, Inf,
  rel.tol = 1e-9)$value
say("mu's 2.5 % quantile, BCG (k = 13)", function() { z <- integrate(parts, 0, Inf,
  rel.tol = 1e-9)$value
  uniroot(function(q) below(q) / z - 0.025, c(-5, 5), tol = 1e-9)$root })
if (requireNamespace("bayesmeta", quietly = TRUE)) say("everything, BCG (k = 13)", function() {
  bayesmeta::bayesmeta(y = y, sigma = sqrt(v), mu.prior.mean = 0, mu.prior.sd = 4,
    tau.prior = function(t) bayesmeta::dhalfnormal(t, scale = 0.5))$summary["median", "mu"] })
"""

PYTHON = """
has("pimeta"); has("PyMARE", "pymare"); has("PyMetaAnalysis", "meta_analyze"); has("statsmodels")
"""
REST = {
    "pimeta": "nothing Bayesian",
    "PyMARE": "samples with Stan, whose compiler is not installed here",
    "PyMetaAnalysis": "nothing Bayesian",
    "statsmodels": "nothing Bayesian with known sampling variances",
}


def scipy_rows(y: np.ndarray, v: np.ndarray, rounds: int) -> Peer:
    from scipy import integrate, optimize, special

    def parts(t: float) -> tuple[float, float, float]:
        w = 1 / (v + t * t)
        i = w.sum() + 1 / 16
        m = (w * y).sum() / i
        log = 0.5 * np.log(w).sum() - 0.5 * (w * (y - m) ** 2).sum()
        return math.exp(log - m * m / 32 - 0.5 * math.log(i) - 2 * t * t), m, i**-0.5

    def quantile() -> float:
        total = integrate.quad(lambda t: parts(t)[0], 0, np.inf, epsabs=0, epsrel=1e-9)[0]

        def excess(q: float) -> float:
            def inner(t: float) -> float:
                p, m, s = parts(t)
                return p * special.ndtr((q - m) / s)

            return integrate.quad(inner, 0, np.inf, epsabs=0, epsrel=1e-9)[0] / total - 0.025

        return float(optimize.brentq(excess, -5, 5, xtol=1e-9))

    return Peer(ours({QUANTILE: quantile}, rounds), "not done with it")


def bcg() -> tuple[np.ndarray, np.ndarray]:
    """Log risk ratios of dat.bcg and their variances."""
    from klarsyn.stats.contrasts import contrasts

    d = columns("dat.bcg")
    cells = dict(zip(("ai", "bi", "ci", "di"), ("tpos", "tneg", "cpos", "cneg"), strict=True))
    made = contrasts("RR", {role: np.array(d[name]) for role, name in cells.items()})
    return made.y, made.v


def simulated(k: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([20260105, k])
    v = rng.uniform(0.02, 0.4, k)
    return rng.normal(0.3, np.sqrt(v + 0.1)), v


def everything(y: np.ndarray, v: np.ndarray) -> Callable[[], float]:
    from klarsyn.synthesis.bayes import pool_bayes
    from klarsyn.synthesis.effects import effects_from_arrays

    effects = effects_from_arrays(y, v)
    return lambda: pool_bayes(effects, tau_prior="half-normal 0.5", mu_sd=4.0).mu.median


def quantile(y: np.ndarray, v: np.ndarray) -> Callable[[], float]:
    from klarsyn.stats.normal_normal import posterior
    from klarsyn.stats.tau_priors import half_normal

    return lambda: posterior(y, v, half_normal(0.5), mu_sd=4.0).mu.quantile(0.025)


def main() -> None:
    chosen = arguments(__doc__ or "")
    y, v = bcg()
    mine = ours({QUANTILE: quantile(y, v), EVERYTHING: everything(y, v)}, chosen.rounds)
    peers = in_r(R, chosen, name="R", rest="bayesmeta is not installed here")
    peers["scipy quad"] = scipy_rows(y, v, min(chosen.rounds, 3))
    peers |= in_python(PYTHON, chosen, rest=REST)
    show("Bayesian random effects, half-normal(0.5), mu ~ N(0, 4²)", mine, peers)
    growth("the whole answer: studies", LADDER, lambda k: everything(*simulated(k)), 3)


if __name__ == "__main__":
    main()
