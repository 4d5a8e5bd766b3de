"""The same bits for any number of threads: BLAS runs on one thread inside the toolkit.

A BLAS splits a product differently on two threads than on one, and rounds differently. Inside functions marked
`reproducible` its thread count is 1; when the last of them ends, also across Python threads, it is what it was.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


class _OneThread:
    """Context that counts its entries: the first sets one thread, the last restores."""

    def __init__(self, libraries: Callable[[], tuple[Any, ...]]) -> None:
        self._libraries = libraries
        self._lock = threading.Lock()
        self._depth = 0
        self._before: list[tuple[Any, int]] = []

    def __enter__(self) -> None:
        with self._lock:
            if self._depth == 0:
                for library in self._libraries():
                    count = library.get_num_threads()
                    if count != 1:
                        _setter(library)(1)
                        self._before.append((library, count))
            self._depth += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                while self._before:
                    library, count = self._before.pop()
                    _setter(library)(count)


@cache
def _libraries() -> tuple[Any, ...]:
    """Handles of the BLAS libraries in this process: those of NumPy and of SciPy."""
    import numpy.linalg  # noqa: F401  (loads the library that is to be found)
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return tuple(library for library in ThreadpoolController().lib_controllers if library.user_api == "blas")


def _setter(library: Any) -> Callable[[int], Any]:
    """The library's own function: that of threadpoolctl 3.8 does nothing in threads other than the first to call it."""
    setter: Callable[[int], Any] = getattr(library, "_real_set_num_threads", library.set_num_threads)
    return setter


ONE_THREAD = _OneThread(_libraries)
NOTHING: AbstractContextManager[None] = nullcontext()  # in place of it, where no BLAS is called


def reproducible(function: F) -> F:
    """Run the function with BLAS on one thread.

    >>> @reproducible
    ... def double(x):
    ...     return 2 * x
    >>> double(3)
    6
    """

    @functools.wraps(function)
    def wrapped(*args: Any, **keywords: Any) -> Any:
        with ONE_THREAD:
            return function(*args, **keywords)

    return wrapped  # type: ignore[return-value]


def reproducible_methods(exclude: tuple[str, ...] = ()) -> Callable[[C], C]:
    """Make the constructor and every public method of a class reproducible, but for those that see to it themselves."""

    def decorate(cls: C) -> C:
        for name, member in list(vars(cls).items()):
            if callable(member) and (name == "__init__" or not name.startswith("_")) and name not in exclude:
                setattr(cls, name, reproducible(member))
        return cls

    return decorate
