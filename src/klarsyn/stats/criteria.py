"""Information criteria of a fitted model."""

from __future__ import annotations

import math
from typing import NamedTuple


class Criteria(NamedTuple):
    """A log-likelihood and the criteria made of it; lower is better."""

    log_likelihood: float
    aic: float
    bic: float
    aicc: float


def information_criteria(log_likelihood: float, count: int, parameters: int) -> Criteria:
    """AIC, BIC and AICc (Hurvich & Tsai 1989) of `parameters` fitted to `count` observations.

    REML counts the observations less the coefficients. AICc takes `count` as at least two more
    than the parameters, as metafor does.
    """
    deviance = -2 * log_likelihood
    room = max(count, parameters + 2)
    return Criteria(
        log_likelihood=log_likelihood,
        aic=deviance + 2 * parameters,
        bic=deviance + parameters * math.log(count),
        aicc=deviance + 2 * parameters * room / (room - parameters - 1),
    )
