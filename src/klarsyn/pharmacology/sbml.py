"""SBML models become compartment systems, their reactions the equations."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from klarsyn.errors import InputError, MissingExtraError
from klarsyn.pharmacology.expressions import FUNCTIONS, check_names, evaluate, read_expression
from klarsyn.pharmacology.system import System, build_system

MOST_BYTES = 50 << 20


def read_sbml(path: str | Path) -> System:
    """A system whose compartments are the model's species in amounts.

    Reactions with kinetic laws, rate rules of species and parameters, assignment rules
    (substituted), function definitions, choices (piecewise), initial amounts, concentrations and
    assignments, local parameters. Events, delays, algebraic rules, varying volumes and
    stoichiometries, conversion factors and fast reactions are refused with the element's name.
    Outputs are every species' concentration, or its amount where the species is one of substance
    units only, and every variable that an assignment rule gives.

    Raises MissingExtraError without libSBML, InputError for a file that is not read whole.
    """
    document = _document(Path(path))
    model = document.getModel()
    _refuse(path, model)
    _check_consistent(path, document)
    volumes = {
        c.getId(): c.getSize() if c.isSetSize() else 1.0
        for c in _list(model.getListOfCompartments())
    }
    species = {s.getId(): s for s in _list(model.getListOfSpecies())}
    parameters = {p.getId(): p.getValue() for p in _list(model.getListOfParameters())}
    rules = _assignments(model)
    names = _Names(species, volumes, rules, model)
    parameters = {k: v for k, v in parameters.items() if k not in rules}
    start = _start(path, model, names, parameters)
    parameters = {k: start[k] for k in parameters if k not in names.rated}
    equations: dict[str, list[str]] = {s: [] for s in species if s in names.moving}
    for reaction in _list(model.getListOfReactions()):
        _add_reaction(path, reaction, equations, names, parameters)
    for rule in _list(model.getListOfRules()):
        if rule.isRate():
            _add_rate_rule(path, rule, equations, species, volumes, names)
    fixed = {k: v for k, v in start.items() if k.endswith("_fixed")}
    return build_system(
        compartments=list(equations),
        equations={s: " + ".join(t) if t else "0" for s, t in equations.items()},
        parameters={**parameters, **{f"{c}_size": v for c, v in volumes.items()}, **fixed},
        outputs={
            **{s: names.concentration(s) if s in species else s for s in equations},
            **{v: names.write(formula, {}, path) for v, formula in rules.items()},
        },
        initial={s: repr(start[s]) for s in equations},
        where=str(path),
    )


def _document(path: Path) -> Any:
    try:
        import libsbml
    except ImportError:
        raise MissingExtraError(
            "SBML files need libSBML. Install it with: pip install 'klarsyn[sbml]'"
        ) from None
    if not path.is_file():
        raise InputError(f"{path}: there is no such file. Check the path and its spelling.")
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path}: larger than {MOST_BYTES >> 20} MiB.")
    document = libsbml.readSBMLFromString(path.read_text(encoding="utf-8", errors="replace"))
    _check_errors(path, document)
    if document.getModel() is None:
        raise InputError(f"{path}: not a valid SBML file (no model).")
    return document


def _check_consistent(path: str | Path, document: Any) -> None:
    """Whether identifiers, formulas and rules fit together, as libSBML judges."""
    import libsbml

    for category in (
        libsbml.LIBSBML_CAT_UNITS_CONSISTENCY,
        libsbml.LIBSBML_CAT_MODELING_PRACTICE,
    ):
        document.setConsistencyChecks(category, False)
    document.checkConsistency()
    _check_errors(path, document)


def _check_errors(path: str | Path, document: Any) -> None:
    import libsbml

    for i in range(document.getNumErrors()):
        error = document.getError(i)
        if error.getSeverity() >= libsbml.LIBSBML_SEV_ERROR:
            words = " ".join(error.getMessage().split())
            said = re.sub(r"^.*Reference: L\dV\d Section [\d.]+\s*", "", words).rstrip(".")
            said = f"; {said}" if said and said != words else ""
            raise InputError(
                f"{path}: not a valid SBML file (line {error.getLine()}: "
                f"{error.getShortMessage()}{said})."
            )


def _list(items: Any) -> list[Any]:
    return [items.get(i) for i in range(items.size())]


def _refuse(path: str | Path, model: Any) -> None:
    for event in _list(model.getListOfEvents()):
        raise InputError(
            f"{path}: event {event.getId()!r} is not read. Give doses as an event table instead."
        )
    for rule in _list(model.getListOfRules()):
        if rule.isAlgebraic():
            raise InputError(f"{path}: an algebraic rule is not read.")
    for compartment in _list(model.getListOfCompartments()):
        if not compartment.getConstant():
            raise InputError(f"{path}: the volume of {compartment.getId()!r} varies; not read.")
        size = compartment.getSize() if compartment.isSetSize() else math.nan
        holds = any(
            s.getCompartment() == compartment.getId() and not s.getHasOnlySubstanceUnits()
            for s in _list(model.getListOfSpecies())
        )
        if holds and not (math.isfinite(size) and size > 0):
            raise InputError(
                f"{path}: compartment {compartment.getId()!r} has the size {size:g}. Give it a "
                f"finite volume above 0."
            )
    known = {
        x.getId() for x in (*_list(model.getListOfSpecies()), *_list(model.getListOfParameters()))
    }
    for rule in _list(model.getListOfRules()):
        if rule.getVariable() not in known:
            raise InputError(
                f"{path}: the rule of {rule.getVariable()!r}, which is no species or parameter, is "
                f"not read."
            )
    for assignment in _list(model.getListOfInitialAssignments()):
        if assignment.getSymbol() not in known:
            raise InputError(
                f"{path}: the initial assignment of {assignment.getSymbol()!r}, which is no "
                f"species or parameter, is not read."
            )
    if model.getConversionFactor() or any(
        s.getConversionFactor() for s in _list(model.getListOfSpecies())
    ):
        raise InputError(f"{path}: conversion factors are not read.")
    for reaction in _list(model.getListOfReactions()):
        if reaction.getFast():
            raise InputError(f"{path}: the fast reaction {reaction.getId()!r} is not read.")
        for one in (*_list(reaction.getListOfReactants()), *_list(reaction.getListOfProducts())):
            given = one.isSetStoichiometry() or model.getLevel() < 3
            if not given or not math.isfinite(one.getStoichiometry()):
                raise InputError(
                    f"{path}: {one.getSpecies()!r} in reaction {reaction.getId()!r} has no "
                    f"stoichiometry. Give it a number."
                )
            if one.isSetStoichiometryMath():
                raise InputError(
                    f"{path}: reaction {reaction.getId()!r} has a stoichiometry that is a formula; "
                    f"only numbers are read."
                )


def _start(
    path: str | Path, model: Any, names: _Names, parameters: Mapping[str, float]
) -> dict[str, float]:
    """What parameters and amounts are at time 0, by the names they have in an equation."""
    start = {**parameters, **{f"{c}_size": v for c, v in names.volumes.items()}, "t": 0.0}
    for s, x in names.species.items():
        if s not in names.rules:
            start[names.amount(s)] = _initial(x, names.volumes)
    waiting = {
        names.amount(a.getSymbol()): (
            a.getSymbol(),
            read_expression(names.write(a.getMath(), {}, path), str(path)),
        )
        for a in _list(model.getListOfInitialAssignments())
    }
    while waiting:
        ready = [k for k, (_, formula) in waiting.items() if not formula.names & set(waiting)]
        if not ready:
            raise InputError(
                f"{path}: the initial assignments of {', '.join(sorted(waiting))} need each other."
            )
        for key in ready:
            symbol, formula = waiting.pop(key)
            check_names(formula, start, f"{path}: initial assignment of {symbol!r}")
            value = float(evaluate(formula, start))
            start[key] = value * names.per_concentration(symbol)
    for key, value in start.items():
        if not math.isfinite(value):
            raise InputError(
                f"{path}: {key.removesuffix('_fixed')!r} has no finite value at the start. Give it "
                f"one, or an initial assignment."
            )
    return start


def _initial(species: Any, volumes: Mapping[str, float]) -> float:
    if species.isSetInitialAmount():
        return float(species.getInitialAmount())
    if species.isSetInitialConcentration():
        return float(species.getInitialConcentration()) * volumes[species.getCompartment()]
    return math.nan


def _assignments(model: Any) -> dict[str, Any]:
    return {r.getVariable(): r.getMath() for r in _list(model.getListOfRules()) if r.isAssignment()}


class _Names:
    """How each SBML symbol is written in an equation in amounts."""

    def __init__(
        self,
        species: Mapping[str, Any],
        volumes: Mapping[str, float],
        rules: Mapping[str, Any],
        model: Any,
    ) -> None:
        self.species, self.volumes, self.rules, self.model = species, volumes, rules, model
        ruled = {r.getVariable() for r in _list(model.getListOfRules()) if r.isRate()}
        self.reacting = {
            s
            for s, x in species.items()
            if not x.getBoundaryCondition() and not x.getConstant() and s not in rules
        }
        self.moving = self.reacting | (ruled & set(species))
        self.rated = ruled - set(species)
        self.functions = {f.getId(): f for f in _list(model.getListOfFunctionDefinitions())}

    def concentration(self, name: str) -> str:
        """A species as SBML means it: concentration, or amount for substance units only."""
        item = self.species[name]
        if item.getHasOnlySubstanceUnits():
            return self.amount(name)
        return f"({self.amount(name)}/{item.getCompartment()}_size)"

    def amount(self, name: str) -> str:
        """What a symbol's amount, or a parameter, is called in an equation."""
        fixed = name in self.species and name not in self.moving
        return f"{name}_fixed" if fixed else name

    def per_concentration(self, name: str) -> float:
        """What turns a symbol's value into an amount: its volume, or 1."""
        item = self.species.get(name)
        if item is None or item.getHasOnlySubstanceUnits():
            return 1.0
        return float(self.volumes[item.getCompartment()])

    def write(self, node: Any, local: Mapping[str, str], path: str | Path) -> str:
        """The formula as text for `read_expression`."""
        return _write(node, self, local, path)


