"""Programs to the text of a kernel's `unit.py`: one function a group of pointwise expressions, one loop nest each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from derivations import PointwiseExpression, UnitFunction, derive

from ..errors import CodegenError
from .passes import compile_program
from .precision import digits_kept
from .program import OPERATIONS, Program

_HEADER = '''\
"""Pointwise functions of the unit psi = {formula}

Written by manifoldflow {version}; do not edit: the file is verified by its hash and made again when it differs.

own parameters c: {own}    p = {p}    v = (z, c)    S = diag(s, 1, ..., 1)

argument  shape          meaning
z         (m, n)         pre-activations z_ji = theta_j . x_i
c         (m, p)         the unit's own trained parameters
s         (n,)           squared norms s_i = |x_i|^2
a         (m, n)         fixed coefficients
lam       (n,)           multipliers of the constraints f = y
f         (n,)           network output, sum over units of psi
g         (1+p, m, n)    gradient of psi in v
alpha     (1+p, m, n)    gradient of h = 2 g^T S g in v
H         (1+p, 1+p, m, n)    Hessian of psi in v
E         (1+p, 1+p, m, n)    curvature of the sharpness on the manifold, Hess h - lam H
out       (2+p, M)       for one sample, M >= m: psi and g; z and a are then (M,) and c is (p, M)

