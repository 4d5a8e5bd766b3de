"""`manifoldflow sgd`."""

from __future__ import annotations

import argparse
from typing import Any

from .options import (
    add_checkpoint,
    add_command,
    add_network,
    add_out,
    add_problem,
    command_line,
    interrupted,
    make_case,
    progress_line,
    show,
)
from .values import batch, count, positive, share, step_size

# As in `manifoldflow.sgd`, which --help does not load; a test compares.
SAMPLINGS = ("replacement", "distinct", "epochs")
NOISES = ("none", "rademacher", "gaussian", "uniform")
SCHEDULES = ("constant", "linear", "cosine")


EXAMPLE = """\
manifoldflow sgd --noise-std 0.3 --steps 1000000 --runs 4 --checkpoint run.npz --out sgd
The sharpness of each run, pulled back to the zero-loss manifold, next to
that of the flow at the same time. A killed run goes on from run.npz when
the command is given again."""


def add(commands: Any) -> None:
    """Name the options."""
    command = add_command(commands, "sgd", "simulate label-noise SGD and compare it with the flow", run, EXAMPLE)
    add_problem(command)
    add_network(command)
    _add_scheme(command)
    command.add_argument("--steps", type=count, default=200_000, metavar="K", help="of each run (default: 200000)")
    command.add_argument("--runs", type=count, default=2, metavar="R", help="independent runs (default: 2)")
    add_checkpoint(command)
    add_out(command, "write sgd.html, sgd.npz and sgd.svg there")
    command.add_argument("--quiet", action="store_true", help="no progress on stderr, where that is a terminal")


def _add_scheme(command: argparse.ArgumentParser) -> None:
    """How samples and noise are drawn, and how a step is made."""
    scheme = command.add_argument_group("scheme")
    scheme.add_argument(
        "--batch-size",
        type=batch,
        default=1,
        metavar="B",
        help="samples a step, with their mean gradient, or 'full': the gradient of the sum over all (default: 1)",
    )
    scheme.add_argument(
        "--sampling",
        choices=SAMPLINGS,
        default="replacement",
        help="independent samples (default), none twice in a step, or each once before any again",
    )
    scheme.add_argument("--noise", choices=NOISES, default="rademacher", help="default: rademacher, a random sign")
    scheme.add_argument("--noise-std", type=positive, default=1.0, metavar="SIGMA", help="default: 1")
    scheme.add_argument(
        "--step-size", type=step_size, metavar="ETA", help="a number, or auto (default): a fifth of the stable one"
    )
    scheme.add_argument("--momentum", type=share, default=0.0, metavar="B", help="heavy ball, in [0, 1) (default: 0)")
    scheme.add_argument(
        "--schedule", choices=SCHEDULES, default="constant", help="of the step size: constant (default), or down to 0"
    )


def run(arguments: argparse.Namespace) -> int:
    """Label-noise SGD next to the flow; 130 where Ctrl-C cut it short, with what there is."""
    from verification.commands.sgd import Settings, sgd

    names = ("step_size", "noise", "noise_std", "steps", "runs", "batch_size", "sampling", "momentum", "schedule",
             "checkpoint", "checkpoint_seconds")  # fmt: skip
    settings = Settings(**{name: getattr(arguments, name) for name in names})
    with progress_line(arguments.quiet) as progress:
        text, numbers = sgd(
            make_case(arguments), settings, arguments.out, command_line(arguments, names[:-2]), progress
        )
    show(arguments, text, numbers)
    if numbers["status"] == "interrupted":
        return interrupted(arguments, f"{numbers['steps']} of {arguments.steps} steps")
    return 0
