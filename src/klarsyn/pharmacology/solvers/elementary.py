"""exp and ln of one number without branches, so that loops over them fill the registers.

`inner` is for functions that only compiled ones call, `inlined` for those that dissolve there,
`outer` for those that Python calls, kept on disk.

Importing this file imports the compiler.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

# numba's annotations do not know all of its own options.
_compiler: Any = njit
inner = _compiler(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
outer = _compiler(cache=True, error_model="numpy", no_cfunc_wrapper=True)
inlined = _compiler(
    error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True
)

LOG2E = 1.4426950408889634
LN2 = 0.6931471805599453
LN2_HIGH = 6.93145751953125e-1
LN2_LOW = 1.42860682030941723212e-6
ROUND = 6755399441055744.0
LOWEST = -708.0
SQRT2 = 1.4142135623730951
MANTISSA = (1 << 52) - 1
ONE = 1023 << 52


@inlined
def exponential(x):  # pragma: no cover - compiled
    """exp(x) for x ≤ 0, 0 from -708 down, NaN for NaN; Taylor to r^13, error below one ulp."""
    v = LOWEST if x < LOWEST else x
    shifted = np.float64(v * LOG2E + ROUND)
    k = shifted - ROUND
    r = (v - k * LN2_HIGH) - k * LN2_LOW
    s = 1.6059043836821613e-10
    s = s * r + 2.08767569878681e-09
    s = s * r + 2.505210838544172e-08
    s = s * r + 2.755731922398589e-07
    s = s * r + 2.7557319223985893e-06
    s = s * r + 2.48015873015873e-05
    s = s * r + 0.0001984126984126984
    s = s * r + 0.001388888888888889
    s = s * r + 0.008333333333333333
    s = s * r + 0.041666666666666664
    s = s * r + 0.16666666666666666
    s = s * r + 0.5
    s = s * r + 1.0
    s = s * r + 1.0
    # The lowest bits of `shifted` hold k; the shift drops the others.
    power = np.int64((shifted.view(np.int64) + 1023) << 52)
    return 0.0 if x <= LOWEST else s * power.view(np.float64)


@inlined
def logarithm(x):  # pragma: no cover - compiled
    """ln of a normal number above 0, by the series of the inverse hyperbolic tangent."""
    whole = np.float64(x).view(np.int64)
    mantissa = np.int64((whole & MANTISSA) | ONE)
    f = mantissa.view(np.float64)
    large = f > SQRT2
    f = 0.5 * f if large else f
    s = (f - 1.0) / (f + 1.0)
    z = s * s
    w = 1.0 / 21.0
    w = w * z + 1.0 / 19.0
    w = w * z + 1.0 / 17.0
    w = w * z + 1.0 / 15.0
    w = w * z + 1.0 / 13.0
    w = w * z + 1.0 / 11.0
    w = w * z + 1.0 / 9.0
    w = w * z + 1.0 / 7.0
    w = w * z + 1.0 / 5.0
    w = w * z + 1.0 / 3.0
    return ((whole >> 52) - 1023) * LN2 + (2.0 * s * (1.0 + z * w) + (LN2 if large else 0.0))
