"""Kernels: the pointwise functions of one unit, generated once, cached as a file and compiled to function pointers."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np

import derivations
from derivations import UnitFunction

from .. import __version__
from ..compiled.options import OPTIONS, jit, jit_address
from ..compiled.pointers import SIGNATURES
from ..errors import CodegenError, InputError
from ..validation import Array
from .emit import unit_source
from .folder import kernel_folder
from .precision import warn_where_digits_are_lost


class Kernel:
    """The compiled pointwise functions of one unit function.

    Attributes:
        unit: the unit function.
        addresses: of the pointwise functions, for the contractions of `manifoldflow.compiled`.
        folder: where the generated file lives.

    >>> kernel = load_kernel(UnitFunction("z**3 + z"))
    >>> kernel.source.splitlines()[0].strip('"')
    'Pointwise functions of the unit psi = a*(z**3 + z)'
    >>> kernel.table(np.array([2.0])).ravel()
    array([10., 13., 12.,  6.])
    """

    def __init__(self, unit: UnitFunction, folder: Path) -> None:
        self.unit, self.folder = unit, folder
        module = _import_module(folder / "unit.py")
        warn_where_digits_are_lost(unit.formula, module.DIGITS_KEPT)
        self._functions = [jit_address(getattr(module, name), SIGNATURES[name]) for name in SIGNATURES]
        self.addresses = _addresses(self._functions)
        self._phi = jit(module.phi_derivatives) if hasattr(module, "phi_derivatives") else None

    def __reduce__(self) -> tuple[Callable[[UnitFunction], Kernel], tuple[UnitFunction]]:
        return load_kernel, (self.unit,)  # compiled code and folders stay where they are

    @property
    def source(self) -> str:
        """The generated file, as text."""
        return (self.folder / "unit.py").read_text(encoding="utf-8")

    def table(self, z: Array) -> Array:
        """Tabulate phi and its first three derivatives at z (k,), as (4, k); not finite outside phi's domain."""
        if self._phi is None:
            raise InputError("This unit is not of the form a*phi(z), so there is no phi to tabulate.")
        table = np.empty((4, z.size))
        with np.errstate(all="ignore"):
            self._phi(np.ascontiguousarray(z, dtype=np.float64), table)
        return table


@cache
def load_kernel(unit: UnitFunction) -> Kernel:
    """Give the kernel of a unit function: from the cache if it is there and whole, else generated.

    The cache is the folder named by the environment variable MANIFOLDFLOW_CACHE_DIR, else `manifoldflow` in the user's
    cache folder, else (when that cannot be written) a temporary one for this process.
    """
    return Kernel(unit, kernel_folder(_key(unit), lambda: unit_source(unit, __version__)))


def _addresses(functions: list[Any]) -> Any:
    """What stands for the functions in compiled code; they must be kept alive as long as it may be used."""
    if numba.config.DISABLE_JIT:
        return tuple(functions)
    return np.array([function.address for function in functions], dtype=np.int64)


def _key(unit: UnitFunction) -> str:
    """Hash of the formula, of the sources that turn it into a kernel, and of the compiler's version and options."""
    text = json.dumps([unit.formula, unit.own, _sources_digest(), numba.__version__, sys.version, str(OPTIONS)])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@cache
def _sources_digest() -> str:
    digest = hashlib.sha256(__version__.encode())
    root = Path(derivations.__file__).parent
    used = [path for path in root.rglob("*.py") if path.relative_to(root).parts[0] not in ("report", "analysis")]
    for path in [*sorted(used), *sorted(Path(__file__).parent.rglob("*.py"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _import_module(path: Path) -> ModuleType:
    name = f"manifoldflow_kernel_{path.parent.name}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CodegenError(f"The kernel {path} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
