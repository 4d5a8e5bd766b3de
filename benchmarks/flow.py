"""Work-precision of the sharpness flow: time against error for a sweep of tolerances, ours and peers in one run."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import plots
from benchmarks.common import Options, Output, duration, machine_text, power, ratio, table
from benchmarks.problems import PROBLEMS, TINY, Problem, Reference, reference
from benchmarks.solvers import OURS, solvers
from benchmarks.workers import sweep

Row = dict[str, Any]
TARGET = 1e-8  # the error at which ratios are taken
ERRORS = (1e-4, 1e-6, TARGET)
SWEEP_LIMITS = 2.5  # a peer's whole sweep may take so many times the limit of one run
STYLES = {
    "manifoldflow auto": (plots.BLUE, "o", "-"),
    "manifoldflow implicit": (plots.BLUE, "s", "--"),
    "manifoldflow explicit": (plots.BLUE, "^", ":"),
    "SciPy LSODA": (plots.ORANGE, "o", "-"),
    "SciPy BDF": (plots.ORANGE, "s", "--"),
    "SciPy Radau": (plots.ORANGE, "D", "-."),
    "SciPy DOP853": (plots.RED, "^", "-"),
    "SciPy RK45": (plots.RED, "v", "--"),
    "SciPy LSODA, NumPy field": (plots.GREY, "o", "--"),
    "SUNDIALS CVODE BDF, dense": (plots.GREEN, "s", "-"),
    "SUNDIALS CVODE BDF, GMRES": (plots.GREEN, "P", "--"),
    "diffrax Kvaerno5": (plots.PURPLE, "s", "-"),
    "diffrax Dopri8": (plots.PURPLE, "^", "--"),
    "diffrax Tsit5": (plots.PURPLE, "v", ":"),
    "heyoka Taylor": (plots.BLACK, "*", "-"),
}


def run(options: Options, output: Output) -> None:
    """Run every solver on every problem; write `flow.json`, `flow.md` and `flow.svg`."""
    problems = TINY[:1] if options.quick else PROBLEMS
    records = [measure(problem, options) for problem in problems]
    plots.write(output.plots / "flow.svg", [panel(record) for record in records], columns=min(3, len(records)))
    output.write("flow", {"limit": options.limit, "problems": records}, markdown(records, options))


def measure(problem: Problem, options: Options) -> dict[str, Any]:
    """All solvers on one problem."""
    exact = reference(problem, 20.0 * problem.share)
    man, limit = problem.manifold, options.limit * problem.share
    print(f"{problem.title}: reference {exact.method}, uncertainty {exact.uncertainty:.1e}", flush=True)
    names = [name for name in solvers() if options.peers or name in OURS]
    return {
        "name": problem.name, "title": problem.title, "n": man.n, "m": man.m, "t_end": problem.t_end,
        "activation": problem.activation, "condition": float(np.linalg.cond(man.gram)), "limit": limit,
        "reference": {"method": exact.method, "check": exact.check, "uncertainty": exact.uncertainty},
        "rows": [row for name in names for row in rows_of(problem, exact, name, options)],
    }  # fmt: skip


def rows_of(problem: Problem, exact: Reference, solver: str, options: Options) -> list[Row]:
    """A solver's rows, loose to tight; the last one has a reason where the sweep ended early."""
    rows: list[Row] = []
    limit, start = options.limit * problem.share, time.perf_counter()
    for record in sweep(problem, solver, limit, options.limit):
        points = record.pop("points", None)
        error = None if points is None else float(np.abs(problem.parameters(points) - exact.theta).max())
        rows.append({"solver": solver, **record, "error": error})
        print("  " + describe(rows[-1]), flush=True)
        start += record.get("compile_seconds", 0.0)  # not counted
        over = time.perf_counter() - start > SWEEP_LIMITS * limit
        if over and "reason" not in record and record["rtol"] > problem.tolerances[-1]:
            rows.append({"solver": solver, "rtol": None, "reason": f"sweep stopped below rtol {power(record['rtol'])}"})
            break
    return rows


def describe(row: Row) -> str:
    """A line for the terminal."""
    rtol = "" if row.get("rtol") is None else f"rtol {row['rtol']:.0e}"
    if "reason" in row:
        return f"{row['solver']:28s} {rtol:10s} {row['reason']}"
    return f"{row['solver']:28s} {rtol:10s} {duration(row['seconds']):>9s}  error {row['error']:.1e}"


