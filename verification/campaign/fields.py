"""The keys of a task, each with its domain, said once: descriptions, databases and tables read it from here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import manifoldflow as mf
from manifoldflow.errors import FormulaError
from verification.networks import NETWORKS, UNITS
from verification.records import Statement
from verification.statements import STATEMENTS

from .errors import DescriptionError

KINDS = ("verify", "sgd", "flow")
_MOST = 2**53  # whole numbers that JSON, SQLite and float64 all hold


@dataclass(frozen=True)
class Field:
    """One key: the kinds of task that have it, its values where it is not named, and its domain.

    `check` gives the value in its one form, or raises `ValueError` with what is allowed; `whole`: takes ranges.
    """

    name: str
    kinds: tuple[str, ...]
    default: tuple[Any, ...]
    check: Callable[[Any], Any]
    whole: bool = False

    def value(self, where: str, given: Any) -> Any:
        """The value in its one form; `DescriptionError` names the place, what came and what is allowed."""
        try:
            return self.check(given)
        except ValueError as error:
            raise DescriptionError(f"{where} is {shown(given)}; allowed: {error}.") from error


def shown(given: Any) -> str:
    """A value as a message shows it."""
    return given if isinstance(given, str) and given.startswith("missing") else repr(given)[:80]


def whole(least: int) -> Callable[[Any], int]:
    """A whole number from `least` on.

    >>> whole(2)(3)
    3
    """

    def check(given: Any) -> int:
        if isinstance(given, bool) or not isinstance(given, int) or not least <= given < _MOST:
            raise ValueError(f"a whole number >= {least} and below 2**53")
        return given

    return check


def real(low: float, high: float) -> Callable[[Any], float]:
    """A number strictly between the two."""

    def check(given: Any) -> float:
        if isinstance(given, bool) or not isinstance(given, int | float) or not low < given < high:
            upper = "" if math.isinf(high) else f" and below {high:g}"
            raise ValueError(f"a finite number above {low:g}{upper}")
        return float(given)

    return check


def flag(given: Any) -> bool:
    """True or false."""
    if not isinstance(given, bool):
        raise ValueError("true or false")
    return given


def text(given: Any) -> str:
    """A name or the path of a file."""
    if not isinstance(given, str) or not given or "\0" in given or len(given) > 1000:
        raise ValueError(f"{', '.join(mf.datasets.NAMES)}, or the path of an .npz or .csv file")
    return given


def formula(given: Any) -> str:
    """A formula in z in its one form, so that two ways to write it are one task.

    >>> formula("z+z**3")
    'z**3 + z'
    """
    if not isinstance(given, str):
        raise ValueError("a formula in z, such as 'z**3 + z'")
    try:
        return mf.UnitFunction(given).formula
    except FormulaError as error:
        raise ValueError(f"a formula in z ({str(error).rstrip('.')})") from error


def field_of(name: str, given: Mapping[str, Any]) -> Field:
    """The key in a table: where the table names own parameters, a formula can only be read together with one of them,
    which `settled` does.
    """
    found = BY_NAME[name]
    return replace(found, check=_short_text) if name == "activation" and given.get("own") is not None else found


def _short_text(given: Any) -> str:
    if not isinstance(given, str):
        raise ValueError("a formula in z and the unit's own parameters, such as 'c*tanh(z)'")
    return given


def network(given: Any) -> str | None:
    """The word of a network; None for the one that a task has without it, so that both are one task.

    >>> network("squares"), network("two-layer")
    ('squares', None)
    """
    if given not in tuple(NETWORKS):
        raise ValueError(f"one of {', '.join(NETWORKS)}")
    return str(given) if given in UNITS else None


def own_names(given: Any) -> str:
    """Names between commas, as text: a list is the values of an axis.

    >>> own_names("u, v")
    'u,v'
    """
    found = [name.strip() for name in given.split(",")] if isinstance(given, str) else []
    if not found or not all(name.isidentifier() for name in found):
        raise ValueError("names between commas, such as 'c' or 'u,v'")
    return ",".join(found)


def output_weights(given: Any) -> str:
    """Signed, trained, or numbers between commas, as text.

    >>> output_weights("1, -0.5")
    '1.0,-0.5'
    """
    if given in ("signed", "trained"):
        return str(given)
    try:
        values = [float(part) for part in given.split(",")] if isinstance(given, str) else []
    except ValueError:
        values = []
    if not values or not all(math.isfinite(value) and value for value in values):
        raise ValueError("signed, trained, or numbers other than 0 between commas, such as '1,-0.5', one a unit")
    return ",".join(map(repr, values))


def statement(given: Any) -> str:
    """The id of a statement."""
    ids = tuple(found.id for found in STATEMENTS)
    if not isinstance(given, str) or given.upper() not in ids:
        raise ValueError(f"one of {', '.join(ids)}")
    return given.upper()


def _ids(statements: tuple[Statement, ...]) -> tuple[str, ...]:
    return tuple(found.id for found in statements)


DATA_FIELDS = (
    Field("data", KINDS, ("synthetic",), text),
    Field("n", KINDS, (None,), whole(1), whole=True),
    Field("d", KINDS, (None,), whole(1), whole=True),
    Field("data_seed", KINDS, (None,), whole(0), whole=True),
)
"""Which samples; None: the number, or the seed, that the set has by itself. `d` and `data_seed` are synthetic's."""

