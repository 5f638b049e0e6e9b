"""Makes response_more.csv: `python tests/oracles/response_more/make.py`, mpmath 1.4.1 installed.

Written from the equations and constants of the sources (each row names its own) before the
package's code was read; nothing of the package is imported. 50 digits inside, 17 printed.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

from mpmath import exp, expm, lambertw, log, lu_solve, matrix, mp, mpf, quad, sqrt

mp.dps = 50
ROWS: list[dict[str, str]] = []

# Kampa 2004, ModelDB 50207 (NMDA_Mg.mod): /uM/s or /s; on and off of each edge.
KAMPA = {
    "states": ["U", "Cl", "O", "D1", "D2", "UMg", "ClMg", "OMg", "D1Mg", "D2Mg"],
    "plain": [
        ("U", "Cl", "10 agonist", "5.6"),
        ("Cl", "O", "10", "273"),
        ("Cl", "D1", "2.2", "1.6"),
        ("D1", "D2", "0.43", "0.5"),
    ],
    "magnesium": [
        ("UMg", "ClMg", "10 agonist", "17.1"),
        ("ClMg", "OMg", "10", "548"),
        ("ClMg", "D1Mg", "2.1", "0.87"),
        ("D1Mg", "D2Mg", "0.26", "0.42"),
    ],
    "block": [
        ("O", "OMg", "0.05", "12800"),
        ("U", "UMg", "0.00005", "2.438312"),
        ("Cl", "ClMg", "0.00005", "5.041915"),
        ("D1", "D1Mg", "0.00005", "2.98874"),
        ("D2", "D2Mg", "0.00005", "2.953408"),
    ],
    "open": ["O"],
}
# Popescu 2004 as tabulated by eLife 2023;12:e80152, Table 7.
POPESCU = {
    "states": ["C0", "C1", "C2", "C3", "C4", "O1", "O2"],
    "plain": [
        ("C0", "C1", "34 agonist", "60"),
        ("C1", "C2", "17 agonist", "120"),
        ("C2", "C3", "127", "161"),
        ("C3", "C4", "580", "2610"),
        ("C4", "O1", "2508", "2167"),
        ("O1", "O2", "3449", "662"),
    ],
    "magnesium": [],
    "block": [],
    "open": ["O1", "O2"],
}
SCHEMES = {"kampa2004": KAMPA, "popescu2004": POPESCU}
DELTA, THERMAL = mpf("0.79"), mpf("26.7")


def row(family, inputs, quantity, value, tolerance, source):
    """One row of the table."""
    ROWS.append(
        {
            "id": f"{family}.{sum(r['family'] == family for r in ROWS) + 1:03d}",
            "family": family,
            "inputs": json.dumps(inputs),
            "quantity": quantity,
            "value": mp.nstr(value, 17) if isinstance(value, mpf) else str(value),
            "tolerance": tolerance,
            "source": source,
        }
    )


# ---- gating ---------------------------------------------------------------------------------


def generator(scheme, agonist, magnesium, voltage, drug=0, on=0, off=0):
    """dp/dt = Q p, with a mirrored blocked arm where a drug is given (full trapping)."""
    blocked = bool(drug or off)
    plain_states = [s for s in scheme["states"] if not s.endswith("Mg")]
    names = list(scheme["states"]) + ([f"{s}*" for s in plain_states] if blocked else [])
    at = {name: i for i, name in enumerate(names)}
    rates = matrix(len(names))

    def go(a, b, rate):
        rates[at[b], at[a]] += rate
        rates[at[a], at[a]] -= rate

    def number(text):
        value, *binds = text.split()
        return mpf(value) * (mpf(agonist) if binds else 1)

    for a, b, forward, back in scheme["plain"] + scheme["magnesium"]:
        go(a, b, number(forward))
        go(b, a, number(back))
    turn = -2 * (mpf(voltage) - 40) / 25  # binding feels 0.8 of the field, leaving 0.2
    for a, b, forward, back in scheme["block"]:
        go(a, b, mpf(forward) * mpf(magnesium) * exp(turn * mpf("0.8")))
        go(b, a, mpf(back) * exp(-turn * mpf("0.2")))
    if blocked:
        for a, b, forward, back in scheme["plain"]:
            go(f"{a}*", f"{b}*", number(forward))
            go(f"{b}*", f"{a}*", number(back))
        for state in scheme["open"]:
            go(state, f"{state}*", mpf(on) * mpf(drug))
            go(f"{state}*", state, mpf(off) * exp(DELTA * (mpf(voltage) + 70) / THERMAL))
    return names, rates


def stationary(rates):
    """The null vector that sums to one."""
    n = rates.rows
    system = rates.copy()
    for i in range(n):
        system[n - 1, i] = 1
    right = matrix(n, 1)
    right[n - 1] = 1
    return lu_solve(system, right)


def share(names, p, wanted):
    return sum((p[i] for i, name in enumerate(names) if name in wanted), mpf(0))


def remaining(scheme, agonist, magnesium, voltage, drug, on, off):
    names, q = generator(scheme, agonist, magnesium, voltage, drug, on, off)
    control = generator(scheme, agonist, magnesium, voltage)
    opened = share(names, stationary(q), scheme["open"])
    return opened / share(control[0], stationary(control[1]), scheme["open"])


def gating():
    """Stationary open share, without drug."""
    source = "null space of the printed scheme (Kampa 2004, ModelDB 50207)"
    for agonist in ("0.1", "10", "1000"):
        for magnesium in ("0", "10", "1000", "10000"):
            for voltage in (-120, -70, -40, 0, 60):
                if agonist == "0.1" and voltage not in (-70, 60):
                    continue
                inputs = {
                    "scheme": "kampa2004",
                    "agonist": float(agonist),
                    "magnesium": float(magnesium) / 1000,
                    "voltage": voltage,
                }
                names, q = generator(KAMPA, agonist, magnesium, voltage)
                opened = share(names, stationary(q), ["O"])
                row("gating", inputs, "open", opened, "1e-9", source)
    source = "detailed balance of the linear scheme (Popescu 2004, by eLife 2023, Table 7)"
    for agonist in ("0.01", "1", "10", "1000", "100000"):
        c = mpf(agonist)
        weights = [mpf(1)]
        for step in (
            34 * c / 60,
            17 * c / 120,
            mpf(127) / 161,
            mpf(580) / 2610,
            mpf(2508) / 2167,
            mpf(3449) / 662,
        ):
            weights.append(weights[-1] * step)
        inputs = {
            "scheme": "popescu2004",
            "agonist": float(agonist),
            "magnesium": 0.0,
            "voltage": -70,
        }
        row("gating", inputs, "open", (weights[-1] + weights[-2]) / sum(weights), "1e-9", source)


def blocked():
    """Stationary remaining open share and IC50 with the mirrored arm."""
    source = "null space with a mirrored arm (pharmacology B, 1a), IC50 by bisection"
    on, off = "0.15", "0.22"
    for name, scheme in SCHEMES.items():
        for magnesium in ("0", "1000") if name == "kampa2004" else ("0",):
            for voltage in (-100, -70, -20, 40):
                for drug in ("0", "0.1", "0.71", "10", "10000"):
                    inputs = {
                        "scheme": name,
                        "agonist": 1000.0,
                        "magnesium": float(magnesium) / 1000,
                        "voltage": voltage,
                        "drug": float(drug),
                        "on": 0.15,
                        "off": 0.22,
                    }
                    left = remaining(scheme, "1000", magnesium, voltage, drug, on, off)
                    row("block", inputs, "remaining", left, "1e-7", source)
            for voltage in (-100, -70, -20, 40):
                low, high = mpf("1e-4"), mpf("1e6")
                for _ in range(140):
                    middle = sqrt(low * high)
                    if remaining(scheme, "1000", magnesium, voltage, middle, on, off) > mpf("0.5"):
                        low = middle
                    else:
                        high = middle
                inputs = {
                    "scheme": name,
                    "agonist": 1000.0,
                    "magnesium": float(magnesium) / 1000,
                    "voltage": voltage,
                    "on": 0.15,
                    "off": 0.22,
                }
                row("block", inputs, "half", low, "1e-6", source)
    # The design prints the two limits at -70 mV: 1.47 without, 106 with 1 mM.
    # Trapping: loaded at equilibrium with 10 uM, then neither drug nor agonist; then agonist again.
    source = "matrix exponential, 50 digits (pharmacology B, 1a: full trapping)"
    for name, scheme in SCHEMES.items():
        for wash, agonist in (
            ("1", "0"),
            ("120", "0"),
            ("1", "1000"),
            ("10", "1000"),
            ("60", "1000"),
        ):
            names, q = generator(scheme, "1000", "0", -70, "10", on, off)
            p = stationary(q)
            _, after = generator(scheme, agonist, "0", -70, 0, on, off)
            p = expm(after * mpf(wash)) * p
            inputs = {
                "scheme": name,
                "drug": 10.0,
                "on": 0.15,
                "off": 0.22,
                "voltage": -70,
                "wash": float(wash),
                "agonist": float(agonist),
            }
            row(
                "trapping",
                inputs,
                "blocked",
                share(names, p, [n for n in names if n.endswith("*")]),
                "1e-6",
                source,
            )


# ---- the reduction --------------------------------------------------------------------------


def magnesium_factor(mm, voltage):
    return mpf(mm) * exp(mpf("-0.062") * mpf(voltage)) / mpf("3.57")


def woodhull(voltage, delta=DELTA):
    return exp(delta * (mpf(voltage) + 70) / THERMAL)


def reduction():
    """A = 1/(1 + X/((1 + M)^theta v)) and its IC50."""
    source = "pharmacology B, 1b; Jahr & Stevens 1990; delta 0.79, 26.7 mV"
    for x in ("0", "1e-6", "0.5", "1", "100", "1e9"):
        for mm, voltage, theta in (
            ("0", -70, "1"),
            ("1", -70, "0"),
            ("1", -70, "0.22"),
            ("1", -70, "1"),
            ("1", -50, "0.53"),
            ("10", -120, "1"),
            ("1", 0, "0.5"),
            ("1", 60, "1"),
        ):
            scale = (1 + magnesium_factor(mm, voltage)) ** mpf(theta) * woodhull(voltage)
            inputs = {
                "load": float(x),
                "magnesium": float(mm),
                "voltage": voltage,
                "theta": float(theta),
            }
            row("reduction", inputs, "available", 1 / (1 + mpf(x) / scale), "1e-12", source)
    for mm in ("0", "0.1", "1", "10"):
        for voltage in (-150, -70, 0, 100):
            row(
                "magnesium",
                {"magnesium": float(mm), "voltage": voltage},
                "M",
                magnesium_factor(mm, voltage),
                "1e-12",
                "Jahr & Stevens 1990",
            )
    for voltage in (-150, -70, -50, 0, 100):
        row(
            "woodhull",
            {"voltage": voltage},
            "v",
            woodhull(voltage),
            "1e-12",
            "Woodhull, delta 0.79 (human 2009)",
        )
    # theta above which a depolarised cell is blocked more: (1+M_rest)^t v_rest = (1+M_dep)^t v_dep.
    for voltage in (-60, -50, -40, -30):
        top = log(woodhull(voltage))
        bottom = log((1 + magnesium_factor("1", -70)) / (1 + magnesium_factor("1", voltage)))
        row(
            "crossing_theta",
            {"voltage": voltage},
            "theta",
            top / bottom,
            "1e-9",
            "pharmacology B, 1c.3",
        )
    for target in ("1", "1.4", "5", "15"):
        theta = log(mpf(target) / mpf("0.71")) / log(1 + magnesium_factor("1", -70))
        row("theta_for", {"ic50": float(target)}, "theta", theta, "1e-9", "pharmacology B, 1c.2")


KI = {"S-ketamine": "0.3", "R-ketamine": "1.4", "S-norketamine": "1.7", "R-norketamine": "13"}


def constants():
    """Ebert's ratios at the human level: 1/K_rac = (1/K_S + 1/K_R)/2, K_rac = 0.71."""
    racemate = 2 / (1 / mpf(KI["S-ketamine"]) + 1 / mpf(KI["R-ketamine"]))
    scale = mpf("0.71") / racemate
    return racemate, {
        **{k: mpf(v) * scale for k, v in KI.items()},
        "R-hydroxynorketamine": mpf(46),
        "S-hydroxynorketamine": mpf(46),
    }


