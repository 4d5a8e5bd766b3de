"""Results as `xarray.Dataset` and `pandas.DataFrame`: named dimensions, coordinates, units, and where they come from.

Times are flow times, in which dTheta/dt = -grad F; they, the parameters and F have no physical unit, and say so in
`units` ("1"). Attributes are numbers and texts, so that a data set can be written to netCDF.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from functools import singledispatch
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from .. import __version__
from ..errors import InputError
from ..geodesics import Geodesic
from ..manifold import ZeroLossManifold
from ..sgd import SGDRun
from ..solution import FlowSolution
from .extras import require

Attributes = Mapping[str, Any]
Variable = tuple[tuple[str, ...], Any, dict[str, str]]

_TEXTS = {
    "theta": "point on the zero-loss manifold",
    "sharpness": "trace of the Hessian of the loss",
    "gradient_norm": "norm of the Riemannian gradient of the sharpness",
    "residual": "largest |f - y|",
    "loss": "sum over samples of (f_i - y_i)^2",
    "velocity": "velocity of the geodesic",
    "jac": "Riemannian gradient of the sharpness",
    "x": "flattest point found",
    "singular_values": "singular values of the pre-activations",
    "t": "flow time of dTheta/dt = -grad F",
}


@singledispatch
def to_xarray(result: Any, attrs: Attributes | None = None) -> Any:
    """A result as an `xarray.Dataset`.

    Takes `FlowSolution` (dimensions t, unit, parameter; `occurrence_k` for event k), `SGDRun` (step, run, unit,
    parameter), `Geodesic` (t, unit, parameter), the `OptimizeResult` of `flattest_point` (unit, parameter) and a
    `VerificationReport` (check). `parameter` counts a unit's d weights and then its own parameters by their names.

    Args:
        result: what is converted; its arrays are copied.
        attrs: more attributes, such as the seed of a starting point, which a result does not know.

    Raises:
        InputError: a type that has no conversion, or an attribute that is no number or text.
        MissingExtraError: xarray is not installed.

    >>> import manifoldflow as mf
    >>> data = mf.datasets.synthetic(n=2, d=3, rng=0)
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=2), data.X, data.y)
    >>> sol = mf.sharpness_flow(man, man.random_point(rng=0), t_span=(0.0, 0.1), t_eval=[0.0, 0.1])
    >>> found = to_xarray(sol, {"seed": 0})
    >>> dict(found.sizes), found["theta"].dims, found.attrs["seed"]
    ({'t': 2, 'unit': 2, 'parameter': 3}, ('t', 'unit', 'parameter'), 0)
    """
    raise InputError(_unknown(result))


@singledispatch
def to_pandas(result: Any, attrs: Attributes | None = None) -> Any:
    """A result as a `pandas.DataFrame`, without the parameters (`to_xarray(result).to_dataframe()` has them).

    A row is: of a `FlowSolution` or `Geodesic` a time; of an `SGDRun` a recorded step and run (indices step, run); of
    an `OptimizeResult` the result, so that several can be put one under another; of a `VerificationReport` a check.
    `frame.attrs` holds what `to_xarray` puts there. Arguments and errors as for `to_xarray`.

    >>> import manifoldflow as mf
    >>> data = mf.datasets.synthetic(n=2, d=3, rng=0)
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=2), data.X, data.y)
    >>> frame = to_pandas(mf.flattest_point(man))
    >>> len(frame), bool(frame["is_global"].item())
    (1, True)
    """
    raise InputError(_unknown(result))


def _unknown(result: Any) -> str:
    return (
        f"a {type(result).__name__} cannot be converted; it takes the results of sharpness_flow, label_noise_sgd, "
        "flattest_point, ZeroLossManifold.geodesic and verify, and types given to to_xarray.register."
    )


# The flow, and curves.


@to_xarray.register
def _(result: FlowSolution, attrs: Attributes | None = None) -> Any:
    variables: dict[str, tuple[tuple[str, ...], Any]] = {"theta": (("t", "unit", "parameter"), result.theta)}
    variables |= {name: (("t",), getattr(result, name)) for name in ("sharpness", "gradient_norm", "residual")}
    for k, (times, points) in enumerate(zip(result.t_events, result.theta_events, strict=True)):
        variables[f"t_event_{k}"] = ((f"occurrence_{k}",), times)
        variables[f"theta_event_{k}"] = ((f"occurrence_{k}", "unit", "parameter"), points)
    coords = {"t": (("t",), result.t, _described("t")), **_parameters(result.manifold)}
    return _dataset(variables, coords, _about(_of_flow(result), attrs))


@to_pandas.register
def _(result: FlowSolution, attrs: Attributes | None = None) -> Any:
    columns = {name: getattr(result, name) for name in ("sharpness", "gradient_norm", "residual")}
    return _frame(columns, {"t": result.t}, _about(_of_flow(result), attrs))


def _of_flow(result: FlowSolution) -> dict[str, Any]:
    control = result.path.control if result.path is not None else None
    options = {} if control is None else {"rtol": control.rtol, "atol": control.atol, "t_end": control.t_end}
    ended = {"status": result.status, "message": result.message, "success": result.success}
    return _problem(result.manifold) | ended | options | dict(result.stats)


@to_xarray.register
def _(result: Geodesic, attrs: Attributes | None = None) -> Any:
    dims = ("t", "unit", "parameter")
    time = {"long_name": "time of the geodesic", "units": "1"}
    coords = {"t": (("t",), result.t, time), **_parameters(result.path.manifold)}
    variables = {"theta": (dims, result.theta), "velocity": (dims, result.velocity)}
    return _dataset(variables, coords, _about(_problem(result.path.manifold), attrs))


@to_pandas.register
def _(result: Geodesic, attrs: Attributes | None = None) -> Any:
    manifold = result.path.manifold
    columns = {
        "sharpness": np.array([manifold.sharpness(theta) for theta in result.theta]),
        "speed": np.linalg.norm(result.velocity, axis=(1, 2)),
    }
    return _frame(columns, {"t": result.t}, _about(_problem(manifold), attrs))


# Label-noise SGD.


@to_xarray.register
def _(result: SGDRun, attrs: Attributes | None = None) -> Any:
    point = ("unit", "parameter")
    variables: dict[str, tuple[tuple[str, ...], Any]] = {
        "theta": (("run", *point), result.theta),
        "loss": (("run",), result.loss),
    }
    for name, values in result.history.items():
        variables[f"recorded_{name}"] = (("step", "run", "singular_value")[: values.ndim], values)
    if len(result.recorded):
        variables["recorded_theta"] = (("step", "run", *point), result.recorded)
    coords = {
        "step": (("step",), result.steps, {"long_name": "number of steps taken", "units": "1"}),
        "flow_time": (("step",), result.flow_times, {"long_name": "sum of squared step sizes", "units": "1"}),
        "sharpness_flow_time": (("step",), result.clock * result.flow_times, _described("t")),
        "run": (("run",), np.arange(len(result.theta)), {"long_name": "number of the run"}),
    }
    return _dataset(variables, coords, _about(_of_sgd(result), attrs))


@to_pandas.register
def _(result: SGDRun, attrs: Attributes | None = None) -> Any:
    steps, runs = result.steps, np.arange(len(result.theta))
    scalars = {name: values.ravel() for name, values in result.history.items() if values.ndim == 2}
    columns = {
        "flow_time": np.repeat(result.flow_times, runs.size),
        "sharpness_flow_time": np.repeat(result.clock * result.flow_times, runs.size),
        **scalars,
    }
    index = {"step": np.repeat(steps, runs.size), "run": np.tile(runs, steps.size)}
    return _frame(columns, index, _about(_of_sgd(result), attrs))


def _of_sgd(result: SGDRun) -> dict[str, Any]:
    names = ("n_steps", "step_size", "flow_time", "clock", "stable_step_size", "status", "message")
    return {**result.options, **{name: getattr(result, name) for name in names}}


# The flattest point.

_SCALARS = (
    "fun", "gradient_norm", "lower_bound", "smallest_curvature", "condition", "n_minima", "is_global", "evidence",
    "attained", "success", "status", "nit", "message",
)  # fmt: skip


@to_xarray.register
def _(result: OptimizeResult, attrs: Attributes | None = None) -> Any:
    _require_flattest(result)
    dims = ("unit", "parameter")
    about = {name: result[name] for name in _SCALARS if result[name] is not None}
    coords = {"unit": (("unit",), np.arange(len(result.x)), {"long_name": "number of the unit"})}
    return _dataset({"x": (dims, result.x), "jac": (dims, result.jac)}, coords, _about(about, attrs))


@to_pandas.register
def _(result: OptimizeResult, attrs: Attributes | None = None) -> Any:
    _require_flattest(result)
    columns = {name: [np.nan if result[name] is None else result[name]] for name in _SCALARS}
    return _frame(columns, {}, _about({}, attrs))


def _require_flattest(result: OptimizeResult) -> None:
    missing = [name for name in ("x", "jac", *_SCALARS) if name not in result]
    if missing:
        raise InputError(f"Only the OptimizeResult of flattest_point is taken; this one lacks {', '.join(missing)}.")


# What all conversions share.


def _dataset(variables: Mapping[str, Any], coords: Mapping[str, Variable], attrs: dict[str, Any]) -> Any:
    xarray = require("xarray", "to_xarray")
    described = {name: (dims, np.array(values), _described(name)) for name, (dims, values) in variables.items()}
    return xarray.Dataset(described, coords, attrs)


def _frame(columns: Mapping[str, Any], index: Mapping[str, Any], attrs: dict[str, Any]) -> Any:
    pandas = require("pandas", "to_pandas")
    rows = None
    if len(index) == 1:
        rows = pandas.Index(np.array(*index.values()), name=next(iter(index)))
    elif index:
        rows = pandas.MultiIndex.from_arrays(list(index.values()), names=list(index))
    frame = pandas.DataFrame({name: np.array(values) for name, values in columns.items()}, index=rows)
    frame.attrs.update(attrs)
    return frame


def _described(name: str) -> dict[str, str]:
    text = _TEXTS.get(name.removeprefix("recorded_"), name.replace("_", " "))
    return {"long_name": text, "units": "1"}


def _parameters(manifold: ZeroLossManifold) -> dict[str, Variable]:
    own = manifold.network.unit.own
    names = [*(f"w{k}" for k in range(manifold.shape[1] - len(own))), *own]
    return {
        "unit": (("unit",), np.arange(manifold.m), {"long_name": "number of the unit"}),
        "parameter": (("parameter",), np.array(names), {"long_name": "weight of the unit, or its own parameter"}),
    }


def _problem(manifold: ZeroLossManifold) -> dict[str, Any]:
    unit = manifold.network.unit
    return {
        "unit_function": unit.formula, "own_parameters": ", ".join(unit.own), "network": repr(manifold.network),
        "n_samples": manifold.n, "n_units": manifold.m, "rank": manifold.coordinates.rank,
    }  # fmt: skip


def _about(facts: dict[str, Any], attrs: Attributes | None) -> dict[str, Any]:
    return {**_origin(), **plain_attributes(facts), **plain_attributes(attrs)}


def _origin() -> dict[str, Any]:
    found = {"software": f"manifoldflow {__version__}", "python_version": platform.python_version()}
    for name in ("numpy", "scipy", "numba", "sympy"):
        try:
            found[f"{name}_version"] = version(name)
        except PackageNotFoundError:
            found[f"{name}_version"] = "unknown"
    return found


def plain_attributes(attrs: Attributes | None) -> dict[str, Any]:
    """Attributes as numbers and texts, as netCDF has no booleans; `InputError` for anything else."""
    return {name: _plain_value(name, value) for name, value in (attrs or {}).items()}


_PLAIN: tuple[tuple[tuple[type, ...], Callable[[Any], Any]], ...] = (
    ((bool, np.bool_, int, np.integer), int),
    ((float, np.floating), float),
    ((str,), str),
)


def _plain_value(name: str, value: Any) -> Any:
    for kinds, make in _PLAIN:
        if isinstance(value, kinds):
            return make(value)
    raise InputError(f"The attribute {name!r} must be a number or a text; got {type(value).__name__}.")
