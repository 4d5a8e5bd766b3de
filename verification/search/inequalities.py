"""The inequalities, each as a ratio of its two sides that the statement says is at least 1.

Where the printed form is not sharp, the sharper form stands beside it with a star; `docs/counterexamples.md` has the
proofs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .extrema import Extrema
from .geometry import inverse_diagonal, square_root
from .measured import Measured, logarithm, total

NAN = float("nan")


@dataclass(frozen=True)
class Inequality:
    """A statement's inequality.

    Args:
        name: "S3", or "S3*" for a sharper form.
        text: the inequality, in plain signs.
        ratio: the side that is to be larger over the other; NaN where the inequality says nothing.
        sharper: whether it goes beyond the statement.
        signed: whether output weights of both signs are searched (S10).
        hessian: whether it needs the smallest eigenvalue.
        threshold: whether it is about the first negative eigenvalue along a ray.
    """

    name: str
    text: str
    ratio: Callable[[Measured], Any]
    sharper: bool = False
    signed: bool = False
    hessian: bool = False
    threshold: bool = False


@dataclass(frozen=True)
class Region:
    """The region of S3 in either form: |grad F| <= kappa r1 implies Hess F >= (4 - kappa) c1."""

    r1: Any
    c1: Any
    kappa: Any

    @classmethod
    def stated(cls, x: Measured) -> Region:
        """r1 = sqrt(mu) beta s_min, c1 = rho1 rho2 s_min mu, with min a^2 in each."""
        r1 = square_root(x.data.mu) * x.stated.beta * x.data.s_min * x.weight
        c1 = x.stated.rho1 * x.stated.rho2 * x.data.s_min * x.data.mu * x.weight
        return cls(r1, c1, x.point.gradient_norm / r1)

    @classmethod
    def sharp(cls, x: Measured) -> Region:
        """r1 = beta min s_i/sqrt((G^-1)_ii), c1 = inf(phi' phi''') lambda_min(S^(1/2) G S^(1/2))."""
        r1 = x.sharp.beta * x.data.t * x.weight
        return cls(r1, x.sharp.product * x.data.nu * x.weight, x.point.gradient_norm / r1)

    @property
    def rate(self) -> Any:
        """(4 - kappa) c1 with the smallest kappa whose region holds the point; NaN from kappa = 4 on."""
        return (4 - self.kappa) * self.c1 if self.kappa < 4 else NAN

    @property
    def integrated_excess(self) -> Any:
        """The bound of S5*: (r1^2 / c1) (4 log(4/(4 - kappa)) - kappa)."""
        if not self.kappa < 4:
            return NAN
        return self.r1**2 / self.c1 * (-4 * logarithm(-self.kappa / 4) - self.kappa)


def _threshold(region: Region, x: Measured) -> Any:
    """|grad F| over 4 r1 where an eigenvalue is negative."""
    return region.kappa / 4 if x.smallest is not None and x.smallest < 0 else NAN


def _polyak(constants: Extrema, scale: Any, x: Measured) -> Any:
    rate = 8 * scale * constants.rho1**2 * constants.ratio * x.weight
    return x.point.gradient_norm**2 / (rate * x.excess)


def _distance(x: Measured) -> Any:
    """S6: the smallest bound over distance."""
    reach = (abs(x.point.s * (x.Z - x.flattest))).max()
    return x.point.gradient_norm / (2 * square_root(x.data.mu) * x.stated.rho1 * x.stated.rho2 * reach)


def _sharp_distance(x: Measured) -> Any:
    roots = np.array([square_root(value) for value in inverse_diagonal(x.point.G)], dtype=x.point.G.dtype)
    reach = (abs(x.point.s / roots * (x.Z - x.flattest))).max()
    return x.point.gradient_norm / (4 * x.sharp.rho1 * x.sharp.rho2 * reach)


def _confinement(x: Measured) -> Any:
    return x.point.F / (2 * _slopes(x)).max()


def _sharp_confinement(x: Measured) -> Any:
    least = 2 * x.stated.rho1**2
    return x.point.F / ((2 * _slopes(x) - least * _scale(x)).max() + least * total(x.point))


def _slopes(x: Measured) -> Any:
    return _scale(x) * x.point.table[1] ** 2


def _scale(x: Measured) -> Any:
    return (x.point.a**2)[:, None] * x.point.s[None, :]


def _hessian(x: Measured, region: Region) -> Any:
    return NAN if x.smallest is None else x.smallest / region.rate


def _decay(x: Measured, region: Region) -> Any:
    return x.point.gradient_curvature / region.rate


def _local_polyak(x: Measured, region: Region) -> Any:
    return x.point.gradient_norm**2 / (2 * region.rate * x.excess)


_S3 = "lambda_min(Hess F) >= (4 - kappa) rho1 rho2 s_min mu"
_S5 = "|grad F|^2 >= 2 (4 - kappa) rho1 rho2 s_min mu (F - F*)"
_S13 = "|grad F|^2 >= 8 rho1^2 inf(phi'''/phi') s_min mu (F - F*)"
_NU = "lambda_min(S^1/2 G S^1/2)"

INEQUALITIES: tuple[Inequality, ...] = (
    Inequality("S3", _S3, lambda x: _hessian(x, Region.stated(x)), hessian=True),
    Inequality("S3*", f"lambda_min(Hess F) >= (4 - kappa*) inf(phi' phi''') {_NU}",
               lambda x: _hessian(x, Region.sharp(x)), sharper=True, hessian=True),
    Inequality("S3r", "lambda_min(Hess F) < 0 only where |grad F| > 4 sqrt(mu) beta s_min",
               lambda x: _threshold(Region.stated(x), x), hessian=True, threshold=True),
    Inequality("S3r*", "lambda_min(Hess F) < 0 only where |grad F| > 4 beta min_i s_i/sqrt((G^-1)_ii)",
               lambda x: _threshold(Region.sharp(x), x), sharper=True, hessian=True, threshold=True),
    Inequality("S4", "-d/dt log |grad F|^2 >= 2 (4 - kappa) rho1 rho2 s_min mu",
               lambda x: _decay(x, Region.stated(x))),
    Inequality("S4*", f"-d/dt log |grad F|^2 >= 2 (4 - kappa*) inf(phi' phi''') {_NU}",
               lambda x: _decay(x, Region.sharp(x)), sharper=True),
    Inequality("S5", _S5, lambda x: _local_polyak(x, Region.stated(x))),
    Inequality("S5*", "F - F* <= r^2/c (4 log(4/(4 - kappa*)) - kappa*)",
               lambda x: Region.sharp(x).integrated_excess / x.excess, sharper=True),
    Inequality("S6", "|z - z*| <= |grad F| / (2 s_i sqrt(mu) rho1 rho2)", _distance),
    Inequality("S6*", "|z - z*| <= |grad F| sqrt((G^-1)_ii) / (4 s_i rho1 rho2)", _sharp_distance, sharper=True),
    Inequality("S7", "phi'(z_ji)^2 <= F / (2 s_i)", _confinement),
    Inequality("S7*", "phi'(z_ji)^2 <= F / (2 s_i) - rho1^2 (m sum_k s_k / s_i - 1)", _sharp_confinement,
               sharper=True),
    Inequality("S13", _S13, lambda x: _polyak(x.stated, x.data.s_min * x.data.mu, x)),
    Inequality("S13*", f"|grad F|^2 >= 8 rho1^2 inf(phi'''/phi') {_NU} (F - F*)",
               lambda x: _polyak(x.sharp, x.data.nu, x), sharper=True),
    Inequality("S10/S3", f"{_S3} min a^2", lambda x: _hessian(x, Region.stated(x)), signed=True, hessian=True),
    Inequality("S10/S4", "-d/dt log |grad F|^2 >= 2 (4 - kappa) rho1 rho2 s_min mu min a^2",
               lambda x: _decay(x, Region.stated(x)), signed=True),
    Inequality("S10/S5", f"{_S5} min a^2", lambda x: _local_polyak(x, Region.stated(x)), signed=True),
    Inequality("S10/S13", f"{_S13} min a^2", lambda x: _polyak(x.stated, x.data.s_min * x.data.mu, x), signed=True),
)  # fmt: skip
"""In the order of the table."""