def ligands():
    """Several ligands compete: X is the sum of C/K."""
    source = "Ki Ebert 1997, level human 2009 (0.71 uM), metabolite 46 uM (Abbott 2020)"
    racemate, k = constants()
    row(
        "ligands", {}, "racemate_ki", racemate, "1e-12", "Ebert 1997: 0.49 uM printed in the design"
    )
    for name, value in k.items():
        row("ligands", {"name": name}, "constant", value, "1e-12", source)
    mixes = [
        {},
        {"S-ketamine": 0.39, "R-ketamine": 0.39},
        {"S-ketamine": 0.78},
        {"R-ketamine": 0.78},
        {"S-ketamine": 0.99, "R-ketamine": 0.01},
        {"S-ketamine": 0.78, "S-norketamine": 0.3},
        {
            "S-ketamine": 0.4,
            "R-ketamine": 0.4,
            "S-norketamine": 0.2,
            "R-norketamine": 0.2,
            "R-hydroxynorketamine": 0.1,
        },
        {"R-hydroxynorketamine": 8.0},
        {"R-hydroxynorketamine": 10.0},
        {"R-hydroxynorketamine": 50.0},
        {"S-hydroxynorketamine": 46.0},
        {"R-norketamine": 1e5},
        {"S-ketamine": 1e-9},
        {"S-ketamine": 1e6, "R-ketamine": 1e6},
    ]
    for mix in mixes:
        load = sum((mpf(str(c)) / k[name] for name, c in mix.items()), mpf(0))
        row("ligands", {"mix": mix}, "load", load, "1e-12", source)
        row("ligands", {"mix": mix}, "block", load / (1 + load), "1e-12", source)


