"""`manifoldflow study`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from .options import (
    add_command,
    add_out,
    add_problem,
    add_units,
    command_line,
    make_cases,
    progress_line,
    report_progress,
)

EXAMPLE = """\
manifoldflow study --data synthetic --parts order --out study
The distance of SGD from the flow at several step sizes, and its order with
an interval: 1 where S9 is right."""


def add(commands: Any) -> None:
    """Name the options."""
    text = "measure how SGD approaches the flow (S9), and larger steps (S14)"
    command = add_command(commands, "study", text, run, EXAMPLE)
    add_problem(command, data=None)
    add_units(command)
    command.add_argument(
        "--full", action="store_true", help="the sizes of docs/study.md, some ten minutes; otherwise about one"
    )
    command.add_argument("--parts", metavar="NAMES", help="comma-separated: order,clock,large,ends (default: all)")
    add_out(
        command, "folder of tables, plots, numbers, and of the checkpoints that an interrupted study is continued from",
        "study",
    )  # fmt: skip
    command.add_argument("--quiet", action="store_true", help="no progress on stderr")


def run(arguments: argparse.Namespace) -> int:
    """The study of S9 and S14: tables, plots, numbers."""
    from verification.commands import study

    problems = make_cases(arguments, ("synthetic", "digits"))
    command = command_line(arguments, ("parts",)) + (" --full" if arguments.full else "")
    with progress_line(arguments.quiet) as progress:
        report = report_progress(arguments.quiet) or (lambda line: None)
        found = study.run(problems, arguments.full, arguments.parts, arguments.out, report, progress)
    if found.interrupted:
        print("manifoldflow study: interrupted; the same command continues it.", file=sys.stderr)
    print(study.numbers_json(found, command) if arguments.json else study.text(found))
    if found.statuses or not found.interrupted:
        print(f"study: {study.write(found, arguments.out, command)[0]}", file=sys.stderr)
    return found.exit_code
