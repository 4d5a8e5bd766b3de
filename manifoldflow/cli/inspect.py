"""`manifoldflow inspect`."""

from __future__ import annotations

import argparse
from typing import Any

from .options import add_command, add_network, add_out, add_problem, make_case, show, write_numbers

EXAMPLE = """\
manifoldflow inspect --data mine.npz --activation "z**3 + z"
Constants between proved bounds, each assumption with its proof or why there
is none, and the statements that apply. It integrates nothing and takes
seconds: run it before verify."""


def add(commands: Any) -> None:
    """Name the options."""
    text = "say which assumptions are proved and which statements apply"
    command = add_command(commands, "inspect", text, run, EXAMPLE)
    add_problem(command)
    add_network(command)
    add_out(command, "write inspect.json there")


def run(arguments: argparse.Namespace) -> int:
    """Assumptions and constants of one problem."""
    from verification.commands.inspect import inspect

    text, numbers = inspect(make_case(arguments))
    if arguments.out is not None:
        write_numbers(arguments.out / "inspect.json", numbers)
    return show(arguments, text, numbers)
