"""From expressions to kernels: the program, its passes and their check, the source text, the compiled functions.

Oracle: the generated functions at float64 against mpmath at 50 digits, from formulas typed in here.
"""

import ast
import hashlib
import importlib.util
import warnings

import mpmath
import numpy as np
import pytest
import sympy as sp

import manifoldflow as mf
from derivations import UnitFunction, derive
from manifoldflow.codegen import load_kernel
from manifoldflow.codegen.emit import _straight_line, unit_source
from manifoldflow.codegen.kernel import Kernel
from manifoldflow.codegen.lower import lower
from manifoldflow.codegen.passes import check_program, compile_program, drop_unused, expand_powers
from manifoldflow.codegen.precision import digits_kept
from manifoldflow.codegen.program import OPERATIONS, Instruction, Program
from manifoldflow.errors import CancellationWarning, CodegenError, FormulaError, InputError

z, c = sp.Symbol("z", real=True), sp.Symbol("c", real=True)


# --- programs -------------------------------------------------------------------------------------


def test_a_program_prints_one_instruction_a_line_and_shares_subexpressions():
    program = lower({"psi": sp.sin(z) * (z + 1), "g": sp.sin(z) + 2})
    lines = str(program).splitlines()
    assert lines[0] == "%0: float64 = input z"
    assert sum("sin" in line for line in lines) == 1
    assert lines[-2:] == [f"psi <- %{dict(program.outputs)['psi']}", f"g <- %{dict(program.outputs)['g']}"]
    assert len(lines) == len(program.instructions) + 2
    assert program.inputs == ("z",)


def test_a_program_evaluates_at_the_precision_of_mpmath():
    program = lower({"psi": sp.exp(z) / 3 + sp.pi})
    with mpmath.workdps(50):
        point = mpmath.mpf(1) / 7
        assert abs(program.evaluate({"z": point})["psi"] - (mpmath.exp(point) / 3 + mpmath.pi)) < mpmath.mpf(10) ** -49


# Where each operation is real, and the same function from mpmath.
UNARY = {
    "sqrt": (0.3, mpmath.sqrt), "exp": (0.3, mpmath.exp), "log": (0.3, mpmath.log), "sin": (0.3, mpmath.sin),
    "cos": (0.3, mpmath.cos), "tan": (0.3, mpmath.tan), "sinh": (0.3, mpmath.sinh), "cosh": (0.3, mpmath.cosh),
    "tanh": (0.3, mpmath.tanh), "sech": (0.3, mpmath.sech), "asin": (0.3, mpmath.asin), "acos": (0.3, mpmath.acos),
    "atan": (0.3, mpmath.atan), "asinh": (0.3, mpmath.asinh), "acosh": (1.3, mpmath.acosh),
    "atanh": (0.3, mpmath.atanh), "erf": (0.3, mpmath.erf), "neg": (0.3, lambda x: -x),
    "sigmoid": (0.3, lambda x: 1 / (1 + mpmath.exp(-x))), "softplus": (0.3, lambda x: mpmath.log(1 + mpmath.exp(x))),
}  # fmt: skip
BINARY = {
    "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y, "div": lambda x, y: x / y,
    "pow": lambda x, y: x**y,
}  # fmt: skip


def test_every_operation_of_the_table_is_tested():
    assert set(OPERATIONS) == set(UNARY) | set(BINARY)


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_operations(name):
    first = Instruction("input", payload="x")
    if name in UNARY:
        program = Program((first, Instruction(name, (0,))), (("out", 1),))
        wanted = UNARY[name][1](mpmath.mpf(UNARY[name][0]))
        values = {"x": UNARY[name][0]}
    else:
        program = Program((first, Instruction("input", payload="y"), Instruction(name, (0, 1))), (("out", 2),))
        wanted, values = BINARY[name](mpmath.mpf(0.7), mpmath.mpf(1.9)), {"x": 0.7, "y": 1.9}
    assert abs(program.evaluate(values)["out"] - wanted) <= 1e-14 * abs(wanted)