FIELDS = (
    Field("activation", KINDS, ("z**3 + z",), formula),
    Field("width", KINDS, (10,), whole(2), whole=True),
    Field("seed", KINDS, (0,), whole(0), whole=True),
    Field("network", KINDS, (None,), network),
    Field("own", KINDS, (None,), own_names),
    Field("output_weights", KINDS, (None,), output_weights),
    Field("statement", ("verify",), _ids(STATEMENTS), statement),
    Field("step_fraction", ("sgd",), (0.4, 0.2, 0.1), real(0.0, 1.0)),
    Field("step_size", ("sgd",), (None,), real(0.0, math.inf)),
    Field("runs", ("sgd",), (6,), whole(2), whole=True),
    Field("coarse_steps", ("sgd",), (40_000,), whole(1), whole=True),
    Field("drop", ("sgd",), (0.25,), real(0.0, 1.0)),
    Field("keep_end", ("flow",), (False,), flag),
)
"""What else a task depends on; `docs/campaigns.md` says what each means."""

BY_NAME = {field.name: field for field in (*DATA_FIELDS, *FIELDS)}


def names_of(kind: str) -> tuple[str, ...]:
    """The keys of a task of that kind, those of its data first.

    >>> names_of("flow")
    ('data', 'n', 'd', 'data_seed', 'activation', 'width', 'seed', 'network', 'own', 'output_weights', 'keep_end')
    """
    return tuple(field.name for field in BY_NAME.values() if kind in field.kinds)


UNIT_FIELDS = ("activation", "width", "own", "output_weights")
"""What has no meaning where the network has units of its own."""


def settled(row: Mapping[str, Any]) -> dict[str, Any]:
    """A task's values as they belong together: what has no meaning for its network is None, and a formula is in its one
    form. `DescriptionError` where they do not fit.

    >>> settled({"network": "squares", "activation": "z**3 + z", "seed": 0})["activation"]
    """
    if row.get("network") in UNITS:
        return {**row, **dict.fromkeys(UNIT_FIELDS)}
    own, weights = row.get("own"), row.get("output_weights")
    if weights and "," in weights and weights.count(",") + 1 != row["width"]:
        raise DescriptionError(f"output_weights {weights} are {weights.count(',') + 1}; allowed: one for each unit, "
                               f"and width is {row['width']}.")  # fmt: skip
    if not own:
        return dict(row)
    if weights == "trained":
        raise DescriptionError(f"own is {own!r} and output_weights 'trained'; allowed: one of them. The trained weight "
                               "can be one of the own parameters.")  # fmt: skip
    return {**row, "activation": _formula_with(row["activation"], own)}


@lru_cache(maxsize=1024)
def _formula_with(given: str, own: str) -> str:
    try:
        return mf.UnitFunction(given, own=tuple(own.split(","))).formula
    except FormulaError as error:
        raise DescriptionError(f"activation {shown(given)} with own {own!r}: {error}") from error
