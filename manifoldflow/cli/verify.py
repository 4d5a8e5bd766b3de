"""`manifoldflow verify`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from .options import (
    add_command,
    add_network,
    add_out,
    add_problem,
    command_line,
    make_cases,
    report_progress,
    terminal_width,
)
from .values import natural

if TYPE_CHECKING:
    from verification.results import VerificationReport


# As in `verification.runner`, which is not loaded yet when its workers begin to; a test compares.
PRELOADED = ("verification.runner", "verification.report.figures")
EXAMPLE = """\
manifoldflow verify --data mine.npz --activation "sinh(z)" --out report
A line a statement: verdict, measured number, bound, margin.
report/index.html has the plots, and what each test would not notice. Exit
code 0: nothing fails and something holds."""


def add(commands: Any) -> None:
    """Name the options."""
    command = add_command(commands, "verify", "test the statements and write a report", run, EXAMPLE)
    add_problem(command, data=None, activation=None)
    add_network(command)
    command.add_argument("--statements", metavar="IDS", help="comma-separated, such as S1,S3 (default: all)")
    add_out(command, "folder of the report", "report")
    command.add_argument(
        "--processes",
        type=natural,
        default=2,
        metavar="N",
        help="cases tested at once (default: 2); 0: in this process",
    )
    command.add_argument("--quiet", action="store_true", help="no progress on stderr")


def run(arguments: argparse.Namespace) -> int:
    """Test, print, write the report."""
    from manifoldflow.processes import worker_context

    if arguments.processes > 0:
        worker_context(*PRELOADED)  # it loads them while this process does
    from verification import cases
    from verification.runner import statement_ids, verify
    from verification.tables import report_table

    chosen = statement_ids(arguments.statements)
    problems = make_cases(arguments, cases.DEFAULT_DATA, cases.DEFAULT_ACTIVATIONS)
    progress = report_progress(arguments.quiet)
    report = verify(problems, chosen, progress=progress, processes=arguments.processes, draw=True)
    text = report.to_json(command_line(arguments)) if arguments.json else report_table(report, terminal_width())
    print(text)
    if report.interrupted:
        print(
            f"manifoldflow verify: interrupted; {len(report.cases)} of {len(problems)} cases were finished.",
            file=sys.stderr,
        )
    if report.cases or not report.interrupted:
        _write_report(report, arguments)
    return report.exit_code


def _write_report(report: VerificationReport, arguments: argparse.Namespace) -> None:
    from verification.report import write_report

    page, _ = write_report(report, arguments.out, command_line(arguments))
    print(f"report: {page}", file=sys.stderr)
