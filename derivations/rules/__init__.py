"""The derivations themselves: from the generic unit function to the records, in order."""

from __future__ import annotations

from functools import lru_cache

from derivations.records import Record
from derivations.rules import convexity, loss, manifold, theorems
from derivations.rules.setting import Setting


@lru_cache(maxsize=32)
def generic_records(p: int, separable: bool) -> tuple[Record, ...]:
    """Apply the rules in order, each to the records before it.

    Args:
        p: Number of own scalars.
        separable: Whether the unit is a phi(z); needs p = 0.

    >>> generic_records(0, True)[0].name
    'output'
    """
    rules = [*loss.RULES, *manifold.RULES]
    rules += [*convexity.RULES_WITHOUT_OWN, theorems.gradient_decay] if p == 0 else []
    rules += [*convexity.RULES_OF_ACTIVATIONS, *theorems.RULES_OF_THEOREMS] if separable else []
    setting, records = Setting(p, separable), dict[str, Record]()
    for rule in rules:
        record = rule(setting, records)
        records[record.name] = record
    return tuple(records.values())
