"""Enclosures of the constants of S3-S7 and S13, and proofs that A1, A2, A3 and the confinement of S7 hold or fail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from derivations import UnitFunction

from ..assumptions import confinement
from ..manifold import ZeroLossManifold
from ..reproducible import reproducible
from ..validation import instance, positive_number
from .arithmetic import Arithmetic, Float64Intervals, has_arb
from .arithmetic import arithmetic as arithmetic_named
from .barriers import barrier, slope_limit
from .extrema import Minimum, maximum_size, minimum
from .features import Ball
from .interval import INF, Interval
from .quantities import derivative, ratio, tilt
from .record import Certificate, Enclosure, above, smallest

_NOTHING = Enclosure(-INF, INF)
_MORE = "Arb may decide it: pip install 'manifoldflow[certify]' and arithmetic='arb'"


@dataclass(frozen=True)
class ConstantsEnclosure:
    """Constants of the theorems, each between two numbers, for every start within `start_radius` of theta.

    `interval` is proved to contain every pre-activation that the flow can reach when `confined`, and those of the
    start otherwise; rho1, rho2, beta and ratio = inf phi'''/phi' are the extrema over exactly this interval, so their
    lower ends may be used in the theorems. beta is [0, 0] where none is proved to be positive. `certificates` are A1,
    A2, A3 and confinement.
    """

    interval: tuple[float, float]
    confined: bool
    start_radius: float
    rho1: Enclosure
    rho2: Enclosure
    beta: Enclosure
    ratio: Enclosure
    mu: Enclosure
    s_min: Enclosure
    weight: Enclosure
    sharpness: Enclosure
    certificates: tuple[Certificate, ...]

    def certificate(self, name: str) -> Certificate:
        """The certificate of that name: "A1", "A2", "A3" or "confinement"."""
        return {found.name: found for found in self.certificates}[name]

    def radius(self, kappa: float = 2.0) -> Enclosure:
        """r = kappa sqrt(mu) beta s_min: the region {|grad F| <= r} of S3 and S4."""
        return Enclosure.of(Interval(kappa) * self.mu.interval.sqrt() * self.beta.interval * self._scale)

    def convexity(self, kappa: float = 2.0) -> Enclosure:
        """c = (4 - kappa) rho1 rho2 s_min mu: the Hessian's lower bound there (S3), half the rate of S4."""
        slopes = self.rho1.interval * self.rho2.interval
        return Enclosure.of((4.0 - Interval(kappa)) * slopes * self._scale * self.mu.interval)

    def global_rate(self) -> Enclosure:
        """8 s_min mu rho1^2 inf(phi'''/phi'): the rate of S13."""
        slopes = self.rho1.interval.power(2) * self.ratio.interval
        return Enclosure.of(8.0 * self._scale * self.mu.interval * slopes)

    @property
    def _scale(self) -> Interval:
        return self.s_min.interval * self.weight.interval


@reproducible
def enclose_constants(
    manifold: ZeroLossManifold,
    theta: ArrayLike,
    *,
    start_radius: float = 0.0,
    arithmetic: str = "float64",
    bits: int = 128,
) -> ConstantsEnclosure:
    """Enclose the constants of `manifoldflow.assumptions.constants`, for any formula that the parser accepts.

    The interval of S7 ends at points where |phi'| is proved to exceed sqrt(F / (2 s_min min a^2)): a path along which F
    does not grow cannot cross them. Extrema come from interval branch and bound.

    Args:
        manifold: the zero-loss manifold, with units a*phi(z).
        theta: (m, d), where the flow starts, and what tr D^2 L is computed at.
        start_radius: the constants hold for starts within this distance of theta, such as `ExactPoint.radius`.
        arithmetic: "float64" intervals, or "arb" (extra `certify`) where terms of the formula cancel or are huge.
        bits: precision of Arb.

    Returns:
        A `ConstantsEnclosure`.

    Raises:
        InputError: units of another form, or an argument outside its domain.
        CertificateError: Arb is asked for and not installed.

    Source: S3-S7, S13.

    >>> import numpy as np
    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=4), np.eye(2), [1.0, 2.0])
    >>> found = enclose_constants(man, man.random_point(rng=0))
    >>> print(found.rho1, found.rho2, found.mu.within(5), found.certificate("A1").verdict)
    1 6 [0.99999, 1.0001] proved
    """
    instance("manifold", manifold, ZeroLossManifold)
    ball = Ball.around(manifold, theta, positive_number("start_radius", start_radius, allow_zero=True))
    chosen = arithmetic_named(arithmetic, bits)
    bound, confined = _confinement(ball, chosen)
    (rho1, rho2), beta, quotient = extrema(manifold.network.unit, bound, chosen)
    data = ball.data
    certificates = (
        positive_slopes(rho1, rho2, _place(bound, confined.proved), chosen),
        _independence(ball),
        normality(beta, rho1, rho2, chosen),
        confined,
    )
    squares = data.a.power(2)
    return ConstantsEnclosure(
        interval=bound, confined=confined.proved, start_radius=ball.radius, rho1=rho1.value, rho2=rho2.value,
        beta=largest_beta(beta), ratio=_NOTHING if quotient is None else quotient.value, mu=data.mu,
        s_min=smallest(data.s), weight=smallest(squares), sharpness=Enclosure.of(ball.sharpness),
        certificates=certificates,
    )  # fmt: skip


