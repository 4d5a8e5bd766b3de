"""The parser: what it takes, what it refuses, and that it never evaluates anything or runs for long."""

import ast
import builtins
import string
import time

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Expr, Rational, Symbol

from derivations import FormulaError, UnitFunction
from derivations.functions import sigmoid, softplus
from derivations.grammar import CALLS, WRITTEN
from derivations.parser import formula_text, parse_formula, rebuild_expression

Z = Symbol("z", real=True)
NAMES = {"z": Z, "a": Symbol("a", real=True), "c": Symbol("c", real=True)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("z**3 + z", Z**3 + Z),
        ("  z ", Z),
        ("-z", -Z),
        ("+z", Z),
        ("--z", Z),
        ("-z**2", -(Z**2)),
        ("2**-1*z", Z / 2),
        ("z/3", Z / 3),
        ("0.1*z", Z / 10),
        ("1e-3*z", Z / 1000),
        ("1.*z", Z),
        (".5*z", Z / 2),
        ("123456789012345678901234567890*z", 123456789012345678901234567890 * Z),
        ("0.1234567890123456789*z", Rational(1234567890123456789, 10**19) * Z),
        ("z**0.5", sympy.sqrt(Z)),
        ("sqrt(z)", sympy.sqrt(Z)),
        ("arctan(z)", sympy.atan(Z)),
        ("arcsinh(z)", sympy.asinh(Z)),
        ("log1p(z)", sympy.log(Z + 1)),
        ("expm1(z)", sympy.exp(Z) - 1),
        ("E**z", sympy.exp(Z)),
        ("pi*z", sympy.pi * Z),
        ("sigmoid(2*z)", sigmoid(2 * Z)),
        ("softplus(z)", softplus(Z)),
        ("((((z))))", Z),
        ("1/cosh(z)**2", sympy.cosh(Z) ** -2),
    ],
)
def test_formulas_that_are_taken(text, expected):
    assert parse_formula(text, NAMES) == expected


HOSTILE = r"""
__import__("os").system("true")
__import__('os')
().__class__.__bases__[0].__subclasses__()
z.__class__
z.func
z.subs(z, 1)
exp.__globals__
open("x")
eval("1")
exec("1")
lambda: z
[z for z in (1, 2)]
{z: 1}
{z}
(z, z)
(z,)
[z]
z[0]
z if z else z
z and z
z or 1
not z
z < 1
z == z
z := 1
(z := 1)
z; z
z = 1
print(z)
getattr(z, "args")
f"{z}"
"z"
'z'
b"z"
"z" * 10
...
None
True
False
True*z
1j*z
z*1j
0x10*z
0b1*z
0o7*z
1_000*z
z @ z
z % 2
z // 2
z << 2
z >> 2
z | z
z & z
z ^ 2
~z
*z
**z
await z
yield z
yield
import os
exp(z, z)
exp()
exp(*z)
exp(**z)
exp(x=z)
exp(z)(z)
(exp)(z)(z)
exp
sin
z(z)
2(z)
(z)(z)
pi(z)
a z
2z
2 z
2.5z
2(z + 1)
z z
)z(
((z)
z)
z +
* z
z **
z***2
1..2
1.2.3
e
e**z
I*z
oo*z
nan*z
zoo
inf*z
infinity
x
w + z
Symbol
sympy
self
N(z)
S(1)
Integer(1)
diff(z)
integrate(z)
factorial(z)
gamma(z)
abs(z)
Abs(z)
relu(z)
max(z, 0)
min(z, 0)
sign(z)
floor(z)
Heaviside(z)
Piecewise(z)
sqrt(z**2)
(z**2)**0.5
(z**4)**0.25
sqrt(-1)*z
sqrt(-z**2)
log(-1)*z
(-8)**(1/3)*z
1/0
z/0
0/0*z
1/(z - z)
z/(1 - 1)
0**-1*z
log(0)*z
log(z - z)
tan(pi/2)*z
z**65
z**-65
z**1e10
z**(10**10)
9**9**9**9
9**9**9*z
2**(10**9)
2**10**9*z
(10**300)**300*z
((10**60)**60)**60
(10**300*z)**64
1e400*z
1e999999999*z
1e-400*z
10**400*z
exp(1000)*z
exp(exp(exp(100)))*z
exp(exp(exp(100 + z - z)))*z
cosh(10**9)*z
sqrt(exp(exp(exp(100)))**2)*z
z\0
z # comment
z\\
z\nz
\u2460*z
\uff5a
z\u00b2
\u2212z
z\u200b
`z`
$z
z!
z?
""".strip().split("\n")
HOSTILE = [line.replace("\\0", "\0").replace("\\n", "\n") for line in HOSTILE]
HOSTILE = [line.encode().decode("unicode_escape") if "\\u" in line else line for line in HOSTILE]
HOSTILE += ["", " ", "(" * 500 + "z" + ")" * 500, "-" * 900 + "z", "z+" * 1500 + "z", "z" * 5000, "9" * 1999]
HOSTILE += [
    "exp(" * 70 + "z" + ")" * 70,
    "*".join(["9" * 300] * 6) + "*z",
    "(z+1)*" * 250 + "z",
    "+".join(f"sin({k}*z)" for k in range(150)),
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:30]))
def test_hostile_text_is_refused_at_once(text):
    start = time.process_time()
    with pytest.raises(FormulaError):
        parse_formula(text, NAMES)
    assert time.process_time() - start < 5.0  # a hang, not slowness, is what this looks for


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("z^3", ["'^'", "z**3", "column 2"]),
        ("2z", ["2*z", "column 2"]),
        ("3(z)", ["3*(", "column 2"]),
        ("1 + relu(z)", ["relu", "three times differentiable", "softplus", "column 5"]),
        ("max(z)", ["three times differentiable"]),
        ("1 + foo(z)", ["'foo'", "tanh", "column 5"]),
        ("1 + foo", ["'foo'", "z, a, c, pi, E", "column 5"]),
        ("e**z", ["'e'", "E", "exp(z)"]),
        ("z(z)", ["z is not a function", "z*("]),
        ("exp", ["exp(z)"]),
        ("z,1", ["','", "point"]),
        ("1/(z-z)", ["division by nought"]),
        ("Piecewise((z, z > 0), (0, True))", ["Piecewise", "three times differentiable", "column 1)"]),
        ("1 + Max(z, 0)", ["Max", "three times differentiable", "column 5"]),
        ("|z|**3", ["'|'", "abs", "three times differentiable"]),
        ("z\u00b3 + z", ["z**3", "column 2"]),
        ("2\u00b7z", ["2*z"]),
        ("z \u2212 1", ["minus is written -"]),
        ("np.tanh(z)", ["write tanh(...)"]),
        ("GELU(z)", ["z*(1 + erf(z/sqrt(2)))/2"]),
        ("x**3", ["'x'", "z is the pre-activation"]),
        ("z**100", ["100", "64"]),
        ("sqrt(z**2)", ["Abs", "three times differentiable"]),
        ("log(-1)", ["complex"]),
        ("", ["empty", "z**3 + z"]),
        ("z +", ["column"]),
    ],
)
def test_messages_name_place_cause_and_cure(text, words):
    with pytest.raises(FormulaError) as caught:
        parse_formula(text, NAMES)
    for word in words:
        assert word in str(caught.value)