def test_unknown_operations_and_constants_are_refused():
    with pytest.raises(CodegenError, match="Unknown operation 'frob'"):
        Program((Instruction("input", payload="z"), Instruction("frob", (0,))), (("psi", 1),)).evaluate({"z": 1})
    with pytest.raises(CodegenError, match="got 'gamma'"):
        Program((Instruction("constant", payload="gamma"),), (("psi", 0),)).evaluate({})


# --- lowering -------------------------------------------------------------------------------------

UNKNOWN = [
    (sp.gamma(z), "gamma"),
    (sp.Abs(z), "Abs"),
    (sp.Piecewise((z, z > 0), (0, True)), "Piecewise"),
    (sp.Function("f")(z), "f"),
    (sp.Derivative(sp.Function("f")(z), z), "Derivative"),
    (sp.Integral(sp.exp(-(z**2)), z), "Integral"),
    (sp.Float(0.1) * z, "Float"),
    (sp.I * z, "ImaginaryUnit"),
    (z + sp.oo, "Infinity"),
    (sp.zoo + 0 * z, "ComplexInfinity"),
    (sp.Max(z, 0), "Max"),
]


@pytest.mark.parametrize(("expression", "name"), UNKNOWN, ids=[name for _, name in UNKNOWN])
def test_lowering_names_the_type_it_does_not_know(expression, name):
    with pytest.raises(CodegenError, match=rf"No kernel operation for \w*{name}\w* in .*allowed"):
        lower({"psi": expression})


