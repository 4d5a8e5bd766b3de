"""All certificates of one case: what `manifoldflow inspect` and the report print."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..flattest import flattest_point
from ..manifold import ZeroLossManifold
from ..reproducible import reproducible
from ..validation import Array, instance
from .arithmetic import has_arb
from .constants import ConstantsEnclosure, enclose_constants
from .curvature import HessianBound, convex_radius, hessian_lower_bound
from .disagreement import disagreeing_critical_point
from .existence import ExactPoint, exact_zero_loss_point
from .features import ExactData
from .flattest import FlattestEnclosure, enclose_flattest_point
from .rank_one import rank_one_point
from .record import Certificate


@dataclass(frozen=True, eq=False)
class Survey:
    """What was proved about one manifold and one start: an exact point, the constants, the flattest point, or why not.

    `hessian` is about a ball around the flattest point, None where that is not proved; `counterexamples` are looked for
    where A1 is not proved.
    """

    point: ExactPoint
    constants: ConstantsEnclosure
    flattest: FlattestEnclosure
    hessian: HessianBound | None
    counterexamples: tuple[Certificate, ...]

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """Every certificate, in the order in which they are best read."""
        hessian = () if self.hessian is None else (self.hessian.certificate,)
        first = (*self.constants.certificates, self.point.certificate, self.flattest.certificate)
        return (*first, *hessian, *self.counterexamples)


def survey(manifold: ZeroLossManifold, theta: ArrayLike) -> Survey:
    """Give every certificate that there is for a manifold and a start.

    The constants are those of the exact zero-loss point that is proved to be near theta. Float64 intervals are used;
    Arb for the constants where they do not decide A1 and it is installed.

    Args:
        manifold: the zero-loss manifold, with units a*phi(z).
        theta: where the flow starts, (m, d).

    Returns:
        A `Survey`.

    Raises:
        InputError: units of another form, or an argument outside its domain.

    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=3), np.eye(2), [1.0, 2.0])
    >>> [found.name for found in survey(man, man.random_point(rng=0)).certificates if found.proved]
    ['A1', 'A2', 'A3', 'confinement', 'zero-loss point', 'flattest point', 'Hessian bound']
    """
    instance("manifold", manifold, ZeroLossManifold)
    point = exact_zero_loss_point(manifold, theta)
    return completed(manifold, point, constants_from(manifold, theta, point))


@reproducible
def constants_from(manifold: ZeroLossManifold, theta: ArrayLike, point: ExactPoint) -> ConstantsEnclosure:
    """The constants for a flow from the exact point, all that assumptions are examined by; else from theta itself."""
    return _constants(manifold, theta, point.radius if point.certificate.proved else 0.0)


@reproducible
def completed(manifold: ZeroLossManifold, point: ExactPoint, constants: ConstantsEnclosure) -> Survey:
    """The survey whose first part is given: the flattest point, and counterexamples where A1 is not proved."""
    flattest, hessian = _minimum(manifold)
    counterexamples = () if constants.certificate("A1").proved else _counterexamples(manifold)
    return Survey(point, constants, flattest, hessian, counterexamples)


def _constants(manifold: ZeroLossManifold, theta: ArrayLike, radius: float) -> ConstantsEnclosure:
    found = enclose_constants(manifold, theta, start_radius=radius)
    slopes = found.certificate("A1")
    if slopes.proved or slopes.refuted or not has_arb():
        return found
    again = enclose_constants(manifold, theta, start_radius=radius, arithmetic="arb")
    return found if again.certificate("A1").verdict == "not proved" else again


def _minimum(manifold: ZeroLossManifold) -> tuple[FlattestEnclosure, HessianBound | None]:
    found = enclose_flattest_point(manifold)
    if not found.certificate.proved:
        return found, None
    x: Array = np.asarray(flattest_point(manifold).x)
    return enclose_flattest_point(manifold, x), hessian_lower_bound(manifold, x, convex_radius(manifold, x))


def _counterexamples(manifold: ZeroLossManifold) -> tuple[Certificate, ...]:
    if not ExactData(manifold).equal_weights:
        return ()
    return rank_one_point(manifold).certificate, disagreeing_critical_point(manifold).certificate
