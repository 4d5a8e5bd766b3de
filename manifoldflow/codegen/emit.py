"""Programs to the text of a kernel's `unit.py`: one function a group of pointwise expressions, one loop nest each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from derivations import PointwiseExpression, UnitFunction, derive

from ..errors import CodegenError
from .passes import compile_program
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

output    derived in record
{table}
"""

import math

import numpy as np

from manifoldflow.compiled.lanes import accumulate
from manifoldflow.compiled.options import jit


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
_SAMPLE = {"z": "z[j]", "a": "a[j]"}


@dataclass(frozen=True)
class Group:
    """One generated function: its signature, what it returns, which expressions it fills and in which loop nest."""

    name: str
    arguments: str
    names: tuple[str, ...]
    doc: str
    over_samples: bool = True
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
    Group(
        "sample_first_order",
        "z, c, a, f, g",
        ("psi", "g"),
        "One sample: z, a, f (m,), g (1+p, m); fill g, and f with each unit's output. No sum, so it vectorises.",
        over_samples=False,
    ),
)


def unit_source(unit: UnitFunction, version: str) -> str:
    """The text of `unit.py` for a unit function; the same bytes in every process.

    >>> from derivations import UnitFunction
    >>> "def second_order(z, c, s, a, f, g, alpha):" in unit_source(UnitFunction("z**3 + z"), "0")
    True
    """
    pointwise = derive(unit).pointwise
    table = "\n".join(f"{_label(entry):<10}{entry.record}" for entry in pointwise)
    header = _HEADER.format(formula=unit.psi, version=version, own=", ".join(unit.own) or "none", p=unit.p, table=table)
    functions = [_function(unit, group, pointwise) for group in GROUPS]
    if unit.phi is not None:
        functions.append(_phi_function(pointwise))
    return "\n\n".join([header, *functions]).rstrip() + "\n"


def _label(entry: PointwiseExpression) -> str:
    return entry.name + ("[" + ",".join(map(str, entry.index)) + "]" if entry.index else "")


def _function(unit: UnitFunction, group: Group, pointwise: Iterable[PointwiseExpression]) -> str:
    entries = {_label(e): e for e in pointwise if e.name in group.names}
    if not {e.name for e in entries.values()} == set(group.names):
        raise CodegenError(f"Kernel function {group.name!r} needs {group.names}; derived were {sorted(entries)}.")
    program = compile_program({label: e.expression for label, e in entries.items()})
    places = dict(_ELEMENT if group.over_samples else _SAMPLE)
    places.update({name: f"c[j, {q}]" for q, name in enumerate(unit.own)})
    body, names = _straight_line(program, places)
    for label, number in program.outputs:
        body.extend(_stores(entries[label], names[number], group))
    loops = ["    for j in range(z.shape[0]):"] + (
        ["        for i in range(z.shape[1]):"] if group.over_samples else []
    )
    indent = "            " if group.over_samples else "        "
    start = (["    f[:] = 0.0"] if group.over_samples and "psi" in group.names else []) + (
        ["    total = 0.0"] if group.total else []
    )
    end = ["    return total"] if group.total else []
    head = [f"def {group.name}({group.arguments}):", f'    """{group.doc}"""']
    return "\n".join([*head, *start, *loops, *(indent + line for line in body), *end]) + "\n"


def _stores(entry: PointwiseExpression, value: str, group: Group) -> list[str]:
    if entry.name == group.total:
        return [f"total = accumulate(total, {value})"]
    if entry.name == "psi":
        return [f"f[i] += {value}" if group.over_samples else f"f[j] = {value}"]
    position = "j, i" if group.over_samples else "j"
    indices = sorted({entry.index, entry.index[::-1]})
    return [f"{entry.name}[{', '.join(map(str, index))}, {position}] = {value}" for index in indices]


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
