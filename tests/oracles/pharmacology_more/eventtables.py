"""Event tables: rows expanded into inputs one by one, each input's course in closed form.

NONMEM 7 users guide, part IV (records EVID, AMT, RATE, II, ADDL, SS): a steady-state dose stands
for endless earlier doses one interval apart, each with the lag; SS=1 first empties the system and
cancels what is pending, SS=2 adds; what of those earlier infusions is still running runs on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath as mp
from table import SOLVED, add, number

PAST = 400  # earlier doses of a steady state that are summed; rates below leave < 1e-30 beyond


@dataclass(frozen=True)
class Input:
    """One bolus (`length` 0) or infusion; `ends` is when a reset cancels it."""

    start: mp.mpf
    amount: mp.mpf
    length: mp.mpf
    into: int
    stops: mp.mpf | None = None  # cut short there


class Body:
    """dx/dt = A x: depot (0), central (1), peripheral (2); absent ones have zero rates."""

    def __init__(self, p: dict[str, Any]) -> None:
        ka, k = number(p.get("ka", 0.7)), number(p["CL"]) / number(p["V"])
        q = number(p.get("Q", 0))
        k12 = q / number(p["V"])
        k21 = q / number(p.get("V2", 1)) if q else mp.mpf("0.3")
        self.a = mp.matrix([[-ka, 0, 0], [ka, -k - k12, k21 if q else 0], [0, k12, -k21]])
        self.values, self.vectors = mp.eig(self.a)
        self.inverse = self.vectors**-1

    def response(self, entry: Input, t: mp.mpf) -> list[mp.mpf]:
        s = t - entry.start
        if s < 0 or entry.amount == 0:
            return [mp.mpf(0)] * 3
        length = entry.length
        if length and entry.stops is not None:
            length = min(length, entry.stops - entry.start)
        out = [mp.mpc(0)] * 3
        for j in range(3):
            value = self.values[j]
            if entry.length:
                rate = entry.amount / entry.length
                on = min(s, length)
                mode = rate * mp.exp(value * (s - on)) * mp.expm1(value * on) / value
            else:
                mode = entry.amount * mp.exp(value * s)
            weight = self.inverse[j, entry.into] * mode
            for m in range(3):
                out[m] += self.vectors[m, j] * weight
        return [mp.re(x) for x in out]


def read(table: str) -> list[dict[str, str]]:
    lines = [line.split(",") for line in table.strip().splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def value(row: dict[str, str], name: str) -> mp.mpf:
    return mp.mpf(row.get(name) or "0")


def course(table: str, p: dict[str, Any]) -> list[mp.mpf]:
    """Every observation's central and peripheral amount, in the order of the rows."""
    body, active, seen = Body(p), [], []
    compartments = p["compartments"]
    f, lag = p.get("F", {}), p.get("lag", {})
    for row in read(table):
        now, kind = value(row, "TIME"), int(row.get("EVID") or 0)
        if kind == 0:
            state = [mp.fsum(x) for x in zip(*(body.response(a, now) for a in active), strict=True)]
            seen.append((state or [mp.mpf(0)] * 3)[1:])
        if kind in (3, 4):
            active = []
        if kind not in (1, 4):
            continue
        cmt = row.get("CMT") or "1"
        name = compartments[int(cmt) - 1] if cmt.isdigit() else cmt
        into = ("depot", "central", "peripheral").index(name)
        amount = value(row, "AMT") * number(f.get(name, 1))
        rate, length = value(row, "RATE"), value(row, "DUR")
        if rate == -1:
            rate = number(p["rate"][name])
        if rate == -2:
            rate, length = mp.mpf(0), number(p["duration"][name])
        if rate > 0:
            length = amount / rate
        start, every = now + number(lag.get(name, 0)), value(row, "II")
        steady = int(row.get("SS") or 0)
        if steady == 1:
            active = []
        if steady and rate > 0 and amount == 0:
            active.append(Input(start - 4000, rate * 100000, mp.mpf(100000), into, start))
            continue
        if steady:
            active += [Input(start - n * every, amount, length, into) for n in range(PAST, 0, -1)]
        for n in range(int(row.get("ADDL") or 0) + 1):
            active.append(Input(start + n * every, amount, length, into))
    return seen