def _write(node: Any, names: _Names, local: Mapping[str, str], path: str | Path) -> str:
    import libsbml as sb

    kind = node.getType()
    children = [node.getChild(i) for i in range(node.getNumChildren())]
    if kind in (sb.AST_INTEGER, sb.AST_REAL, sb.AST_REAL_E, sb.AST_RATIONAL):
        return f"({float(node.getValue())!r})"
    if kind == sb.AST_NAME_TIME:
        if names.model.getElementBySId("t") is not None:
            raise InputError(f"{path}: 't' is a symbol of the model beside time itself. Rename it.")
        return "t"
    constant = {sb.AST_CONSTANT_E: math.e, sb.AST_CONSTANT_PI: math.pi}.get(kind)
    if constant is not None:
        return f"({constant!r})"
    if kind == sb.AST_NAME:
        return _symbol(node.getName(), names, local, path)
    if kind == sb.AST_FUNCTION and node.getName() in names.functions:
        return _called(names.functions[node.getName()], children, names, local, path)
    texts = [_write(c, names, local, path) for c in children]
    joined = {sb.AST_PLUS: " + ", sb.AST_TIMES: "*"}.get(kind)
    if joined is not None:
        empty = "0" if kind == sb.AST_PLUS else "1"
        return f"({joined.join(texts) if texts else empty})"
    if kind == sb.AST_MINUS:
        return f"(-{texts[0]})" if len(texts) == 1 else f"({texts[0]} - {texts[1]})"
    if kind == sb.AST_DIVIDE:
        return f"({texts[0]}/{texts[1]})"
    if kind in (sb.AST_POWER, sb.AST_FUNCTION_POWER):
        return f"pow({texts[0]}, {texts[1]})"
    if kind == sb.AST_FUNCTION_ROOT:
        degree, inside = (texts[0], texts[1]) if len(texts) == 2 else ("2", texts[0])
        return f"pow({inside}, 1/{degree})"
    if kind == sb.AST_FUNCTION_LOG and len(texts) == 2:
        return f"(log({texts[1]})/log({texts[0]}))"
    if kind == sb.AST_FUNCTION_PIECEWISE and len(texts) % 2:
        chosen = texts[-1]
        for value, test in zip(texts[-3::-2], texts[-2::-2], strict=True):
            chosen = f"(({value}) if ({test}) else ({chosen}))"
        return chosen
    compared = _compared(kind)
    if compared and len(texts) == 2:
        return f"{texts[0]} {compared} {texts[1]}"
    known = {sb.AST_FUNCTION_EXP: "exp", sb.AST_FUNCTION_LN: "log", sb.AST_FUNCTION_ABS: "abs"}
    name = known.get(kind, node.getName())
    if name in FUNCTIONS and name not in ("log10",):
        return f"{name}({', '.join(texts)})"
    raise InputError(f"{path}: {sb.formulaToL3String(node)!r} uses a function that is not read.")


