"""SBML models written by hand, their equations derived by hand and integrated in 50 digits.

SBML Level 3 Version 2 Core, sections 4.6 to 4.11: a reaction's law is amount per time; a species
named in a formula is its concentration unless hasOnlySubstanceUnits; an initial assignment wins
over the value written; a rate rule on a species is of its concentration (at a constant volume).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import mpmath as mp
from table import SOLVED, add

TIMES = (0.0, 0.3, 1.0, 2.5, 6.0)
STEP = mp.mpf("0.01")  # Taylor below: error of the 24th order, under 1e-20 for these rates
State = list[mp.mpf]

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level{level}/version{version}{core}" level="{level}" \
version="{version}"><model id="m">
"""
TAIL = "\n</model></sbml>\n"


def math(inner: str) -> str:
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML">{inner}</math>'


def apply(operator: str, *args: str) -> str:
    return f"<apply><{operator}/>{''.join(args)}</apply>"


def ci(name: str) -> str:
    return f"<ci>{name}</ci>"


def cn(value: str) -> str:
    return f"<cn>{value}</cn>"


def species(name: str, where: str, rest: str) -> str:
    given = {"hasOnlySubstanceUnits": "false", "boundaryCondition": "false", "constant": "false"}
    given = {k: v for k, v in given.items() if k not in rest}
    return (
        f'<species id="{name}" compartment="{where}" {rest} '
        + " ".join(f'{k}="{v}"' for k, v in given.items())
        + "/>"
    )


def listed(tag: str, *items: str) -> str:
    return f"<listOf{tag}>" + "\n".join(items) + f"</listOf{tag}>\n" if items else ""


def volume(name: str, size: str) -> str:
    return f'<compartment id="{name}" size="{size}" constant="true"/>'


def parameter(name: str, value: str, constant: str = "true") -> str:
    return f'<parameter id="{name}" value="{value}" constant="{constant}"/>'


def reference(name: str, stoichiometry: str = "1") -> str:
    return f'<speciesReference species="{name}" stoichiometry="{stoichiometry}" constant="true"/>'


def reaction(
    name: str, reactants: Sequence[str], products: Sequence[str], law: str,
    local: str = "", modifiers: Sequence[str] = (), reversible: str = "false",
) -> str:  # fmt: skip
    changed = [f'<modifierSpeciesReference species="{m}"/>' for m in modifiers]
    return (
        f'<reaction id="{name}" reversible="{reversible}">'
        + listed("Reactants", *reactants) + listed("Products", *products)
        + listed("Modifiers", *changed)
        + f"<kineticLaw>{math(law)}{local}</kineticLaw></reaction>"
    )  # fmt: skip


def level3(*parts: str) -> str:
    return HEAD.format(level=3, version=2, core="/core") + "".join(parts) + TAIL


def level2(*parts: str) -> str:
    return HEAD.format(level=2, version=4, core="") + "".join(parts) + TAIL


def integrate(
    right: Callable[[mp.mpf, State], State], start: State, times: Sequence[float]
) -> list[State]:
    """Gragg-Bulirsch-Stoer extrapolation over short steps."""
    out, t, x = [], mp.mpf(0), start
    for until in times:
        n = int(mp.ceil((mp.mpf(str(until)) - t) / mp.mpf("0.25")))
        for _ in range(n):
            h = (mp.mpf(str(until)) - t) / n if n else mp.mpf(0)
            x = extrapolated(right, t, x, h)
            t, n = t + h, n - 1
        t = mp.mpf(str(until))
        out.append(x)
    return out


def extrapolated(right: Callable[[mp.mpf, State], State], t: mp.mpf, x: State, h: mp.mpf) -> State:
    rows: list[list[State]] = []
    for j in range(1, 13):
        n, size = 2 * j, h / (2 * j)
        a, b = x, [u + size * v for u, v in zip(x, right(t, x), strict=True)]
        for k in range(1, n):
            slope = right(t + k * size, b)
            a, b = b, [u + 2 * size * v for u, v in zip(a, slope, strict=True)]
        slope = right(t + h, b)
        smooth = [(u + v + size * w) / 2 for u, v, w in zip(a, b, slope, strict=True)]
        row = [smooth]
        for k in range(1, j):
            ratio = (mp.mpf(j) / (j - k)) ** 2 - 1
            row.append([p + (p - q) / ratio for p, q in zip(row[-1], rows[-1][k - 1], strict=True)])
        rows.append(row)
    return rows[-1][-1]


ONE_VOLUME = listed("Compartments", volume("v", "5"))
TWO_VOLUMES = listed("Compartments", volume("v", "5"), volume("w", "0.5"))
K = listed("Parameters", parameter("k", "0.4"), parameter("j", "0.7"))
F = mp.mpf


