"""Writing of results: under a temporary name, then renamed, so that nothing half-written has a final name."""

from __future__ import annotations

import io
import os
import uuid
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from .errors import OutputError


def write_text(path: Path, text: str) -> Path:
    """Write text as UTF-8, whole or not at all, and return the path."""
    return write_bytes(path, text.encode("utf-8"))


def write_arrays(path: Path, **arrays: ArrayLike) -> Path:
    """Write arrays as an `.npz` archive, whole or not at all, and return the path."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return write_bytes(path, stream.getvalue())


def write_bytes(path: Path, content: bytes) -> Path:
    """Write bytes, whole or not at all, and return the path; the folder is made.

    >>> write_bytes(Path("/dev/null/a.html"), b"")
    Traceback (most recent call last):
        ...
    verification.errors.OutputError: Cannot write /dev/null/a.html (File exists). Name another folder with --out.
    """
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        message = f"Cannot write {path} ({error.strerror or error}). Name another folder with --out."
        raise OutputError(message) from error
    return path