def opioid():
    """C/(C + K), K = 10^-pKi."""
    for receptor, pki in (("mu", "4.38"), ("kappa", "4.55"), ("delta", "3.57")):
        for c in ("0", "0.01", "0.78", "10", "1e6"):
            k = mpf(10) ** (6 - mpf(pki))
            row(
                "opioid",
                {"receptor": receptor, "concentration": float(c)},
                "occupancy",
                mpf(c) / (mpf(c) + k),
                "1e-12",
                "Hirota 1999",
            )


def human_occupancy():
    """Rat unbound EC50 (1.42, 9.11 uM), competing, with an unbound share."""
    for parent in ("0", "0.2", "0.78", "5", "1e5"):
        for nor in ("0", "0.3", "20"):
            for unbound in ("0.4", "0.6", "1"):
                load = mpf(unbound) * (mpf(parent) / mpf("1.42") + mpf(nor) / mpf("9.11"))
                row(
                    "occupancy",
                    {"parent": float(parent), "nor": float(nor), "unbound": float(unbound)},
                    "occupancy",
                    load / (1 + load),
                    "1e-12",
                    "Shaffer 2014",
                )


def slow():
    """dB/dt = Po (k+ C (1 - B) - k- B), C constant: one exponential; half-life trapped-off."""
    source = "pharmacology B, 1b: closed form"
    for po in ("0.058", "0.01", "0.001", "0.0001"):
        row(
            "slow",
            {"open": float(po), "off": 0.56},
            "half_life_s",
            log(2) / (mpf(po) * mpf("0.56")),
            "1e-12",
            source,
        )
        for c, start, seconds in (
            ("0", "0.9", "600"),
            ("0.78", "0", "60"),
            ("10", "0", "1"),
            ("0.71", "0.5", "1e6"),
        ):
            on, off = mpf("0.31"), mpf("0.22")
            rate = mpf(po) * (on * mpf(c) + off)
            level = on * mpf(c) / (on * mpf(c) + off)
            b = level + (mpf(start) - level) * exp(-rate * mpf(seconds))
            row(
                "slow",
                {
                    "open": float(po),
                    "on": 0.31,
                    "off": 0.22,
                    "drug": float(c),
                    "start": float(start),
                    "seconds": float(seconds),
                },
                "blocked",
                b,
                "1e-6",
                source,
            )


