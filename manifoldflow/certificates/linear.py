"""Linear algebra with proved errors: products of interval matrices, smallest eigenvalues, residuals of inverses.

Products use the BLAS. Assumed of it: an entry of a product is a sum of k products, added in any order, fused or not,
and never by a fast (Strassen-like) method. Then its error is at most gamma = k u/(1 - k u), u = 2^-53, times the
product of the absolute values (Higham, Accuracy and Stability of Numerical Algorithms, section 3.5), and k times the
smallest float64 for underflow. Nothing is assumed of factorisations: they are multiplied out and the rest is bounded.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from ..validation import Array
from .interval import INF, WHOLE, Interval, down, interval, up, where
from .record import Enclosure

_UNIT = 2.0**-53


def product(A: Interval | Array, B: Interval | Array) -> Interval:
    """A B for matrices, midpoint and radius (Rump 1999).

    >>> found = product(np.array([[0.1, 0.2]]), np.array([[0.3], [0.4]]))
    >>> bool(found.lo < 0.11 < found.hi)
    True
    """
    A, B = interval(A), interval(B)
    k = A.lo.shape[-1]
    with np.errstate(over="ignore", invalid="ignore"):
        middle, (left, right) = A.mid @ B.mid, (np.abs(A.mid), np.abs(B.mid))
        gamma = 1.1 * (k + 2) * _UNIT  # above (k + 2) u / (1 - (k + 2) u) for every k below 1e14
        radius = left @ (gamma * right + _radius(B)) + _radius(A) @ (right + _radius(B))
        # The radius is itself a sum of rounded products of numbers >= 0: too small by (k + 6) u of itself at most.
        radius = radius * (1.0 + 4.0 * (k + 8) * _UNIT) + (k + 2) * 1e-320
        ends = Interval(down(middle - radius), up(middle + radius))
    # A sum that overflowed on the way says nothing, and nor do infinite ends.
    return where(np.isfinite(middle) & np.isfinite(radius), ends, WHOLE)


def sharp_product(A: Array, B: Array) -> Interval:
    """A B for matrices of exact numbers, to nearly an ulp of itself even where terms cancel.

    The leading bits of both are so few that their product is exact whatever the order of summation (Ozaki, Ogita,
    Oishi and Rump 2012); only the rest, some 2^-20 of it, is rounded.

    >>> found = sharp_product(np.array([[1e8, 1.0, -1e8]]), np.array([[1.0], [1e-9], [1.0]]))
    >>> bool(found.lo <= 1e-9 <= found.hi), bool(found.hi - found.lo < 1e-12)
    (True, True)
    """
    k = A.shape[-1]
    bits = (53 - int(np.ceil(np.log2(max(k, 2))))) // 2
    head_A, head_B = _head(A, bits, axis=1), _head(B, bits, axis=0)
    largest = max(np.abs(A).max(initial=0.0), np.abs(B).max(initial=0.0))
    if not (largest < 1e100 and _smallest_bit(head_A, head_B, bits) > 1e-290):
        return product(A, B)
    return Interval(head_A @ head_B) + (product(head_A, B - head_B) + product(A - head_A, B))


def _head(A: Array, bits: int, axis: int) -> Array:
    """Entries rounded to multiples of 2^-bits times the next power of 2 above the largest in their row or column."""
    _, exponent = np.frexp(np.abs(A).max(axis=axis, keepdims=True, initial=0.0))
    shift = np.ldexp(1.5, exponent + (53 - 1 - bits))
    return np.asarray((A + shift) - shift)


def _smallest_bit(A: Array, B: Array, bits: int) -> float:
    """A lower bound of the last bit of products of two heads: were it subnormal, they would not be exact."""
    sizes = [np.abs(M).max(axis=axis, initial=0.0) for M, axis in ((A, 1), (B, 0))]
    least = [size[size > 0.0].min(initial=1.0) for size in sizes]
    return float(least[0] * 2.0**-bits * least[1] * 2.0**-bits)


def _radius(A: Interval) -> Array:
    return np.zeros(A.lo.shape) if A.lo is A.hi else A.radius


def row_sum_norm(A: Interval) -> float:
    """An upper bound of the largest sum of absolute values in a row; for a symmetric matrix, of its eigenvalues."""
    size = A.mag
    return float(np.max(up(size.sum(axis=1) * (1.0 + 2.0 * size.shape[1] * _UNIT)), initial=0.0))


def distance_from_identity(A: Interval) -> float:
    """An upper bound of the row-sum norm of I - A."""
    return row_sum_norm(Interval(np.eye(A.lo.shape[0])) - A)


def smallest_gram_eigenvalue(X: Interval | Array) -> Enclosure:
    """lambda_min(X X^T) for X (n, d), with relative accuracy n u cond(X), not cond(X)^2.

    With R about the inverse of a factor of X and Y = R X, lambda_min >= (1 - |I - Y Y^T|) / |R|^2, whatever R is. The
    upper bound is a Rayleigh quotient. Both are 0 where n > d.

    >>> smallest_gram_eigenvalue(np.eye(3)).contains(1.0)
    True
    """
    X = interval(X)
    n, d = X.lo.shape
    if n > d:
        return Enclosure(0.0, 0.0)
    U, singular_values, _ = scipy.linalg.svd(X.mid, full_matrices=False)
    u = Interval(U[:, -1])
    image = product(u.reshape(1, n), X)
    quotient = image.power(2).sum() / u.power(2).sum()
    if not singular_values[-1] > 0.0:
        return Enclosure(0.0, float(quotient.hi))
    R = U.T / singular_values[:, None]
    Y = product(R, X)
    defect = distance_from_identity(product(Y, _transposed(Y)))
    if not defect < 1.0:
        return Enclosure(0.0, float(quotient.hi))
    low = (1.0 - Interval(defect)) / Interval(row_sum_norm(product(R, R.T)))
    return Enclosure(max(0.0, float(low.lo)), float(quotient.hi))


def smallest_eigenvalue_bound(A: Interval) -> float:
    """A number that lambda_min of every symmetric matrix in A exceeds (Rump 2006, with the residual computed).

    If A - c I = L L^T + rest then lambda_min(A) >= c - |rest|; c is taken just below the eigenvalue that is seen.

    >>> bool(0.999999 < smallest_eigenvalue_bound(Interval(np.diag([1.0, 3.0]))) <= 1.0)
    True
    """
    middle = 0.5 * (A.mid + A.mid.T)
    if not np.isfinite(middle).all():
        return -INF
    n = middle.shape[0]
    values = scipy.linalg.eigvalsh(middle)
    margin = 4.0 * n * _UNIT * float(np.abs(values).max())
    for _ in range(6):
        shift = float(values[0]) - margin
        try:
            L = np.asarray(np.linalg.cholesky(middle - shift * np.eye(n)), dtype=np.float64)
        except np.linalg.LinAlgError:
            margin *= 8.0
            continue
        rest = (A - Interval(shift * np.eye(n))) - product(L, L.T)
        return float(down(shift - row_sum_norm(rest)))
    return -INF


def _transposed(A: Interval) -> Interval:
    return Interval(np.ascontiguousarray(A.lo.T), np.ascontiguousarray(A.hi.T))


def inverse(A: Array) -> Array | None:
    """An approximate inverse; None where there is none in floating point."""
    try:
        R = np.asarray(np.linalg.inv(A), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None
    return R if np.isfinite(R).all() else None


def solution_near(K: Interval, residual: Interval) -> Interval | None:
    """The differences K^-1 residual for every matrix and vector in the intervals; None where K may be singular.

    With R about K^-1 and q = |I - R K| < 1, K^-1 r differs from R r by at most q/(1 - q) times its largest entry.
    """
    R = inverse(K.mid)
    if R is None:
        return None
    q = distance_from_identity(product(R, K))
    if not q < 1.0:
        return None
    first = product(R, residual.reshape(-1, 1)).reshape(-1)
    growth = Interval(q) / (1.0 - Interval(q)) * Interval(float(first.mag.max()))
    return first.widened(growth.hi)


def hadamard_gram(left: Interval, right: Interval, G: Interval) -> Interval:
    """(B^T C) * G entrywise, (n, n), for B, C (m, n): K = J J^T where both are a phi'."""
    return product(_transposed(left), right) * G


def jacobian_gram(left: tuple[Interval, ...], right: tuple[Interval, ...], G: Interval) -> Interval:
    """K = (B^T B) * G + sum_q C_q^T C_q, (n, n), for the slopes B, C_1, ..., C_p of units, each (m, n)."""
    total = hadamard_gram(left[0], right[0], G)
    for C, D in zip(left[1:], right[1:], strict=True):
        total = total + product(_transposed(C), D)
    return total


def floor_root(x: Array) -> Array:
    """Numbers whose squares are at most x >= 0."""
    return np.maximum(np.nextafter(np.sqrt(x), -INF), 0.0)

