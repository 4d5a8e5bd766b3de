"""Functions to try campaigns with: something to call, and things that go wrong."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def square(x: float) -> dict[str, float]:
    """The square.

    >>> square(3)
    {'square': 9}
    """
    return {"square": x * x}


def wait(seconds: float, number: int = 0) -> dict[str, int]:
    """Take some time; gives the process it ran in."""
    time.sleep(seconds)
    return {"number": number, "process": os.getpid()}


def die(times: int, file: str) -> dict[str, int]:
    """Kill the process that it runs in so many times, counted in a file, and then return."""
    deaths = Path(file).stat().st_size if Path(file).exists() else 0
    if deaths < times:
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
    return {"deaths": deaths}


def interrupted() -> dict[str, int]:
    """Be interrupted, and return all the same, as solvers do."""
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1.0)
    except KeyboardInterrupt:
        return {"half": 1}
    return {}


def fail(message: str) -> dict[str, int]:
    """Raise."""
    raise ArithmeticError(message)
