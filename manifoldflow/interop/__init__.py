"""Fitting in with other tools: pymanopt's solvers, SciPy's `solve_ivp`, xarray and pandas.

Each tool is imported when it is used; one that is missing gives `MissingExtraError`, which names the extra. Conversions
are functions here and not methods of the results, so that what results are does not depend on what is installed, and
one place knows dimensions and units; `to_xarray` and `to_pandas` are open to other types by `register`.

    >>> from manifoldflow import interop
    >>> interop.ode_solver.__name__
    'ode_solver'
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .pymanopt_adapter import ZeroLossPymanopt, pymanopt_problem
    from .solve_ivp import flow_field, ode_solver
    from .tables import to_pandas, to_xarray

_HOME = {
    "ZeroLossPymanopt": "pymanopt_adapter",
    "flow_field": "solve_ivp",
    "ode_solver": "solve_ivp",
    "pymanopt_problem": "pymanopt_adapter",
    "to_pandas": "tables",
    "to_xarray": "tables",
}

# The keys of _HOME, written out because type checkers and linters read this list; a test compares the two.
__all__ = [
    "ZeroLossPymanopt",
    "flow_field",
    "ode_solver",
    "pymanopt_problem",
    "to_pandas",
    "to_xarray",
]


def __getattr__(name: str) -> Any:
    """Load a public name on its first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
