"""The gradient of a large problem on several threads: units in fixed parts, so the bits do not depend on threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TypeVar

import numpy as np

from .compiled.geometry import Problem, Workspace, factor_gram, workspace
from .compiled.lapack import cholesky_solve
from .compiled.parts import begin_part, end_part
from .validation import Array

T = TypeVar("T")
PARTS = 8


def is_worthwhile(m: int, n: int, d: int) -> bool:
    """Whether a gradient takes a millisecond or more; below, one thread is done before a second has begun."""
    return m * n * (2 * d + 3 * n) > 3e7


@dataclass(frozen=True, eq=False)
class _Part:
    rows: slice
    problem: Problem
    work: Workspace


class ParallelGradient:
    """The Riemannian gradient in the parameters' own space, for one manifold; calls from several threads take turns."""

    def __init__(self, problem: Problem, m: int, p: int) -> None:
        n = problem.y.size
        edges = [part * m // PARTS for part in range(PARTS + 1)]
        slices = [slice(first, last) for first, last in pairwise(edges) if last > first]
        self._parts = [
            _Part(rows, problem._replace(a=problem.a[rows]), workspace(rows.stop - rows.start, n, p))
            for rows in slices
        ]  # fmt: skip
        for part in self._parts:
            part.work.K[:] = 0.0  # of which the parts fill the upper half, and the sum takes all
        self._y = problem.y
        self._turn = threading.Lock()

    def __call__(self, theta: Array, out: Array) -> tuple[float, float, int] | None:
        """Fill `out`; (F, max |f - y|, info), or None near stationarity, where rounding needs the serial method."""
        with self._turn:
            shares = _in_parallel(lambda part: begin_part(theta[part.rows], part.problem, part.work), self._parts)
            F = sum(shares, start=0.0)
            K, q, f = (self._total(name) for name in ("K", "lam", "f"))
            distance = float(np.abs(f - self._y).max())
            info = factor_gram(K)
            if info != 0:
                return F, distance, info
            lam = q.copy()
            cholesky_solve(K, lam)
            _in_parallel(lambda part: end_part(part.problem, part.work, lam[0], out[part.rows]), self._parts)
            normal = float(np.sqrt(max(float(np.vdot(q, lam)), 0.0)))
        return (F, distance, 0) if np.linalg.norm(out) >= 1e-3 * normal else None

    def _total(self, name: str) -> Array:
        total = getattr(self._parts[0].work, name).copy()
        for part in self._parts[1:]:
            total += getattr(part.work, name)
        return total


def _in_parallel(function: Callable[[_Part], T], parts: list[_Part]) -> list[T]:
    return list(_pool().map(function, parts))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="manifoldflow")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # its threads do not exist in the child