def _compared(kind: int) -> str | None:
    import libsbml as sb

    return {
        sb.AST_RELATIONAL_GT: ">",
        sb.AST_RELATIONAL_GEQ: ">=",
        sb.AST_RELATIONAL_LT: "<",
        sb.AST_RELATIONAL_LEQ: "<=",
        sb.AST_RELATIONAL_EQ: "==",
        sb.AST_RELATIONAL_NEQ: "!=",
    }.get(kind)


def _symbol(name: str, names: _Names, local: Mapping[str, str], path: str | Path) -> str:
    if name in local:
        return local[name]
    if name in names.rules:
        return f"({names.write(names.rules[name], {}, path)})"
    if name in names.species:
        return names.concentration(name)
    return f"{name}_size" if name in names.volumes else name


def _called(
    function: Any, arguments: list[Any], names: _Names, local: Mapping[str, str], path: str | Path
) -> str:
    bound = {
        function.getArgument(i).getName(): names.write(a, local, path)
        for i, a in enumerate(arguments)
    }
    return f"({names.write(function.getBody(), bound, path)})"


def _add_reaction(
    path: str | Path,
    reaction: Any,
    equations: dict[str, list[str]],
    names: _Names,
    parameters: dict[str, float],
) -> None:
    law = reaction.getKineticLaw()
    if law is None or law.getMath() is None:
        raise InputError(f"{path}: reaction {reaction.getId()!r} has no kinetic law.")
    local = {}
    for p in [*_list(law.getListOfLocalParameters()), *_list(law.getListOfParameters())]:
        own = f"{reaction.getId()}_{p.getId()}"
        parameters[own] = p.getValue()
        local[p.getId()] = own
    rate = names.write(law.getMath(), local, path)
    sides = ((reaction.getListOfReactants(), "-"), (reaction.getListOfProducts(), "+"))
    for references, sign in sides:
        for reference in _list(references):
            if reference.getSpecies() in names.reacting:
                count = reference.getStoichiometry() if reference.isSetStoichiometry() else 1.0
                term = f"({sign}{float(count)!r}*({rate}))"
                equations[reference.getSpecies()].append(term)


def _add_rate_rule(
    path: str | Path,
    rule: Any,
    equations: dict[str, list[str]],
    species: Mapping[str, Any],
    volumes: Mapping[str, float],
    names: _Names,
) -> None:
    name = rule.getVariable()
    text = names.write(rule.getMath(), {}, path)
    item = species.get(name)
    if item is not None and not item.getHasOnlySubstanceUnits():
        text = f"{item.getCompartment()}_size*({text})"
    equations.setdefault(name, []).append(text)
