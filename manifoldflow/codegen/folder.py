"""Kernel folders on disk: complete or absent, verified by hash at every load, made again when they do not match.

`manifest.json` holds the hash of the generated source. Numba's files beside it are guarded by `compiled.sealed`.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from ..errors import CodegenError

_LOG = logging.getLogger("manifoldflow.cache")


def kernel_folder(key: str, make_source: Callable[[], str]) -> Path:
    """Give the folder of a kernel, with `unit.py` in it, from the cache or made now.

    Raises `CodegenError` where the cache can be neither written nor replaced.
    """
    folder = _cache_root() / f"k{key}"
    if not _is_whole(folder):
        _write(folder, make_source())
    return folder


def _cache_root() -> Path:
    named = os.environ.get("MANIFOLDFLOW_CACHE_DIR")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = Path(named) if named else base / "manifoldflow"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            return root
    except OSError as error:
        if named:
            raise CodegenError(
                f"The kernel cache {root} cannot be written ({error.strerror}). "
                "Set MANIFOLDFLOW_CACHE_DIR to a folder that can."
            ) from error
        return _temporary_root()


@cache
def _temporary_root() -> Path:
    root = tempfile.mkdtemp(prefix="manifoldflow-")
    _LOG.warning("The user's cache folder cannot be written; kernels go to %s, for this process only.", root)
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return Path(root)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_whole(folder: Path) -> bool:
    if not folder.exists():
        return False
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        whole = bool(manifest["unit.py"] == _hash(folder / "unit.py"))
    except (OSError, ValueError, TypeError, KeyError):
        whole = False
    if not whole:
        _LOG.warning("The kernel in %s is damaged; it is made again.", folder)
    return whole


def _write(folder: Path, source: str) -> None:
    """Write under a temporary name and rename: a folder under its final name is complete."""
    try:
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
        try:
            (draft / "unit.py").write_text(source, encoding="utf-8")
            (draft / "manifest.json").write_text(json.dumps({"unit.py": _hash(draft / "unit.py")}), encoding="utf-8")
            _move_into_place(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise CodegenError(
            f"A kernel could not be written to {folder.parent}: {error.strerror}. "
            "Free some space, or set MANIFOLDFLOW_CACHE_DIR to another folder."
        ) from error


def _move_into_place(draft: Path, folder: Path) -> None:
    if folder.exists() and not _is_whole(folder):
        shutil.rmtree(folder, ignore_errors=True)
    try:
        draft.rename(folder)
    except OSError:
        # Another process finished first; its folder has the same content.
        if not _is_whole(folder):
            raise