def first_order() -> None:
    """v k S; amounts 10 and 0."""
    text = level3(
        ONE_VOLUME,
        listed("Species", species("S", "v", 'initialConcentration="2"'),
               species("P", "v", 'initialAmount="1"')), K,
        listed("Reactions", reaction("r", [reference("S")], [reference("P", "2")],
                                     apply("times", ci("v"), ci("k"), ci("S")))),
    )  # fmt: skip
    rows = [10 * mp.exp(-F("0.4") * F(str(t))) for t in TIMES]
    written("first order", text, {"S": [r / 5 for r in rows],
                                  "P": [(1 + 2 * (10 - r)) / 5 for r in rows]},
            "linear")  # fmt: skip


def two_volumes() -> None:
    """k v S leaves 5 L and enters 0.5 L; j w T returns: amounts s, t."""
    text = level3(
        TWO_VOLUMES,
        listed("Species", species("S", "v", 'initialConcentration="2"'),
               species("T", "w", 'initialConcentration="1"')), K,
        listed("Reactions",
               reaction("a", [reference("S")], [reference("T")],
                        apply("minus", apply("times", ci("k"), ci("v"), ci("S")),
                              apply("times", ci("j"), ci("w"), ci("T"))), reversible="true")),
    )  # fmt: skip
    total, k, j = F("10.5"), F("0.4"), F("0.7")
    level = total * j / (k + j)
    s = [level + (10 - level) * mp.exp(-(k + j) * F(str(t))) for t in TIMES]
    written("two volumes", text, {"S": [a / 5 for a in s], "T": [(total - a) * 2 for a in s]},
            "linear")  # fmt: skip


def amounts_only() -> None:
    """S named as an amount in the law, T as a concentration; laws k S and j T in 2 L."""
    text = level3(
        listed("Compartments", volume("v", "2")),
        listed("Species",
               species("S", "v", 'initialAmount="8" hasOnlySubstanceUnits="true"'),
               species("T", "v", 'initialAmount="3"')), K,
        listed("Reactions",
               reaction("a", [reference("S")], [reference("T")], apply("times", ci("k"), ci("S"))),
               reaction("b", [reference("T")], [], apply("times", ci("j"), ci("T")))),
    )  # fmt: skip
    found = integrate(lambda t, x: [-F("0.4") * x[0], F("0.4") * x[0] - F("0.7") * x[1] / 2],
                      [F(8), F(3)], TIMES)  # fmt: skip
    written("amounts only", text, {"S": [x[0] for x in found], "T": [x[1] / 2 for x in found]},
            "linear")  # fmt: skip


def function_definition() -> None:
    """Michaelis-Menten by a function whose argument has a parameter's name."""
    body = apply("divide", apply("times", ci("k"), ci("x")), apply("plus", ci("m"), ci("x")))
    doubled = apply("times", cn("2"), ci("x"))
    twice = f"<lambda><bvar>{ci('x')}</bvar>{doubled}</lambda>"
    inner = "".join(f"<bvar>{ci(b)}</bvar>" for b in ("x", "k", "m"))
    text = level3(
        listed("FunctionDefinitions",
               f'<functionDefinition id="mm">{math(f"<lambda>{inner}{body}</lambda>")}'
               "</functionDefinition>",
               f'<functionDefinition id="twice">{math(twice)}</functionDefinition>'),
        ONE_VOLUME,
        listed("Species", species("S", "v", 'initialConcentration="3"'),
               species("P", "v", 'initialConcentration="0"')),
        listed("Parameters", parameter("k", "0.4"), parameter("vmax", "6"), parameter("km", "1.5")),
        listed("Reactions", reaction("r", [reference("S")], [reference("P")],
                                     apply("mm", "", "").replace("<mm/>", ci("mm")).replace(
                                         "</apply>", ci("S") + "<apply>" + ci("twice") + ci("vmax")
                                         + "</apply>" + ci("km") + "</apply>"))),
    )  # fmt: skip

    def level(t: float) -> mp.mpf:
        z = F(3) / F("1.5") * mp.exp((3 - F("2.4") * F(str(t))) / F("1.5"))
        return F("1.5") * mp.re(mp.lambertw(z))

    c = [level(t) for t in TIMES]
    written("a function", text, {"S": c, "P": [3 - a for a in c]}, "nonlinear")


