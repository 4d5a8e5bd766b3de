"""Constants of an activation on a given interval, enclosed: what can be proved before there are data."""

from __future__ import annotations

from dataclasses import dataclass

from derivations import UnitFunction

from ..errors import InputError
from ..validation import real_array
from .arithmetic import arithmetic as arithmetic_named
from .constants import extrema, largest_beta, normality, positive_slopes
from .record import Certificate, Enclosure


@dataclass(frozen=True)
class ActivationEnclosure:
    """Constants of A1 and A3 over an interval, each between two numbers; A1 and A3 are in `certificates`.

    `rho1` = min phi', `rho2` = min phi''', `ratio` = min phi'''/phi' (None where phi' > 0 is not proved), `beta` the
    largest of A3, [0, 0] where no positive one is proved.
    """

    interval: tuple[float, float]
    rho1: Enclosure
    rho2: Enclosure
    ratio: Enclosure | None
    beta: Enclosure
    certificates: tuple[Certificate, ...]

    def certificate(self, name: str) -> Certificate:
        """The certificate of that name: "A1" or "A3"."""
        return {found.name: found for found in self.certificates}[name]


def enclose_activation(
    unit: UnitFunction | str, z_range: tuple[float, float], *, arithmetic: str = "float64", bits: int = 128
) -> ActivationEnclosure:
    """Enclose rho1, rho2, inf phi'''/phi' and beta over an interval of pre-activations, for any formula.

    Args:
        unit: the unit function a*phi(z), or its formula.
        z_range: the interval, closed.
        arithmetic: "float64", or "arb" (extra `certify`).
        bits: precision of Arb.

    Returns:
        An `ActivationEnclosure`.

    Raises:
        InputError: a unit of another form, or a range that does not increase.
        CertificateError: Arb is asked for and not installed.

    Source: A1 and A3.

    >>> found = enclose_activation("sinh(z) + z**3/5", (-6.0, 6.0))
    >>> [certificate.verdict for certificate in found.certificates], found.rho2.contains(2.2)
    (['proved', 'proved'], True)
    >>> enclose_activation("tanh(z)", (-1.0, 1.0)).certificate("A1").verdict
    'refuted'
    """
    unit = unit if isinstance(unit, UnitFunction) else UnitFunction(unit)
    low, high = map(float, real_array("z_range", z_range, shape=(2,)))
    if not low < high:
        raise InputError(f"z_range must increase; got {z_range!r}.")
    chosen = arithmetic_named(arithmetic, bits)
    (rho1, rho2), beta, ratio = extrema(unit, (low, high), chosen)
    certificates = (
        positive_slopes(rho1, rho2, f"on [{low!r}, {high!r}]", chosen),
        normality(beta, rho1, rho2, chosen),
    )
    quotient = None if ratio is None else ratio.value
    return ActivationEnclosure((low, high), rho1.value, rho2.value, quotient, largest_beta(beta), certificates)
