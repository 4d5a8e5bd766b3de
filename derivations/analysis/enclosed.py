"""What interval arithmetic proved of an activation: a record that is made elsewhere, as nothing here rounds outward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Enclosed:
    """A proof that A1 holds on a closed interval, for a formula whose signs are not decided exactly.

    Args:
        low, high: The interval of pre-activations.
        constants: Lower and upper bound in decimal, rounded outward, of "rho1", "rho2" and "gamma", and of "beta" where
            A3 is proved as well.
        arithmetic: What it was proved by.
    """

    low: float
    high: float
    constants: Mapping[str, tuple[str, str]]
    arithmetic: str

    @property
    def normal(self) -> bool:
        """Whether A3 is proved too."""
        return "beta" in self.constants

    @property
    def latex(self) -> str:
        r"""The interval.

        >>> Enclosed(-6.0, 6.0, {}, "float64 intervals").latex
        '\\left[-6, 6\\right]'
        """
        return rf"\left[{self.low:g}, {self.high:g}\right]"
