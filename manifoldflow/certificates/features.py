"""What is known of a manifold's exact data and of all points in a ball, as intervals.

The numbers in X, y, a and theta are taken as they are, exactly; the reduced coordinates that the solvers work in are
rounded and take no part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from ..manifold import ZeroLossManifold
from ..validation import Array, real_array
from .arithmetic import Arithmetic, Float64Intervals
from .interval import Interval
from .linear import sharp_product, smallest_gram_eigenvalue
from .quantities import derivatives
from .record import Enclosure


@dataclass(frozen=True, eq=False)
class ExactData:
    """The data of a manifold whose units are a*phi(z), and what follows from them alone."""

    manifold: ZeroLossManifold

    def __post_init__(self) -> None:
        if self.manifold.network.unit.phi is None:
            formula = self.manifold.network.unit.formula
            raise InputError(f"Certificates are about units a*phi(z); {formula!r} is not of this form.")

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
        return smallest_gram_eigenvalue(self.inputs)

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
    """All parameters within `radius` of theta (m, d), and the activation's derivatives at their pre-activations."""

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
        z = sharp_product(self.theta, np.ascontiguousarray(self.data.inputs.T))
        return z if self.radius == 0.0 else z.widened((Interval(self.radius) * self.data.lengths).hi)

    @cached_property
    def phi(self) -> tuple[Interval, ...]:
        """phi, phi', phi'', phi''' at z, (m, n) each."""
        unit = self.data.manifold.network.unit
        found = self.arithmetic.enclose(derivatives(unit, 3), self.z)
        return tuple(found[str(order)] for order in range(4))

    @cached_property
    def residual(self) -> Interval:
        """f - y, (n,)."""
        return (self.data.a * self.phi[0]).sum(axis=0) - self.data.manifold.y

    @cached_property
    def slopes(self) -> Interval:
        """B = a phi', (m, n)."""
        return self.data.a * self.phi[1]

    @cached_property
    def sharpness(self) -> Interval:
        """F = 2 sum a^2 phi'^2 s, what tr D^2 L is on M."""
        return 2.0 * (self.phi[1].power(2) * self.data.scale).sum()

    def slope_at(self, z: Interval) -> Interval:
        """phi' at other pre-activations."""
        return self.arithmetic.enclose(derivatives(self.data.manifold.network.unit, 1), z)["1"]