def local_parameter() -> None:
    """A local k of 2 hides the global k of 0.4 in one law only (Level 2 Version 4)."""
    local = '<listOfParameters><parameter id="k" value="2"/></listOfParameters>'
    plain = '<species id="S" compartment="v" initialAmount="10"/>'
    other = '<species id="T" compartment="v" initialAmount="0"/>'
    text = level2(
        '<listOfCompartments><compartment id="v" size="4"/></listOfCompartments>',
        listed("Species", plain, other),
        '<listOfParameters><parameter id="k" value="0.4"/></listOfParameters>',
        listed("Reactions",
               '<reaction id="a" reversible="false"><listOfReactants>'
               '<speciesReference species="S"/></listOfReactants><listOfProducts>'
               '<speciesReference species="T"/></listOfProducts>'
               f'<kineticLaw>{math(apply("times", ci("v"), ci("k"), ci("S")))}{local}</kineticLaw>'
               "</reaction>",
               '<reaction id="b" reversible="false"><listOfReactants>'
               '<speciesReference species="T"/></listOfReactants>'
               f'<kineticLaw>{math(apply("times", ci("v"), ci("k"), ci("T")))}'
               "</kineticLaw></reaction>"),
    )  # fmt: skip
    s = [10 * mp.exp(-2 * F(str(t))) for t in TIMES]
    u = [10 * 2 / (F("0.4") - 2) * (mp.exp(-2 * F(str(t))) - mp.exp(-F("0.4") * F(str(t))))
         for t in TIMES]  # fmt: skip
    written("a local parameter", text, {"S": [a / 4 for a in s], "T": [a / 4 for a in u]}, "linear")


def boundary() -> None:
    """A boundary species feeds (constant 4), another is consumed by nothing but its rate rule."""
    text = level3(
        ONE_VOLUME,
        listed("Species",
               species("B", "v", 'initialConcentration="4" boundaryCondition="true"'
                                 ' constant="true"'),
               species("D", "v", 'initialConcentration="1" boundaryCondition="true"'),
               species("S", "v", 'initialConcentration="0"')), K,
        listed("Rules", f'<rateRule variable="D">{math(apply("times", cn("-0.3"), ci("D")))}'
                        "</rateRule>"),
        listed("Reactions",
               reaction("a", [reference("B"), reference("D")], [reference("S")],
                        apply("times", ci("v"), ci("k"), ci("B"), ci("D"))),
               reaction("b", [reference("S")], [], apply("times", ci("v"), ci("j"), ci("S")))),
    )  # fmt: skip
    d = [mp.exp(-F("0.3") * F(str(t))) for t in TIMES]
    s = [F("1.6") / F("0.4") * (mp.exp(-F("0.3") * F(str(t))) - mp.exp(-F("0.7") * F(str(t))))
         for t in TIMES]  # fmt: skip
    written("boundary species", text, {"D": d, "S": s}, "linear")


def rules() -> None:
    """Assignments out of order, one on a species; a rate rule of a parameter."""
    text = level3(
        ONE_VOLUME,
        listed("Species", species("S", "v", 'initialConcentration="2"'),
               species("A", "v", "")),
        listed("Parameters", parameter("k", "0.4"), parameter("z", "1", "false"),
               parameter("y", "0", "false"), parameter("x", "0", "false")),
        listed("Rules",
               f'<assignmentRule variable="y">{math(apply("plus", ci("x"), cn("1")))}'
               "</assignmentRule>",
               f'<assignmentRule variable="x">{math(apply("times", cn("2"), ci("S")))}'
               "</assignmentRule>",
               f'<assignmentRule variable="A">{math(apply("plus", ci("y"), ci("z")))}'
               "</assignmentRule>",
               f'<rateRule variable="z">{math(apply("minus", ci("S"), ci("z")))}</rateRule>'),
        listed("Reactions", reaction("r", [reference("S")], [],
                                     apply("times", ci("v"), ci("k"), ci("S"), ci("y")))),
    )  # fmt: skip

    def right(_: mp.mpf, x: State) -> State:
        s, z = x
        return [-F("0.4") * s * (2 * s + 1), s - z]

    found = integrate(right, [F(2), F(1)], TIMES)
    written("rules", text, {"S": [x[0] for x in found], "y": [2 * x[0] + 1 for x in found],
                            "A": [2 * x[0] + 1 + x[1] for x in found]}, "nonlinear")  # fmt: skip


def initial_assignment() -> None:
    """S starts at twice p (a concentration of 6), q at p squared, used by the law."""
    text = level3(
        ONE_VOLUME,
        listed("Species", species("S", "v", 'initialConcentration="2"'),
               species("P", "v", 'initialAmount="0"')),
        listed("Parameters", parameter("p", "3"), parameter("q", "1")),
        listed("InitialAssignments",
               f'<initialAssignment symbol="S">{math(apply("times", cn("2"), ci("p")))}'
               "</initialAssignment>",
               f'<initialAssignment symbol="q">{math(apply("divide", ci("p"), cn("10")))}'
               "</initialAssignment>"),
        listed("Reactions", reaction("r", [reference("S")], [reference("P")],
                                     apply("times", ci("v"), ci("q"), ci("S")))),
    )  # fmt: skip
    s = [6 * mp.exp(-F("0.3") * F(str(t))) for t in TIMES]
    written("initial assignments", text, {"S": s, "P": [6 - a for a in s]}, "linear")