EXPRESSIONS = [
    z**7 - 3 * z**2 / 5,
    1 / (1 + z**2),
    -z / (z**2 + 1) ** 3,
    sp.exp(-(z**2)),
    sp.sqrt(z**2 + 1),
    (z**2 + 1) ** sp.Rational(-3, 2),
    -2 * z - 3,
    sp.tanh(z) * sp.sech(z) ** 2,
    sp.E * z + sp.pi,
    sp.Rational(-1, 3) * z,
    z**c,
    c**2 * sp.sin(z) - c,
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_compiled_programs_equal_the_expression(expression):
    trace = []
    program = compile_program({"psi": expression, "g": expression.diff(z)}, trace)
    assert [name for name, _ in trace] == ["lower", "expand_powers", "drop_unused"]
    assert trace[-1][1] == program
    with mpmath.workdps(40):
        for point in (mpmath.mpf("0.37"), mpmath.mpf("1.21")):
            values = {"z": point, "c": mpmath.mpf("0.81")}
            got = program.evaluate(values)
            for name, wanted in (("psi", expression), ("g", expression.diff(z))):
                number = wanted.evalf(40, subs={z: sp.Float(point, 40), c: sp.Float(values["c"], 40)})
                assert abs(got[name] - mpmath.mpf(number._mpf_)) < mpmath.mpf(10) ** -35


# --- passes and their check -----------------------------------------------------------------------


def test_powers_become_products_and_unused_values_go():
    program = lower({"psi": z**9})
    expanded = expand_powers(program)
    operations = [instruction.operation for instruction in expanded.instructions]
    assert "pow" not in operations
    assert operations.count("mul") == 4
    small = drop_unused(expanded)
    assert len(small.instructions) == 5
    assert small.evaluate({"z": 2}) == {"psi": 512}
    assert drop_unused(small) == small


def test_a_power_that_is_not_whole_stays():
    operations = [i.operation for i in compile_program({"psi": z ** sp.Rational(5, 3)}).instructions]
    assert operations.count("pow") == 1


def sabotage_operands(program):
    wrong = [Instruction(i.operation, i.operands[::-1]) if i.operation == "sub" else i for i in program.instructions]
    return Program(tuple(wrong), program.outputs)


def sabotage_outputs(program):
    (one, first), (two, second) = program.outputs
    return Program(program.instructions, ((one, second), (two, first)))


@pytest.mark.parametrize("sabotage", [sabotage_operands, sabotage_outputs])
def test_a_wrong_pass_is_caught(sabotage, monkeypatch):
    expressions = {"psi": z**3 - sp.sin(z), "g": 3 * z**2 - sp.cos(z)}
    good = compile_program(expressions)
    check_program(good, expressions, "good")
    with pytest.raises(CodegenError, match="Pass 'bad' changed"):
        check_program(sabotage(good), expressions, "bad")
    # And inside the driver, where the pass itself is wrong.
    monkeypatch.setattr("manifoldflow.codegen.passes.drop_unused", lambda program: sabotage(drop_unused(program)))
    with pytest.raises(CodegenError, match=r"Pass 'drop_unused' changed .* please report"):
        compile_program(expressions)


def test_the_check_sees_the_fortieth_digit():
    expressions = {"psi": 3 * z}
    program = lower(expressions)
    shifted = [
        Instruction("constant", payload=i.payload + type(i.payload)(1, 10**40)) if i.operation == "constant" else i
        for i in program.instructions
    ]
    with pytest.raises(CodegenError, match="changed psi"):
        check_program(Program(tuple(shifted), program.outputs), expressions, "bad")


@pytest.mark.parametrize("shift", [5, 20, 60])
def test_formulas_that_cancel_are_checked_with_more_digits(shift):
    c = sp.Integer(10) ** shift
    expressions = {"psi": (z + c) ** 3 - 3 * c * z**2 - 3 * c**2 * z - c**3}
    good = lower(expressions)
    check_program(good, expressions, "lower")
    # A constant that is off by 1e-40 of itself changes psi by far more than the rounding of 600 digits.
    wrong = [
        Instruction("constant", payload=i.payload + 1) if i.operation == "constant" and i.payload == 3 else i
        for i in good.instructions
    ]
    with pytest.raises(CodegenError, match="changed psi"):
        check_program(Program(tuple(wrong), good.outputs), expressions, "bad")
    nearly = [
        Instruction("constant", payload=i.payload * (1 + type(i.payload)(1, 10**40)))
        if i.operation == "constant" and i.payload == c
        else i
        for i in good.instructions
    ]
    with pytest.raises(CodegenError, match="changed psi"):
        check_program(Program(tuple(nearly), good.outputs), expressions, "bad")


def test_a_formula_that_cancels_beyond_every_precision_is_named():
    c = sp.Integer(10) ** 300
    expressions = {"psi": (z + c) ** 3 - 3 * c * z**2 - 3 * c**2 * z - c**3}
    with pytest.raises(CodegenError, match="digits cancel in the formula"):
        check_program(lower(expressions), expressions, "lower")


def load_quietly(unit):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CancellationWarning)
        return load_kernel(unit)


def test_the_user_is_told_of_lost_digits():
    unit = UnitFunction("(z + 1e5)**3 - 3e5*z**2 - 3e10*z - 1e15")
    with pytest.warns(CancellationWarning, match="float64 keeps 0 of 15 digits"):
        Kernel(unit, load_quietly(unit).folder)
    assert "DIGITS_KEPT = 15 " in load_kernel(UnitFunction("z**3 + z")).source


@pytest.mark.parametrize(
    ("expression", "fewest", "most"),
    [(z**3 + z, 14, 15), (sp.tanh(z), 14, 15), ((z + 1000) ** 3 - 1000**3 - 3 * 1000**2 * z, 7, 12),
     (sp.log(z), 14, 15), (sp.log(-1 - z**2), 15, 15)],
)  # fmt: skip
def test_digits_that_float64_keeps(expression, fewest, most):
    assert fewest <= digits_kept(lower({"psi": expression})) <= most


def test_a_formula_that_is_nowhere_real_cannot_be_checked():
    expressions = {"psi": sp.log(-1 - z**2)}
    with pytest.raises(CodegenError, match=r"could not be checked.*real on an interval"):
        check_program(lower(expressions), expressions, "lower")


# --- the text of a kernel -------------------------------------------------------------------------

