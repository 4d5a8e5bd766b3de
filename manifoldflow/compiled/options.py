"""How this package is compiled: one place for Numba's options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

from .sealed import SealedCache

F = TypeVar("F", bound=Callable[..., Any])

# With NumPy's error model a division by zero gives inf, which the callers look for. Contraction to fused multiply-add
# is the only liberty with rounding; it gives the same bits for any number of threads.
OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


def jit(function: F) -> F:
    """Compile in nopython mode with the package's options; keep the result on disk, sealed by its hash."""
    return _compile(function, OPTIONS)


def jit_sums(function: F) -> F:
    """The same for loops whose sums may be added in any order, so that they use vector instructions: inner products.

    The order is fixed when the function is compiled. Not for formulas, where it could undo what keeps them stable.
    """
    return _compile(function, {**OPTIONS, "fastmath": {"contract", "reassoc"}})


def jit_inlined(function: F) -> F:
    """The same for what a loop calls at every step: compiled into its caller, as passing arrays would cost more."""
    return _compile(function, {**OPTIONS, "forceinline": True})


def _compile(function: F, options: dict[str, Any]) -> F:
    compiled = numba.njit(cache=True, no_cfunc_wrapper=True, **options)(function)
    if not numba.config.DISABLE_JIT:
        compiled._cache = SealedCache(compiled._cache, cache_stem(function))
    return compiled


def cache_stem(function: Callable[..., Any]) -> str:
    """How the names of Numba's cache files for a function begin."""
    return f"{Path(function.__code__.co_filename).stem}.{function.__qualname__}"