def test_the_caret_stands_under_the_place():
    with pytest.raises(FormulaError) as caught:
        parse_formula("1 + 2*foo(z)", NAMES)
    _, shown, caret = str(caught.value).split("\n")
    assert shown[caret.index("^") :].startswith("foo")


def test_what_a_message_says_to_write_is_a_formula():
    for name, formula in WRITTEN.items():
        with pytest.raises(FormulaError) as refused:
            parse_formula(f"{name}(z)", NAMES)
        assert formula in str(refused.value)
        assert parse_formula(formula, NAMES).free_symbols == {Z}
    with pytest.raises(FormulaError, match="the functions are"):
        parse_formula("nosuch(z)", NAMES)


def test_every_listed_function_can_be_called():
    for name in CALLS:
        assert Z in parse_formula(f"{name}(z)", NAMES).free_symbols


UNKNOWN_NODES = [
    sympy.Abs(Z),
    sympy.Max(Z, 0),
    sympy.Heaviside(Z),
    sympy.sign(Z),
    sympy.Piecewise((Z, Z > 0), (0, True)),
    sympy.Function("f")(Z),
    sympy.Derivative(sympy.Function("f")(Z), Z),
    sympy.Integral(Z, Z),
    sympy.Sum(Z, (Symbol("k"), 1, 3)),
    sympy.gamma(Z),
    sympy.besselj(0, Z),
    sympy.I * Z,
    sympy.exp(sympy.I * Z),
    sympy.oo * Z,
    sympy.nan,
    sympy.zoo,
    sympy.oo,
    Z + sympy.oo,
    Symbol("x") + Z,
    Symbol("__import__('os').system('true')") * Z,
    Symbol("z + 1"),
    sympy.Float("inf") * Z,
    sympy.Float("nan"),
    sympy.Float("1e400") * Z,
    sympy.Float((0, 1, 10**12, 1)) * Z,
    sympy.Integer(10) ** 400 * Z,
    sympy.GoldenRatio * Z,
    sympy.EulerGamma * Z,
    sympy.IndexedBase("z")[1],
    Z**100,
    sympy.Mul(sympy.Pow(10, sympy.Integer(10) ** 9, evaluate=False), Z, evaluate=False),
]