def modifier() -> None:
    """Competitive inhibition by a modifier that decays; stoichiometry 2; a power and a root."""
    competitive = apply(
        "divide", apply("times", ci("v"), cn("3"), ci("S")),
        apply("plus", apply("times", cn("2"),
                            apply("plus", cn("1"), apply("power", ci("I"), cn("2")))), ci("S")),
    )  # fmt: skip
    root = "<apply><root/>" + ci("I") + "</apply>"
    text = level3(
        ONE_VOLUME,
        listed("Species", species("S", "v", 'initialConcentration="4"'),
               species("I", "v", 'initialConcentration="1"')), K,
        listed("Reactions",
               reaction("a", [reference("S", "2")], [], competitive, modifiers=["I"]),
               reaction("b", [reference("I")], [], apply("times", ci("v"), ci("k"), root))),
    )  # fmt: skip

    def right(_: mp.mpf, x: State) -> State:
        s, i = x
        return [-2 * 3 * s / (2 * (1 + i**2) + s), -F("0.4") * mp.sqrt(i)]

    short = (0.0, 0.3, 1.0, 2.5)
    found = integrate(right, [F(4), F(1)], short)
    written("a modifier", text, {"S": [x[0] for x in found], "I": [x[1] for x in found]},
            "nonlinear", short)  # fmt: skip


def clock() -> None:
    """A source that follows the clock: exp(-t/2) + time."""
    time = ('<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/time">t'
            "</csymbol>")  # fmt: skip
    law = apply("plus", apply("exp", apply("divide", apply("minus", time), cn("2"))), time)
    text = level3(
        ONE_VOLUME, listed("Species", species("S", "v", 'initialConcentration="0"')), K,
        listed("Reactions", reaction("a", [], [reference("S")], law)),
    )  # fmt: skip
    s = [(2 - 2 * mp.exp(-F(str(t)) / 2) + F(str(t)) ** 2 / 2) / 5 for t in TIMES]
    written("the clock", text, {"S": s}, "any")


def numbers() -> None:
    """Numbers as rationals, with exponents and as constants; ln, log base 2, abs, unary minus."""
    half, tiny = '<cn type="rational">1<sep/>2</cn>', '<cn type="e-notation">2.5<sep/>-1</cn>'
    base2 = f"<apply><log/><logbase>{cn('2')}</logbase>{cn('8')}</apply>"
    rate = apply("times", half, tiny, base2, apply("ln", "<exponentiale/>"),
                 apply("abs", apply("minus", cn("2"))))  # fmt: skip
    text = level3(
        ONE_VOLUME, listed("Species", species("S", "v", 'initialConcentration="2"')),
        listed("Reactions", reaction("a", [reference("S")], [],
                                     apply("times", ci("v"), ci("S"), rate))),
    )  # fmt: skip
    s = [2 * mp.exp(-F("0.75") * F(str(t))) for t in TIMES]
    written("kinds of numbers", text, {"S": s}, "linear")


def choice() -> None:
    """A pump that works above a level: -1 while S > 1, then first order."""
    law = ("<piecewise><piece>" + cn("5") + apply("gt", ci("S"), cn("1")) + "</piece><otherwise>"
           + apply("times", cn("5"), ci("S")) + "</otherwise></piecewise>")  # fmt: skip
    text = level3(
        ONE_VOLUME, listed("Species", species("S", "v", 'initialConcentration="2"')), K,
        listed("Reactions", reaction("a", [reference("S")], [], law)),
    )  # fmt: skip
    s = [2 - F(str(t)) if t <= 1 else mp.exp(1 - F(str(t))) for t in TIMES]
    written("a choice", text, {"S": s}, "nonlinear", tolerance=1e-6)


def written(
    name: str, text: str, outputs: dict[str, list[mp.mpf]], kind: str,
    times: Sequence[float] = TIMES, tolerance: float = SOLVED,
) -> None:  # fmt: skip
    file = name.replace(" ", "_") + ".xml"
    Path(__file__).with_name(file).write_text(text, encoding="utf-8")
    for output, values in outputs.items():
        add("sbml", name, {"file": file, "times": list(times)}, output, values, tolerance)
    if kind != "any":
        add("sbml", name, {"file": file}, "is linear", kind == "linear")


def models() -> None:
    for made in (first_order, two_volumes, amounts_only, function_definition, local_parameter,
                 boundary, rules, initial_assignment, modifier, clock, numbers,
                 choice):  # fmt: skip
        made()