def second_site():
    """A (1 - Imax C/(C + 0.1)): the two published fits (Orser outside-out, Gerhard)."""
    for top, half in (("0.34", "10.6"), ("0.45", "5.7"), ("0.9", "0.71"), ("0", "0.71")):
        for c in ("0", "0.1", "1", "10", "1e6"):
            a = 1 / (1 + mpf(c) / mpf(half)) * (1 - mpf(top) * mpf(c) / (mpf(c) + mpf("0.1")))
            row(
                "second_site",
                {"top": float(top), "half": float(half), "drug": float(c)},
                "available",
                a,
                "1e-12",
                "pharmacology B, 1b and 1c.4",
            )


# ---- disinhibition --------------------------------------------------------------------------


def disinhibition():
    """r = D0/(D0 + wN(1 - A_E) - w(1 - A_I)) with w the interneuron weight and wN = rho w."""
    source = "pharmacology B, L2: closed form"
    for half, s, rho, d0 in (
        ("1", "2", "1.3", "1"),
        ("0.2", "8", "1.01", "3"),
        ("8", "2", "1.99", "10"),
        ("1.42", "5.12", "1.92", "2"),
    ):
        ki, ke = mpf(half), mpf(half) * mpf(s)
        root = sqrt(mpf(s) / mpf(rho))
        inputs = {
            "half": float(half),
            "selectivity": float(s),
            "balance": float(rho),
            "distance": float(d0),
        }
        row(
            "disinhibition",
            inputs,
            "crossing",
            (ke - mpf(rho) * ki) / (mpf(rho) - 1),
            "1e-9",
            source,
        )
        row("disinhibition", inputs, "peak", (root - 1) / (1 / ki - root / ke), "1e-9", source)
        for c in ("0", "0.1", "1", "10", "1e7"):
            e, i = mpf(c) / (mpf(c) + ke), mpf(c) / (mpf(c) + ki)
            r = mpf(d0) / (mpf(d0) + mpf(rho) * e - i)
            row("disinhibition", {**inputs, "drug": float(c)}, "firing", r, "1e-10", source)


