"""Arithmetic written as text, read without running it: values, linear forms and functions."""

from __future__ import annotations

import ast
import copy
import keyword
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

from klarsyn.errors import InputError, unknown_name

FUNCTIONS: dict[str, str] = {
    "exp": "exp",
    "log": "log",
    "ln": "log",
    "log10": "log10",
    "log2": "log2",
    "sqrt": "sqrt",
    "pow": "power",
    "abs": "abs",
    "fabs": "abs",
    "floor": "floor",
    "ceil": "ceil",
    "tanh": "tanh",
    "sin": "sin",
    "cos": "cos",
    "min": "minimum",
    "max": "maximum",
    "fmin": "minimum",
    "fmax": "maximum",
    "expit": "expit",
}
TWO_ARGUMENTS = frozenset({"power", "minimum", "maximum"})
TIME_NAMES = ("t", "time", "TIME")

_MARK = "__as_name"
_RESERVED = re.compile(
    rf"\b({'|'.join(sorted(set(keyword.kwlist) - {'if', 'else'}))})\b"  # lambda is a rate, too
)
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd)
_COMPARISONS = (ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.Eq, ast.NotEq)
LONGEST = 20_000
DEEPEST = 200
ROUNDING = 1e-10


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked arithmetic text: numbers, names, + - * / ** ^, the FUNCTIONS, `a if b else c`."""

    text: str
    tree: ast.expr
    names: frozenset[str]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Affine:
    """`constant + Σ coefficients[name] * name`, each a number or an array over individuals."""

    constant: Any
    coefficients: Mapping[str, Any]


def read_expression(text: str | float | int, where: str = "expression") -> Expression:
    """Parse arithmetic; anything but arithmetic raises InputError naming what was found."""
    written = str(text).strip()
    if len(written) > LONGEST:
        raise InputError(f"{where}: longer than {LONGEST} characters. Split the equation.")
    try:
        plain = _RESERVED.sub(rf"\1{_MARK}", _without_question(written.replace("^", "**")))
        tree = ast.parse(plain, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InputError(
            f"{where}: {_short(written)!r} is not an arithmetic expression. Write for example "
            f"CL/V*A1 with + - * / ^ and the functions {', '.join(sorted(FUNCTIONS))}."
        ) from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = node.id.removesuffix(_MARK)
    names: set[str] = set()
    _check(tree, names, where, written, 0)
    return Expression(written, tree, frozenset(names))


def _without_question(text: str) -> str:
    """`a ? b : c`, as C and SBML write a choice, becomes `b if a else c`."""
    mark = text.find("?")
    if mark < 0:
        return text
    start = mark - _span(text[:mark][::-1], ")", "(,")
    middle = mark + 1 + _span(text[mark + 1 :], "(", ":", "?")
    end = middle + 1 + _span(text[middle + 1 :], "(", "),")
    test, yes, no = text[start:mark], text[mark + 1 : middle], text[middle + 1 : end]
    if not text[middle : middle + 1]:
        raise ValueError("a question mark without its colon")
    choice = f"(({_without_question(yes)}) if ({test}) else ({_without_question(no)}))"
    return _without_question(text[:start] + choice + text[end:])


def _span(text: str, opens: str, stops: str, nests: str = "") -> int:
    """How far `text` goes until one of `stops` stands outside every bracket."""
    closes = "(" if opens == ")" else ")"
    depth = 0
    for i, letter in enumerate(text):
        if depth == 0 and letter in stops:
            return i
        depth += (letter == opens or letter in nests) - (letter == closes)
        if nests and letter == ":":
            depth -= 1
    return len(text)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _check(node: ast.AST, names: set[str], where: str, text: str, depth: int) -> None:
    if depth > DEEPEST:
        raise InputError(f"{where}: nested deeper than {DEEPEST} levels. Split the equation.")
    if isinstance(node, ast.Call):
        _check_call(node, where)
        children: Iterable[ast.AST] = node.args
    elif isinstance(node, ast.Name):
        names.add(node.id)
        return
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
            raise InputError(f"{where}: {node.value!r} in {_short(text)!r} is not a number.")
        return
    elif isinstance(node, (ast.BinOp, ast.UnaryOp)):
        if not isinstance(node.op, _OPERATORS):
            raise _not_arithmetic(node.op, where, text)
        children = [c for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr)]
    elif isinstance(node, ast.IfExp):
        children = [node.test, node.body, node.orelse]
    elif isinstance(node, ast.Compare):
        if len(node.ops) != 1 or not isinstance(node.ops[0], _COMPARISONS):
            raise _not_arithmetic(node, where, text)
        children = [node.left, *node.comparators]
    else:
        raise _not_arithmetic(node, where, text)
    for child in children:
        _check(child, names, where, text, depth + 1)


def _check_call(node: ast.Call, where: str) -> None:
    if not isinstance(node.func, ast.Name) or node.keywords:
        raise InputError(f"{where}: only plain calls such as exp(x) are arithmetic here.")
    if node.func.id not in FUNCTIONS:
        raise unknown_name("function", node.func.id, FUNCTIONS, where)
    wanted = 2 if FUNCTIONS[node.func.id] in TWO_ARGUMENTS else 1
    if len(node.args) != wanted or any(isinstance(a, ast.Starred) for a in node.args):
        raise InputError(
            f"{where}: {node.func.id}() takes {wanted} argument{'s' * (wanted > 1)}, "
            f"not {len(node.args)}."
        )


def _not_arithmetic(node: ast.AST, where: str, text: str) -> InputError:
    return InputError(
        f"{where}: {type(node).__name__} in {_short(text)!r} is not arithmetic. Use numbers, "
        f"names, + - * / ^, and {', '.join(sorted(FUNCTIONS))}."
    )


def check_names(expression: Expression, known: Iterable[str], where: str) -> None:
    """Raise UnknownNameError for the first name that is not known."""
    known = set(known)
    for name in sorted(expression.names - known):
        raise unknown_name("parameter or compartment", name, known, where)


def evaluate(expression: Expression, values: Mapping[str, Any]) -> Any:
    """The number (or array) that the expression has at these values."""
    import numpy as np

    with np.errstate(all="ignore"):
        return _evaluate(expression.tree, values)


def _evaluate(node: ast.AST, values: Mapping[str, Any]) -> Any:
    import numpy as np

    match node:
        case ast.Constant(value=value):
            return np.float64(value)  # type: ignore[arg-type]
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=op, operand=operand):
            inner = _evaluate(operand, values)
            return -inner if isinstance(op, ast.USub) else inner
        case ast.BinOp(left=left, op=op, right=right):
            return _binary(op, _evaluate(left, values), _evaluate(right, values))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _function(FUNCTIONS[name])(*[_evaluate(a, values) for a in arguments])
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _compare(op, _evaluate(left, values), _evaluate(right, values))
        case ast.IfExp(test=test, body=body, orelse=orelse):
            answer = np.where(
                _evaluate(test, values), _evaluate(body, values), _evaluate(orelse, values)
            )
            return answer[()] if answer.ndim == 0 else answer
    raise TypeError(type(node).__name__)


def _binary(op: ast.AST, a: Any, b: Any) -> Any:
    import numpy as np

    match op:
        case ast.Add():
            return a + b
        case ast.Sub():
            return a - b
        case ast.Mult():
            return a * b
        case ast.Div():
            return np.divide(a, b)
        case _:
            return np.power(np.asarray(a, float), b)[()]


def _compare(op: ast.AST, a: Any, b: Any) -> Any:
    match op:
        case ast.Gt():
            return a > b
        case ast.GtE():
            return a >= b
        case ast.Lt():
            return a < b
        case ast.LtE():
            return a <= b
        case ast.Eq():
            return a == b
        case _:
            return a != b


def _function(name: str) -> Callable[..., Any]:
    import numpy as np

    if name == "expit":
        return lambda x: 1.0 / (1.0 + np.exp(-x))
    return getattr(np, name)


def affine_form(
    expression: Expression, states: Sequence[str], values: Mapping[str, Any]
) -> Affine | None:
    """The expression as an affine form in `states`, or None where it is not one.

    Parameters take their `values` (numbers or arrays over individuals) first, so a product of two
    states whose factor is zero counts as linear. Time, if it occurs, makes the form not affine.
    """
    import numpy as np

    with np.errstate(all="ignore"):
        return _affine(expression.tree, frozenset(states), values)


def _affine(node: ast.AST, states: frozenset[str], values: Mapping[str, Any]) -> Affine | None:
    match node:
        case ast.Name(id=name):
            if name in states:
                return Affine(0.0, {name: 1.0})
            return Affine(values[name], {}) if name in values else None
        case ast.Constant():
            return Affine(_evaluate(node, values), {})
        case ast.UnaryOp(op=op, operand=operand):
            inner = _affine(operand, states, values)
            if inner is None or isinstance(op, ast.UAdd):
                return inner
            return _scaled(inner, -1.0)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _affine(left, states, values), _affine(right, states, values)
            return None if a is None or b is None else _combine(op, a, b)
    return _constant_only(node, states, values)


def _constant_only(
    node: ast.AST, states: frozenset[str], values: Mapping[str, Any]
) -> Affine | None:
    calls = {id(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in calls}
    if names & states or not names <= set(values):
        return None
    return Affine(_evaluate(node, values), {})


def _combine(op: ast.AST, a: Affine, b: Affine) -> Affine | None:
    match op:
        case ast.Add():
            return _sum(a, b, 1.0)
        case ast.Sub():
            return _sum(a, b, -1.0)
        case ast.Mult():
            if not b.coefficients:
                return _scaled(a, b.constant)
            if not a.coefficients:
                return _scaled(b, a.constant)
        case ast.Div():
            if not b.coefficients:
                return _divided(a, b.constant)
        case _:
            if not a.coefficients and not b.coefficients:
                return Affine(_binary(ast.Pow(), a.constant, b.constant), {})
            if not b.coefficients and _all(b.constant == 1):
                return a
    return None


def _sum(a: Affine, b: Affine, sign: float) -> Affine:
    coefficients = dict(a.coefficients)
    for name, value in b.coefficients.items():
        coefficients[name] = coefficients.get(name, 0.0) + sign * value
    return Affine(a.constant + sign * b.constant, coefficients)


def _scaled(a: Affine, factor: Any) -> Affine:
    kept = {n: v * factor for n, v in a.coefficients.items() if not _all(v * factor == 0)}
    return Affine(a.constant * factor, kept)


def _divided(a: Affine, divisor: Any) -> Affine:
    import numpy as np

    return Affine(
        np.divide(a.constant, divisor),
        {n: np.divide(v, divisor) for n, v in a.coefficients.items()},
    )


def _all(truth: Any) -> bool:
    import numpy as np

    return bool(np.all(truth))


def compile_vector(
    expressions: Sequence[Expression], states: Sequence[str], values: Mapping[str, float]
) -> Callable[[float, Sequence[float]], list[float]]:
    """A function f(t, x) → list of the expressions' values, for an integrator's inner loop.

    Built from the checked trees alone: nothing of the text is run that is not arithmetic.
    """
    place = {name: i for i, name in enumerate(states)}
    body = [_indexed(e.tree, place, values) for e in expressions]
    function = ast.Lambda(
        args=ast.arguments(
            posonlyargs=[],
            args=[ast.arg(arg="_t"), ast.arg(arg="_x")],
            kwonlyargs=[],
            kw_defaults=[],
            defaults=[],
        ),
        body=ast.List(elts=body, ctx=ast.Load()),
    )
    tree = ast.fix_missing_locations(ast.Expression(body=function))
    code: CodeType = compile(tree, "<equations>", "eval")
    return eval(code, {"__builtins__": {}, **_scalar_functions()})


def _indexed(node: ast.AST, place: Mapping[str, int], values: Mapping[str, float]) -> ast.expr:
    class Rewrite(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.AST:
            assert isinstance(node.func, ast.Name)
            called = ast.Name(id=f"_{FUNCTIONS[node.func.id]}", ctx=ast.Load())
            return ast.Call(func=called, args=[self.visit(a) for a in node.args], keywords=[])

        def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
            left, right = self.visit(node.left), self.visit(node.right)
            if isinstance(node.op, ast.Pow):
                called = ast.Name(id="_power", ctx=ast.Load())
                return ast.Call(func=called, args=[left, right], keywords=[])
            return ast.BinOp(left=left, op=node.op, right=right)

        def visit_Name(self, node: ast.Name) -> ast.AST:
            if node.id in place:
                state = ast.Name(id="_x", ctx=ast.Load())
                return ast.Subscript(state, ast.Constant(place[node.id]), ast.Load())
            if node.id in values:
                return ast.Constant(float(values[node.id]))
            return ast.Name(id="_t", ctx=ast.Load())

    return Rewrite().visit(copy.deepcopy(node))


def _scalar_functions() -> dict[str, Callable[..., float]]:
    return {
        "_exp": _guarded(math.exp, math.inf),
        "_log": _guarded(math.log, math.nan),
        "_log10": _guarded(math.log10, math.nan),
        "_log2": _guarded(math.log2, math.nan),
        "_sqrt": _guarded(math.sqrt, math.nan),
        "_power": _power,
        "_abs": abs,
        "_floor": math.floor,
        "_ceil": math.ceil,
        "_tanh": math.tanh,
        "_sin": math.sin,
        "_cos": math.cos,
        "_minimum": min,
        "_maximum": max,
        "_expit": lambda x: 1.0 / (1.0 + _guarded(math.exp, math.inf)(-x)),
    }


def _guarded(function: Callable[[float], float], otherwise: float) -> Callable[[float], float]:
    def safe(x: float) -> float:
        try:
            return function(x)
        except (ValueError, OverflowError):
            return otherwise

    return safe


def _power(base: float, exponent: float) -> float:
    if -ROUNDING < base < 0 and exponent != int(exponent):
        base = 0.0  # an empty compartment that the integrator left a rounding error below zero
    try:
        answer = base**exponent
    except (OverflowError, ZeroDivisionError):
        return math.inf
    return answer if isinstance(answer, (int, float)) else math.nan