@pytest.mark.parametrize("expr", UNKNOWN_NODES, ids=lambda expr: type(expr).__name__)
def test_expressions_that_are_refused(expr):
    with pytest.raises(FormulaError):
        rebuild_expression(expr, NAMES)


def test_a_function_that_only_bears_an_allowed_name_is_refused():
    with pytest.raises(FormulaError):
        rebuild_expression(sympy.Function("tanh")(Z), NAMES)


def test_the_refused_kind_is_named():
    with pytest.raises(FormulaError, match="Heaviside, which is not three times differentiable"):
        UnitFunction(sympy.Heaviside(Z) * Z)
    with pytest.raises(FormulaError, match="gamma, which is not allowed"):
        UnitFunction(sympy.gamma(Z))


def test_deep_expressions_are_refused():
    expr = Z
    for _ in range(100):
        expr = sympy.sin(expr)
    with pytest.raises(FormulaError, match="nested too deeply"):
        rebuild_expression(expr, NAMES)


# --- properties -------------------------------------------------------------------------------------------------

PIECES = ["z", "a", "c", "1", "2.5", "10", "1e5", "9", "pi", "E", "+", "-", "*", "/", "**", "(", ")", " ", ".", "e"]
PIECES += [f"{name}(" for name in CALLS] + [
    "relu(",
    "abs(",
    "__import__(",
    "lambda ",
    "[",
    "]",
    "'",
    ",",
    "^",
    "=",
    "\n",
]


def check_one(text: str) -> None:
    """The parser returns an expression in the declared names, which prints to an equal one, or refuses."""
    try:
        expr = parse_formula(text, NAMES)
    except FormulaError:
        return
    assert isinstance(expr, Expr)
    assert expr.free_symbols <= set(NAMES.values())
    assert not expr.has(sympy.I, sympy.nan, sympy.zoo, sympy.oo, sympy.Float)
    parse_formula(formula_text(expr), NAMES)


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_pieces_of_formulas_in_any_order(text):
    check_one(text)


@settings(max_examples=150)
@given(st.text(alphabet=string.printable, max_size=60))
def test_any_text(text):
    check_one(text)


@settings(max_examples=50)
@given(st.text(max_size=40))
def test_any_unicode(text):
    check_one(text)


def grammatical() -> st.SearchStrategy[str]:
    leaves = st.sampled_from(["z", "a", "c", "2", "0.5", "pi", "1e3", "7"])

    def extend(inner):
        pair = st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**"]), inner)
        return st.one_of(
            pair.map(lambda x: f"({x[0]}{x[1]}{x[2]})"),
            st.tuples(st.sampled_from(sorted(CALLS)), inner).map(lambda x: f"{x[0]}({x[1]})"),
            inner.map(lambda x: f"(-{x})"),
        )

    return st.recursive(leaves, extend, max_leaves=8)


@settings(max_examples=250)
@given(grammatical())
def test_grammatical_formulas(text):
    check_one(text)


@settings(max_examples=100)
@given(grammatical())
def test_units_of_grammatical_formulas_round_trip(text):
    try:
        unit = UnitFunction(text)
    except FormulaError:
        return
    assert UnitFunction(unit.formula) == unit


def test_nothing_is_ever_evaluated(monkeypatch):
    called = []
    with monkeypatch.context() as patch:
        for name in ("eval", "exec", "compile"):
            original = getattr(builtins, name)
            patch.setattr(builtins, name, lambda *args, o=original, **kw: called.append(args) or o(*args, **kw))
        patch.setattr(sympy.parsing.sympy_parser, "eval_expr", lambda *args: called.append(args))
        for text in ("z**3 + sin(2.5*z)", "__import__('os')", "exp(z).func", "tanh(z)**2/3 + E"):
            check_one(text)
    syntax_only = [args for args in called if len(args) < 4 or not args[3] & ast.PyCF_ONLY_AST]
    assert called  # ast.parse compiles to a tree, so the patch was in place
    assert syntax_only == []


def test_the_whitelist_is_over_every_node_that_python_has():
    """Every kind of expression node beyond those of arithmetic is refused by type, whatever Python adds."""
    allowed = {"BinOp", "UnaryOp", "Call", "Name", "Constant"}
    kinds = {cls.__name__ for cls in ast.expr.__subclasses__()}
    assert allowed <= kinds
    for text in ("z if z else z", "z.real", "z and z", "z or z", "not z", "z is z", "z in z", "z not in z"):
        kind = type(ast.parse(text, mode="eval").body).__name__
        with pytest.raises(FormulaError, match=kind):
            parse_formula(text, NAMES)
