"""Checkpoints: a run on disk, complete under its name or not there, that is resumed by the same arguments only.

The file is an `.npz` archive of plain arrays; nothing in it is unpickled. `arguments` maps the name of each argument to
a hash of its content. One process writes a checkpoint at a time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import __version__
from .errors import CheckpointError, InputError

Arrays = Mapping[str, NDArray[Any]]
_FORMAT = "manifoldflow checkpoint 1"
_READING_ERRORS = (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, RuntimeError, zlib.error)


def content_hash(*parts: Any) -> str:
    """Hash of numbers, strings, None and arrays, by content.

    >>> content_hash(1.0, np.zeros(2)) == content_hash(1.0, np.zeros(2)) != content_hash(1.0, np.zeros(3))
    True
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype} {part.shape} ".encode() + np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()


class Checkpoint:
    """Saves and restores a run at `path`; `kind` says what it is a run of, `arguments` what was asked for."""

    def __init__(self, path: Any, kind: str, arguments: Mapping[str, str]) -> None:
        try:
            self.path = Path(path)
        except TypeError as error:
            raise InputError(f"checkpoint must be the name of a file; got {type(path).__name__} {path!r}.") from error
        self._kind = kind
        versions = {"version of manifoldflow": __version__, "version of NumPy": np.__version__}
        self._arguments = {**arguments, **versions}

    def save(self, arrays: Arrays) -> None:
        """Write under a temporary name, then rename: a kill at any time leaves the old file or the new one."""
        header = {"format": _FORMAT, "kind": self._kind, "arguments": self._arguments}
        draft = self.path.with_name(f".{self.path.name}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as stream:
                np.savez(stream, header=np.array(json.dumps(header)), **arrays)  # type: ignore[arg-type]
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise CheckpointError(
                f"The checkpoint {self.path} cannot be written ({error.strerror or error}); the last one that was is "
                "kept. Free some space, or name another file."
            ) from error

    def restore(self, put_back: Callable[[Arrays], None]) -> bool:
        """Hand the file's arrays to `put_back`; False where there is no file."""
        if not self.path.exists():
            return False
        self._require_same_arguments(self._recorded_arguments())
        try:
            put_back(self._load())
        except _READING_ERRORS as error:
            raise self._damaged(error) from error
        return True

    def _load(self, *names: str) -> dict[str, NDArray[Any]]:
        # Opened here: NumPy leaves a file open that is no archive.
        with self.path.open("rb") as stream:
            if not zipfile.is_zipfile(stream):
                raise ValueError("it is no .npz archive")  # NumPy would advise to unpickle it
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:
                return {name: archive[name] for name in names or archive.files}

    def _recorded_arguments(self) -> dict[str, str]:
        try:
            header = json.loads(str(self._load("header")["header"]))
            if (header["format"], header["kind"]) != (_FORMAT, self._kind):
                raise ValueError(f"it says {header['format']!r} of {header['kind']!r}")
            return dict(header["arguments"])
        except _READING_ERRORS as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> CheckpointError:
        return CheckpointError(
            f"{self.path} is no checkpoint of {self._kind}, or is damaged ({error}). Remove it to start again, or "
            "name another file."
        )

    def _require_same_arguments(self, found: dict[str, str]) -> None:
        names = {*found, *self._arguments}
        different = sorted(name for name in names if found.get(name) != self._arguments.get(name))
        if different:
            raise CheckpointError(
                f"The checkpoint {self.path} was made by other arguments: {', '.join(different)} differ(s). Resume "
                "with the arguments that began it, or name another file."
            )
