"""The one notation table: every symbol with its LaTeX, its shape and its meaning.

The derivations, the LaTeX printer and the documentation all read this table, so that a symbol looks
the same wherever it appears.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Notation:
    """One symbol of the toolkit: its name in code, its LaTeX, its shape and what it means."""

    name: str
    latex: str
    shape: str
    meaning: str


_ENTRIES = (
    Notation("m", "m", "", "number of units"),
    Notation("n", "n", "", "number of samples"),
    Notation("d", "d", "", "number of inputs"),
    Notation("p", "p", "", "number of trained scalars that each unit owns"),
    Notation("i", "i", "", "a sample, 1 to $n$"),
    Notation("l", "l", "", "a second sample, 1 to $n$"),
    Notation("j", "j", "", "a unit, 1 to $m$"),
    Notation("r", "r", "", "a second unit, 1 to $m$"),
    Notation("k", "k", "", "an input, 1 to $d$"),
    Notation("e", "e", "", "a second input, 1 to $d$"),
    Notation("t", "t", "", "time of the flow; parameter of a curve, 0 at the point in question"),
    Notation("X", "X", "(n, d)", "data, one sample $x_i$ a row"),
    Notation("y", "y", "(n,)", "labels"),
    Notation("Theta", r"\Theta", "(m, d)", r"first-layer weights, one unit $\theta_j$ a row"),
    Notation("c", "c", "(m, p)", "trained scalars that belong to the units"),
    Notation("W", "W", "(m, d + p)", r"all parameters, $W_j = (\theta_j, c_j)$"),
    Notation("a", "a", "(m, n)", "fixed coefficients, a unit's own or per sample and unit"),
    Notation("z", "z", "(m, n)", r"pre-activations, $z_{ji} = \theta_j \cdot x_i$"),
    Notation("v", "v", "(m, n)", "arguments of a unit's derivative, $v_{ji} = (z_{ji}, c_j; a_{ji})$"),
    Notation("G", "G", "(n, n)", "Gram matrix of the data, $X X^T$"),
    Notation("s", "s", "(n,)", "squared norms of the samples, the diagonal of $G$"),
    Notation("psi", r"\psi", "", r"the unit function $\psi(z, c; a)$"),
    Notation("phi", r"\phi", "", r"the activation, where $\psi = a\, \phi(z)$"),
    Notation("f", "f", "(n,)", "network output"),
    Notation("L", "L", "", "loss, the sum of squared residuals"),
    Notation("M", r"\mathcal{M}", "", "zero-loss manifold, $f = y$"),
    Notation("J", "J", "(n, m, d + p)", "Jacobian of the output"),
    Notation("T", "T", "", r"tangent space of $\mathcal{M}$ at the point in question, the kernel of $J$"),
    Notation("P_T", "P_T", "", "orthogonal projection onto $T$"),
    Notation("derivative", r"\mathrm{D}", "", r"derivative along a direction; $\mathrm{D}^2 f_i[U, U]$ is the second"),
    Notation("nabla", r"\nabla", "", "gradient by all parameters, without regard to the manifold"),
    Notation("grad", r"\mathrm{grad}", "", r"Riemannian gradient, $P_T \nabla$"),
    Notation("Hess", r"\mathrm{Hess}", "", r"Riemannian Hessian, the second derivative along geodesics"),
    Notation("K", "K", "(n, n)", "Gram matrix of the Jacobian, $J J^T$"),
    Notation("Kinv", "K^{-1}", "(n, n)", "inverse of $K$"),
    Notation("F", "F", "", "sharpness, the trace of the loss's Hessian on the manifold"),
    Notation("lambda_", r"\lambda", "(n,)", r"multipliers, $K \lambda = J \nabla F$"),
    Notation("w", "w", "(n,)", "rate of change of the multipliers along a direction"),
    Notation("C", "C", "(m, n)", r"coefficients of the Riemannian gradient, block $j$ is $\sum_i C_{ji} x_i$"),
    Notation("E", "E", "(m, n)", "coefficients of the Riemannian Hessian in the pre-activations"),
    Notation("V", "V", "(m, d + p)", "the flow's field, minus the Riemannian gradient"),
    Notation("U", "U", "(m, d + p)", "a direction in parameter space"),
    Notation("u", "u", "(m, n)", r"the direction's pre-activations, $u_{ji} = U_j \cdot x_i$"),
    Notation("kappa", r"\kappa", "", r"radius of the convexity bound in units of its hypothesis, $0 < \kappa \le 4$"),
    Notation("beta", r"\beta", "", r"constant of assumption A3, $\beta |\phi''| \le \phi'^2 \phi'''$"),
    Notation("tau", r"\tau", "", "smallest $a_{ji}^2 s_i$"),
    Notation("mu", r"\mu", "", "smallest eigenvalue of $G$"),
    Notation("s_min", r"s_{\min}", "", "smallest squared norm of a sample"),
    Notation("a2_min", r"a^2_{\min}", "", "smallest squared coefficient"),
    Notation("rho1", r"\rho_1", "", r"lower bound of $\phi'$ (assumption A1)"),
    Notation("rho2", r"\rho_2", "", r"lower bound of $\phi'''$ (assumption A1)"),
    Notation("gamma", r"\gamma", "", r"lower bound of $\phi''' / \phi'$"),
    Notation("Fstar", r"F_{\star}", "", "smallest sharpness on the manifold"),
    Notation("F0", "F_0", "", "sharpness at the start of the flow"),
    Notation("gnorm", r"|\mathrm{grad}\, F|", "", "norm of the Riemannian gradient"),
    Notation("radius", r"r_{\kappa}", "", r"radius of the convex region, $\kappa \sqrt{\mu}\, \beta \tau$"),
    Notation("modulus", r"c_{\kappa}", "", "lower bound of the Riemannian Hessian in the convex region"),
    Notation("zeta", r"\zeta", "(n,)", "pre-activations at the flattest point"),
    Notation("nu", r"\nu", "(n,)", r"value of $a_{ji} \phi''$ at rest, $\lambda_i / (4 s_i)$"),
    Notation("q", "q", "(m, n)", r"coordinates $q_{ji} = \psi(z_{ji}; a_{ji})$, in which the constraint is affine"),
)

NOTATION: Mapping[str, Notation] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
"""Every symbol by its name in code."""


BAR = r"\vert "
"""A vertical bar in LaTeX, for where the character means something else."""


def notation_table() -> str:
    r"""Write the notation as a Markdown table.

    Returns:
        One row a symbol: LaTeX, shape, meaning.

    >>> print(notation_table().splitlines()[2])
    | $m$ |  | number of units |
    """
    # A bar would end the cell, within a formula too.
    cells = [(f"${entry.latex}$", entry.shape, entry.meaning) for entry in _ENTRIES]
    rows = [f"| {' | '.join(cell.replace('|', BAR) for cell in row)} |" for row in cells]
    return "\n".join(["| symbol | shape | meaning |", "|---|---|---|", *rows])
