"""`manifoldflow flow`."""

from __future__ import annotations

import argparse
from typing import Any

from .options import (
    add_checkpoint,
    add_command,
    add_network,
    add_out,
    add_problem,
    interrupted,
    make_case,
    progress_line,
    show,
)
from .values import positive

# As in `manifoldflow.flow`, which --help does not load; a test compares.
METHODS = ("auto", "explicit", "implicit")

EXAMPLE = """\
manifoldflow flow --data mine.npz --activation "sinh(z)" --out flow
The sharpness at the start and at the end next to the least possible;
flow/flow.npz has every step."""


def add(commands: Any) -> None:
    """Name the options."""
    command = add_command(commands, "flow", "follow the sharpness flow to a stationary point", run, EXAMPLE)
    add_problem(command)
    add_network(command)
    command.add_argument("--t-end", type=positive, metavar="T", help="flow time to stop at (default: none)")
    command.add_argument(
        "--rtol", type=positive, default=1e-8, metavar="R", help="relative tolerance of a step (default: 1e-8)"
    )
    command.add_argument(
        "--method",
        choices=METHODS,
        default="implicit",
        help="implicit, for stiff data and to the stationary point (default), explicit, or auto: by measured stiffness",
    )
    add_checkpoint(command)
    add_out(command, "write flow.npz and plots there")
    command.add_argument("--quiet", action="store_true", help="no progress on stderr, where that is a terminal")


def run(arguments: argparse.Namespace) -> int:
    """The flow to stationarity or to its end; 130 where Ctrl-C cut it short, with what there is."""
    from verification.commands.flow import Settings, flow

    names = ("t_end", "rtol", "method", "checkpoint", "checkpoint_seconds")
    settings = Settings(**{name: getattr(arguments, name) for name in names})
    with progress_line(arguments.quiet) as progress:
        text, numbers = flow(make_case(arguments), arguments.out, settings, progress)
    show(arguments, text, numbers)
    if numbers["status"] == "interrupted":
        return interrupted(arguments, f"{numbers['steps']} steps, at t = {numbers['end_time']:.4g}")
    return 0
