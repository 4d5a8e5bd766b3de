"""Checks of arguments, each with one wording: what came, what is allowed, what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError

Array = NDArray[np.float64]


def real_array(name: str, value: ArrayLike, ndim: int | None = None, shape: tuple[int, ...] | None = None) -> Array:
    """`value` as a finite, C-contiguous float64 array of the given dimension or shape; `InputError` otherwise.

    >>> real_array("y", [1, 2], ndim=1)
    array([1., 2.])
    """
    array = _numeric(name, value)
    if ndim is not None and array.ndim != ndim:
        raise InputError(f"{name} must have {ndim} dimension(s); got shape {array.shape}.")
    if shape is not None and array.shape != shape:
        raise InputError(f"{name} must have shape {shape}; got {array.shape}.")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        where = tuple(int(k) for k in np.unravel_index(bad[0], array.shape))
        raise InputError(
            f"{name} must be finite; {bad.size} of {array.size} entries are not, the first at index {where} "
            f"({array[where]}). Remove or replace them."
        )
    return array


def is_plain(value: object, shape: tuple[int, ...]) -> bool:
    """Whether `value` is a writeable C-contiguous float64 array of that shape; says nothing of NaN and infinity."""
    return type(value) is np.ndarray and value.shape == shape and value.dtype == np.float64 and value.flags.carray


def _numeric(name: str, value: ArrayLike) -> Array:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name} must be a rectangular array of real numbers: {error}.") from error
    if np.ma.is_masked(value):
        raise InputError(f"{name} must have no masked entries; remove or fill them.")
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} must hold real numbers; got dtype {array.dtype}.")
    return np.ascontiguousarray(array, dtype=np.float64).reshape(array.shape)


SMALLEST, LARGEST = 1e-100, 1e100  # of the largest entry of a row of X


def samples(X: ArrayLike, y: ArrayLike, zero_rows: bool) -> tuple[Array, Array]:
    """Copies of the data (n, d) and labels (n,); `InputError` where they do not match or are empty.

    Or where a row is zero, unless `zero_rows` are allowed.
    """
    X, y = real_array("X", X, ndim=2), real_array("y", y, ndim=1)
    if X.shape[0] != y.size:
        raise InputError(
            f"X has {X.shape[0]} rows (samples) and y {y.size} entries; they must match. X is (n, d), y (n,)."
        )
    if y.size == 0:
        raise InputError("X and y are empty; at least one sample is needed.")
    if X.shape[1] == 0:
        raise InputError(f"X has shape {X.shape}, without columns; at least one is needed.")
    zero = np.flatnonzero(~X.any(axis=1))
    if zero.size and not zero_rows:
        raise InputError(
            f"Row {int(zero[0])} of X is zero: its output cannot be trained. Remove it, or add a constant feature."
        )
    largest = np.delete(np.abs(X).max(axis=1), zero)
    if largest.size and not SMALLEST <= largest.min() <= largest.max() <= LARGEST:
        raise InputError(
            f"The rows of X have largest entries from {largest.min():.3g} to {largest.max():.3g}; their squares would "
            f"leave float64. Rescale X so that they are from {SMALLEST:g} to {LARGEST:g}."
        )
    return X.copy(), y.copy()


def positive_number(name: str, value: Any, allow_zero: bool = False, allow_infinity: bool = False) -> float:
    """`value` as a float in (0, oo), with 0 or oo included as asked; `InputError` otherwise."""
    number = _number(name, value)
    low = number >= 0 if allow_zero else number > 0
    if not low or not (np.isfinite(number) or (allow_infinity and number == np.inf)):
        domain = f"{'[0' if allow_zero else '(0'}, oo{']' if allow_infinity else ')'}"
        raise InputError(f"{name} must be a number in {domain}; got {value!r}.")
    return number


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InputError(f"{name} must be a real number; got {type(value).__name__} {value!r}.")
    try:
        return float(value)
    except OverflowError:
        raise InputError(f"{name} must be a float64; got a whole number of {len(str(value))} digits.") from None


def positive_integer(name: str, value: Any) -> int:
    """`value` as an int in [1, 2**63); `InputError` otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"{name} must be a whole number >= 1; got {value!r}.")
    if value >= 2**63:
        raise InputError(f"{name} must be below 2**63; got a number of {len(str(value))} digits.")
    return int(value)


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """`value` if it is one of the allowed words; `InputError` otherwise."""
    if not isinstance(value, str) or value not in allowed:
        raise InputError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}.")
    return value


def instance(name: str, value: Any, kind: type) -> Any:
    """`value` if it is of that kind; `InputError` otherwise."""
    if not isinstance(value, kind):
        raise InputError(f"{name} must be a {kind.__name__}; got {type(value).__name__} {str(value)[:60]!r}.")
    return value


def generator(rng: Any) -> np.random.Generator:
    """A NumPy generator from a seed, a SeedSequence or a Generator; `InputError` otherwise."""
    if rng is None:
        raise InputError("rng must be a seed or a numpy Generator; None would make the result impossible to repeat.")
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise InputError(f"rng must be a seed or a numpy Generator; got {rng!r} ({error}).") from error