def points_of(rows: Sequence[Row], solver: str) -> list[tuple[float, float]]:
    """(error, seconds) of a solver's finished runs, in the order of the sweep."""
    return [(row["error"], row["seconds"]) for row in rows if row["solver"] == solver and "reason" not in row]


def seconds_at(error: float, points: Sequence[tuple[float, float]]) -> float | None:
    """Least time for an error: of the runs that are at least as exact, and on lines between consecutive runs.

    The lines are straight in the logarithms of error and time. There is no extrapolation: a solver whose loosest run
    is already exact enough gets the time of its fastest such run, one that never is gets None.
    """
    found = [seconds for reached, seconds in points if reached <= error]
    for (e0, t0), (e1, t1) in itertools.pairwise(points):
        if min(e0, e1) < error < max(e0, e1) and min(e0, e1) > 0.0:
            x = math.log(error / e0) / math.log(e1 / e0)
            found.append(t0 * (t1 / t0) ** x)
    return min(found, default=None)


def summary(record: dict[str, Any]) -> dict[str, Any]:
    """Best peer and the default method at the target error."""
    rows = record["rows"]
    times = {name: seconds_at(TARGET, points_of(rows, name)) for name in dict.fromkeys(row["solver"] for row in rows)}
    peers = {name: seconds for name, seconds in times.items() if name not in OURS and seconds is not None}
    best = min(peers, key=lambda name: peers[name], default=None)
    return {"ours": times[OURS[0]], "peer": best, "theirs": None if best is None else peers[best]}


def markdown(records: list[dict[str, Any]], options: Options) -> str:
    """The summary, then a table for each problem."""
    heads = ["problem", "cond(G)", "`auto`", "best peer", "its time", "ratio"]
    rows = []
    for record in records:
        found = summary(record)
        rows.append([
            record["title"], f"{record['condition']:.2g}", duration(found["ours"]), found["peer"] or "-",
            duration(found["theirs"]), ratio(found["theirs"], found["ours"]),
        ])  # fmt: skip
    parts = [f"Machine: {machine_text()}\n", f"Time for an error of {power(TARGET)}:\n", table(heads, rows)]
    return "\n".join(parts + [problem_table(record) for record in records])


def problem_table(record: dict[str, Any]) -> str:
    """Times for three errors, compilation, and what ended a sweep."""
    exact, rows = record["reference"], record["rows"]
    ours = seconds_at(TARGET, points_of(rows, OURS[0]))
    lines = []
    for name in dict.fromkeys(row["solver"] for row in rows):
        points = points_of(rows, name)
        times = [seconds_at(error, points) for error in ERRORS]
        cells = [ratio(times[-1], ours), compile_time(rows, name), remark(rows, name)]
        lines.append([name, *map(duration, times), *cells])
    heads = ["solver", *(f"error {power(error)}" for error in ERRORS), "ratio", "compiled in", "remark"]
    return (
        f"**{record['title']}**, m = {record['m']}, {record['activation'].replace('**', '^')}, "
        f"t = 0 to {record['t_end']:g}. Reference: {exact['method']}, checked against {exact['check']}; "
        f"uncertain by {power(exact['uncertainty'])}. Limit of a run: {record['limit']:g} s.\n\n{table(heads, lines)}"
    )


def compile_time(rows: Sequence[Row], solver: str) -> str:
    """The longest preparation of a solver."""
    found = [row["compile_seconds"] for row in rows if row["solver"] == solver and "compile_seconds" in row]
    return duration(max(found, default=None))


def remark(rows: Sequence[Row], solver: str) -> str:
    """Why a sweep ended early."""
    reasons = [row for row in rows if row["solver"] == solver and "reason" in row]
    if not reasons:
        return ""
    where = "" if reasons[0]["rtol"] is None else f" at rtol {power(reasons[0]['rtol'])}"
    return (reasons[0]["reason"] + where).replace("|", r"\|")


def panel(record: dict[str, Any]) -> plots.Panel:
    """Time against error for one problem."""
    rows = record["rows"]
    lines = []
    for name, (colour, marker, dash) in STYLES.items():
        points = points_of(rows, name)
        if points:
            width = 2.0 if name in OURS else 1.1
            lines.append(plots.Line.through(name, points, colour, marker, dash, width))
    return plots.Panel(record["title"], "largest error in a parameter", "seconds", lines)
