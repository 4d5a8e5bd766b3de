"""From text, or a SymPy tree, to a checked SymPy expression; nothing is ever evaluated.

Text goes through `ast.parse` and a whitelist; a SymPy expression is walked by the same rules. Both are
rebuilt from nothing by `derivations.grammar`.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Mapping
from fractions import Fraction

import sympy
from sympy import Add, Expr, Mul, Pow, Symbol
from sympy.printing.str import StrPrinter

from derivations import grammar
from derivations.errors import FormulaError

MAX_LENGTH = 2000

_LITERAL = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_+\-*/(). \t]")
_JUXTAPOSED = re.compile(r"(?<![A-Za-z0-9_.])(\d+\.?\d*)\s*([A-Za-z_(])")
_ADVICE = {
    "^": "powers are written **, as in z**3",
    "=": "a formula is an expression, with no equals sign",
    ",": "every function takes one argument, and decimals have a point",
}
_OPERATORS: Mapping[type, Callable[[Expr, Expr], Expr]] = {
    ast.Add: grammar.add,
    ast.Sub: lambda x, y: grammar.add(x, grammar.multiply(sympy.Integer(-1), y)),
    ast.Mult: grammar.multiply,
    ast.Div: lambda x, y: grammar.multiply(x, grammar.power(y, sympy.Integer(-1))),
    ast.Pow: grammar.power,
}


def parse_formula(text: str, names: Mapping[str, Symbol]) -> Expr:
    """Parse a formula without evaluating it.

    Args:
        text: Numbers, `names`, pi and E, joined by + - * / ** and the listed functions.
        names: The symbols that may occur, by name.

    Returns:
        A SymPy expression in those symbols, decimal literals as exact rationals.

    Raises:
        FormulaError: the text is anything else; the message says where and what is allowed.

    >>> z = Symbol("z", real=True)
    >>> parse_formula("0.5*z**2 + arctan(z)", {"z": z})
    z**2/2 + atan(z)
    """
    if not isinstance(text, str):
        raise FormulaError(f"a formula is text or a SymPy expression, not {type(text).__name__}")
    stripped = text.strip()
    _check_text(stripped)
    return _TextWalk(stripped, names).build(_tree(stripped), 0)


def rebuild_expression(expr: Expr, names: Mapping[str, Symbol]) -> Expr:
    """Rebuild a SymPy expression by the rules for text, symbols matched by name.

    Raises:
        FormulaError: it contains something that a formula cannot.

    >>> z = Symbol("z", real=True)
    >>> rebuild_expression(0.5 * Symbol("z"), {"z": z})
    z/2
    """
    return _rebuild(expr, names, 0)


def formula_text(expr: Expr) -> str:
    """Write an expression as text, the same in every process.

    >>> formula_text(Symbol("z") ** 3 + 1)
    'z**3 + 1'
    """
    return str(StrPrinter({"order": "lex", "full_prec": True, "abbrev": False}).doprint(expr))


def _check_text(text: str) -> None:
    if not text:
        raise FormulaError("the formula is empty; write one such as z**3 + z")
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"the formula is {len(text)} characters long; at most {MAX_LENGTH} are allowed")
    bad = _FORBIDDEN.search(text)
    if bad:
        advice = _ADVICE.get(bad.group(), "allowed are letters, digits, + - * / ** ( ) . and _")
        raise _located(text, bad.start(), f"{bad.group()!r} is not allowed here; {advice}")


def _tree(text: str) -> ast.expr:
    """Python's own parser, with what it says turned into advice."""
    juxtaposed = next((m for m in _JUXTAPOSED.finditer(text) if not _LITERAL.fullmatch(_word(text, m.start()))), None)
    if juxtaposed:
        left, right = juxtaposed.groups()
        raise _located(text, juxtaposed.start(2), f"a product needs its sign: write {left}*{right}...")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        column = min(max((error.offset or 1) - 1, 0), len(text))
        raise _located(text, column, f"this is not a formula ({error.msg}); is an operator missing?") from None
    except (ValueError, MemoryError, RecursionError) as error:
        raise FormulaError(f"the formula cannot be read ({type(error).__name__}); simplify it") from None


def _word(text: str, start: int) -> str:
    """The run of characters at `start` that a decimal literal could be."""
    found = re.match(r"[\d.]+([eE][+-]?\d+)?", text[start:])
    word = found.group() if found else ""
    following = text[start + len(word) : start + len(word) + 1]
    return word if not (following.isalnum() or following in ("_", "(")) or not following else ""


