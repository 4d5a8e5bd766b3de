"""`manifoldflow flow`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .options import add_command, add_problem, make_case, show


def add(commands: Any) -> None:
    """Name the options."""
    command = add_command(commands, "flow", "follow the sharpness flow to a stationary point", run)
    add_problem(command)
    command.add_argument("--out", type=Path, metavar="DIR", help="write flow.npz and plots there")


def run(arguments: argparse.Namespace) -> int:
    """The flow to stationarity."""
    from verification.commands.flow import flow

    return show(arguments, *flow(make_case(arguments), arguments.out))