ONE = {"compartments": ["central"], "CL": 10, "V": 50}
ORAL = {"compartments": ["depot", "central"], "CL": 10, "V": 50, "ka": 1.3}
TWO = {"compartments": ["central", "peripheral"], "CL": 10, "V": 20, "Q": 15, "V2": 60}
FULL = {"compartments": ["depot", "central", "peripheral"], "CL": 8, "V": 15, "Q": 12, "V2": 70,
        "ka": 0.9}  # fmt: skip
HEAD = "ID,TIME,EVID,AMT,RATE,II,ADDL,SS,CMT"


def made(doses: list[str], times: list[float], head: str = HEAD, first: str = "dose") -> str:
    """Rows in the order of time; at one instant doses first, unless told."""
    rank = {"dose": 0, "look": 1} if first == "dose" else {"dose": 1, "look": 0}
    rows = [(float(d.split(",")[1]), rank["dose"], d) for d in doses]
    blank = ",".join("0" for _ in head.split(",")[3:-1])
    rows += [(t, rank["look"], f"1,{t!r},0,{blank},1") for t in times]
    return "\n".join([head, *[r[2] for r in sorted(rows, key=lambda r: r[:2])]])


GRID = [0.0, 0.1, 0.5, 1.0, 2.0, 3.5, 5.0, 8.0, 12.0, 13.0, 18.0, 24.0, 26.0, 36.0]
TABLES: dict[str, tuple[dict[str, Any], str]] = {
    "bolus": (ONE, made(["1,0,1,100,0,0,0,0,1"], GRID)),
    "bolus, observed before": (ONE, made(["1,0,1,100,0,0,0,0,1", "1,12,1,100,0,0,0,0,1"], GRID,
                                         first="look")),
    "not at zero": (TWO, made(["1,5,1,100,50,0,0,0,1"], [0.0, 4.9, 5.0, 5.5, 7.0, 7.5, 20.0])),
    "infusion": (TWO, made(["1,0,1,100,40,0,0,0,1"], GRID)),
    "two at one instant": (FULL, made(["1,0,1,100,0,0,0,0,1", "1,0,1,60,20,0,0,0,2",
                                       "1,0,1,10,0,0,0,0,3"], GRID)),
    "the same dose twice": (ONE, made(["1,1,1,30,0,0,0,0,1", "1,1,1,30,0,0,0,0,1"], GRID)),
    "addl": (ORAL, made(["1,0,1,100,0,12,2,0,1"], GRID)),
    "addl of infusions that overlap": (TWO, made(["1,0,1,100,20,2,4,0,1"], GRID)),
    "addl of infusions that touch": (TWO, made(["1,0,1,100,50,2,4,0,1"], GRID)),
    "addl and another dose": (ORAL, made(["1,0,1,100,0,6,5,0,1", "1,8,1,50,25,0,0,0,2"], GRID)),
    "addl 1 with ii 0.1": (ONE, made(["1,0,1,5,0,0.1,30,0,1"], GRID)),
    "addl with lag": ({**ORAL, "lag": {"depot": 0.75}}, made(["1,0,1,100,0,4,4,0,1"], GRID)),
    "lag longer than ii": ({**ORAL, "lag": {"depot": 7}}, made(["1,0,1,100,0,4,4,0,1"], GRID)),
    "lag of an infusion": ({**TWO, "lag": {"central": 0.3}}, made(["1,0,1,100,25,5,2,0,1"], GRID)),
    "bioavailability of a rate": ({**TWO, "F": {"central": 0.4}},
                                  made(["1,0,1,100,25,5,2,0,1"], GRID)),
    "bioavailability above one": ({**ORAL, "F": {"depot": 1.6}},
                                  made(["1,0,1,10,0,3,2,0,1"], GRID)),
    "ss of a bolus": (ONE, made(["1,0,1,100,0,12,0,1,1"], GRID)),
    "ss of a bolus, two compartments": (TWO, made(["1,0,1,100,0,8,0,1,1"], GRID)),
    "ss by mouth with addl": (ORAL, made(["1,0,1,100,0,12,3,1,1"], GRID)),
    "ss by mouth, three compartments": (FULL, made(["1,0,1,100,0,6,3,1,1"], GRID)),
    "ss of an infusion": (TWO, made(["1,0,1,100,40,6,0,1,1"], GRID)),
    "ss of an infusion as long as ii": (TWO, made(["1,0,1,120,20,6,0,1,1"], GRID)),
    "ss of an infusion longer than ii": (TWO, made(["1,0,1,200,20,4,0,1,1"], GRID)),
    "ss of an infusion 2.75 ii long": (TWO, made(["1,0,1,110,10,4,0,1,1"], GRID)),
    "ss longer than ii with addl": (TWO, made(["1,0,1,200,20,4,3,1,1"], GRID)),
    "ss longer than ii, by a depot": (FULL, made(["1,0,1,200,20,4,3,1,1"], GRID)),
    "ss, seen before": (TWO, made(["1,12,1,100,0,8,0,1,1"], GRID, first="look")),
    "ss after a dose": (TWO, made(["1,0,1,500,0,0,0,0,1", "1,5,1,100,0,8,0,1,1"], GRID)),
    "ss during an infusion": (TWO, made(["1,0,1,500,50,0,0,0,1", "1,5,1,100,0,8,0,1,1"], GRID)),
    "ss cancels addl": (TWO, made(["1,0,1,100,0,3,10,0,1", "1,5,1,100,0,8,0,1,1"], GRID)),
    "ss 2 after a dose": (TWO, made(["1,0,1,500,0,0,0,0,1", "1,5,1,100,0,8,0,2,1"], GRID)),
    "ss 2 during an infusion": (TWO, made(["1,0,1,500,50,0,0,0,1", "1,5,1,100,0,8,0,2,1"], GRID)),
    "ss 2 beside addl": (TWO, made(["1,0,1,100,0,3,10,0,1", "1,5,1,100,40,8,2,2,1"], GRID)),
    "ss 1 and ss 2 at one instant": (TWO, made(["1,0,1,100,0,12,0,1,1", "1,0,1,50,0,12,0,2,1"],
                                               GRID)),
    "ss 1 and ss 2, six hours apart": (TWO, made(["1,0,1,100,0,12,2,1,1",
                                                  "1,6,1,50,0,12,1,2,1"], GRID)),
    "ss 2 longer than ii": (TWO, made(["1,0,1,60,0,0,0,0,1", "1,1,1,200,20,4,2,2,1"], GRID)),
    "ss with lag": ({**ORAL, "lag": {"depot": 1.5}}, made(["1,0,1,100,0,12,2,1,1"], GRID)),
    "ss with a lag beyond ii": ({**ORAL, "lag": {"depot": 13}}, made(["1,0,1,100,0,12,2,1,1"],
                                                                     GRID)),
    "ss of an infusion with lag": ({**TWO, "lag": {"central": 1.5}},
                                   made(["1,0,1,100,20,6,2,1,1"], GRID)),
    "ss of an infusion with f": ({**TWO, "F": {"central": 0.3}},
                                 made(["1,0,1,100,20,6,2,1,1"], GRID)),
    "ss of a constant infusion": (TWO, made(["1,0,1,0,20,0,0,1,1"], GRID)),
    "ss of a constant infusion, then a dose": (TWO, made(["1,0,1,0,20,0,0,1,1",
                                                          "1,0,1,40,20,0,0,0,1"], GRID)),
    "evid 3": (FULL, made(["1,0,1,100,0,4,9,0,1", "1,9,3,0,0,0,0,0,1"], GRID)),
    "evid 3 during an infusion": (TWO, made(["1,0,1,500,50,0,0,0,1", "1,5,3,0,0,0,0,0,1"], GRID)),
    "evid 3 before a lagged dose": ({**ORAL, "lag": {"depot": 4}},
                                    made(["1,0,1,100,0,0,0,0,1", "1,3,3,0,0,0,0,0,1"], GRID)),
    "evid 3 and a dose after it": (TWO, made(["1,0,1,100,0,0,0,0,1", "1,5,3,0,0,0,0,0,1",
                                              "1,5,1,30,0,0,0,0,1"], GRID)),
    "evid 3 at an observation": (TWO, made(["1,0,1,100,0,0,0,0,1", "1,5,3,0,0,0,0,0,1"], GRID,
                                           first="look")),
    "evid 4": (FULL, made(["1,0,1,100,0,4,9,0,1", "1,9,4,50,0,0,0,0,2"], GRID)),
    "evid 4 of an infusion with addl": (TWO, made(["1,0,1,100,10,0,0,0,1",
                                                   "1,5,4,50,20,4,2,0,1"], GRID)),
    "evid 4 with ss": (TWO, made(["1,0,1,100,10,0,0,0,1", "1,5,4,50,0,4,2,1,1"], GRID)),
    "evid 4 at the start": (TWO, made(["1,0,4,100,0,0,0,0,1"], GRID)),
    "evid 4 with ss 2": (TWO, made(["1,0,1,900,10,0,0,0,1", "1,5,4,50,0,4,2,2,1"], GRID)),
    "reset after ss longer than ii": (TWO, made(["1,0,1,200,20,4,9,1,1", "1,5,3,0,0,0,0,0,1"],
                                                GRID)),
    "rate -1": ({**ORAL, "rate": {"depot": 40}}, made(["1,0,1,100,-1,6,2,0,1"], GRID)),
    "rate -1 with f": ({**TWO, "rate": {"central": 40}, "F": {"central": 0.5}},
                       made(["1,0,1,100,-1,6,2,0,1"], GRID)),
    "rate -2": ({**FULL, "duration": {"depot": 2.5}}, made(["1,0,1,100,-2,6,2,0,1"], GRID)),
    "rate -2 with f": ({**TWO, "duration": {"central": 2.5}, "F": {"central": 0.5}},
                       made(["1,0,1,100,-2,6,2,0,1"], GRID)),
    "rate -2 longer than ii at ss": ({**TWO, "duration": {"central": 9}},
                                     made(["1,0,1,100,-2,4,1,1,1"], GRID)),
    "rate -1 longer than ii at ss 2": ({**TWO, "rate": {"central": 11}},
                                       made(["1,0,1,100,-1,4,1,2,1"], GRID)),
    "names of compartments": (FULL, made(["1,0,1,100,0,0,0,0,central", "1,2,1,10,0,0,0,0,depot"],
                                         GRID)),
    "dur": (TWO, made(["1,0,1,100,2.5,6,2,0,1"], GRID,
                      head="ID,TIME,EVID,AMT,DUR,II,ADDL,SS,CMT")),
    "dur longer than ii at ss": (TWO, made(["1,0,1,100,9,4,1,1,1"], GRID,
                                           head="ID,TIME,EVID,AMT,DUR,II,ADDL,SS,CMT")),
    "dose of zero": (ONE, made(["1,0,1,0,0,0,0,0,1", "1,1,1,10,0,0,0,0,1"], GRID)),
}  # fmt: skip


def tables() -> None:
    for name, (p, table) in TABLES.items():
        seen = course(table, p)
        i = {"table": table, "model": p}
        add("events", name, i, "central", [s[0] for s in seen], SOLVED)
        if "Q" in p:
            add("events", name, i, "peripheral", [s[1] for s in seen], SOLVED)
