"""The flow's solvers: the toolkit's methods and the peers, each prepared for a problem and a tolerance, then run.

A `Prepare` takes a problem and rtol (atol is 1e-2 rtol throughout) and returns a run without arguments: what it does is
compilation and loading, which is timed apart. A run returns reduced points (k, m, r + p) at the problem's times. The
multistep methods interpolate to these times with their own formulas; the one-step methods of SciPy and diffrax step to
them exactly, because their interpolation would be less exact than their steps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

import manifoldflow as mf
from benchmarks import formulas
from benchmarks.common import optional
from benchmarks.problems import Array, Field, Problem

Run = Callable[[], Array]
Prepare = Callable[[Problem, float], Run]

OURS = ("manifoldflow auto", "manifoldflow implicit", "manifoldflow explicit")


def solvers() -> dict[str, Prepare]:
    """All solvers by name, ours first."""
    found: dict[str, Prepare] = {name: partial(ours, name.split()[1]) for name in OURS}
    found |= {f"SciPy {method}": partial(multistep, method) for method in ("LSODA", "BDF")}
    found |= {f"SciPy {method}": partial(one_step, method) for method in ("Radau", "DOP853", "RK45")}
    found["SciPy LSODA, NumPy field"] = numpy_lsoda
    found |= {f"SUNDIALS CVODE BDF, {kind}": partial(cvode, kind) for kind in ("dense", "GMRES")}
    found |= {f"diffrax {name}": partial(diffrax_solver, name) for name in ("Kvaerno5", "Dopri8", "Tsit5")}
    found["heyoka Taylor"] = heyoka_taylor
    return found


def ours(method: str, problem: Problem, rtol: float) -> Run:
    """A method of the toolkit, through the public function; loading its compiled code is the preparation."""

    def solve(method: str, **options: Any) -> mf.FlowSolution:
        return mf.sharpness_flow(
            problem.manifold, problem.theta, (0.0, problem.t_end), rtol=rtol, atol=1e-2 * rtol, method=method,
            t_eval=problem.times, **options,
        )  # fmt: skip

    for loaded in ("explicit", "implicit"):
        solve(loaded, max_steps=2)
    between = [0.5 * problem.times[0]]
    mf.sharpness_flow(problem.manifold, problem.theta, (0.0, problem.times[0]), method="explicit", t_eval=between)

    def run() -> Array:
        solution = solve(method, dense_output=False)
        if not solution.success:
            raise RuntimeError(solution.message)
        return solution.W

    return run


def multistep(method: str, problem: Problem, rtol: float) -> Run:
    """SciPy's LSODA or BDF on the compiled field."""
    field = problem.compiled_field()
    field(0.0, problem.W.ravel())
    return lambda: _scipy(field, problem, problem.W, method, rtol)


def numpy_lsoda(problem: Problem, rtol: float) -> Run:
    """LSODA on a field in plain NumPy and in the parameters themselves: what one would write without a toolkit."""
    man = problem.manifold
    constants = man.X, man.X @ man.X.T, (man.X**2).sum(axis=1), problem.trained
    operations = formulas.numpy_operations(problem.activation)

    def field(_: float, state: Array) -> Array:
        return -formulas.gradient(state.reshape(problem.theta.shape), *constants, operations).ravel()

    return lambda: man.coordinates.reduce(_scipy(field, problem, problem.theta, "LSODA", rtol))


def _scipy(field: Field, problem: Problem, start: Array, method: str, rtol: float) -> Array:
    solution = solve_ivp(
        field, (0.0, problem.t_end), start.ravel(), method=method, rtol=rtol, atol=1e-2 * rtol, t_eval=problem.times
    )
    if not solution.success:
        raise RuntimeError(solution.message)
    return solution.y.T.reshape(-1, *start.shape)


def one_step(method: str, problem: Problem, rtol: float) -> Run:
    """SciPy's Radau, DOP853 or RK45 on the compiled field, from each of the problem's times to the next."""
    field = problem.compiled_field()
    field(0.0, problem.W.ravel())

    def run() -> Array:
        points, t, state, step = [], 0.0, problem.W.ravel(), np.nan
        for stop in problem.times:
            first = None if np.isnan(step) else min(step, stop - t)
            solution = solve_ivp(field, (t, stop), state, method, rtol=rtol, atol=1e-2 * rtol, first_step=first)
            if not solution.success:
                raise RuntimeError(solution.message)
            t, state, step = stop, solution.y[:, -1], float(np.diff(solution.t).max())
            points.append(state.reshape(problem.W.shape))
        return np.array(points)

    return run


