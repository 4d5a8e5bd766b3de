"""How this package is compiled: one place for Numba's options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np

from .sealed import SealedCache, drop_damaged, seal

F = TypeVar("F", bound=Callable[..., Any])

# With NumPy's error model a division by zero gives inf, which the callers look for. Contraction to fused multiply-add
# is the only liberty with rounding; it gives the same bits for any number of threads.
OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}, "_nrt": True}


def jit(function: F) -> F:
    """Compile in nopython mode with the package's options; keep the result on disk, sealed by its hash."""
    return _compile(function, OPTIONS)


def jit_sums(function: F) -> F:
    """The same for loops whose sums may be added in any order, so that they use vector instructions: inner products.

    The order is fixed when the function is compiled. Not for formulas, where it could undo what keeps them stable.
    """
    return _compile(function, {**OPTIONS, "fastmath": {"contract", "reassoc"}})


def jit_exact(function: F) -> F:
    """The same with every operation rounded as it is written: for proofs, which count on it."""
    return _compile(function, {**OPTIONS, "fastmath": False})


def jit_bare(function: F) -> F:
    """The same for functions that make no arrays: nothing counts references to those they are given.

    Counting them, whenever an array is taken out of a tuple or passed on, would take as long as the work.
    """
    return _compile(function, {**OPTIONS, "_nrt": False})


def jit_inlined(function: F) -> F:
    """The same for what a loop calls at every step: compiled into its caller, as passing arrays would cost more."""
    return _compile(function, {**OPTIONS, "forceinline": True})


def jit_address(function: F, signature: Any) -> Any:
    """Compile to a function of fixed signature with an `address`: code that calls it does not compile it again.

    The caller keeps what is returned alive. Without the compiler it is the function.
    """
    if numba.config.DISABLE_JIT:
        return _quiet(function)
    folder = Path(function.__code__.co_filename).parent / "__pycache__"
    drop_damaged(folder, cache_stem(function))
    pointer = numba.cfunc(signature, cache=True, **OPTIONS)(function)
    seal(folder, cache_stem(function))
    return pointer


def _compile(function: F, options: dict[str, Any]) -> F:
    if numba.config.DISABLE_JIT:
        return _quiet(function)
    compiled = numba.njit(cache=True, no_cfunc_wrapper=True, **options)(function)
    compiled._cache = SealedCache(compiled._cache, cache_stem(function))
    return compiled


def _quiet(function: F) -> F:
    """For NUMBA_DISABLE_JIT=1: as compiled, an overflow is infinite without a word, which the callers look for."""
    return np.errstate(all="ignore")(function)


def cache_stem(function: Callable[..., Any]) -> str:
    """How the names of Numba's cache files for a function begin."""
    return f"{Path(function.__code__.co_filename).stem}.{function.__qualname__}"
