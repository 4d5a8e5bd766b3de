"""Kernels on disk: one folder a unit function, made once, verified at every load, compiled by Numba on first use.

A folder holds the generated `unit.py` beside copies of the templates. Its name is a hash of everything that changes
its content. `manifest.json` holds the hash of each source; `compiled.json` those of Numba's files. What does not match
is made again, and said in the log.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import json
import logging
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

import numba

import derivations
from derivations import UnitFunction

from .. import __version__
from ..errors import CodegenError
from .emit import unit_source

_LOG = logging.getLogger("manifoldflow.cache")
_TEMPLATES = Path(__file__).parents[1] / "templates"
_MODULES = ("geometry", "stepping", "explicit", "implicit", "sgd")


class Kernel:
    """The compiled functions of one unit function, by module: `kernel.geometry.gradient(...)`.

    Attributes: `unit` (pointwise functions), `geometry`, `explicit`, `implicit`, `stepping`, `sgd`: modules; `source`:
    the text of the generated file; `folder`: where it lives.

    >>> kernel = load_kernel(UnitFunction("z**3 + z"))
    >>> kernel.source.splitlines()[0]
    '\"\"\"Pointwise functions of the unit psi = a*(z**3 + z)'
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._package = _import_package(folder)

    def __getattr__(self, name: str) -> ModuleType:
        if name not in ("unit", *_MODULES):
            raise AttributeError(f"A kernel has the modules unit, {', '.join(_MODULES)}; not {name!r}.")
        module = importlib.import_module(f"{self._package.__name__}.{name}")
        setattr(self, name, module)
        return module

    @property
    def source(self) -> str:
        """The generated file, as text."""
        return (self.folder / "unit.py").read_text(encoding="utf-8")


@cache
def load_kernel(unit: UnitFunction) -> Kernel:
    """The kernel of a unit function: from the cache if it is there and whole, else generated.

    The cache is the folder named by the environment variable MANIFOLDFLOW_CACHE_DIR, else `manifoldflow` in the user's
    cache folder, else (when that cannot be written) a temporary one for this process.
    """
    folder = _cache_root() / f"k{_key(unit)}"
    if not _is_whole(folder):
        folder = _write(folder, unit)
    _drop_damaged(folder)
    atexit.register(_seal, folder)
    return Kernel(folder)


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
                f"The kernel cache {root} cannot be written ({error.strerror}); set MANIFOLDFLOW_CACHE_DIR to a folder that can."
            ) from error
        return _temporary_root()


@cache
def _temporary_root() -> Path:
    root = tempfile.mkdtemp(prefix="manifoldflow-")
    _LOG.warning("The user's cache folder cannot be written; kernels are compiled into %s for this process only.", root)
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return Path(root)


def _key(unit: UnitFunction) -> str:
    """Hash of the formula, the sources that turn it into a kernel, and the versions and options of the compiler."""
    text = json.dumps([unit.formula, unit.own, _sources_digest(), numba.__version__, sys.version, numba.config.DISABLE_JIT])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@cache
def _sources_digest() -> str:
    folders = (Path(derivations.__file__).parent, Path(__file__).parent, _TEMPLATES)
    files = sorted(path for folder in folders for path in folder.rglob("*.py"))
    digest = hashlib.sha256(__version__.encode())
    for path in [*files, _TEMPLATES.parent / "lapack.py"]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_whole(folder: Path) -> bool:
    if not folder.exists():
        return False
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        whole = len(manifest) == len(_MODULES) + 2 and all(_hash(folder / name) == h for name, h in manifest.items())
    except (OSError, ValueError, AttributeError):
        whole = False
    if not whole:
        _LOG.warning("The kernel in %s is damaged; it is made again.", folder)
    return whole


def _write(folder: Path, unit: UnitFunction) -> Path:
    """Write the sources under a temporary name and rename: a folder under its final name is complete."""
    try:
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
        (draft / "__init__.py").write_text(f'"""Kernel of {unit.psi}."""\n', encoding="utf-8")
        (draft / "unit.py").write_text(unit_source(unit, __version__), encoding="utf-8")
        for name in _MODULES:
            shutil.copyfile(_TEMPLATES / f"{name}.py", draft / f"{name}.py")
        manifest = {path.name: _hash(path) for path in sorted(draft.glob("*.py"))}
        (draft / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        return _move_into_place(draft, folder)
    except OSError as error:
        raise CodegenError(
            f"The kernel for {unit.formula!r} could not be written to {folder.parent}: {error.strerror}. "
            "Free some space, or set MANIFOLDFLOW_CACHE_DIR to another folder."
        ) from error


def _move_into_place(draft: Path, folder: Path) -> Path:
    if folder.exists() and not _is_whole(folder):
        shutil.rmtree(folder, ignore_errors=True)
    try:
        draft.rename(folder)
    except OSError:
        # Another process finished first; its folder has the same content.
        if not _is_whole(folder):
            raise
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _compiled(folder: Path) -> list[Path]:
    return sorted((folder / "__pycache__").glob("*.nb[ic]"))


def _drop_damaged(folder: Path) -> None:
    """Delete Numba's files whose hash is not the one recorded when they were sealed; they are compiled again."""
    try:
        sealed = json.loads((folder / "compiled.json").read_text(encoding="utf-8"))
        damaged = [path for path in _compiled(folder) if sealed.get(path.name, _hash(path)) != _hash(path)]
    except FileNotFoundError:
        return
    except (OSError, ValueError, AttributeError):
        damaged = _compiled(folder)
    for path in damaged:
        _LOG.warning("Compiled code in %s is damaged; it is compiled again.", path)
        path.unlink(missing_ok=True)


def _seal(folder: Path) -> None:
    """Record the hashes of Numba's files, for the next process to check."""
    try:
        if folder.exists():
            draft = folder / f".compiled-{os.getpid()}.json"
            draft.write_text(json.dumps({path.name: _hash(path) for path in _compiled(folder)}), encoding="utf-8")
            draft.replace(folder / "compiled.json")
    except OSError as error:
        _LOG.warning("Compiled code in %s could not be sealed: %s.", folder, error)


def _import_package(folder: Path) -> ModuleType:
    name = f"manifoldflow_kernel_{folder.name}"
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise CodegenError(f"The kernel folder {folder} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
