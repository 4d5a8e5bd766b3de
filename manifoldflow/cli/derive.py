"""`manifoldflow derive`."""

from __future__ import annotations

import argparse
from typing import Any

from .options import ACTIVATION, add_command, add_out
from .values import names, natural

EXAMPLE = """\
manifoldflow derive --activation "c*tanh(z)" --own c --out report --format html,tex
report/derivation.html and .tex: each formula with its steps, its reasons
and the checks that it passed. Without --out the derivation is printed as
Markdown."""


def add(commands: Any) -> None:
    """Name the options."""
    text = "derive everything from a unit function; check every formula"
    command = add_command(commands, "derive", text, run, EXAMPLE)
    formula = f"in z, and in a and --own; parsed, never run (default: {ACTIVATION})"
    subject = command.add_mutually_exclusive_group()
    subject.add_argument("--activation", default=ACTIVATION, metavar="FORMULA", help=formula)
    subject.add_argument(
        "--general", action="store_true", help="instead of a formula, leave it open: phi(z), or psi with --p"
    )
    own = "comma-separated scalars that each unit trains, such as c"
    command.add_argument("--own", type=names, default=(), metavar="NAMES", help=own)
    command.add_argument(
        "--p", type=natural, default=0, metavar="P", help="number of trained scalars, with --general (default: 0)"
    )
    command.add_argument(
        "--format", type=names, default=(), metavar="NAMES", help="comma-separated: html, md, tex, ipynb, pdf, json"
    )
    command.add_argument("--json", action="store_true", help="the same as --format json")
    add_out(command, "write derivation.html there, or what --format says")


def run(arguments: argparse.Namespace) -> int:
    """The derivation of one unit function, or of an open one."""
    from verification.commands.derive import Request, derive

    formats = arguments.format + (("json",) if arguments.json else ())
    request = Request(arguments.activation, arguments.own, arguments.general, arguments.p, formats, arguments.out)
    print(derive(request))
    return 0