_PRINT_SOURCE = """
import hashlib, sys
from derivations import UnitFunction
from manifoldflow.codegen.emit import unit_source
for formula, own in (("z**3 + z", ()), ("c*tanh(z)*exp(-z**2) + sin(c*z)", ("c",))):
    print(hashlib.sha256(unit_source(UnitFunction(formula, own=own), "0").encode()).hexdigest())
"""


def test_the_source_is_the_same_bytes_in_every_process(python):
    outputs = []
    for seed in (1, 12345):
        code, out, err = python(_PRINT_SOURCE, PYTHONHASHSEED=seed)
        assert code == 0, err
        outputs.append(out)
    assert len(outputs[0].split()) == 2
    assert outputs[0] == outputs[1]
    here = unit_source(mf.UnitFunction("z**3 + z"), "0")
    assert hashlib.sha256(here.encode()).hexdigest() == outputs[0].split()[0]


def test_the_source_is_a_readable_product():
    source = load_kernel(mf.UnitFunction("z**3 + z")).source
    tree = ast.parse(source)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    names = {"values", "first_order", "second_order", "curvature", "sample_first_order", "phi_derivatives"}
    assert names <= set(functions)
    assert all(ast.get_docstring(node) for node in functions.values())
    header = ast.get_docstring(tree)
    for words in ("a*(z**3 + z)", mf.__version__, "do not edit", "derived in record", "riemannian_hessian"):
        assert words in header
    assert max(map(len, source.splitlines())) <= 200


