"""What a worker does: tasks in, plain rows out. Nothing of the library's own types goes back to the driver."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Any

import numpy as np

import manifoldflow as mf
from manifoldflow import __version__
from manifoldflow.codegen import load_kernel
from manifoldflow.errors import ManifoldflowError
from manifoldflow.reproducible import reproducible

from .measures import MEASURES
from .task import Task, canonical

_LONGEST_MESSAGE = 2000


@dataclass(frozen=True)
class Row:
    """What is kept of a task: `state` is done or failed; `result` is JSON text; `message` is empty where it is done."""

    key: str
    state: str
    result: str | None
    error: str | None
    message: str | None
    seconds: float
    version: str = __version__
    attempts: int = 1


def installed_version() -> str:
    """The version of this package where it runs."""
    return __version__


def compile_unit(unit: mf.UnitFunction) -> None:
    """Have the kernels of a unit compiled; they go to the cache on disk.

    >>> compile_unit(mf.UnitFunction("z**3 + z"))
    """
    with suppress(ManifoldflowError):  # a task will say it
        load_kernel(unit)


@reproducible
def perform(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """Do tasks that share a case, on one thread of BLAS, and return a row for each as a dict.

    Where they fail together they are tried one by one: only those that fail by themselves are failures. The seconds
    of a case are shared equally among its tasks.
    """
    with _interrupts_are_heeded():
        return _perform(tasks)


def _perform(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    begin = time.perf_counter()
    try:
        results = [encoded(record) for record in MEASURES[tasks[0].kind](tasks)]
    except Exception as error:  # noqa: BLE001  (whatever it is, it is kept as the message of a failure)
        if len(tasks) > 1:
            return [row for task in tasks for row in _perform([task])]
        return [failure(tasks[0], type(error).__name__, str(error), time.perf_counter() - begin)]
    seconds = (time.perf_counter() - begin) / len(tasks)
    return [asdict(Row(task.key, "done", result, None, None, seconds))
            for task, result in zip(tasks, results, strict=True)]  # fmt: skip


@contextmanager
def _interrupts_are_heeded() -> Iterator[None]:
    """After Ctrl-C no result: a solver that returns what it has when it is interrupted would give half of one."""
    before, seen = signal.getsignal(signal.SIGINT), []

    def interrupt(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        signal.default_int_handler(number, frame)

    # Python interrupts the main thread only; another handler than Python's own is somebody else's business.
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if seen:
        raise KeyboardInterrupt


def failure(task: Task, error: str, message: str, seconds: float, attempts: int = 1) -> dict[str, Any]:
    """The row of a task that failed."""
    text = message.encode("utf-8", "replace").decode("utf-8")[:_LONGEST_MESSAGE]
    return asdict(Row(task.key, "failed", None, error, text, seconds, attempts=attempts))


def encoded(record: dict[str, Any]) -> str:
    """A record as JSON text: not-a-number is null, an infinity is text, a whole number fits SQL's.

    >>> encoded({"b": np.float64("inf"), "a": float("nan")})
    '{"a":null,"b":"Infinity"}'
    """
    return canonical({name: _plain(value) for name, value in record.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("Infinity" if value > 0.0 else "-Infinity")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"a whole number of {value.bit_length()} bits; 64 with its sign are kept. Return it as text")
    return value
