"""`python -m benchmarks [NAME ...] [--quick] [--limit SECONDS] [--out DIR]`: run benchmarks, write tables and plots."""

from __future__ import annotations

import argparse
import importlib
import time

from benchmarks.common import QUICK, Options, Output

NAMES = ("flow", "gradient", "sgd", "columns", "step")


def main(arguments: list[str] | None = None) -> None:
    given = parser().parse_args(arguments)
    options = Options(quick=given.quick, limit=given.limit, peers=not given.no_peers)
    output = Output.under(given.out or QUICK) if given.out or given.quick else Output.committed()
    for name in given.names or NAMES:
        start = time.perf_counter()
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").run(options, output)
        print(f"== {name}: {time.perf_counter() - start:.0f} s", flush=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument("names", nargs="*", metavar="NAME", help=f"which to run, of {', '.join(NAMES)} (default: all)")
    made.add_argument("--quick", action="store_true", help="tiny sizes; writes to benchmarks/results/quick")
    made.add_argument("--limit", type=float, default=60.0, help="seconds for one run or compilation of a peer (60)")
    made.add_argument("--no-peers", action="store_true", help="leave out what needs an optional package")
    made.add_argument("--out", help="write everything under this folder, and not into the documentation")
    return made


if __name__ == "__main__":
    main()