def test_names_of_parameters_never_become_names_in_the_source():
    unit = mf.UnitFunction("math*z + range*z**2 + math*range", own=("math", "range"))
    tree = ast.parse(unit_source(unit, "0"))
    stored = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    plain = ast.parse(unit_source(mf.UnitFunction("c*z + b*z**2 + c*b", own=("c", "b")), "0"))
    allowed = {node.id for node in ast.walk(plain) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    assert {name for name in stored if not name[1:].isdigit()} == {name for name in allowed if not name[1:].isdigit()}


HOSTILE = ['x"""\nimport os\n"""', "x; import os", "x) or __import__('os') or (x", "__class__", "x\n", "é", "lambda"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused(name):
    with pytest.raises(FormulaError):
        mf.UnitFunction(f"{name}*z", own=(name,))
    with pytest.raises(FormulaError):
        mf.UnitFunction(sp.Symbol(name, real=True) * z, own=(name,))
    program = lower({"psi": sp.Symbol(name) * z})
    with pytest.raises(CodegenError, match="not one of"):
        _straight_line(program, {"z": "z[j, i]"})


@pytest.mark.parametrize("formula", ["10**200*z**3 + z", "z**3 + z/10**200"])
def test_constants_at_the_edge_of_float64(formula):
    # Either it compiles to something finite near 0, or it is refused by name; a bare OverflowError is neither.
    try:
        table = load_kernel(mf.UnitFunction(formula)).table(np.array([0.0]))
    except (CodegenError, FormulaError):
        table = np.zeros((4, 1))
    assert np.isfinite(table).all()


# --- compiled functions against mpmath ------------------------------------------------------------


def _softplus(x):
    return mpmath.log1p(mpmath.exp(-abs(x))) + max(x, 0)


PHI = {
    "z**3 + z": lambda x: x**3 + x,
    "sinh(z)": mpmath.sinh,
    "tanh(z)": mpmath.tanh,
    "sigmoid(z)": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus(z)": _softplus,
    "arctan(z)": mpmath.atan,
    "erf(z)": mpmath.erf,
    "z*sigmoid(z)": lambda x: x / (1 + mpmath.exp(-x)),
    "exp(z)": mpmath.exp,
}


@pytest.mark.parametrize("formula", PHI)
def test_phi_and_its_derivatives_to_13_digits(formula):
    points = np.array([-3.7, -1.3, -0.61, -0.2, 0.13, 0.45, 1.7, 2.9, 5.3])
    table = load_kernel(mf.UnitFunction(formula)).table(points)
    with mpmath.workdps(50):
        for k, point in enumerate(points):
            wanted = [mpmath.diff(PHI[formula], mpmath.mpf(point), order) for order in range(4)]
            # Relative to the largest derivative: near a zero of one of them its own digits are lost to rounding of z.
            scale = max(map(abs, wanted))
            for order in range(4):
                assert abs(table[order, k] - wanted[order]) <= 1e-13 * (abs(wanted[order]) + 1e-2 * scale)


@pytest.mark.parametrize("formula", ["tanh(z)", "sigmoid(z)", "softplus(z)", "z*sigmoid(z)", "erf(z)", "arctan(z)"])
def test_no_overflow_far_out(formula):
    points = np.array([-1e6, -700.0, -40.0, 40.0, 700.0, 1e6])
    table = load_kernel(mf.UnitFunction(formula)).table(points)
    assert np.isfinite(table).all()
    with mpmath.workdps(50):
        for k, point in enumerate(points):
            assert table[0, k] == pytest.approx(float(PHI[formula](mpmath.mpf(point))), rel=1e-13, abs=1e-300)
    assert np.abs(table[2:]).max() < 1e-3


@pytest.mark.parametrize(("formula", "slopes"), [("tanh(z)", (4, -8, 16)), ("sigmoid(z)", (1, -1, 1))])
def test_small_derivatives_keep_their_digits(formula, slopes):
    # phi' ~ A e^{-kz}, phi'' ~ -k A e^{-kz}: at z = 40 the differences 1 - tanh^2 would be 0.
    rate = 2.0 if formula == "tanh(z)" else 1.0
    table = load_kernel(mf.UnitFunction(formula)).table(np.array([40.0]))
    np.testing.assert_allclose(table[1:, 0], np.array(slopes) * np.exp(-rate * 40.0), rtol=1e-13)


def functions(unit):
    """The functions of the generated file as Python runs them; test_manifold.py has the compiled ones."""
    spec = importlib.util.spec_from_file_location("generated_unit", load_kernel(unit).folder / "unit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def evaluate(unit, lam):
    """Every output of the generated functions for 2 units and 3 samples, with the arrays they were given."""
    rng = np.random.default_rng(6)
    m, n, p = 2, 3, unit.p
    z, c, s, a = rng.normal(size=(m, n)), rng.normal(size=(m, p)), rng.uniform(0.5, 2.0, n), rng.normal(size=(m, n))
    f, g, alpha = np.empty(n), np.empty((1 + p, m, n)), np.empty((1 + p, m, n))
    H, E = np.empty((1 + p, 1 + p, m, n)), np.empty((1 + p, 1 + p, m, n))
    module = functions(unit)
    F = module.second_order(z, c, s, a, f, g, alpha)
    module.curvature(z, c, s, a, np.full(n, lam), H, E)
    once, again, rows = np.empty(n), np.empty_like(g), np.full((2 + p, m + 1), np.nan)
    module.values(z, c, a, once)
    np.testing.assert_allclose(once, f, rtol=1e-14)
    module.first_order(z, c, a, once, again)
    np.testing.assert_array_equal(again, g)
    one_more = [np.append(array, array[..., -1:], axis=-1) for array in (z[:, 1], c.T, a[:, 1])]  # the last unit again
    module.sample_first_order(*(array.ravel() for array in one_more), rows.ravel(), m, m + 1)
    assert rows[0, :m].sum() == pytest.approx(f[1], rel=1e-14)
    np.testing.assert_array_equal(rows[1:, :m], g[:, :, 1])
    assert np.isnan(rows[:, m]).all() or np.array_equal(rows[:, m], rows[:, m - 1])
    return {"z": z, "c": c, "s": s, "a": a}, {"f": f, "g": g, "alpha": alpha, "H": H, "E": E, "F": F}


UNITS = {
    "cubic": (mf.UnitFunction("z**3 + z"), lambda a, z: a * (z**3 + z)),
    "tanh": (mf.UnitFunction("c*tanh(z)", own=("c",)), lambda a, z, c: a * c * mpmath.tanh(z)),
    "two": (
        mf.UnitFunction("a*c1*(z**3 + z) + c2**2*sin(z) + 0.3*a*c2", own=("c1", "c2")),
        lambda a, z, c, e: a * c * (z**3 + z) + e**2 * mpmath.sin(z) + mpmath.mpf(3) / 10 * a * e,
    ),
}


@pytest.mark.parametrize("name", UNITS)
def test_pointwise_functions_against_mpmath(name):
    unit, psi = UNITS[name]
    given, out = evaluate(unit, lam=0.7)
    q = range(1 + unit.p)
    with mpmath.workdps(50):
        total, outputs = mpmath.mpf(0), [mpmath.mpf(0)] * 3
        for j in range(2):
            for i in range(3):
                a, s = mpmath.mpf(given["a"][j, i]), mpmath.mpf(given["s"][i])
                point = tuple(map(mpmath.mpf, (given["z"][j, i], *given["c"][j])))
                weights = [s] + [mpmath.mpf(1)] * unit.p

                def partial(point, *orders, a=a):
                    orders = tuple(orders.count(k) for k in q)
                    return mpmath.diff(lambda *v: psi(a, *v), point, orders) if any(orders) else psi(a, *point)

                outputs[i] += partial(point)
                first = [partial(point, k) for k in q]
                second = [[partial(point, k, r) for r in q] for k in q]
                third = [[[partial(point, k, r, t) for t in q] for r in q] for k in q]
                total += 2 * sum(w * x**2 for w, x in zip(weights, first, strict=True))
                for k in q:
                    close(out["g"][k, j, i], first[k])
                    close(out["alpha"][k, j, i], 4 * sum(second[k][t] * weights[t] * first[t] for t in q), 1e-12)
                    for r in q:
                        close(out["H"][k, r, j, i], second[k][r])
                        D = 4 * sum(weights[t] * (second[k][t] * second[r][t] + third[k][r][t] * first[t]) for t in q)
                        close(out["E"][k, r, j, i], D - mpmath.mpf(0.7) * second[k][r], 1e-12)
        close(out["F"], total)
        for i in range(3):
            close(out["f"][i], outputs[i])


def close(got, wanted, tolerance=1e-13):
    assert abs(got - wanted) <= tolerance * max(abs(wanted), mpmath.mpf("0.1"))


@pytest.mark.parametrize("name", UNITS)
def test_the_curvature_is_affine_in_the_multiplier(name):
    """E = D - lambda H, with the same H whatever lambda."""
    at = [evaluate(UNITS[name][0], lam)[1] for lam in (0.0, 1.0, -2.5)]
    for lam, out in zip((1.0, -2.5), at[1:], strict=True):
        np.testing.assert_array_equal(out["H"], at[0]["H"])
        np.testing.assert_allclose(out["E"], at[0]["E"] - lam * out["H"], atol=1e-13 * np.abs(out["E"]).max())
    np.testing.assert_array_equal(at[0]["E"], np.swapaxes(at[0]["E"], 0, 1))


def test_every_derived_expression_has_a_kernel_function():
    unit = mf.UnitFunction("z**3 + z")
    names = {entry.name for entry in derive(unit).pointwise}
    assert {"psi", "g", "H", "h", "alpha", "E", "phi"} <= names


def test_tables_are_for_activations_only():
    kernel = load_kernel(UNITS["tanh"][0])
    with pytest.raises(InputError, match=r"not of the form a\*phi\(z\)"):
        kernel.table(np.zeros(1))
    assert load_kernel(mf.UnitFunction("sqrt(z)")).table(np.array([-1.0, 4.0]))[0].tolist()[1] == 2.0
    assert np.isnan(load_kernel(mf.UnitFunction("sqrt(z)")).table(np.array([-1.0]))).all()
