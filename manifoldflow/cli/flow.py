"""`manifoldflow flow`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .options import add_command, add_network, add_problem, make_case, show

EXAMPLE = """\
manifoldflow flow --data mine.npz --activation "sinh(z)" --out flow
The sharpness at the start and at the end next to the least possible;
flow/flow.npz has every step."""


def add(commands: Any) -> None:
    """Name the options."""
    command = add_command(commands, "flow", "follow the sharpness flow to a stationary point", run, EXAMPLE)
    add_problem(command)
    add_network(command)
    command.add_argument("--out", type=Path, metavar="DIR", help="write flow.npz and plots there")


def run(arguments: argparse.Namespace) -> int:
    """The flow to stationarity."""
    from verification.commands.flow import flow

    return show(arguments, *flow(make_case(arguments), arguments.out))
