"""Time and memory of an implicit step against m and n, and the O(m n^3) of the block elimination."""

from __future__ import annotations

import contextlib
import multiprocessing
import resource
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import manifoldflow as mf
from benchmarks import plots
from benchmarks.common import Options, Output, duration, machine_text, table, three_digits

SIZES = (
    (20, 25), (20, 50), (20, 100), (20, 200), (200, 25), (200, 50), (200, 100), (200, 200),
    (2000, 25), (2000, 50), (2000, 100),
)  # fmt: skip
TINY = ((3, 2), (4, 3))
MEGABYTE = 2.0**20


def run(options: Options, output: Output) -> None:
    """Measure every size in a process of its own; write `step.json`, `step.md` and `step.svg`."""
    rows = [measure(m, n, options.limit) for m, n in (TINY if options.quick else SIZES)]
    plots.write(output.plots / "step.svg", panels(rows), columns=2)
    output.write("step", {"rows": rows}, markdown(rows))


def measure(m: int, n: int, limit: float) -> dict[str, Any]:
    """Seconds a step and peak memory of an integration, or the reason why there is none."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(m, n, limit, sender), daemon=True)
    process.start()
    sender.close()
    try:
        found = receiver.recv() if receiver.poll(2.0 * limit + 60.0) else {"reason": f"over {limit:g} s"}
    except EOFError:
        found = {"reason": "its process ended by itself"}
    finally:
        process.terminate()
        process.join()
    print(f"  m={m} n={n}: {found}", flush=True)
    return {"m": m, "n": n, **found}


def _work(m: int, n: int, limit: float, sender: Connection) -> None:
    data = mf.datasets.synthetic(n=n, d=n, rng=0)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(mf.UnitFunction("z**3 + z"), width=m), data.X, data.y)
    theta = man.random_point(rng=0)

    def steps(count: int) -> tuple[float, int]:
        start = time.perf_counter()
        solution = mf.sharpness_flow(
            man, theta, (0.0, 10.0), rtol=1e-6, method="implicit", max_steps=count, dense_output=False
        )
        tries = solution.stats["accepted"] + solution.stats["rejected"]
        return time.perf_counter() - start, tries

    _load()
    forget_peak()
    before = peak_memory()
    one, tries_of_one = steps(1)
    more = max(2, min(40, int(0.3 * limit / max(one, 1e-4))))
    many, tries = min(steps(more) for _ in range(2 if one > 1.0 else 4))
    # Without the set-up that both have, unless it is all that there is to see.
    seconds = (many - one) / (tries - tries_of_one) if many > one and tries > tries_of_one else many / tries
    sender.send({"seconds": seconds, "bytes": peak_memory() - before, "steps": tries})


def _load() -> None:
    """Load the compiled code on a tiny problem, so that its memory is not counted."""
    data = mf.datasets.synthetic(n=2, d=4, rng=0)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(mf.UnitFunction("z**3 + z"), width=3), data.X, data.y)
    mf.sharpness_flow(man, man.random_point(rng=0), (0.0, 1.0), method="implicit")


def forget_peak() -> None:
    """Let the peak be counted from now on, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory() -> float:
    """Peak resident memory of this process so far, in bytes."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return 1024.0 * next(float(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # where it is not counted from the parent's
        return float(peak if sys.platform == "darwin" else 1024 * peak)


def markdown(rows: list[dict[str, Any]]) -> str:
    """Times, times over m n^3, memory, and what one dense Jacobian would take."""
    lines = []
    for row in rows:
        m, n = row["m"], row["n"]
        dense = three_digits(8.0 * (m * n) ** 2 / MEGABYTE)
        if "reason" in row:
            lines.append([str(m), str(n), row["reason"], "", "", dense])
        else:
            scaled, memory = row["seconds"] / (m * n**3), row["bytes"] / MEGABYTE
            lines.append([str(m), str(n), duration(row["seconds"]), duration(scaled), three_digits(memory), dense])
    heads = ["m", "n", "step", "step / (m n^3)", "memory of a run (MB)", "one dense Jacobian (MB)"]
    return f"Machine: {machine_text()}\n\n{table(heads, lines)}"


def panels(rows: list[dict[str, Any]]) -> list[plots.Panel]:
    """Time against m n^3 and memory against m n, a line for each m."""
    done = [row for row in rows if "reason" not in row]
    styles = zip(sorted({row["m"] for row in done}), (plots.BLUE, plots.ORANGE, plots.GREEN), "os^", strict=False)
    time_lines, memory_lines = [], []
    for m, colour, marker in styles:
        own = [row for row in done if row["m"] == m]
        x = [row["m"] * row["n"] ** 3 for row in own]
        time_lines.append(plots.Line(f"m = {m}", x, [row["seconds"] for row in own], colour, marker))
        x = [row["m"] * row["n"] for row in own]
        memory = [max(row["bytes"], 1.0) / MEGABYTE for row in own]
        memory_lines.append(plots.Line(f"m = {m}", x, memory, colour, marker))
    return [
        plots.Panel("An implicit step", "m n^3", "seconds", [*time_lines, _slope_one(done, "seconds")]),
        plots.Panel("Peak memory of a run", "m n", "MB", memory_lines),
    ]


def _slope_one(rows: list[dict[str, Any]], name: str) -> plots.Line:
    """A line of slope one through the largest size."""
    largest = max(rows, key=lambda row: row["m"] * row["n"] ** 3)
    smallest = min(rows, key=lambda row: row["m"] * row["n"] ** 3)
    x = [row["m"] * row["n"] ** 3 for row in (smallest, largest)]
    return plots.Line("proportional", x, [largest[name] * value / x[1] for value in x], plots.GREY, "", ":")
