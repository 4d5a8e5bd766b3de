"""`manifoldflow search`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .options import add_command, add_out, report_progress
from .values import count, names, natural, positive

EXAMPLE = """\
manifoldflow search --inequalities S3,S13 --out search
The smallest ratio of the two sides that an optimiser finds: below 1 refutes
the statement, close to 1 says that its constant is the best possible."""


def add(commands: Any) -> None:
    """Name the options."""
    text = "search for the smallest margin of each inequality; phase diagrams"
    command = add_command(commands, "search", text, run, EXAMPLE)
    command.add_argument("--family", action="append", metavar="FORMULA",
                         help="in z and coefficients that --range names, such as 'z**3 + nu*z' "
                         "(default: three families)")  # fmt: skip
    command.add_argument("--range", action="append", default=[], type=coefficient, metavar="NAME=LOW:HIGH",
                         help="where a coefficient of --family is searched")  # fmt: skip
    command.add_argument("--inequalities", type=names, metavar="NAMES",
                         help="comma-separated, such as S3,S13* (default: all)")  # fmt: skip
    command.add_argument("--broken", type=positive, default=1.0, metavar="PERCENT",
                         help="how much too large the constants are made as a control (default: 1)")  # fmt: skip
    command.add_argument("--full", action="store_true", help="more starts and evaluations, some minutes")
    command.add_argument("--seed", type=natural, default=0, metavar="S", help="of the starts (default: 0)")
    command.add_argument("--replay", type=Path, metavar="FILE", help="evaluate a saved instance again at 50 digits")
    command.add_argument("--phase", metavar="NAME",
                         help="instead, the phase diagram of tanh, sigmoid, softplus or arctan")  # fmt: skip
    command.add_argument("--threshold", action="store_true",
                         help="instead, where the first negative Hessian eigenvalue appears")  # fmt: skip
    command.add_argument("--grid", type=count, default=24, metavar="N",
                         help="points a side of a phase diagram (default: 24)")  # fmt: skip
    command.add_argument("--processes", type=natural, default=2, metavar="N",
                         help="of a phase diagram (default: 2); 0: in this process")  # fmt: skip
    add_out(command, "folder of instances, tables and plots", "search")
    command.add_argument("--json", action="store_true", help="print the numbers as JSON instead of a table")
    command.add_argument("--quiet", action="store_true", help="no progress on stderr")


def run(arguments: argparse.Namespace) -> int:
    """Search, replay, or draw."""
    from verification.commands import search

    if arguments.replay is not None:
        text, numbers, code = search.replayed(arguments.replay, arguments.broken)
    elif arguments.phase is not None:
        text, numbers, code = search.phase(
            arguments.phase, arguments.grid, arguments.seed, arguments.processes, arguments.out
        )
    elif arguments.threshold:
        text, numbers, code = search.threshold(arguments.family, arguments.range, arguments.seed, arguments.out)
    else:
        text, numbers, code = search.searched(
            arguments.family, arguments.range, arguments.inequalities, arguments.broken, arguments.full,
            arguments.seed, arguments.out, report_progress(arguments.quiet) or (lambda line: None),
        )  # fmt: skip
    print(search.as_json(numbers) if arguments.json else text)
    if arguments.replay is None:
        print(f"search: {arguments.out}", file=sys.stderr)
    return code


def coefficient(text: str) -> tuple[str, float, float]:
    """NAME=LOW:HIGH."""
    name, _, ends = text.partition("=")
    low, _, high = ends.partition(":")
    try:
        return name.strip(), float(low), float(high)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be NAME=LOW:HIGH, such as nu=0.05:5; got {text[:40]!r}") from None