class _TextWalk:
    """Builds the expression of one text; each method takes one kind of node."""

    def __init__(self, text: str, names: Mapping[str, Symbol]) -> None:
        self.text = text
        self.names = names

    def build(self, node: ast.expr, depth: int) -> Expr:
        """Build one node, adding the place to any complaint."""
        if depth > grammar.MAX_DEPTH:
            raise FormulaError(f"the formula is nested too deeply; at most {grammar.MAX_DEPTH} levels are allowed")
        parts = [self.build(child, depth + 1) for child in self._operands(node)]
        try:
            return self._combine(node, parts)
        except FormulaError as error:
            raise _located(self.text, node.col_offset, str(error)) from None

    def _operands(self, node: ast.expr) -> list[ast.expr]:
        if isinstance(node, ast.BinOp):
            return [node.left, node.right]
        if isinstance(node, ast.UnaryOp):
            return [node.operand]
        if isinstance(node, ast.Call):
            return self._argument(node)
        return []

    def _combine(self, node: ast.expr, parts: list[Expr]) -> Expr:
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](*parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            return grammar.multiply(sympy.Integer(-1), *parts) if isinstance(node.op, ast.USub) else parts[0]
        if isinstance(node, ast.Call):
            return grammar.call(node.func.id, *parts)  # type: ignore[attr-defined]
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.Constant):
            return self._number(node)
        raise FormulaError(f"{_kind(node)} is not allowed; allowed are + - * / **, numbers, names and function calls")

    def _argument(self, node: ast.Call) -> list[ast.expr]:
        """The one argument of a call by name."""
        if not isinstance(node.func, ast.Name):
            raise self._at(node, _not_by_name(node.func))
        if node.func.id in self.names or node.func.id in grammar.CONSTANTS:
            raise self._at(node, f"{node.func.id} is not a function; write {node.func.id}*(...) for a product")
        if node.func.id not in grammar.CALLS:
            raise self._at(node, grammar.unknown_function(node.func.id))
        if len(node.args) != 1 or node.keywords or isinstance(node.args[0], ast.Starred):
            raise self._at(node, f"{node.func.id} takes exactly one argument")
        return node.args

    def _name(self, name: str) -> Expr:
        if name in self.names:
            return self.names[name]
        if name in grammar.CONSTANTS:
            return grammar.CONSTANTS[name]
        raise FormulaError(_unknown_name(name, self.names))

    def _number(self, node: ast.Constant) -> Expr:
        """A decimal literal, read from the text itself so that no digit is rounded."""
        literal = self.text[node.col_offset : node.end_col_offset]
        if not _LITERAL.fullmatch(literal):
            raise FormulaError(f"{literal[:20]!r} is not a decimal number such as 2, 0.5 or 1e-3")
        return grammar.number(Fraction(literal))

    def _at(self, node: ast.expr, message: str) -> FormulaError:
        return _located(self.text, node.col_offset, message)


def _kind(node: ast.expr) -> str:
    """What a node is called, with the operator where there is one."""
    operator = getattr(node, "op", None)
    return type(node).__name__ if operator is None else f"{type(node).__name__} with {type(operator).__name__}"


def _unknown_name(name: str, names: Mapping[str, Symbol]) -> str:
    allowed = ", ".join([*names, *grammar.CONSTANTS])
    if name in grammar.CALLS:
        return f"{name} is a function and needs its argument: {name}(z)"
    if name == "e":
        return "unknown name 'e'; Euler's number is written E, its powers exp(z)"
    own = ": z is the pre-activation, and scalars that a unit trains are named as own" if "a" in names else ""
    return f"unknown name {name!r}; the names are {allowed}{own}"


def _not_by_name(called: ast.expr) -> str:
    if isinstance(called, ast.Attribute) and called.attr in grammar.CALLS:
        return f"functions stand without a module's name: {called.attr}(z)"
    return "only the listed functions can be called; a product needs its sign *"


def _located(text: str, column: int, message: str) -> FormulaError:
    """An error with the formula and a caret; one that has its place already keeps it."""
    if "\n" in message:
        return FormulaError(message)
    start = max(0, column - 40)
    shown = text[start : column + 40]
    return FormulaError(f"{message} (column {column + 1})\n    {shown}\n    {' ' * (column - start)}^")


def _rebuild(node: Expr, names: Mapping[str, Symbol], depth: int) -> Expr:
    if depth > grammar.MAX_DEPTH:
        raise FormulaError(f"the formula is nested too deeply; at most {grammar.MAX_DEPTH} levels are allowed")
    if isinstance(node, Symbol):
        return _matched(node.name, names)
    if isinstance(node, sympy.Number):
        return grammar.number(_exact(node))
    if node in (sympy.pi, sympy.E):
        return node
    parts = [_rebuild(arg, names, depth + 1) for arg in _arguments(node)]
    if type(node) in (Add, Mul):
        return grammar.add(*parts) if type(node) is Add else grammar.multiply(*parts)
    return grammar.power(*parts) if type(node) is Pow else grammar.call(type(node).__name__, *parts)


def _arguments(node: Expr) -> tuple[Expr, ...]:
    """The parts of a node of a kind that is allowed."""
    if type(node) in (Add, Mul, Pow) or grammar.CALLS.get(type(node).__name__) is type(node) or type(node) is sympy.log:
        return tuple(node.args)
    if node is sympy.I or node.has(sympy.I):
        raise FormulaError("the expression is complex; only real formulas are allowed")
    raise FormulaError(f"the expression contains {grammar.unknown_node(type(node).__name__)}")


def _matched(name: str, names: Mapping[str, Symbol]) -> Symbol:
    if name not in names:
        raise FormulaError(f"the expression contains the symbol {name[:60]!r}; the symbols are {', '.join(names)}")
    return names[name]


def _exact(value: sympy.Number) -> Fraction:
    """The number itself; a double becomes the shortest decimal that rounds to it, as in text."""
    if isinstance(value, sympy.Rational) and value.q:
        return Fraction(int(value.p), int(value.q))
    if not (isinstance(value, sympy.Float) and value.is_finite):
        raise FormulaError(f"the expression contains {value}; only finite real numbers are allowed")
    return _exact_float(value)


def _exact_float(value: sympy.Float) -> Fraction:
    sign, mantissa, exponent, _ = value._mpf_
    if abs(exponent) > 2 * grammar.MAX_BITS:
        raise FormulaError("a number in the expression is too large or too small")
    if value._prec <= 53:
        return Fraction(repr(float(value)))
    return (-1) ** sign * Fraction(int(mantissa)) * Fraction(2) ** exponent
