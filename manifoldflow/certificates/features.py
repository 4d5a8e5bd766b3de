"""What is known of a manifold's exact data and of all points in a ball, as intervals.

The numbers in X, y, a and theta are taken as they are, exactly; the reduced coordinates that the solvers work in are
rounded and take no part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ..manifold import ZeroLossManifold
from ..validation import Array, real_array
from .arithmetic import Arithmetic, Float64Intervals
from .interval import Interval
from .linear import sharp_product, smallest_gram_eigenvalue
from .quantities import derivatives, output_and_slopes, require_plain
from .record import Enclosure


@dataclass(frozen=True, eq=False)
class ExactData:
    """The data of a manifold, and what follows from them alone."""

    manifold: ZeroLossManifold

    @classmethod
    def of_plain_units(cls, manifold: ZeroLossManifold) -> ExactData:
        """Of a manifold whose units are a*phi(z); `InputError` for others."""
        require_plain(manifold.network.unit)
        return cls(manifold)

    @cached_property
    def inputs(self) -> Array:
        """What weights are multiplied with, (n, d)."""
        return np.ascontiguousarray(self.manifold.network.inputs(self.manifold.X), dtype=float)

    @cached_property
    def gram(self) -> Interval:
        """G = X X^T, (n, n)."""
        G = sharp_product(self.inputs, np.ascontiguousarray(self.inputs.T))
        squares = self.s
        k = np.arange(self.manifold.n)
        lo, hi = G.lo.copy(), G.hi.copy()
        lo[k, k], hi[k, k] = squares.lo, squares.hi
        return Interval(lo, hi)

    @cached_property
    def s(self) -> Interval:
        """s_i = |x_i|^2, (n,)."""
        return Interval(self.inputs).power(2).sum(axis=1)

    @cached_property
    def lengths(self) -> Interval:
        """|x_i|, (n,)."""
        return self.s.sqrt()

    @cached_property
    def mu(self) -> Enclosure:
        """Smallest eigenvalue of G."""
        return Enclosure(0.0, 0.0) if self.manifold.repeats.any else smallest_gram_eigenvalue(self.inputs)

    @property
    def a(self) -> Interval:
        """Fixed coefficients, (m, n)."""
        return Interval(self.manifold.a)

    @cached_property
    def scale(self) -> Interval:
        """a_ji^2 s_i, (m, n): what the squared slopes count in F."""
        return self.a.power(2) * self.s

    @property
    def equal_weights(self) -> bool:
        """Whether all units of a sample have the same coefficient."""
        return bool((self.manifold.a == self.manifold.a[0]).all())


@dataclass(frozen=True, eq=False)
class Ball:
    """All parameters within `radius` of theta (m, d + p), and what units and their derivatives may be there."""

    data: ExactData
    theta: Array
    radius: float = 0.0
    arithmetic: Arithmetic = Float64Intervals()  # noqa: RUF009 (it has no state)

    @classmethod
    def around(cls, manifold: ZeroLossManifold, theta: ArrayLike, radius: float = 0.0) -> Ball:
        """From a manifold and a point, checked."""
        return cls(ExactData(manifold), real_array("theta", theta, shape=manifold.shape), radius)

    @cached_property
    def z(self) -> Interval:
        """Pre-activations, (m, n): |z - z(theta)| <= radius |x_i| (Cauchy and Schwarz)."""
        weights = np.ascontiguousarray(self.theta[:, : self.data.inputs.shape[1]])
        z = sharp_product(weights, np.ascontiguousarray(self.data.inputs.T))
        return z if self.radius == 0.0 else z.widened((Interval(self.radius) * self.data.lengths).hi)

    @cached_property
    def own(self) -> tuple[Interval, ...]:
        """Own parameters, p of shape (m, 1)."""
        d = self.data.inputs.shape[1]
        return tuple(Interval(column[:, None]).widened(self.radius) for column in self.theta[:, d:].T)

    @cached_property
    def phi(self) -> tuple[Interval, ...]:
        """phi, phi', phi'', phi''' at z, (m, n) each."""
        unit = self.data.manifold.network.unit
        found = self.arithmetic.enclose(derivatives(unit, 3), self.z)
        return tuple(found[str(order)] for order in range(4))

    @cached_property
    def residual(self) -> Interval:
        """f - y, (n,)."""
        return self._unit[0].sum(axis=0) - self.data.manifold.y

    @property
    def slopes(self) -> tuple[Interval, ...]:
        """psi_z = B and psi_{c_q} = C_q, 1 + p of shape (m, n)."""
        return self._unit[1:]

    @cached_property
    def sharpness(self) -> Interval:
        """F = 2 sum a^2 phi'^2 s, what tr D^2 L is on M."""
        return 2.0 * (self.phi[1].power(2) * self.data.scale).sum()

    def slopes_at(self, z: Interval, own: tuple[Interval, ...]) -> tuple[Interval, ...]:
        """The slopes at other pre-activations and own parameters."""
        return self._unit_at(z, own)[1:]

    @cached_property
    def _unit(self) -> tuple[Interval, ...]:
        return self._unit_at(self.z, self.own)

    def _unit_at(self, z: Interval, own: tuple[Interval, ...]) -> tuple[Interval, ...]:
        unit = self.data.manifold.network.unit
        others = {"a": self.data.a, **dict(zip(unit.own, own, strict=True))}
        found = self.arithmetic.enclose(output_and_slopes(unit), z, others)
        return found["psi"], *(found[str(q)] for q in range(1 + unit.p))
