"""The zero-loss manifold M = {theta : f(theta) = y} of a network on data, and its Riemannian geometry."""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from .codegen import Kernel, load_kernel
from .compiled import geometry
from .compiled.entry import full_gradient, pack
from .compiled.lapack import may_use_threads
from .conditioning import condition_number, why_singular
from .coordinates import ReducedCoordinates
from .errors import GeometryError
from .geodesics import Geodesic, geodesic_path, integrate, sampled, times_of
from .network import FixedCoefficients, Network, trains_at_zero
from .parallel import ParallelGradient, is_worthwhile
from .points import nearest_point, random_point
from .projection import newton, retracted, tolerance
from .reach import check_labels_reachable
from .repeats import on_distinct_samples, repeats_of, without_repeats
from .reproducible import NOTHING, ONE_THREAD, reproducible_methods
from .spectrum import diagonalise, eigenvalues, jacobian_rows, which_eigenvalues
from .validation import Array, generator, instance, is_plain, positive_number, real_array, samples

OFF_MANIFOLD = 1e-6  # largest |f - y| / (1 + max |y|) at which a point passes for one on the manifold


@reproducible_methods(exclude=("gradient",))
class ZeroLossManifold:
    """M = {theta : f_i(theta) = y_i for all i} with the metric of parameter space; sharpness F = tr D^2 L on it.

    Parameters: `network`, `X` (n, d), `y` (n,). Points and tangent vectors are (m, d + p) float64 arrays, one unit a
    row: d weights, then the unit's p own parameters. After construction no cost depends on d, except reading and
    writing such arrays; `reduced` gives the same manifold in the coordinates of the data's span, (m, r + p).

    Rows of X may be equal where their labels are: see `distinct`.

    Raises `InputError` for shapes that do not match and numbers that are not finite, `UnreachableLabelsError` for
    labels outside the network's range. Methods that need a point on M raise `GeometryError` off it, and where J J^T is
    singular.

    Source: Gatmiry et al. (ICML 2024); formulas and notation in `docs/theory.md`.

    >>> from manifoldflow import TwoLayerNetwork
    >>> rng = np.random.default_rng(0)
    >>> man = ZeroLossManifold(TwoLayerNetwork("z**3 + z", width=5), rng.normal(size=(3, 8)), [1.0, 0.0, -1.0])
    >>> theta = man.random_point(rng=0)
    >>> bool(np.abs(man.residual(theta)).max() < 1e-13)
    True
    >>> bool(np.linalg.norm(man.projection(theta, man.gradient(theta)) - man.gradient(theta)) < 1e-10)
    True
    """

    def __init__(self, network: Network, X: ArrayLike, y: ArrayLike) -> None:
        self.network = instance("network", network, Network)
        self.X, self.y = samples(X, y, trains_at_zero(network.unit))
        self.inputs, self.a = network.inputs(self.X), np.ascontiguousarray(network.coefficients(self.X))
        self.kernel: Kernel = load_kernel(network.unit)
        self.repeats = repeats_of(self.inputs, self.a, network.unit)
        check_labels_reachable(self)
        once = without_repeats(self)
        self._distinct: ZeroLossManifold | None = None if once is None else ZeroLossManifold(*once)
        shared = self._distinct and self._distinct.coordinates.repeated(self.repeats.group)
        self.coordinates: ReducedCoordinates = shared or ReducedCoordinates(self.inputs, network.p)
        R = self.coordinates.R
        self.gram = R @ R.T
        self.problem = geometry.problem_of(self.kernel.addresses, R, self.gram, self.a, self.y)
        self._off_manifold = OFF_MANIFOLD * (1.0 + float(np.abs(self.y).max(initial=0.0)))
        self._may_use_threads = may_use_threads(self.m, self.n, self.coordinates.d)

    @cached_property
    def _parallel_gradient(self) -> ParallelGradient | None:
        """The gradient on several threads, for problems so large that it pays."""
        X = np.ascontiguousarray(self.distinct.inputs)
        if not is_worthwhile(self.m, *X.shape):
            return None
        problem = self.distinct.problem._replace(R=X, RT=np.ascontiguousarray(X.T))
        return ParallelGradient(problem, self.m, self.network.p)

    @cached_property
    def _packed(self) -> tuple[Array, Array, Any]:
        """What `full_gradient` reads; made when the first gradient is asked for, because it holds the data again."""
        man = self.distinct
        return pack(man.inputs, man.problem.G, man.a), man.y, man.kernel.addresses

    def __repr__(self) -> str:
        return f"ZeroLossManifold({self.network!r}, n={self.n}, d={self.X.shape[1]}, rank={self.coordinates.rank})"

    def __reduce__(self) -> tuple[type, tuple[Network, Array, Array]]:
        return ZeroLossManifold, (self.network, self.X, self.y)

    # Sizes and constants of the data.

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.y.size

    @property
    def m(self) -> int:
        """Number of units."""
        return self.a.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of a point, (m, d + p)."""
        return self.m, self.coordinates.d + self.network.p

    @property
    def dimension(self) -> int:
        """Dimension m (r + p) - n of M within the data's span, n the number of distinct samples."""
        return self.m * (self.coordinates.rank + self.network.p) - self.distinct.n

    @property
    def mu(self) -> float:
        """Smallest eigenvalue of the Gram matrix G = X X^T; 0 when the rows are dependent."""
        return float(self.coordinates.singular_values[-1] ** 2) if self.coordinates.rank == self.n else 0.0

    @property
    def s_min(self) -> float:
        """Smallest squared norm of a sample."""
        return float(self.problem.s.min())

    @property
    def reduced(self) -> ZeroLossManifold:
        """The same manifold in reduced coordinates, with data R (n, r) and points (m, r + p); isometric.

        Itself where units meet no inputs: nothing is left out then.
        """
        if self.coordinates.rank == 0:
            return self
        return ZeroLossManifold(FixedCoefficients(self.network.unit, self.a, R := self.coordinates.R), R, self.y)

    @property
    def distinct(self) -> ZeroLossManifold:
        """The same manifold with equal samples taken once; itself where none are equal.

        k equal samples are one whose outputs and label are multiplied by sqrt(k): loss, F and points stay, and J J^T,
        which equal rows make singular, may be regular. Geometry, flow and solvers compute there, with |f - y| of the
        multiplied outputs. The theorems are about the rows as given, which are dependent.
        """
        return self._distinct or self

    # Points.

    @on_distinct_samples
    def random_point(self, rng: int | np.random.Generator, scale: float = 1.0) -> Array:
        """A random point: Gaussian weights with pre-activations of standard deviation about `scale`, moved onto M.

        Own parameters are standard normal, times `scale` where a unit has no others. Damped Newton along normal
        spaces. When it stops, smaller scales are tried, then features spread around the rank-one point, for activations
        that are real on part of the line only. Deterministic for a given seed. Raises `ProjectionError` if no point is
        found.
        """
        return random_point(self, generator(rng), positive_number("scale", scale))

    @on_distinct_samples
    def retraction(self, theta: ArrayLike, u: ArrayLike) -> Array:
        """The point that Newton's method along normal spaces reaches from theta + u: a second-order retraction.

        Smooth where it is defined: Newton's steps are whole ones and each must halve max |f - y|. Elsewhere
        `ProjectionError`, with the share of u that can be taken.
        """
        start, vector = self.point("theta", theta), self._vector("u", u)
        return self.compose(retracted(self, *map(self.coordinates.reduce, (start, vector))), start + vector)

    @on_distinct_samples
    def nearest_point(self, theta: ArrayLike) -> Array:
        """The point of M nearest to theta: theta - nearest is normal to M there; local, for theta near M.

        Iterates theta <- theta_0 - J^T K^{-1} (f - y + J (theta_0 - theta)), a fixed point of which satisfies the
        first-order conditions; raises `ProjectionError` when it does not converge (theta too far from M).
        """
        start = self._vector("theta", theta)
        return self.compose(nearest_point(self, self.coordinates.reduce(start)), start)

    # First and second derivatives.

    def predict(self, theta: ArrayLike) -> Array:
        """Network outputs f_i, (n,), at any parameters."""
        W = self.coordinates.reduce(self._vector("theta", theta))
        work = self.workspace()
        geometry.output(W, self.problem, work)
        return work.f

    def residual(self, theta: ArrayLike) -> Array:
        """f - y, (n,)."""
        return self.predict(theta) - self.y

    def jacobian(self, theta: ArrayLike) -> Array:
        """Jacobian d f_i / d theta, (n, m, d + p)."""
        work = self._evaluate(theta)
        return jacobian_rows(work.g, self.inputs).reshape(self.n, *self.shape)

    def preactivations(self, theta: ArrayLike) -> Array:
        """z_ji = theta_j . x_i, (m, n)."""
        return self._evaluate(theta).z

    def jacobian_gram(self, theta: ArrayLike) -> Array:
        """K = J J^T, (n, n), at any parameters."""
        K = np.empty((self.n, self.n))
        geometry.jacobian_gram(self._evaluate(theta).g, self.gram, K)
        return K

    @on_distinct_samples
    def condition(self, theta: ArrayLike) -> float:
        """Condition number of J J^T at any parameters: largest over smallest eigenvalue, infinite where that is 0.

        Multipliers lose as many digits as it has; it grows with dependent samples, of which equal ones count once, and
        towards points of low rank.
        """
        return condition_number(self.jacobian_gram(theta))

    @on_distinct_samples
    def sharpness(self, theta: ArrayLike) -> float:
        """F = tr D^2 L = 2 sum_i |grad f_i|^2 at a point of M."""
        W = self.coordinates.reduce(self._vector("theta", theta))
        work = self.workspace()
        F = geometry.sharpness(W, self.problem, work)
        self._require_on_manifold(self._distance(work))
        return float(F)

    def gradient(self, theta: ArrayLike) -> Array:
        """Riemannian gradient of F, (m, d + p): block j is sum_i A_i^T (alpha_ji - lambda_i g_ji)."""
        given = cast(Array, theta) if is_plain(theta, self.shape) else self._vector("theta", theta).copy()
        out = np.empty(self.shape)
        with ONE_THREAD if self._may_use_threads else NOTHING:
            found = self._parallel_gradient(given, out) if self._parallel_gradient is not None else None
            if found is None:
                packed, y, unit = self._packed
                found = full_gradient(given, packed, y, unit, out)
        F, size, info = found
        if info != 0 or not (F - F == 0.0 and size <= self._off_manifold):
            self.point("theta", theta)
            self._require_regular(info)
        return out

    def multipliers(self, theta: ArrayLike) -> Array:
        """lambda = K^+ J grad F (Euclidean gradient), (n,): those of least norm where samples are equal."""
        lam = self.gradient_at(self.coordinates.reduce(self._vector("theta", theta)))[2].lam[0]
        return (lam / self.repeats.roots)[self.repeats.group] if lam.size < self.n else lam

    @on_distinct_samples
    def hessian_vector_product(self, theta: ArrayLike, u: ArrayLike) -> Array:
        """Riemannian Hessian of F applied to u, (m, d + p); u is projected onto the tangent space first."""
        W, U = (self.coordinates.reduce(self._vector(name, value)) for name, value in (("theta", theta), ("u", u)))
        work, out = self.workspace(), np.empty_like(W)
        self._require_regular(geometry.hessian_vector_product(W, self.problem, work, U, out))
        self._require_on_manifold(self._distance(work))
        return self.coordinates.expand(out)

    @on_distinct_samples
    def hessian_spectrum(self, theta: ArrayLike, k: int | None = None, which: str = "smallest") -> Array:
        """Eigenvalues of the Riemannian Hessian on the tangent space within the data's span, ascending.

        All m (r + p) - n of them by default, with a dense matrix of that size: `InputError` above 5000. With `k`, the k
        smallest or, for which="largest", the k largest, copies included, (k,): for large sizes by Lanczos on inverses
        made of the units' blocks (m (r + p) n numbers), confirmed by counts of eigenvalues (Haynsworth 1968), to 1e-9
        of themselves + 1e-13 of the largest. Source: E of S3 in `docs/theory.md`.

        >>> from manifoldflow import TwoLayerNetwork
        >>> man = ZeroLossManifold(TwoLayerNetwork("z**3 + z", width=3), np.eye(2), [3.0, 3.0])
        >>> theta = man.nearest_point(np.full((3, 2), 0.7))
        >>> man.hessian_spectrum(theta).size, man.hessian_spectrum(theta, k=1).shape
        (4, (1,))
        """
        wanted = which_eigenvalues(k, which, self.dimension)
        W = self.coordinates.reduce(self._vector("theta", theta))
        work = self.workspace()
        _, info = geometry.second_derivatives(W, self.problem, work, np.empty_like(W))
        self._require_on_manifold(self._distance(work))
        self._require_regular(info)
        return eigenvalues(diagonalise(self.problem, work), *wanted)

    # Tangent space and curves.

    @on_distinct_samples
    def projection(self, theta: ArrayLike, u: ArrayLike) -> Array:
        """Orthogonal projection of u onto the tangent space at theta, (m, d + p)."""
        W = self.coordinates.reduce(self.point("theta", theta))
        start = self._vector("u", u)
        return self.compose(self.along_tangent(W, self.coordinates.reduce(start)), start)

    @on_distinct_samples
    def exp(self, theta: ArrayLike, u: ArrayLike) -> Array:
        """Riemannian exponential: the geodesic from theta with velocity u (projected to be tangent), at time 1."""
        path = geodesic_path(self, self.point("theta", theta), self._vector("u", u), 0.0, 1.0)
        return path.lifted(1.0)[0]

    @on_distinct_samples
    def transport(self, theta: ArrayLike, v: ArrayLike, u: ArrayLike) -> Array:
        """Parallel transport of v along the geodesic of `exp(theta, u)`, to its end; both are projected first."""
        start = self.point("theta", theta)
        W = self.coordinates.reduce(start)
        vector = self._vector("v", v)
        V = self.along_tangent(W, self.coordinates.reduce(vector))
        U = self.along_tangent(W, self.coordinates.reduce(self._vector("u", u)))
        return self.compose(integrate(self, np.stack([W, U, V]), 1.0)[1][-1, 2], vector)

    @on_distinct_samples
    def geodesic(self, theta: ArrayLike, u: ArrayLike, t: ArrayLike) -> Geodesic:
        """The geodesic gamma with gamma(0) = theta and gamma'(0) = u (projected to be tangent), at the times t.

        `t` (k,) increases; negative times go backwards. The result holds points and velocities, (k, m, d + p) each, and
        dense output. Integrated at rtol 1e-12; raises `GeometryError` where it cannot go on. Source: record geodesic.

        >>> from manifoldflow import TwoLayerNetwork
        >>> man = ZeroLossManifold(TwoLayerNetwork("z**3 + z", width=2), np.eye(2), [4.0, 4.0])
        >>> curve = man.geodesic(np.ones((2, 2)), [[0.5, 0.0], [-0.5, 0.0]], [-1.0, 0.0, 1.0])
        >>> bool(np.abs(man.residual(curve.theta[2])).max() < 1e-14), curve.velocity.shape
        (True, (3, 2, 2))
        """
        start, velocity, times = self.point("theta", theta), self._vector("u", u), times_of(t)
        return sampled(geodesic_path(self, start, velocity, times[0], times[-1]), times)

    # For the solvers, in reduced coordinates.

    def workspace(self) -> geometry.Workspace:
        """Room for the compiled functions to write in; one for each thread."""
        return geometry.workspace(self.m, self.n, self.network.p)

    @on_distinct_samples
    def point(self, name: str, value: ArrayLike) -> Array:
        """`value` as an array, checked to be a point of M; `name` is what messages call it."""
        theta = self._vector(name, value)
        work = self.workspace()
        geometry.output(self.coordinates.reduce(theta), self.problem, work)
        self._require_on_manifold(self._distance(work))
        return theta

    @on_distinct_samples
    def gradient_at(self, W: Array, problem: geometry.Problem | None = None) -> tuple[float, Array, geometry.Workspace]:
        """F and its Riemannian gradient (m, r + p) at a point of M, with the workspace that its evaluation leaves.

        `problem`: the same with its samples turned, see `turning`.
        """
        work, out, problem = self.workspace(), np.empty_like(W), problem or self.problem
        F, info = geometry.gradient(W, problem, work, out)
        self._require_on_manifold(float(np.abs(work.f - problem.y).max(initial=0.0)))
        self._require_regular(info)
        return F, out, work

    @on_distinct_samples
    def is_on(self, W: Array) -> bool:
        """Whether the point with coordinates W counts as one of M."""
        work = self.workspace()
        geometry.output(W, self.problem, work)
        return self._distance(work) <= self._off_manifold

    def projection_tolerance(self, W: Array | None = None) -> float:
        """Largest |f - y| that counts as converged: rounding of a sum of m terms of size 1 + |y|.

        Of size |y| where units meet no inputs: their outputs have the scale of the labels. With a point, rounding of
        its own summands where they are larger: far out they cancel. At most 1e-2 (1 + max |y|).
        """
        return tolerance(self, W)

    @on_distinct_samples
    def newton(self, W: Array) -> str | None:
        """Move W onto M in place, by damped Newton steps; None, or why it failed."""
        return newton(self, W)

    @on_distinct_samples
    def along_tangent(self, W: Array, U: Array) -> Array:
        """Projection of U onto the tangent space at W, both in reduced coordinates."""
        out = np.empty_like(U)
        self._require_regular(geometry.project(W, self.problem, self.workspace(), U, out))
        return out

    def compose(self, W: Array, start: Array) -> Array:
        """Parameters with coordinates W and the part of `start` orthogonal to the data's span."""
        return self.coordinates.expand(W) + self.coordinates.orthogonal_part(start)

    def _vector(self, name: str, value: ArrayLike) -> Array:
        return real_array(name, value, shape=self.shape)

    def _evaluate(self, theta: ArrayLike) -> geometry.Workspace:
        work = self.workspace()
        geometry.residual(self.coordinates.reduce(self._vector("theta", theta)), self.problem, work)
        return work

    def _require_on_manifold(self, size: float) -> None:
        if not size <= self._off_manifold:
            raise GeometryError(
                f"theta is not on the manifold: max |f - y| = {size:.2e}, allowed {self._off_manifold:.1e}. "
                "Move it there first, with nearest_point(theta) or retraction()."
            )

    def _distance(self, work: geometry.Workspace) -> float:
        return float(np.abs(work.f - self.y).max(initial=0.0))

    def _require_regular(self, info: int) -> None:
        if info != 0:
            raise GeometryError(why_singular(self))
