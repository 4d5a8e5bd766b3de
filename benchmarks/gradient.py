"""The Riemannian gradient against NumPy, JAX and the rate of this machine's matrix product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg.blas import dgemm
from threadpoolctl import threadpool_limits

import manifoldflow as mf
from benchmarks import formulas, plots
from benchmarks.common import Options, Output, duration, machine_text, optional, ratio, seconds_a_call, table_by_size
from benchmarks.problems import Array
from manifoldflow.compiled import geometry

SIZES = ((10, 5, 20), (20, 50, 64), (200, 100, 500), (2000, 500, 600))
TINY = ((4, 3, 6),)
FORMULA = "z**3 + z"


def run(options: Options, output: Output) -> None:
    """Time every size; write `gradient.json`, `gradient.md` and `gradient.svg`."""
    rates = {name: dgemm_rate(count, 200 if options.quick else 2000) for name, count in (("one", 1), ("all", None))}
    rows = [measure(*size, options, rates) for size in (TINY if options.quick else SIZES)]
    plots.write(output.plots / "gradient.svg", [panel(rows)])
    output.write("gradient", {"dgemm_flops": rates, "rows": rows}, markdown(rows, rates))


def dgemm_rate(threads: int | None, size: int) -> float:
    """Flops a second of the product of two square matrices, 2 size^3 of them, on so many threads (None: all)."""
    A = np.asfortranarray(np.random.default_rng(0).standard_normal((size, size)))
    C = np.zeros_like(A)
    with threadpool_limits(threads, "blas"):
        return 2.0 * size**3 / seconds_a_call(lambda: dgemm(1.0, A, A, c=C, overwrite_c=1), 3.0 * (size / 2000) ** 3)


def flops(man: mf.ZeroLossManifold) -> float:
    """Pre-activations 2 m n r, symmetric half of K m n^2, q 2 m n^2, assembly 2 m n r; r the rank of the data."""
    m, n, r = man.m, man.n, man.coordinates.rank
    return 4.0 * m * n * r + 3.0 * m * n**2


def measure(m: int, n: int, d: int, options: Options, rates: dict[str, float]) -> dict[str, Any]:
    """Times of one size, in seconds a call."""
    data = mf.datasets.synthetic(n=n, d=d, rng=0)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(mf.UnitFunction(FORMULA), width=m), data.X, data.y)
    theta = man.random_point(rng=0)
    with threadpool_limits(1, "blas"):
        inner = seconds_a_call(compiled_call(man, theta))
    seconds: dict[str, float | None] = {
        "public method": seconds_a_call(lambda: man.gradient(theta)),
        "compiled call": inner,
        "compiled call, all threads": seconds_a_call(compiled_call(man, theta)),
        "NumPy": seconds_a_call(numpy_call(man, theta)),
    }
    if options.peers:
        seconds["JAX, jit"] = jax_seconds(man, theta)
    count = flops(man)
    share = count / inner / rates["one"]
    text = ", ".join(f"{name} {duration(value)}" for name, value in seconds.items())
    print(f"  m={m} n={n} d={d}: {text}; {100 * share:.0f} % of dgemm on one thread", flush=True)
    return {"m": m, "n": n, "d": d, "flops": count, "seconds": seconds, "share_of_dgemm": share}


def compiled_call(man: mf.ZeroLossManifold, theta: Array) -> Callable[[], Any]:
    """The function that the integrators call, in reduced coordinates and called from Python."""
    W, work = man.coordinates.reduce(theta), man.workspace()
    out = np.empty_like(W)
    return lambda: geometry.gradient(W, man.problem, work, out)


def numpy_call(man: mf.ZeroLossManifold, theta: Array) -> Callable[[], Any]:
    """The formula by hand in NumPy, in the parameters."""
    operations, s = formulas.numpy_operations(FORMULA), (man.X**2).sum(axis=1)
    gram = man.X @ man.X.T
    return lambda: formulas.gradient(theta, man.X, gram, s, False, operations)


def jax_seconds(man: mf.ZeroLossManifold, theta: Array) -> float | None:
    """The same in JAX, compiled, on an array that is already its own; None where JAX is not installed."""
    try:
        jax = optional("jax")
    except ImportError:
        return None
    operations = formulas.jax_operations(FORMULA)
    X, point = jax.numpy.asarray(man.X), jax.numpy.asarray(theta)
    gram, s = X @ X.T, (X**2).sum(axis=1)
    compiled = jax.jit(lambda W: formulas.gradient(W, X, gram, s, False, operations))
    error = float(np.abs(np.asarray(compiled(point)) - man.gradient(theta)).max())
    if not error <= 1e-8 * (1.0 + float(np.abs(man.gradient(theta)).max())):
        raise RuntimeError(f"JAX's gradient differs by {error:.1e}")
    return seconds_a_call(lambda: compiled(point).block_until_ready())


def markdown(rows: list[dict[str, Any]], rates: dict[str, float]) -> str:
    """Times, ratios against JAX, and the rate."""
    names = list(rows[0]["seconds"])
    lines = [*names, "JAX / public", "JAX / compiled", "Gflop/s", "of dgemm"]
    columns = []
    for row in rows:
        seconds, jax = row["seconds"], row["seconds"].get("JAX, jit")
        columns.append(((row["m"], row["n"], row["d"]), [
            *(duration(seconds[name]) for name in names),
            ratio(jax, seconds["public method"]), ratio(jax, seconds["compiled call"]),
            f"{row['flops'] / seconds['compiled call'] / 1e9:.3g}", f"{100 * row['share_of_dgemm']:.0f} %",
        ]))  # fmt: skip
    return (
        f"Machine: {machine_text()}\n\ndgemm: {rates['one'] / 1e9:.3g} Gflop/s on one thread, "
        f"{rates['all'] / 1e9:.3g} on all.\n\n{table_by_size(lines, columns)}"
    )


def panel(rows: list[dict[str, Any]]) -> plots.Panel:
    """Time of a call against the number of flops."""
    colours = (plots.BLUE, plots.SKY, plots.GREEN, plots.ORANGE, plots.PURPLE)
    lines = []
    for name, colour, marker in zip(rows[0]["seconds"], colours, "os^Dv", strict=False):
        found = [(row["flops"], row["seconds"][name]) for row in rows if row["seconds"][name]]
        if found:
            lines.append(plots.Line.through(name, found, colour, marker))
    return plots.Panel("Riemannian gradient", "flops of a gradient", "seconds a call", lines)
