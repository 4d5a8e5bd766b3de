"""Types of command-line arguments: text in, a value or argparse's own error out."""

from __future__ import annotations

import argparse
import math
import os
import re
from pathlib import Path


def names(text: str) -> tuple[str, ...]:
    """Names between commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def listed(value: object) -> str:
    """The text that one of these types reads the value from.

    >>> listed(("u", "v")), listed((1.0, -0.5)), listed("signed")
    ('u,v', '1.0,-0.5', 'signed')
    """
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def weights(text: str) -> tuple[float, ...] | str:
    """The words signed and trained, or finite numbers between commas; how many, the network knows."""
    if text in ("signed", "trained"):
        return text
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(map(math.isfinite, values)):
        allowed = "signed, trained, or numbers between commas"
        raise argparse.ArgumentTypeError(f"must be {allowed}; got {text[:40]!r}")
    return values


def count(text: str) -> int:
    """A whole number from 1 on."""
    return whole(text, least=1)


def natural(text: str) -> int:
    """A whole number from 0 on."""
    return whole(text, least=0)


def whole(text: str, least: int) -> int:
    """A whole number from `least` on; 1e6 is one.

    >>> whole("250", least=1), whole("1e6", least=1)
    (250, 1000000)
    """
    if power := re.fullmatch(r"([1-9])e([0-9]|1[0-7])", text):
        text = power[1] + "0" * int(power[2])
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) < least:
        raise argparse.ArgumentTypeError(f"must be a whole number >= {least}; got {text[:40]!r}")
    return int(text)


def positive(text: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number; got {text[:40]!r}")
    return value


def batch(text: str) -> int | str:
    """A whole number from 1 on, or full."""
    return text if text == "full" else whole(text, least=1)


def step_size(text: str) -> float | None:
    """A positive number, or None for auto."""
    return None if text == "auto" else positive(text)


def share(text: str) -> float:
    """A number in [0, 1)."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.0 <= value < 1.0:
        raise argparse.ArgumentTypeError(f"must be in [0, 1); got {text[:40]!r}")
    return value


def folder(text: str) -> Path:
    """A folder that can be made and written to: found out before the work whose results it is for.

    >>> folder("/dev/null/report")
    Traceback (most recent call last):
        ...
    argparse.ArgumentTypeError: cannot write to /dev/null/report: /dev/null is not a folder that can be written to
    """
    path = Path(text)
    there = next(part for part in (path, *path.absolute().parents) if part.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return path
    raise argparse.ArgumentTypeError(f"cannot write to {path}: {there} is not a folder that can be written to")
