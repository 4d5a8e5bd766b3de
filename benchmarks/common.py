"""What the benchmarks share: options, where results go, timing, tables, and a description of the machine."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
NO_BREAK = "\u00a0"  # space at which a table cell is not broken
QUICK = RESULTS / "quick"
PACKAGES = (
    "numpy", "scipy", "numba", "jax", "diffrax", "scikit-sundae", "heyoka", "torch",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Tiny sizes or not, seconds that a peer's run or compilation may take, and whether there are peers at all."""

    quick: bool = False
    limit: float = 60.0
    peers: bool = True


@dataclass(frozen=True)
class Output:
    """Folders for results (JSON), tables (Markdown, which the documentation includes) and plots (SVG)."""

    results: Path
    tables: Path
    plots: Path

    @classmethod
    def committed(cls) -> Output:
        """The folders that the documentation reads."""
        return cls(RESULTS, ROOT / "benchmarks" / "tables", ROOT / "docs" / "_static" / "benchmarks")

    @classmethod
    def under(cls, folder: str | Path) -> Output:
        """Everything in one folder."""
        return cls(Path(folder), Path(folder), Path(folder))

    def write(self, name: str, record: dict[str, Any], markdown: str) -> None:
        """Write the record and the table of a benchmark."""
        for folder in (self.results, self.tables):
            folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"machine": machine(), **record}, indent=1, default=float)
        (self.results / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        (self.tables / f"{name}.md").write_text(markdown.rstrip() + "\n", encoding="utf-8")


def optional(name: str) -> Any:
    """A package that only peers need; ImportError where it is not installed."""
    return importlib.import_module(name)


def timed(function: Callable[[], Any], budget: float = 0.5, most: int = 5) -> tuple[float, Any]:
    """Best time of up to `most` calls, as many as fit into `budget` seconds (at least one), and the last value."""
    times: list[float] = []
    while len(times) < most and sum(times) <= budget:
        start = time.perf_counter()
        value = function()
        times.append(time.perf_counter() - start)
    return min(times), value


def seconds_a_call(function: Callable[[], Any], budget: float = 0.4) -> float:
    """Best mean time of a call, of five batches that together take about `budget` seconds; one call to warm up."""
    function()
    start = time.perf_counter()
    function()
    count = max(1, int(budget / 5 / max(time.perf_counter() - start, 1e-7)))
    return min(_batch(function, count) for _ in range(5))


def _batch(function: Callable[[], Any], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        function()
    return (time.perf_counter() - start) / count


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [list(heads), ["---"] * len(heads), *map(list, rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def table_by_size(names: Sequence[str], rows: Iterable[tuple[Sequence[int], Sequence[str]]]) -> str:
    """A table with a column for each size (m, n, d) and a line for each name: sizes are few, names are long."""
    sizes, values = zip(*rows, strict=True)
    heads = ["m, n, d", *(", ".join(map(str, size)) for size in sizes)]
    return table(heads, ([name, *line] for name, *line in zip(names, *values, strict=True)))


def duration(seconds: float | None) -> str:
    """Three digits with a unit, `-` for what is not there."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= 0.9995 * size:
            return f"{three_digits(seconds / size)}{NO_BREAK}{unit}"
    return f"{three_digits(seconds / 1e-9)}{NO_BREAK}ns"


def three_digits(value: float) -> str:
    """Three significant digits, without an exponent up to 1e6."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def ratio(theirs: float | None, ours: float | None) -> str:
    """How many times longer theirs takes."""
    return "-" if theirs is None or ours is None else three_digits(theirs / ours)


def power(value: float) -> str:
    """A number by its first digit and exponent: 1e-8."""
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def machine() -> dict[str, Any]:
    """CPU model, cores and versions: nothing that names the machine."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def machine_text() -> str:
    """The same as a line of text."""
    found = machine()
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items() if version)
    return f"{found['cpu']}, {found['cores']} cores; Python {found['python']}, {versions}."


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
