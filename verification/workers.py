"""What every worker process does: it ends with the process that started it."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_driver() -> None:
    """In a worker: should the process that started it die, in whatever way, end this one too."""
    threading.Thread(target=_wait_for_driver, daemon=True).start()


def _wait_for_driver() -> None:
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)