def cvode(kind: str, problem: Problem, rtol: float) -> Run:
    """CVODE's BDF on the compiled field: dense LU (LAPACK; Jacobian by differences), or GMRES not preconditioned."""
    field = problem.compiled_field()

    def right_hand_side(t: float, y: Array, yp: Array) -> None:
        yp[:] = field(t, y)

    linear = {"linsolver": "lapackdense"} if kind == "dense" else {"linsolver": "gmres", "krylov_dim": 20}
    solver = optional("sksundae.cvode").CVODE(
        right_hand_side, method="BDF", rtol=rtol, atol=1e-2 * rtol, max_num_steps=10**7, **linear
    )
    field(0.0, problem.W.ravel())

    def run() -> Array:
        solution = solver.solve(np.concatenate([[0.0], problem.times]), problem.W.ravel())
        if not solution.success:
            raise RuntimeError(solution.message)
        return np.asarray(solution.y)[1:].reshape(-1, *problem.W.shape)

    return run


def diffrax_solver(name: str, problem: Problem, rtol: float) -> Run:
    """A method of diffrax on a field in JAX, compiled once for all tolerances."""
    compiled, start = _diffrax(name, problem)

    def run() -> Array:
        points = np.asarray(compiled(start, rtol))
        if not np.isfinite(points).all():
            raise RuntimeError("diffrax stopped before the end")
        return points.reshape(-1, *problem.W.shape)

    return run


@cache
def _diffrax(name: str, problem: Problem) -> tuple[Any, Any]:
    diffrax, jax = optional("diffrax"), optional("jax")

    operations = formulas.jax_operations(problem.activation)
    fixed = problem.manifold.problem
    data = (fixed.R, problem.manifold.gram, fixed.s)
    constants = *map(jax.numpy.asarray, data), problem.trained
    times = jax.numpy.asarray(problem.times)

    def field(_: Any, state: Any, __: Any) -> Any:
        return -formulas.gradient(state.reshape(problem.W.shape), *constants, operations).ravel()

    def solve(state: Any, rtol: Any) -> Any:
        control = diffrax.ClipStepSizeController(diffrax.PIDController(rtol=rtol, atol=1e-2 * rtol), step_ts=times)
        return diffrax.diffeqsolve(
            diffrax.ODETerm(field), getattr(diffrax, name)(), 0.0, problem.t_end, None, state,
            saveat=diffrax.SaveAt(ts=times), stepsize_controller=control, max_steps=None, throw=False,
        ).ys  # fmt: skip

    start = jax.numpy.asarray(problem.W.ravel())
    return jax.jit(solve).lower(start, 1e-3).compile(), start


def heyoka_taylor(problem: Problem, rtol: float) -> Run:
    """heyoka's Taylor method; the order depends on the tolerance, so every tolerance is compiled anew."""
    heyoka = optional("heyoka")

    names, derivatives = _heyoka_field(problem)
    start = problem.W.ravel()
    system = list(zip(names, derivatives, strict=True))
    integrator = heyoka.taylor_adaptive(system, start, tol=rtol, compact_mode=True)
    grid = np.concatenate([[0.0], problem.times])

    def run() -> Array:
        integrator.time = 0.0
        integrator.state[:] = start
        outcome, *_, points = integrator.propagate_grid(grid)
        if outcome != heyoka.taylor_outcome.time_limit:
            raise RuntimeError(f"heyoka ended with {outcome}")
        return points[1:].reshape(-1, *problem.W.shape)

    return run


@cache
def _heyoka_field(problem: Problem) -> tuple[list[Any], list[Any]]:
    heyoka = optional("heyoka")

    names = heyoka.make_vars(*(f"w_{k}" for k in range(problem.W.size)))
    fixed = problem.manifold.problem
    W = np.array(names, dtype=object).reshape(problem.W.shape)
    operations = formulas.symbolic_operations(problem.activation)
    field = formulas.gradient(W, fixed.R, problem.manifold.gram, fixed.s, problem.trained, operations)
    return list(names), [-entry for entry in field.ravel()]
