"""The results as flat rows: what tables, summaries and exports are made of."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from .database import Stored
from .errors import DatabaseError

FlatRow = dict[str, Any]
TIMING = ("seconds", "finished", "attempts")
"""What differs from run to run; everything else is the same bits for any executor and number of workers."""

_INFINITE = {"Infinity": math.inf, "-Infinity": -math.inf}
_HEAD = ("key", "kind", "data", "n", "d", "data_seed")
_TAIL = ("error", "message", "version", *TIMING)


def flat(stored: Stored) -> FlatRow:
    """One row: what was asked, then what was found, then how it went. A result that is called like a column of what
    was asked is named result_...

    Raises `DatabaseError` where the row is damaged.
    """
    asked, recipe, result = (decoded(stored, text) for text in (stored.asked, stored.recipe, stored.result or "{}"))
    row: FlatRow = {
        **{name: getattr(stored, name) for name in _HEAD[:-1]}, "data_seed": recipe.get("data_seed"),
        **asked, "state": stored.state or "left",
    }  # fmt: skip
    for name, value in result.items():
        row[f"result_{name}" if name in row or name in _TAIL else name] = _number(value)
    return {**row, **{name: getattr(stored, name) for name in _TAIL}}


def decoded(stored: Stored, text: str) -> dict[str, Any]:
    """A JSON object of a row."""
    try:
        found = json.loads(text)
        if not isinstance(found, dict):
            raise TypeError(type(found).__name__)
    except (ValueError, TypeError, RecursionError) as error:
        raise DatabaseError(f"The row {str(stored.key)[:12]} of the database is damaged ({error}).") from error
    return found


def _number(value: Any) -> Any:
    return _INFINITE.get(value, value) if isinstance(value, str) else value


def columns(rows: Iterable[FlatRow], timing: bool = True) -> list[str]:
    """The names of all columns in order: of what was asked, of what was found, of how it went.

    >>> columns([{"key": 1, "b": 2, "seconds": 3.0}, {"key": 1, "c": 2}], timing=False)
    ['key', 'b', 'c']
    """
    found = list(dict.fromkeys(name for row in rows for name in row))
    middle = [name for name in found if name not in _HEAD and name not in _TAIL]
    tail = [name for name in _TAIL if name in found and (timing or name not in TIMING)]
    return [*(name for name in _HEAD if name in found), *middle, *tail]


def cell(value: Any) -> Any:
    """A value for a table of one value a cell: lists and dicts as JSON text.

    >>> cell([1, 2]), cell(0.5)
    ('[1,2]', 0.5)
    """
    return json.dumps(value, separators=(",", ":")) if isinstance(value, list | dict) else value
