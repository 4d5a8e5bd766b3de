"""The Riemannian gradient written by hand, for peers that need it in NumPy, JAX or heyoka.

The package derives its formulas from the unit function and does not use this file; it is what a user of the other
tools would have to write. Operations come from `ops`, so that the same lines serve arrays and symbolic expressions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.common import optional


@dataclass(frozen=True)
class Operations:
    """Matrix product, solution of K lam = q for positive definite K, and the activation with two derivatives."""

    matmul: Callable[[Any, Any], Any]
    solve: Callable[[Any, Any], Any]
    concatenate: Callable[[list[Any]], Any]  # of columns
    activation: Callable[[Any], tuple[Any, Any, Any]]


def activation(name: str, functions: Any) -> Callable[[Any], tuple[Any, Any, Any]]:
    """phi, phi' and phi'' of "z**3 + z" or "sinh(z)"; `functions` has sinh and cosh."""
    if name == "sinh(z)":
        return lambda z: (lambda s: (s, functions.cosh(z), s))(functions.sinh(z))
    if name == "z**3 + z":
        return lambda z: (z * (z * z + 1.0), 3.0 * (z * z) + 1.0, 6.0 * z)
    raise ValueError(f"no formula by hand for {name!r}; there are 'z**3 + z' and 'sinh(z)'")


def gradient(W: Any, X: Any, G: Any, s: Any, trained: bool, ops: Operations) -> Any:
    """Riemannian gradient at W (m, r + p) for data X (n, r), G = X X^T, s = diag G; output weights one or trained."""
    r = X.shape[1]
    phi, d1, d2 = ops.activation(ops.matmul(W[:, :r], X.T))
    if not trained:
        alpha = 4.0 * d1 * d2 * s
        K, q = ops.matmul(d1.T, d1) * G, (ops.matmul(d1.T, alpha) * G).sum(axis=1)
        return ops.matmul(alpha - ops.solve(K, q) * d1, X)
    c = W[:, r:]
    g, alpha, own = c * d1, 4.0 * (c * c * d1 * d2 * s + phi * d1), 4.0 * (c * d1 * d1 * s)
    K = ops.matmul(g.T, g) * G + ops.matmul(phi.T, phi)
    q = (ops.matmul(g.T, alpha) * G).sum(axis=1) + ops.matmul(phi.T, own.sum(axis=1)[:, None])[:, 0]
    lam = ops.solve(K, q)
    return ops.concatenate([ops.matmul(alpha - lam * g, X), (own - lam * phi).sum(axis=1)[:, None]])


def numpy_operations(name: str) -> Operations:
    """For NumPy arrays."""
    return Operations(np.matmul, np.linalg.solve, np.hstack, activation(name, np))


def jax_operations(name: str) -> Operations:
    """For JAX arrays, in double precision."""
    jax = optional("jax")

    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy

    def solve(K: Any, q: Any) -> Any:
        return jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(K), q)

    return Operations(jnp.matmul, solve, jnp.hstack, activation(name, jnp))


def symbolic_operations(name: str) -> Operations:
    """For NumPy arrays of heyoka expressions."""
    heyoka = optional("heyoka")

    def matmul(A: Any, B: Any) -> Any:
        return np.array([[heyoka.sum(list(row * column)) for column in B.T] for row in A])

    def functions() -> Any:
        class Functions:
            sinh = staticmethod(np.vectorize(heyoka.sinh, otypes=[object]))
            cosh = staticmethod(np.vectorize(heyoka.cosh, otypes=[object]))

        return Functions

    return Operations(matmul, _symbolic_solve, np.hstack, activation(name, functions()))


def _symbolic_solve(K: Any, q: Any) -> Any:
    """Cholesky's factorisation without square roots, L D L^T, on expressions; then two triangular solutions."""
    heyoka = optional("heyoka")

    n = len(q)
    L, scaled, inverse = np.empty((n, n), object), np.empty((n, n), object), np.empty(n, object)
    x = np.empty(n, object)
    for i in range(n):
        for j in range(i):
            scaled[i, j] = heyoka.sum([K[i, j], *(-scaled[i, k] * L[j, k] for k in range(j))])
            L[i, j] = scaled[i, j] * inverse[j]
        inverse[i] = 1.0 / heyoka.sum([K[i, i], *(-scaled[i, k] * L[i, k] for k in range(i))])
        x[i] = heyoka.sum([q[i], *(-L[i, k] * x[k] for k in range(i))])
    for i in reversed(range(n)):
        x[i] = heyoka.sum([x[i] * inverse[i], *(-L[k, i] * x[k] for k in range(i + 1, n))])
    return x