# --- the interval of S7 ---------------------------------------------------------------------------


def _confinement(ball: Ball, chosen: Arithmetic) -> tuple[tuple[float, float], Certificate]:
    """The interval, and whether both of its ends are barriers."""
    z, manifold = ball.z, ball.data.manifold
    low, high = float(z.lo.min()), float(z.hi.max())
    limit = slope_limit(ball.sharpness, ball.data)
    seen, crossed = confinement(manifold, np.array([low, high]), limit)
    claim = "no pre-activation leaves the interval along the flow"
    if not crossed:
        reason = "|phi'| was not seen to exceed what F allows on both sides, so there may be no such interval"
        return (low, high), Certificate("confinement", False, claim, reason, chosen.description)
    unit = manifold.network.unit
    ends = [barrier(unit, start, end, limit, chosen) for start, end in zip((low, high), seen, strict=True)]
    if ends[0] is None or ends[1] is None or not (ends[0] <= low and high <= ends[1]):
        side = "left" if ends[0] is None or ends[0] > low else "right"
        reason = f"no point on the {side} was found where |phi'| > {above(limit, 6)} is proved"
        return (low, high), Certificate("confinement", False, claim, reason, chosen.description)
    claim = f"no pre-activation leaves [{ends[0]!r}, {ends[1]!r}] along the flow"
    return (ends[0], ends[1]), Certificate("confinement", True, claim, "", chosen.description)


# --- extrema --------------------------------------------------------------------------------------


def extrema(
    unit: UnitFunction, bound: tuple[float, float], chosen: Arithmetic
) -> tuple[tuple[Minimum, Minimum], Minimum | None, Minimum | None]:
    """Minima of phi' and phi''', and where the denominators are positive those that beta and the ratio come from."""
    slopes = minimum(derivative(unit, 1), *bound, chosen), minimum(derivative(unit, 3), *bound, chosen)
    rising, bending = (found.value.is_positive for found in slopes)
    beta = maximum_size(tilt(unit), *bound, chosen) if rising and bending else None
    return slopes, beta, minimum(ratio(unit), *bound, chosen) if rising else None


def largest_beta(found: Minimum | None) -> Enclosure:
    """1 / max |phi''/(phi'^2 phi''')|; infinite where phi'' = 0."""
    if found is None or found.value.low == -INF:
        return Enclosure(0.0, 0.0 if found is None else INF)
    if found.value.low == 0.0:
        return Enclosure(INF, INF)
    size = Interval(-found.value.high, -found.value.low)
    return Enclosure(float((1.0 / Interval(size.hi)).lo), float((1.0 / Interval(size.lo)).hi) if size.lo > 0 else INF)


def _place(bound: tuple[float, float], confined: bool) -> str:
    return f"on [{bound[0]!r}, {bound[1]!r}]" + ("" if confined else ", where the start is")


def positive_slopes(rho1: Minimum, rho2: Minimum, place: str, chosen: Arithmetic) -> Certificate:
    """A1."""
    values = rho1.value, rho2.value
    if all(value.is_positive for value in values):
        claim = f"phi' >= rho1 = {rho1.value} and phi''' >= rho2 = {rho2.value} {place}"
        return Certificate("A1", True, claim, "", chosen.description)
    failing = [found for found in (rho1, rho2) if not found.value.is_positive]
    refuted = [found for found in failing if found.value.high <= 0.0]
    reason = "; ".join(found.why_not_positive() for found in refuted or failing)
    if not refuted and isinstance(chosen, Float64Intervals) and not has_arb():
        reason += f". {_MORE}"
    return Certificate("A1", False, f"phi' > 0 and phi''' > 0 {place}", reason, chosen.description, bool(refuted))


def _independence(ball: Ball) -> Certificate:
    """A2."""
    mu, arithmetic = ball.data.mu, Float64Intervals().description
    if mu.is_positive:
        return Certificate("A2", True, f"mu = {mu}", "", arithmetic)
    (n, d), repeats = ball.data.inputs.shape, ball.data.manifold.repeats
    if n > d or repeats.any:
        equal = f"n = {n} samples, of which {repeats.first.size} are distinct, are dependent"
        reason = equal if repeats.any else f"n = {n} samples in dimension d = {d} are dependent"
        return Certificate("A2", False, "mu > 0", reason, arithmetic, refuted=True)
    reason = f"only 0 <= mu <= {above(mu.high)} is proved: the samples are dependent, or nearly so"
    return Certificate("A2", False, "mu > 0", reason, arithmetic)


def normality(beta: Minimum | None, rho1: Minimum, rho2: Minimum, chosen: Arithmetic) -> Certificate:
    """A3."""
    claim = "beta |phi''| <= phi'^2 phi''' with a beta > 0"
    if beta is None:
        failing = rho2 if rho1.value.is_positive else rho1
        return Certificate("A3", False, claim, failing.why_not_positive(), chosen.description)
    found = largest_beta(beta)
    if found.is_positive:
        size = "any beta" if found.low == INF else f"beta = {found}"
        return Certificate("A3", True, f"beta |phi''| <= phi'^2 phi''' with {size}", "", chosen.description)
    low, high = beta.place
    reason = f"{beta.quantity} has no bound on [{low!r}, {high!r}]"
    return Certificate("A3", False, claim, reason, chosen.description)