output    derived in record
{table}
"""

import math

import numpy as np

from manifoldflow.compiled.lines import accumulate
from manifoldflow.compiled.options import jit

DIGITS_KEPT = {digits}  # decimal digits that float64 keeps of psi and g for |z| about 1


@jit
def sigmoid(x):
    """1 / (1 + exp(-x)) without overflow."""
    e = np.exp(-abs(x))
    return 1.0 / (1.0 + e) if x >= 0.0 else e / (1.0 + e)


@jit
def softplus(x):
    """log(1 + exp(x)) without overflow."""
    return np.log1p(np.exp(-abs(x))) + max(x, 0.0)


@jit
def sech(x):
    """1 / cosh(x) without overflow."""
    e = np.exp(-abs(x))
    return 2.0 * e / (1.0 + e * e)
'''

_ELEMENT = {"z": "z[j, i]", "a": "a[j, i]", "s": "s[i]", "lambda_": "lam[i]"}
_ARITHMETIC = {"input", "constant", "add", "sub", "mul", "div", "neg", "sqrt"}  # several units in one instruction


@dataclass(frozen=True)
class Group:
    """One generated function: its signature, what it returns, and which expressions it fills."""

    name: str
    arguments: str
    names: tuple[str, ...]
    doc: str
    total: str | None = None


GROUPS = (
    Group("values", "z, c, a, f", ("psi",), "Fill f."),
    Group("first_order", "z, c, a, f, g", ("psi", "g"), "Fill f and g."),
    Group(
        "second_order",
        "z, c, s, a, f, g, alpha",
        ("psi", "g", "h", "alpha"),
        "Fill f, g and alpha; return the sharpness F, the sum of h.",
        total="h",
    ),
    Group("curvature", "z, c, s, a, lam, H, E", ("H", "E"), "Fill H and E."),
)


def unit_source(unit: UnitFunction, version: str) -> str:
    """The text of `unit.py` for a unit function; the same bytes in every process.

    >>> from derivations import UnitFunction
    >>> "def second_order(z, c, s, a, f, g, alpha):" in unit_source(UnitFunction("z**3 + z"), "0")
    True
    """
    pointwise = derive(unit).pointwise
    table = "\n".join(f"{_label(entry):<10}{entry.record}" for entry in pointwise)
    digits = digits_kept(_compiled("values and slopes", ("psi", "g"), pointwise)[1])
    header = _HEADER.format(
        formula=unit.psi, version=version, own=", ".join(unit.own) or "none", p=unit.p, table=table, digits=digits
    )
    functions = [_function(unit, group, pointwise) for group in GROUPS] + [_sample_function(unit, pointwise)]
    if unit.phi is not None:
        functions.append(_phi_function(pointwise))
    return "\n\n".join([header, *functions]).rstrip() + "\n"


def _label(entry: PointwiseExpression) -> str:
    return entry.name + ("[" + ",".join(map(str, entry.index)) + "]" if entry.index else "")


def _function(unit: UnitFunction, group: Group, pointwise: Iterable[PointwiseExpression]) -> str:
    entries, program = _compiled(group.name, group.names, pointwise)
    body, names = _straight_line(program, _ELEMENT | {name: f"c[j, {q}]" for q, name in enumerate(unit.own)})
    for label, number in program.outputs:
        body.extend(_stores(entries[label], names[number], group))
    loops = ["    for j in range(z.shape[0]):", "        for i in range(z.shape[1]):"]
    start = (["    f[:] = 0.0"] if "psi" in group.names else []) + (["    total = 0.0"] if group.total else [])
    end = ["    return total"] if group.total else []
    head = [f"def {group.name}({group.arguments}):", f'    """{group.doc}"""']
    return "\n".join([*head, *start, *loops, *("            " + line for line in body), *end]) + "\n"


def _compiled(
    name: str, wanted: tuple[str, ...], pointwise: Iterable[PointwiseExpression]
) -> tuple[dict[str, PointwiseExpression], Program]:
    """The expressions of a function by their labels, and the program that evaluates them."""
    entries = {_label(e): e for e in pointwise if e.name in wanted}
    if not {e.name for e in entries.values()} == set(wanted):
        raise CodegenError(f"Kernel function {name!r} needs {wanted}; derived were {sorted(entries)}.")
    return entries, compile_program({label: e.expression for label, e in entries.items()})


def _sample_function(unit: UnitFunction, pointwise: Iterable[PointwiseExpression]) -> str:
    """What a step of SGD calls: one sample, by plain addresses.

    Arithmetic goes on to M, in whole vector instructions; a function such as exp costs as much for every unit.
    """
    entries, program = _compiled("sample_first_order", ("psi", "g"), pointwise)
    places = {"z": "z[j]", "a": "a[j]", **{name: f"c[{_in_row(q)}]" for q, name in enumerate(unit.own)}}
    body, names = _straight_line(program, places)
    for label, number in program.outputs:
        row = 0 if entries[label].name == "psi" else 1 + entries[label].index[0]
        body.append(f"out[{_in_row(row)}] = {names[number]}")
    count = "M" if {instruction.operation for instruction in program.instructions} <= _ARITHMETIC else "m"
    head = [
        "def sample_first_order(z, c, a, out, m, M):",
        '    """One sample, in rows of M: fill out with psi and g for the first m units, or for all M."""',
        f"    for j in range({count}):",
    ]
    return "\n".join([*head, *("        " + line for line in body)]) + "\n"


def _in_row(row: int) -> str:
    """Where unit j stands in that row of an array (k, M)."""
    return "j" if row == 0 else "M + j" if row == 1 else f"{row} * M + j"


def _stores(entry: PointwiseExpression, value: str, group: Group) -> list[str]:
    if entry.name == group.total:
        return [f"total = accumulate(total, {value})"]
    if entry.name == "psi":
        return [f"f[i] += {value}"]
    indices = sorted({entry.index, entry.index[::-1]})
    return [f"{entry.name}[{', '.join(map(str, index))}, j, i] = {value}" for index in indices]


def _phi_function(pointwise: Iterable[PointwiseExpression]) -> str:
    entries = {_label(e): e for e in pointwise if e.name == "phi"}
    program = compile_program({label: e.expression for label, e in entries.items()})
    body, names = _straight_line(program, {"z": "z[i]"})
    stores = [f"out[{entries[label].index[0]}, i] = {names[number]}" for label, number in program.outputs]
    head = ["def phi_derivatives(z, out):", '    """phi and its first three derivatives: z (k,), out (4, k)."""']
    return "\n".join([*head, "    for i in range(z.shape[0]):", *("        " + line for line in body + stores)]) + "\n"


def _straight_line(program: Program, places: dict[str, str]) -> tuple[list[str], list[str]]:
    """Assignments `vk = ...` and, for each value, how to refer to it."""
    lines: list[str] = []
    names: list[str] = []
    for k, instruction in enumerate(program.instructions):
        if instruction.operation == "constant":
            names.append(_literal(instruction.payload))
            continue
        if instruction.operation == "input":
            if instruction.payload not in places:
                raise CodegenError(f"Kernel input {instruction.payload!r} is not one of {sorted(places)}.")
            text = places[str(instruction.payload)]
        else:
            text = OPERATIONS[instruction.operation][0].format(*(names[i] for i in instruction.operands))
        names.append(f"v{k}")
        lines.append(f"v{k} = {text}")
    return lines, names


def _literal(payload: str | Fraction | None) -> str:
    if isinstance(payload, Fraction):
        # Fraction to float rounds correctly; repr gives back that float exactly. Parenthesised: -1.0 ** 2 is not 1.
        return f"({float(payload)!r})" if payload < 0 else repr(float(payload))
    return f"math.{payload}"
