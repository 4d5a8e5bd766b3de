"""The zero-loss manifold as a manifold of pymanopt, so that its solvers run on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..compiled import geometry
from ..errors import ProjectionError
from ..manifold import ZeroLossManifold
from ..reproducible import reproducible
from ..validation import Array, generator, instance
from .extras import require

pymanopt = require("pymanopt", "The pymanopt adapter")


class ZeroLossPymanopt(pymanopt.manifolds.manifold.RiemannianSubmanifold):  # type: ignore[name-defined]
    """M = {theta : f(theta) = y} for pymanopt's solvers: a Riemannian submanifold of the space of (m, d + p) arrays.

    Parameters: `manifold`, the `ZeroLossManifold`; `rng`, a seed or generator of `random_point` and
    `random_tangent_vector`, whose signatures in pymanopt have no place for one.

    `retraction` is Newton's projection. Where it does not converge the step is too long: the starting point is given
    back, in which pymanopt's solvers see a step without decrease and take a shorter one; `failed_retractions`
    counts these. `transport` projects onto the tangent space of the end point. `weingarten` makes Riemannian Hessians
    of any cost that has a Euclidean one.

    Raises `InputError` where `manifold` is no `ZeroLossManifold`, `MissingExtraError` without pymanopt.

    Source: Absil, Mahony and Trumpf (2013) for the Weingarten map; its formula from E of `docs/theory.md`.

    >>> import manifoldflow as mf
    >>> data = mf.datasets.synthetic(n=3, d=6, rng=0)
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=4), data.X, data.y)
    >>> peer = ZeroLossPymanopt(man, rng=0)
    >>> peer.dim, peer.random_point().shape
    (21, (4, 6))
    """

    def __init__(self, manifold: ZeroLossManifold, rng: int | np.random.Generator = 0) -> None:
        self.manifold = instance("manifold", manifold, ZeroLossManifold)
        self._stream = generator(rng)
        self.failed_retractions = 0
        m, columns = manifold.shape
        super().__init__(f"Zero-loss manifold of {manifold!r}", m * columns - manifold.n)

    @property
    def typical_dist(self) -> float:
        """The scale of trust regions: the root of the dimension, as for pymanopt's linear spaces."""
        return float(np.sqrt(max(self.dim, 1)))

    def inner_product(self, point: Array, tangent_vector_a: Array, tangent_vector_b: Array) -> float:
        """Sum of the products of the entries."""
        return float(np.vdot(tangent_vector_a, tangent_vector_b))

    def norm(self, point: Array, tangent_vector: Array) -> float:
        """The Frobenius norm."""
        return float(np.linalg.norm(tangent_vector))

    def projection(self, point: Array, vector: Array) -> Array:
        """Orthogonal projection onto the tangent space."""
        return self.manifold.projection(point, vector)

    def to_tangent_space(self, point: Array, vector: Array) -> Array:
        """The same as `projection`."""
        return self.manifold.projection(point, vector)

    def random_point(self) -> Array:
        """A random point, from the adapter's own stream."""
        return self.manifold.random_point(self._stream)

    def random_tangent_vector(self, point: Array) -> Array:
        """A random tangent vector of length 1, from the adapter's own stream."""
        vector = self.manifold.projection(point, self._stream.normal(size=self.manifold.shape))
        return vector / np.linalg.norm(vector)

    def zero_vector(self, point: Array) -> Array:
        """Zeros, (m, d + p)."""
        return np.zeros(self.manifold.shape)

    def retraction(self, point: Array, tangent_vector: Array) -> Array:
        """Newton's projection of point + tangent_vector, or `point` where it does not converge."""
        try:
            return self.manifold.retraction(point, tangent_vector)
        except ProjectionError:
            self.failed_retractions += 1
            return np.array(point)

    def exp(self, point: Array, tangent_vector: Array) -> Array:
        """The Riemannian exponential, integrated at rtol 1e-12."""
        return self.manifold.exp(point, tangent_vector)

    def transport(self, point_a: Array, point_b: Array, tangent_vector_a: Array) -> Array:
        """Projection onto the tangent space at point_b, a vector transport."""
        return self.manifold.projection(point_b, tangent_vector_a)

    @reproducible
    def weingarten(self, point: Array, tangent_vector: Array, normal_vector: Array) -> Array:
        """-P sum_i nu_i D^2 f_i[tangent_vector], where normal_vector = J^T nu."""
        manifold = self.manifold.distinct
        J = manifold.jacobian(point)
        nu = np.linalg.solve(manifold.jacobian_gram(point), np.tensordot(J, normal_vector, 2))
        return -manifold.projection(point, _second_derivative(manifold, point, tangent_vector, nu))


def _second_derivative(manifold: ZeroLossManifold, theta: Array, U: Array, nu: Array) -> Array:
    """Sum_i nu_i D^2 f_i[U] = sum_i nu_i A_i^T H_ji A_i U_j, (m, d + p)."""
    coordinates, rank = manifold.coordinates, manifold.coordinates.rank
    work, W = manifold.workspace(), coordinates.reduce(theta)
    geometry.second_derivatives(W, manifold.problem, work, np.empty_like(W))
    reduced = coordinates.reduce(U)
    u = np.concatenate([(reduced[:, :rank] @ manifold.problem.RT)[None], _own(reduced[:, rank:], manifold.n)])
    t = nu * np.einsum("qrji,rji->qji", work.H, u)
    return coordinates.expand(np.concatenate([t[0] @ manifold.problem.R, t[1:].sum(axis=-1).T], axis=1))


def _own(c: Array, n: int) -> Array:
    """The own parameters c (m, p) for every sample, (p, m, n)."""
    return np.repeat(c.T[:, :, None], n, axis=2)


def pymanopt_problem(manifold: ZeroLossPymanopt) -> Any:
    """The `pymanopt.Problem` of minimising F on M, with the derived Riemannian gradient and Hessian.

    For another cost decorate it with `pymanopt.function.autograd(manifold)`, or `.numpy(manifold)` and give its
    derivatives, and make a `pymanopt.Problem` of it.

    Raises `InputError` where `manifold` is no `ZeroLossPymanopt`.

    >>> import manifoldflow as mf
    >>> data = mf.datasets.synthetic(n=3, d=6, rng=0)
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=4), data.X, data.y)
    >>> problem = pymanopt_problem(ZeroLossPymanopt(man))
    >>> found = pymanopt.optimizers.TrustRegions(verbosity=0).run(problem)
    >>> bool(abs(found.cost - mf.flattest_point(man).fun) < 1e-10 * found.cost)
    True
    """
    man = instance("manifold", manifold, ZeroLossPymanopt).manifold
    decorate = pymanopt.function.numpy(manifold)

    # pymanopt reads the signature of what it is given and writes attributes on it: functions, not methods.
    @decorate
    def cost(theta: Array) -> float:
        return man.sharpness(theta)

    @decorate
    def gradient(theta: Array) -> Array:
        return man.gradient(theta)

    @decorate
    def hessian(theta: Array, u: Array) -> Array:
        return man.hessian_vector_product(theta, u)

    return pymanopt.Problem(manifold, cost, riemannian_gradient=gradient, riemannian_hessian=hessian)
