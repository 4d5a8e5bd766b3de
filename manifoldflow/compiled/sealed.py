"""Compiled code on disk is trusted only where its hash, written beside it when it was saved, still matches.

Numba loads whatever its cache files hold, so a damaged one can crash the process; and it looks at the source file of a
function only, not at those of the functions compiled into it. Here each file `x` gets a companion `x.sha256` with its
hash and that of this package's sources; before a function is loaded, files without a matching companion are deleted,
and Numba compiles again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
from functools import cache
from pathlib import Path
from typing import Any

_SEALED_WITHIN = 5.0  # seconds
_LOG = logging.getLogger("manifoldflow.cache")


class SealedCache:
    """Numba's cache of one function, checked before it is read and sealed after it is written."""

    def __init__(self, cache: Any, stem: str) -> None:
        self._cache, self._stem = cache, stem

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Load compiled code from files that are whole; None while another process writes them."""
        folder = Path(self._cache.cache_path)
        if being_written(folder, self._stem):
            return None
        drop_damaged(folder, self._stem)
        return self._cache.load_overload(signature, target_context)

    def save_overload(self, signature: Any, data: Any) -> None:
        """Save compiled code and its hash."""
        self._cache.save_overload(signature, data)
        seal(Path(self._cache.cache_path), self._stem)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)


def being_written(folder: Path, stem: str) -> bool:
    """Whether a file of a function is so new that its seal may be on the way."""
    return any(not _companion(path).exists() and _age(path) < _SEALED_WITHIN for path in _files(folder, stem))


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def drop_damaged(folder: Path, stem: str) -> None:
    """Delete the compiled code of a function where a file does not match its hash."""
    files = _files(folder, stem)
    if all(_is_sealed(path) for path in files):
        return
    _LOG.info("Compiled code of %s in %s is damaged or out of date; it is compiled again.", stem, folder)
    for path in files:
        path.unlink(missing_ok=True)


def seal(folder: Path, stem: str) -> None:
    """Write the hash of each of a function's files beside it; a file already sealed is left alone."""
    for path in _files(folder, stem):
        # Another process may take a file that has no seal yet for damaged, and delete it: it is then compiled again.
        with contextlib.suppress(FileNotFoundError):
            if not _is_sealed(path):
                _write_atomically(_companion(path), _seal_text(path))


def _files(folder: Path, stem: str) -> list[Path]:
    return sorted(folder.glob(f"{stem}-*.nb[ic]"))


def _companion(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _is_sealed(path: Path) -> bool:
    try:
        return _companion(path).read_text(encoding="ascii") == _seal_text(path)
    except (OSError, UnicodeDecodeError):
        return False


def _seal_text(path: Path) -> str:
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()} {_sources()}"


@cache
def _sources() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _write_atomically(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="ascii")
        draft.replace(path)
    except OSError as error:
        _LOG.info("%s could not be written: %s.", path, error)
