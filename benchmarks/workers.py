"""One solver's sweep over the tolerances in a process of its own, which is ended when a run takes too long.

Compiled peers cannot be interrupted from within. Processes run one at a time and start from the same state, ours too.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from benchmarks.common import timed
from benchmarks.problems import Problem
from benchmarks.solvers import solvers

START_UP = 60.0  # seconds for a process to begin, on top of the limit


def sweep(problem: Problem, solver: str, limit: float, compile_limit: float) -> Iterator[dict[str, Any]]:
    """A record for each tolerance, loose to tight: rtol, seconds, compile_seconds, points; or why it ends there."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(problem, solver, sender), daemon=True)
    process.start()
    sender.close()
    try:
        if _receive(receiver, START_UP) != "ready":
            yield {"reason": "its process did not start"}
            return
        for rtol in problem.tolerances:
            record = _one(receiver, limit, compile_limit)
            yield {"rtol": rtol, **record}
            if "reason" in record:
                return
    finally:
        process.terminate()
        process.join()
        receiver.close()


def _one(receiver: Connection, limit: float, compile_limit: float) -> dict[str, Any]:
    prepared = _receive(receiver, compile_limit)
    if prepared is None or "reason" in prepared:
        return prepared or {"reason": f"not compiled in {compile_limit:g} s"}
    # The first run decides; those that follow are repetitions, and short.
    finished = _receive(receiver, limit)
    if finished is None or "reason" in finished:
        return {**prepared, **(finished or {"reason": f"over {limit:g} s"})}
    return {**prepared, **(_receive(receiver, limit) or {"reason": f"over {limit:g} s"})}


def _receive(receiver: Connection, limit: float) -> Any:
    """The next message; None after `limit` seconds, a reason if the process has died."""
    if not receiver.poll(limit):
        return None
    try:
        return receiver.recv()
    except EOFError:
        return {"reason": "its process ended by itself"}


def _work(problem: Problem, solver: str, sender: Connection) -> None:
    prepare = solvers()[solver]
    np.linalg.norm(problem.W)  # builds the manifold and the starting point before the clock runs
    sender.send("ready")
    for rtol in problem.tolerances:
        try:
            _measure(prepare, problem, rtol, sender)
        except ImportError as error:
            sender.send({"reason": f"not installed ({error.name})"})
            return
        except Exception as error:  # noqa: BLE001  (whatever a peer raises is its row's reason)
            sender.send({"reason": f"{type(error).__name__}: {str(error).splitlines()[0][:80] if str(error) else ''}"})
            return


def _measure(prepare: Any, problem: Problem, rtol: float, sender: Connection) -> None:
    start = time.perf_counter()
    run = prepare(problem, rtol)
    sender.send({"compile_seconds": time.perf_counter() - start})
    first, points = timed(run, most=1)
    sender.send({})
    again, points = timed(run) if first < 2.0 else (first, points)
    sender.send({"seconds": min(first, again), "points": points})
