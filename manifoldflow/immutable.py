"""Arrays of results that cannot be written to, and stay so when a result is pickled or copied."""

from __future__ import annotations

from typing import Any

import numpy as np


def lock(*values: Any) -> None:
    """Make arrays, also those inside tuples, read-only; other values are left alone.

    >>> a, b = np.zeros(2), np.zeros(3)
    >>> lock(a, ("name", (b,)), 1.0)
    >>> a.flags.writeable, b.flags.writeable
    (False, False)
    """
    for value in values:
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
        elif isinstance(value, tuple):
            lock(*value)


class ReadOnlyArrays:
    """Base of records whose arrays are read-only: pickles and deep copies of an array forget that it was."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        lock(*state.values())
