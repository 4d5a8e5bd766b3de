"""Coefficients of the two integrators, from where they were published."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.integrate import DOP853

from .compiled.explicit import Explicit
from .compiled.implicit import Rosenbrock
from .validation import Array


@cache
def dormand_prince() -> Explicit:
    """Dormand and Prince 8(5,3) (Hairer, Norsett, Wanner I, II.5, II.6 and II.10), from SciPy's coefficients."""
    k, extra = DOP853.n_stages, len(DOP853.A_EXTRA)
    extended = np.zeros((k + 1 + extra, k + 1 + extra))
    extended[:k, :k], extended[k, :k], extended[k + 1 :] = DOP853.A, DOP853.B, DOP853.A_EXTRA
    return Explicit(
        A=_c(DOP853.A), b=_c(DOP853.B), errors=_c([DOP853.E5[:k], DOP853.E3[:k]]),
        order=DOP853.error_estimator_order + 1, extended=extended, dense=_powers(),
    )  # fmt: skip


def _powers() -> Array:
    """Powers 1 to 7 of x in x (F_0 + (1 - x) (F_1 + x (F_2 + (1 - x) (F_3 + ...)))), each F_i by the stages."""
    end, F = DOP853.n_stages, np.zeros((3, DOP853.D.shape[1]))
    F[0, :end] = DOP853.B
    F[1], F[2] = -F[0], 2.0 * F[0]
    F[1, 0] += 1.0
    F[2, [0, end]] -= 1.0
    powers, basis = np.zeros((8, F.shape[1])), np.polynomial.Polynomial([0.0, 1.0])
    for index, row in enumerate([*F, *DOP853.D]):
        powers[: basis.coef.size] += np.outer(basis.coef, row)
        basis = basis * np.polynomial.Polynomial([1.0, -1.0] if index % 2 == 0 else [0.0, 1.0])
    return powers[1:]


@cache
def rodas5p() -> Rosenbrock:
    """Rodas5P: 8 stages, order 5, embedded order 4, L-stable, dense output of order 4.

    Source: G. Steinebach, Construction of Rosenbrock-Wanner method Rodas5P, BIT Numer. Math. 63, 27 (2023); numbers as
    in OrdinaryDiffEq.jl's table `RODAS5P`. A test shows the order 5 on a closed form and by self-convergence.
    """
    last = [-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256, 0.030198172008377946]
    A = [
        [],
        [3.0],
        [2.849394379747939, 0.45842242204463923],
        [-6.954028509809101, 2.489845061869568, -10.358996098473584],
        [2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641],
        last,
        [*last, 1.0],
        [*last, 1.0, 1.0],
    ]
    C = [
        [],
        [-14.155112264123755],
        [-17.97296035885952, -2.859693295451294],
        [147.12150275711716, -1.41221402718213, 71.68940251302358],
        [165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306],
        [24.854864614690072, -3.0009227002832186, 47.4931110020768, 5.5814197821558125, -0.6610691825249471],
        [
            30.91273214028599, -3.1208243349937974, 77.79954646070892, 34.28646028294783, -19.097331116725623,
            -28.087943162872662,
        ],
        [
            37.80277123390563, -3.2571969029072276, 112.26918849496327, 66.9347231244047, -40.06618937091002,
            -54.66780262877968, -9.48861652309627,
        ],
    ]  # fmt: skip
    dense = [
        [
            25.948786856663858, -2.5579724845846235, 10.433815404888879, -2.3679251022685204, 0.524948541321073,
            1.1241088310450404, 0.4272876194431874, -0.17202221070155493,
        ],
        [
            -9.91568850695171, -0.9689944594115154, 3.0438037242978453, -24.495224566215796, 20.176138334709044,
            15.98066361424651, -6.789040303419874, -6.710236069923372,
        ],
        [
            11.419903575922262, 2.8879645146136994, 72.92137995996029, 80.12511834622643, -52.072871366152654,
            -59.78993625266729, -0.15582684282751913, 4.883087185713722,
        ],
    ]  # fmt: skip
    return Rosenbrock(gamma=0.21193756319429014, A=_lower(A), C=_lower(C), dense=_c(dense), degree=4, order=5)


def _c(values: object) -> Array:
    return np.ascontiguousarray(values, dtype=np.float64)


def _lower(rows: list[list[float]]) -> Array:
    matrix = np.zeros((len(rows), len(rows)))
    for k, row in enumerate(rows):
        matrix[k, : len(row)] = row
    return matrix
