"""Molar masses, salts, enantiomers and resolutions by fractions."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from table import add

F = Fraction

# abridged standard atomic weights, IUPAC 2021 (Prohaska et al., Pure Appl Chem 2022, 94:573)
WEIGHTS = {"H": "1.008", "C": "12.011", "N": "14.007", "O": "15.999", "F": "18.998",
           "S": "32.06", "Cl": "35.45", "Br": "79.904"}  # fmt: skip
MASS = 2e-5  # a weight's last abridged digit: 5e-4 in 35.45, 1e-3 in the 3-digit ones
KETAMINE, ACID = "C13H16ClNO", "HCl"
FORMULAE = [KETAMINE, "C13H17Cl2NO", "C12H14ClNO", "C12H14ClNO2", "C12H12ClNO", "C17H25N", ACID,
            "H2O", "C15H22FNO", "CCl4", "C60", "C2H6OS"]  # fmt: skip


def mass(formula: str) -> F:
    return sum(
        (F(WEIGHTS[symbol]) * int(count or 1)
         for symbol, count in re.findall(r"([A-Z][a-z]?)(\d*)", formula)), F(0)
    )  # fmt: skip


def substances() -> None:
    for formula in FORMULAE:
        add("formula_mass", formula, {"formula": formula}, "mass", mass(formula), MASS)
    base, salt = mass(KETAMINE), mass(KETAMINE) + mass(ACID)
    for given in (0.0, 1.0, 28.0, 32.3, 50.0, 84.0, 1e-6, 1e6):
        i: dict[str, Any] = {"substance": "ketamine", "salt": "hydrochloride", "mg": given}
        add("salt", f"{given}", i, "base in salt", F(str(given)) * base / salt, MASS)
        add("salt", f"{given}", i, "salt of base", F(str(given)) * salt / base, MASS)
        add("salt", f"{given}", i, "micromol of base", F(str(given)) * 1000 / base, MASS)
        add("salt", f"{given}", i, "micromol of salt", F(str(given)) * 1000 / salt, MASS)
    for percent in ("0", "10", "50", "98", "99.5", "99.99", "100"):
        for label, other in (("S", "R"), ("R", "S")):
            i = {"substance": "ketamine", "form": f"{label} {percent} % ee", "label": label,
                 "other": other}  # fmt: skip
            e = F(percent) / 100
            add("excess", i["form"], i, "share", (1 + e) / 2)
            add("excess", i["form"], i, "other share", (1 - e) / 2)
            add("excess", i["form"], i, "excess", e)
            add("excess", i["form"], i, "excess of the other", -e)
    mixtures = {
        "racemate_and_S": [("racemate", "10"), ("S", "10")],
        "S_and_R": [("S", "30"), ("R", "10")],
        "equal": [("S", "10"), ("R", "10")],
        "two_excesses": [("S 99.5 % ee", "41"), ("R 69.15 % ee", "59")],
        "three": [("racemate", "1"), ("S 98 % ee", "2"), ("R 50 % ee", "3")],
        "one_alone": [("S 99.5 % ee", "1")],
        "nothing_of_one": [("S", "5"), ("R", "0")],
    }
    signs = {"S": 1, "R": -1}
    for name, parts in mixtures.items():
        surplus = sum(
            (F(m) * signs.get(form[0], 0) * (F(form.split()[1]) / 100 if "ee" in form else 1)
             for form, m in parts), F(0)
        ) / sum(F(m) for _, m in parts)  # fmt: skip
        i = {"substance": "ketamine", "parts": [[f, float(m)] for f, m in parts]}
        add("mixture", name, i, "excess of S", surplus)
        add("mixture", name, i, "share of S", (1 + surplus) / 2)


def round_by_round(y: F, e: F, r: F, rounds: int) -> dict[str, F]:
    """What enters, is taken, is racemised and lost, kept in a ledger."""
    entering, product, wanted, unwanted, lost = F(1), F(0), F(0), F(0), F(0)
    for _ in range(rounds):
        taken = entering * y
        product, wanted = product + taken, wanted + taken * (1 + e) / 2
        unwanted += taken * (1 - e) / 2
        rest = entering - taken
        lost, entering = lost + rest * (1 - r), rest * r
    return {"product": product, "wanted": wanted, "unwanted": unwanted, "left": entering,
            "lost": lost,
            "excess of product": (wanted - unwanted) / product if product else F(0)}  # fmt: skip


def resolutions() -> None:
    for y, e, r in (("0.41", "0.995", "0.99"), ("0.5", "1", "1"), ("0.41", "0.995", "0"),
                    ("0.1", "0.5", "0.9"), ("0.5", "0.9", "1"), ("0", "0.9", "0.5"),
                    ("0", "0.9", "1"),
                    ("0.05", "0", "0.99"), ("0.4999", "0.9999", "0.9999")):  # fmt: skip
        for rounds in (1, 2, 3, 5, 10, 50):
            i = {"yield": float(y), "excess": float(e), "racemised": float(r), "rounds": rounds}
            name = f"{y}, {e}, {r}, {rounds} rounds"
            found = round_by_round(F(y), F(e), F(r), rounds)
            for quantity, value in found.items():
                if quantity == "excess of product" and F(y) == 0:
                    continue
                add("resolution", name, i, quantity, value)
        endless = F(1) - (1 - F(y)) * F(r)
        limit = F(y) / endless if F(y) else F(0)
        add("resolution", f"{y}, {e}, {r}, endless", i, "limit", limit)
        remains = (F(1) / 2 - F(y) * (1 + F(e)) / 2) / (1 - F(y))
        add("resolution", f"{y}, {e}, {r}, mother liquor", i | {"rounds": 1},
            "excess of the other in the liquor", 1 - 2 * remains,
            note="mass balance of the enantiomers after one round")  # fmt: skip
