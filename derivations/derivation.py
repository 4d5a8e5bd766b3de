"""The derivation of one unit function: its records and its pointwise expressions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from derivations.errors import DerivationError
from derivations.pointwise import PointwiseExpression, pointwise_expressions
from derivations.records import Record
from derivations.rules import generic_records
from derivations.unit import UnitFunction

if TYPE_CHECKING:
    from derivations.checks import CheckResult

MAX_OWN = 8


@dataclass(frozen=True)
class Derivation:
    """Everything derived from one unit function, or from a generic one where `unit` is None.

    >>> derive(UnitFunction("sinh(z)"))["gram_of_jacobian"].title
    'Gram matrix of the Jacobian'
    """

    unit: UnitFunction | None
    p: int
    records: tuple[Record, ...]
    pointwise: tuple[PointwiseExpression, ...]

    def __getitem__(self, name: str) -> Record:
        """Find a record by name; a KeyError lists the names there are."""
        for record in self.records:
            if record.name == name:
                return record
        raise KeyError(f"no record {name!r}; the records are {', '.join(record.name for record in self.records)}")

    def _repr_html_(self) -> str:
        """What Jupyter shows: every record."""
        return "\n".join(record._repr_html_() for record in self.records)

    def check(self, *, rng: int = 0) -> tuple[CheckResult, ...]:
        """Check every record in three independent ways (see `derivations.checks`).

        Args:
            rng: Seed of the random points.

        Raises:
            DerivationError: there is no unit; `check_symbolic` alone serves a generic one.
        """
        # Imported here because deriving needs neither mpmath nor autograd.
        from derivations.checks import check

        if self.unit is None:
            raise DerivationError("a generic derivation has no numbers to check; derive a UnitFunction")
        unit = self.unit
        return tuple(result for record in self.records for result in check(record, unit, rng=rng))


def derive(unit: UnitFunction) -> Derivation:
    """Derive everything from a unit function.

    Returns:
        The records, with generic derivatives of the unit, and the pointwise expressions, with its own.

    Raises:
        DerivationError: `unit` is not a `UnitFunction`.

    >>> derive(UnitFunction("z**2"))["sharpness"].relation
    '=='
    """
    if not isinstance(unit, UnitFunction):
        raise DerivationError(f"derive takes a UnitFunction, not {type(unit).__name__}; write UnitFunction(...) first")
    return _derivation(unit)


def derive_general(p: int = 0, *, separable: bool = False) -> Derivation:
    """Derive the records of a generic unit psi(z, c_1..c_p; a), or a phi(z) where `separable`.

    Raises:
        DerivationError: `p` is not a small number, or is not nought for a separable unit.

    >>> derive_general(1).unit is None
    True
    """
    if isinstance(p, bool) or not isinstance(p, int) or not 0 <= p <= MAX_OWN:
        raise DerivationError(f"p is the number of own scalars, an integer from 0 to {MAX_OWN}; {p!r} came")
    if separable and p:
        raise DerivationError(f"a unit a phi(z) has no scalars of its own, but p = {p} came")
    records = generic_records(p, bool(separable))
    return Derivation(None, p, records, pointwise_expressions(None, p, {x.name: x for x in records}))


@lru_cache(maxsize=64)
def _derivation(unit: UnitFunction) -> Derivation:
    records = generic_records(unit.p, unit.phi is not None)
    return Derivation(unit, unit.p, records, pointwise_expressions(unit, unit.p, {x.name: x for x in records}))
