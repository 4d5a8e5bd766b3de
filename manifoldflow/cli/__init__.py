"""The command `manifoldflow`: arguments in, exit code out, one command a file.

Exit codes: 0 done (and, for verify, nothing fails), 1 a statement fails, 2 refused input, 3 inconclusive,
130 interrupted. What a command needs is loaded when it runs: --help loads nothing but these files.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

from . import campaign, derive, flow, inspect, search, sgd, study, verify
from .options import INTERRUPTED
from .refusals import Parser, refuse_command

REFUSED = 2
COMMANDS = (verify, inspect, flow, sgd, study, search, campaign, derive)
"""The commands in the order of --help; each module has `add(commands)`, which names its own `run(arguments)`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors of the toolkit become one message on stderr.

    >>> main(["inspect", "--data", "synthetic", "--activation", "z +"])
    2
    """
    if sys.stdout is None:  # closed by the caller
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            return main(argv)
    arguments = _read(sys.argv[1:] if argv is None else argv)
    try:
        return _guarded(arguments)
    except KeyboardInterrupt:
        print("manifoldflow: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _give_up_output()  # its reader has gone
        return 0
    except OSError as error:
        print(f"manifoldflow {arguments.command}: cannot write the output ({error}).", file=sys.stderr)
        _give_up_output()
        return REFUSED


def _give_up_output() -> None:
    """Let what is still to be written go nowhere: at exit Python would try again, and fail with a traceback."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _read(argv: Sequence[str]) -> argparse.Namespace:
    top = parser()
    refuse_command(top, argv, [command.__name__.rpartition(".")[2] for command in COMMANDS])
    arguments, rest = top.parse_known_args(argv)
    if arguments.command is None:
        top.refuse_words(rest)
        top.print_help(sys.stderr)
        top.exit(REFUSED)
    arguments.parser.refuse_words(rest)
    return arguments


def _guarded(arguments: argparse.Namespace) -> int:
    from manifoldflow.errors import ManifoldflowError
    from manifoldflow.notices import warn_in_one_line

    restore = warn_in_one_line(f"manifoldflow {arguments.command}")
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except ManifoldflowError as error:
        print(f"manifoldflow {arguments.command}: {error}", file=sys.stderr)
        return REFUSED
    finally:
        restore()


def parser() -> Parser:
    """The argument parser, with a sub-parser for each command."""
    top = Parser(
        prog="manifoldflow",
        description="Sharpness-minimising flows: check theorems, read derivations, run the solvers.",
        epilog="Every command works without arguments and has --help with an example. First: manifoldflow verify. "
        "Data are a file .npz with X and y, or .csv whose last column is y; formulas are parsed, never run.",
    )
    top.add_argument("--version", action="version", version=_version())
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return top


def _version() -> str:
    from manifoldflow import __version__

    return f"manifoldflow {__version__}"
