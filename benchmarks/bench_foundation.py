"""Flow, gradient and SGD step against general tools, in one process.

Run with `make bench`, or `python benchmarks/bench_foundation.py [--quick]`. Every peer gets the same compiled field, so
the ratios compare methods and not languages, and 60 s. Times are the best of the repetitions stated; errors are against
a run of the implicit method at rtol 1e-12, which a test compares with SciPy's Radau on a small problem. JAX is used if
installed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

import manifoldflow as mf
from manifoldflow.compiled import geometry

RESULTS = Path(__file__).parent / "results"
PEER_SECONDS = 60.0


def main(quick: bool) -> None:
    RESULTS.mkdir(exist_ok=True)
    report = {"flow": flow_table(quick), "gradient": gradient_table(), "sgd": sgd_table(), "columns": column_table()}
    target = RESULTS / "foundation.json"
    target.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(f"\nwritten: {target}")


def best(function: Callable[[], object], repetitions: int) -> float:
    function()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def problem(name: str) -> tuple[mf.ZeroLossManifold, np.ndarray, float]:
    if name == "digits":
        data, end = mf.datasets.digits(), 6.6e4
    else:
        data, end = mf.datasets.synthetic(n=20, d=60, rng=0), 200.0
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=20), data.X, data.y)
    return man, man.random_point(rng=0), end


def flow_table(quick: bool) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name in ("synthetic",) if quick else ("synthetic", "digits"):
        man, theta, end = problem(name)
        reference = mf.sharpness_flow(man, theta, (0.0, end), rtol=1e-12, atol=1e-14, method="implicit", t_eval=[end])
        print(f"\nflow on {name}, n = {man.n}, m = {man.m}, t = 0 to {end:g}")
        for method in ("implicit", "explicit") if name != "digits" else ("implicit",):
            for rtol in (1e-4, 1e-6, 1e-8):
                rows.append(own_row(man, theta, end, reference, name, method, rtol))
        for method in ("LSODA", "BDF", "Radau"):
            rows.append(peer_row(man, theta, end, reference, name, method, 1e-8))
    return rows


def own_row(man, theta, end, reference, name, method, rtol):  # type: ignore[no-untyped-def]
    def run() -> mf.FlowSolution:
        return mf.sharpness_flow(man, theta, (0.0, end), rtol=rtol, atol=1e-2 * rtol, method=method, dense_output=False)

    return row(name, f"manifoldflow {method}", rtol, best(run, 2), np.abs(run().theta[-1] - reference.theta[-1]).max())


def peer_row(man, theta, end, reference, name, method, rtol):  # type: ignore[no-untyped-def]
    W = man.coordinates.reduce(theta)
    work, out = geometry.workspace(man.m, man.n, 0), np.empty_like(W)

    start = time.perf_counter()

    def field(_: float, flat: np.ndarray) -> np.ndarray:
        if time.perf_counter() - start > PEER_SECONDS:
            raise TimeoutError
        geometry.gradient(flat.reshape(W.shape), man.problem, work, out)
        return -out.ravel()

    try:
        solution = solve_ivp(field, (0.0, end), W.ravel(), method=method, rtol=rtol, atol=1e-2 * rtol)
    except TimeoutError:
        return row(name, f"SciPy {method}", rtol, float("inf"), float("nan"))
    seconds = time.perf_counter() - start
    error = np.abs(solution.y[:, -1].reshape(W.shape) - reference.W[-1]).max()
    return row(name, f"SciPy {method}", rtol, seconds, error)


def row(name: str, method: str, rtol: float, seconds: float, error: float) -> dict[str, object]:
    print(f"  {method:24s} rtol {rtol:.0e}  {seconds:8.3f} s   error {error:.1e}")
    return {"problem": name, "method": method, "rtol": rtol, "seconds": seconds, "error": float(error)}


def gradient_table() -> list[dict[str, object]]:
    rows = []
    for m, n, d in ((10, 5, 20), (20, 50, 64), (200, 100, 500)):
        data = mf.datasets.synthetic(n=n, d=d, rng=0)
        man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=m), data.X, data.y)
        theta = man.random_point(rng=0)
        W, work = man.coordinates.reduce(theta), geometry.workspace(m, n, 0)
        out = np.empty_like(W)
        own = best(lambda man=man, theta=theta: [man.gradient(theta) for _ in range(100)], 5) / 100
        inner = best(lambda a=(W, man.problem, work, out): [geometry.gradient(*a) for _ in range(100)], 5) / 100
        numpy_time = best(lambda man=man, theta=theta: [numpy_gradient(man, theta) for _ in range(20)], 5) / 20
        jax_time = jax_gradient(man, theta)
        rows.append({"m": m, "n": n, "d": d, "public": own, "compiled": inner, "numpy": numpy_time, "jax": jax_time})
        jax_text = f"{1e6 * jax_time:8.1f} us" if jax_time else "not installed"
        print(
            f"gradient m={m} n={n} d={d}: public {1e6 * own:7.1f} us, compiled call {1e6 * inner:7.1f} us, "
            f"NumPy {1e6 * numpy_time:7.1f} us, JAX jit {jax_text}"
        )
    return rows


def numpy_gradient(man: mf.ZeroLossManifold, theta: np.ndarray) -> np.ndarray:
    """The formula written by hand for z**3 + z: a peer, and not used by the package."""
    X, Z = man.X, theta @ man.X.T
    B, A = 3 * Z**2 + 1, 24 * (3 * Z**2 + 1) * Z * man.problem.s
    K, q = (B.T @ B) * man.gram, ((B.T @ A) * man.gram).sum(axis=1)
    return (A - B * np.linalg.solve(K, q)) @ X


def jax_gradient(man: mf.ZeroLossManifold, theta: np.ndarray) -> float | None:
    try:
        import jax
    except ImportError:
        return None
    jax.config.update("jax_enable_x64", True)
    numpy = jax.numpy
    X, G, s = numpy.asarray(man.X), numpy.asarray(man.gram), numpy.asarray(man.problem.s)

    @jax.jit
    def gradient(point):  # type: ignore[no-untyped-def]
        Z = point @ X.T
        B, A = 3 * Z**2 + 1, 24 * (3 * Z**2 + 1) * Z * s
        factor = jax.scipy.linalg.cho_factor((B.T @ B) * G)
        return (A - B * jax.scipy.linalg.cho_solve(factor, ((B.T @ A) * G).sum(axis=1))) @ X

    point = numpy.asarray(theta)
    return best(lambda: [gradient(point).block_until_ready() for _ in range(100)], 5) / 100


def sgd_table() -> list[dict[str, object]]:
    rows = []
    for m, n, steps in ((10, 5, 10**6), (100, 50, 10**5), (1000, 200, 10**4)):
        data = mf.datasets.synthetic(n=n, d=2 * n, rng=0)
        net = mf.TwoLayerNetwork("z**3 + z", width=m)
        theta = mf.ZeroLossManifold(net, data.X, data.y).random_point(rng=0)

        def run(net=net, data=data, theta=theta, steps=steps) -> mf.SGDRun:  # type: ignore[no-untyped-def]
            return mf.label_noise_sgd(net, data.X, data.y, theta, step_size=1e-6, n_steps=steps)

        seconds = best(run, 2) / steps
        rows.append({"m": m, "n": n, "seconds_per_step": seconds})
        print(f"SGD step m={m} n={n}: {1e9 * seconds:9.0f} ns")
    return rows


def column_table() -> list[dict[str, object]]:
    rows = []
    for d in (100, 10_000, 1_000_000):
        data = mf.datasets.synthetic(n=10, d=d, rng=0)
        man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=10), data.X, data.y)
        small = man.reduced
        theta = small.random_point(rng=0)
        seconds = best(
            lambda small=small, theta=theta: mf.sharpness_flow(small, theta, (0.0, 5.0), method="implicit"), 3
        )
        rows.append({"d": d, "seconds": seconds})
        print(f"flow with n=10, m=10 and d={d}: {seconds:.3f} s in reduced coordinates")
    return rows


if __name__ == "__main__":
    main("--quick" in sys.argv[1:])
