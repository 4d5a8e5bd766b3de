"""`manifoldflow inspect`."""

from __future__ import annotations

import argparse
from typing import Any

from .options import add_command, add_problem, make_case, show


def add(commands: Any) -> None:
    """Name the options."""
    command = add_command(commands, "inspect", "say which assumptions are proved and which statements apply", run)
    add_problem(command)


def run(arguments: argparse.Namespace) -> int:
    """Assumptions and constants of one problem."""
    from verification.commands.inspect import inspect

    return show(arguments, *inspect(make_case(arguments)))
