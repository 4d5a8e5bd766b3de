"""Machine checks: every record in three independent ways.

1. symbolic: SymPy differentiates the explicit loss of a small network with a generic unit; exact comparison.
   Inequalities have certificates instead, as have equations at the flattest point.
2. fifty digits: central differences of the unit's own loss at two hundred digits.
3. autograd: automatic differentiation of the unit's own loss in double precision.

What they cannot see: sizes other than those tried, units whose derivatives do not exist, and an error in the
definition of the left side that all three ways share (`definitions`).
"""

from __future__ import annotations

from derivations.checks.certificates import check_certificate
from derivations.checks.definitions import DEFINITIONS
from derivations.checks.equations import check_equation
from derivations.checks.inequalities import OF_PATHS, check_inequality
from derivations.checks.result import CheckResult
from derivations.checks.symbolic import check_symbolic
from derivations.checks.ways import AUTOGRAD, DIGITS
from derivations.derivation import Derivation
from derivations.errors import DerivationError
from derivations.records import Record
from derivations.rules import generic_records
from derivations.unit import UnitFunction

__all__ = ["CheckResult", "check", "check_general", "check_symbolic"]


def check(record: Record, unit: UnitFunction, *, rng: int = 0) -> tuple[CheckResult, ...]:
    """Check one record in all three ways.

    Args:
        record: A record of the unit's derivation, or a changed copy of one.
        unit: The unit function.
        rng: Seed of the random points.

    Returns:
        One result a way: symbolic, fifty digits, autograd (symbolic alone for a statement about whole paths). Where
        no point was found at which the unit is finite, or the hypotheses hold, the result says so and has not passed.

    Raises:
        DerivationError: no record of this name belongs to the unit.

    >>> unit = UnitFunction("z**3 + z")
    >>> record = generic_records(0, True)[7]
    >>> [(result.method, result.passed) for result in check(record, unit)]
    [('symbolic', True), ('fifty digits', True), ('autograd', True)]
    """
    separable = unit.phi is not None
    records = {known.name: known for known in generic_records(unit.p, separable)}
    if record.name not in records:
        raise DerivationError(f"{unit!r} has no record {record.name!r}; it has {', '.join(records)}")
    if record.name in DEFINITIONS:
        exact = check_symbolic(record, unit.p, separable, rng)
        return exact, *(check_equation(record, records, unit, way, rng) for way in (DIGITS, AUTOGRAD))
    if record.name in OF_PATHS:
        return (check_certificate(record),)
    return check_certificate(record), *(check_inequality(record, unit, way, rng) for way in (DIGITS, AUTOGRAD))


def check_general(derivation: Derivation) -> tuple[CheckResult, ...]:
    """Check every record of a generic derivation symbolically; there is no unit to compute numbers for.

    >>> from derivations.derivation import derive_general
    >>> all(result.passed for result in check_general(derive_general(separable=True)))
    True
    """
    separable = "convexity_bound" in {record.name for record in derivation.records}
    return tuple(
        check_symbolic(record, derivation.p, separable, 0) if record.name in DEFINITIONS else check_certificate(record)
        for record in derivation.records
    )