# ---- acute effects --------------------------------------------------------------------------

DELAY, DELAY_PAIN = mpf("6.1") / 60, mpf("11.8") / 60


def site(peak, elimination, infusion, delay, t):
    """Effect site of a one-compartment infusion: `peak` is its steady plasma level, hours."""
    k, ke = mpf(elimination), log(2) / delay
    peak, infusion, t = mpf(peak), mpf(infusion), mpf(t)

    def during(u):
        return peak * (1 - (ke * exp(-k * u) - k * exp(-ke * u)) / (ke - k))

    if t <= infusion:
        return during(t)
    end = peak * (1 - exp(-k * infusion))
    u = t - infusion
    return during(infusion) * exp(-ke * u) + end * ke / (ke - k) * (exp(-k * u) - exp(-ke * u))


def acute():
    """Effects from the site, and dissociation with tolerance where it has a closed form."""
    source = "pharmacology B, L0 and L6: closed form of an effect compartment after an infusion"
    times = ("0", "0.05", "0.25", "0.6666666666666666", "0.7", "1.5", "4", "24")
    for peak, k, infusion in (
        ("150", "1.2", "0.6666666666666666"),
        ("5000", "0.3", "0.6666666666666666"),
        ("0", "1", "0.6666666666666666"),
        ("150", "6", "0.6666666666666666"),
    ):
        for t in times:
            inputs = {
                "peak": float(peak),
                "elimination": float(k),
                "infusion": float(infusion),
                "t": float(t),
            }
            ce = site(peak, k, infusion, DELAY, t)
            late = site(peak, k, infusion, DELAY_PAIN, t)
            row("acute", {**inputs, "form": "S"}, "site", ce, "1e-5", source)
            row(
                "acute",
                {**inputs, "form": "S"},
                "pressure",
                mpf("0.27") * ce / 1959,
                "1e-5",
                source + "; Langsjo 2005, slope 1",
            )
            row(
                "acute",
                {**inputs, "form": "S"},
                "rate",
                mpf("0.435") * ce / 1959,
                "1e-5",
                source + "; Langsjo 2005, slope 1",
            )
            row(
                "acute",
                {**inputs, "form": "S"},
                "sedation",
                mpf("8.3") * ce / (800 + ce),
                "1e-5",
                source + "; Schuttler",
            )
            row(
                "acute",
                {**inputs, "form": "R"},
                "sedation",
                mpf("4.4") * ce / (1800 + ce),
                "1e-5",
                source + "; Schuttler",
            )
            row(
                "acute",
                {**inputs, "form": "S"},
                "pain",
                mpf("-0.038") * late,
                "1e-5",
                source + "; Olofsen 2012",
            )
            row(
                "acute",
                {**inputs, "form": "R", "q": 0.25},
                "pain",
                mpf("-0.0095") * late,
                "1e-5",
                source + "; Oye 1992, a quarter",
            )
    # Tolerance: tol' = k D - tol/tau, D = d exp(-tol), drive d(t).
    source = "pharmacology B, L6; no decay: exp(tol) = 1 + k int d; steady drive: k D = tol/tau"
    for gain in ("0", "0.01", "1", "20"):
        for peak in ("100", "1000"):
            for t in ("0.25", "0.6666666666666666", "1.5"):
                ce = site(peak, "1.2", "0.6666666666666666", DELAY, t)
                breaks = (
                    [mpf(0), mpf(t)]
                    if mpf(t) <= mpf("0.6666666666666667")
                    else [mpf(0), mpf("0.6666666666666666"), mpf(t)]
                )
                area = quad(
                    lambda u, p=peak: site(p, "1.2", "0.6666666666666666", DELAY, u), breaks
                )
                # One unit is what 100 ng/mL of racemate does: 50 S + q 50 R.
                unit = 50 * (1 + mpf("0.25"))
                value = ce / unit / (1 + mpf(gain) * area / unit)
                row(
                    "tolerance",
                    {"peak": float(peak), "gain": float(gain), "q": 0.25, "t": float(t)},
                    "dissociation",
                    value,
                    "1e-4",
                    source,
                )
    for gain, tau, drive in (
        ("1", "1", "1"),
        ("0.1", "48", "2"),
        ("1", "720", "10"),
        ("0", "48", "3"),
    ):
        load = mpf(gain) * mpf(tau) * mpf(drive)
        tol = lambertw(load).real
        row(
            "tolerance",
            {"gain": float(gain), "tau": float(tau), "drive": float(drive)},
            "steady",
            mpf(drive) * exp(-tol),
            "1e-4",
            source,
        )


