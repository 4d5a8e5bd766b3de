"""How worker processes begin. Light to import: a command begins one before it loads what it needs itself."""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext

_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
# What `python -c` puts first on the path, the folder that the user is in, may hold a numba.py of theirs.
_ENVIRONMENT = {**dict.fromkeys(_THREADS, "1"), "PYTHONSAFEPATH": "1"}


def worker_context(*modules: str) -> BaseContext:
    """Where worker processes are copies of one that has these modules loaded, and is at it when this returns.

    Copies of this process would not survive a Numba kernel that has started threads; the one that is copied runs none.
    On systems other than Linux the workers are new processes, which load the modules themselves, as they do where the
    program has begun to copy a process of its own.

    >>> worker_context().get_start_method() == ("forkserver" if sys.platform == "linux" else "spawn")
    True
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    with one_blas_thread(), _without_ctrl_c():
        multiprocessing.forkserver.ensure_running()
    return context


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Processes begun within use one BLAS thread each: on matrices of this size more only wait for one another."""
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """A process begun within is deaf to Ctrl-C, which the whole terminal gets; its copies say what they make of it."""
    before = signal.getsignal(signal.SIGINT)
    if before is None or threading.current_thread() is not threading.main_thread():  # it is not ours to change
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
