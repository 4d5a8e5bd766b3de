"""The derivation of one unit function: its records and its pointwise expressions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from derivations.errors import DerivationError
from derivations.pointwise import PointwiseExpression, pointwise_expressions
from derivations.records import Record
from derivations.rules import convexity, loss, manifold
from derivations.rules.setting import Setting
from derivations.unit import UnitFunction

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
    records = _records(p, bool(separable))
    return Derivation(None, p, records, pointwise_expressions(None, p, {x.name: x for x in records}))


@lru_cache(maxsize=64)
def _derivation(unit: UnitFunction) -> Derivation:
    records = _records(unit.p, unit.phi is not None)
    return Derivation(unit, unit.p, records, pointwise_expressions(unit, unit.p, {x.name: x for x in records}))


@lru_cache(maxsize=16)
def _records(p: int, separable: bool) -> tuple[Record, ...]:
    """Apply the rules in order, each to the records before it."""
    setting = Setting(p, separable)
    rules = [*loss.RULES, *manifold.RULES]
    rules += convexity.RULES_WITHOUT_OWN if p == 0 else ()
    rules += convexity.RULES_OF_ACTIVATIONS if separable else ()
    records: dict[str, Record] = {}
    for rule in rules:
        record = rule(setting, records)
        records[record.name] = record
    return tuple(records.values())