# ---- relapse --------------------------------------------------------------------------------


def relapse():
    """h0 exp(a (score - entry)): constant score exponential, rising score Gompertz."""
    for variance in ("0", "0.5", "2", "8"):
        for h0, slope, t in (
            ("0.0385", "0", "18"),
            ("0.0385", "0", "365"),
            ("0.00254", "0.01", "273"),
            ("0.01", "-0.02", "1000"),
            ("0", "0", "50"),
            ("0.0385", "0", "1"),
        ):
            h, g, days = mpf(h0), mpf(slope), mpf(t)
            area = h * days if g == 0 else h * (exp(g * days) - 1) / g
            v = mpf(variance)
            left = exp(-area) if v == 0 else (1 + v * area) ** (-1 / v)
            row(
                "relapse",
                {
                    "variance": float(variance),
                    "h0": float(h0),
                    "growth": float(slope),
                    "days": float(t),
                },
                "left",
                left,
                "1e-6",
                "exponential and Gompertz hazard, gamma frailty: closed forms",
            )


# ---- population -----------------------------------------------------------------------------


def moments():
    """Means, SDs, correlations of lognormal and logit-normal draws, with their limits at z = 5."""
    n = mpf(50000)
    # Blocks of Otto 2021: V1 and CL.
    blocks = {
        "parent": ("0.084177", "0.026048", "0.02261"),
        "norketamine": ("0.040426", "0.10319", "0.04456"),
    }
    for name, (v1, v2, cov) in blocks.items():
        v1, v2, cov = mpf(v1), mpf(v2), mpf(cov)
        rho = cov / sqrt(v1 * v2)
        for which, v in (("first", v1), ("second", v2)):
            row(
                "moments",
                {"block": name, "which": which, "n": int(n)},
                "log_mean",
                mpf(0),
                mp.nstr(5 * sqrt(v / n), 6),
                "Otto 2021: z = 5",
            )
            row(
                "moments",
                {"block": name, "which": which, "n": int(n)},
                "log_variance",
                v,
                mp.nstr(5 * v * sqrt(2 / n), 6),
                "Otto 2021: z = 5",
            )
            # E x = exp(v/2); Var x = (e^v - 1) e^v
            row(
                "moments",
                {"block": name, "which": which, "n": int(n)},
                "mean",
                exp(v / 2),
                mp.nstr(5 * sqrt((exp(v) - 1) * exp(v) / n), 6),
                "lognormal, z = 5",
            )
            row(
                "moments",
                {"block": name, "which": which, "n": int(n)},
                "above_e95",
                mpf("0.05"),
                mp.nstr(5 * sqrt(mpf("0.05") * mpf("0.95") / n), 6),
                "share above exp(1.6449 sd), z = 5",
            )
        row(
            "moments",
            {"block": name, "n": int(n)},
            "correlation",
            rho,
            mp.nstr(5 * (1 - rho**2) / sqrt(n), 6),
            "Otto 2021: z = 5",
        )
        row(
            "moments",
            {"block": name, "n": int(n)},
            "cross_mean",
            exp((v1 + v2 + 2 * cov) / 2),
            mp.nstr(5 * sqrt((exp(v1 + v2 + 2 * cov) - 1) * exp(v1 + v2 + 2 * cov) / n), 6),
            "E x y of a joint lognormal, z = 5",
        )
    # Logit-normal: FRn .54 with logit SD .708 (Perez-Ruixo 2021), 2nd moments by quadrature.
    for centre in ("0.54", "0.472", "0.02", "0.98"):
        mu, sd = log(mpf(centre) / (1 - mpf(centre))), mpf("0.708")

        def against(power, mu=mu, sd=sd):
            return quad(
                lambda z: (1 / (1 + exp(-(mu + sd * z)))) ** power * exp(-z * z / 2),
                [-12, -4, 0, 4, 12],
            ) / sqrt(2 * mp.pi)

        first, second = against(1), against(2)
        inputs = {"centre": float(centre), "logit_sd": 0.708, "n": int(n)}
        row(
            "logit",
            inputs,
            "mean",
            first,
            mp.nstr(5 * sqrt((second - first**2) / n), 6),
            "quadrature, z = 5",
        )
        row(
            "logit",
            inputs,
            "median",
            mpf(centre),
            mp.nstr(5 * mpf(centre) * (1 - mpf(centre)) * sd * sqrt(mp.pi / 2 / n), 6),
            "z = 5",
        )


for made in (
    gating,
    blocked,
    reduction,
    ligands,
    opioid,
    human_occupancy,
    slow,
    second_site,
    disinhibition,
    acute,
    relapse,
    moments,
):
    made()
with (
    Path(__file__)
    .parents[1]
    .joinpath("response_more.csv")
    .open("w", encoding="utf-8", newline="") as out
):
    writer = csv.DictWriter(out, fieldnames=list(ROWS[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(ROWS)
print(len(ROWS))
