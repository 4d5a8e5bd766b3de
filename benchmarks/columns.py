"""Costs against the number d of columns: n = m = 10 throughout."""

from __future__ import annotations

from typing import Any

import numpy as np

import manifoldflow as mf
from benchmarks import plots
from benchmarks.common import Options, Output, duration, machine_text, seconds_a_call, table, timed
from benchmarks.sgd import Case, ours, seconds_a_step

COLUMNS = (100, 1000, 10_000, 100_000, 1_000_000)
TINY = (20, 200)
NAMES = {
    "set_up": "set-up",
    "flow": "flow, t = 0 to 10",
    "gradient": "gradient, reduced",
    "gradient_full": "gradient, (m, d) in and out",
    "sgd": "SGD step",
}


def run(options: Options, output: Output) -> None:
    """Time every d; write `columns.json`, `columns.md` and `columns.svg`."""
    rows = [measure(d, options) for d in (TINY if options.quick else COLUMNS)]
    plots.write(output.plots / "columns.svg", [panel(rows)])
    output.write("columns", {"rows": rows}, markdown(rows))


def measure(d: int, options: Options) -> dict[str, Any]:
    """Seconds of each kind of work, on the same numbers turned into d columns by an isometry."""
    n = m = 4 if options.quick else 10
    data = mf.datasets.synthetic(n=n, d=n, rng=0)
    X = data.X @ np.linalg.qr(np.random.default_rng(1).standard_normal((d, n)))[0].T
    net = mf.TwoLayerNetwork(mf.UnitFunction("z**3 + z"), width=m)
    set_up, man = timed(lambda: mf.ZeroLossManifold(net, X, data.y))
    reduced = man.reduced
    W = reduced.random_point(rng=0)
    theta = man.coordinates.expand(W)
    case = Case(man, theta, np.zeros(1, np.int64), np.zeros(1))
    mf.sharpness_flow(reduced, W, (0.0, 10.0))  # loads compiled code
    row = {
        "d": d,
        "set_up": set_up,
        "flow": timed(lambda: mf.sharpness_flow(reduced, W, (0.0, 10.0)))[0],
        "gradient": seconds_a_call(lambda: reduced.gradient(W)),
        "gradient_full": seconds_a_call(lambda: man.gradient(theta)),
        "sgd": seconds_a_step(ours(case), 2000 if options.quick else 4_000_000),
    }
    print("  " + ", ".join([f"d={d}", *(f"{text} {duration(row[name])}" for name, text in NAMES.items())]), flush=True)
    return row


def markdown(rows: list[dict[str, Any]]) -> str:
    """One row a number of columns."""
    lines = [[f"{row['d']:,}", *(duration(row[name]) for name in NAMES)] for row in rows]
    return f"Machine: {machine_text()}\n\n{table(['d', *NAMES.values()], lines)}"


def panel(rows: list[dict[str, Any]]) -> plots.Panel:
    """Seconds against d."""
    colours = (plots.GREY, plots.BLUE, plots.GREEN, plots.ORANGE, plots.PURPLE)
    x = [row["d"] for row in rows]
    lines = [
        plots.Line(text, x, [row[name] for row in rows], colour, marker)
        for (name, text), colour, marker in zip(NAMES.items(), colours, "xos^D", strict=True)
    ]
    return plots.Panel("Cost against the number of columns", "d", "seconds", lines)
