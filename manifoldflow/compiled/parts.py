"""The gradient for a part of the units: what threads compute side by side. Sums over parts are added in order."""

from __future__ import annotations

from .geometry import apply_jacobian_to_coefficients, assemble, sharpness, subtract_normal, upper_jacobian_gram
from .options import jit_bare


@jit_bare
def begin_part(W, problem, work):
    """A part's share of F (returned), of J J^T (work.K) and of J times the Euclidean gradient (work.lam)."""
    F = sharpness(W, problem, work)
    upper_jacobian_gram(work.g, problem.G, work.K)
    apply_jacobian_to_coefficients(work.g, work.alpha, problem.G, work.image, work.lam[0])
    return F


@jit_bare
def end_part(problem, work, lam, out):
    """A part's rows of the Riemannian gradient, once the multipliers are known."""
    subtract_normal(work.alpha, work.g, lam)
    assemble(work.alpha, problem.R, out)
