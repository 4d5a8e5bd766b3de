"""Options that several commands share, and what their arguments become."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

from .values import count, folder, listed, names, natural, positive, weights

if TYPE_CHECKING:
    from verification.records import Case

INTERRUPTED = 130
ACTIVATION, DATA, WIDTH = "z**3 + z", "digits", 10
# As in `verification.networks`, which --help does not load; a test compares.
NETWORKS = ("two-layer", "diagonal", "squares")


class _Given(argparse.Action):
    """Stores a value, and that it was given: for some networks it would have no meaning."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
        option_string: str | None = None,
    ) -> None:  # fmt: skip
        """As argparse stores it."""
        setattr(namespace, self.dest, values)
        namespace.given = (*getattr(namespace, "given", ()), option_string)


def add_command(commands: Any, name: str, text: str, run: Any, example: str) -> argparse.ArgumentParser:
    """The sub-parser of a command: its name, what it does in one line, the function that does it, and an example.

    The example is a command and, on lines of its own, what to make of what it prints.
    """
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"example:\n{indent(example, '  ')}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run, parser=command)
    return command


def add_problem(command: argparse.ArgumentParser, data: str | None = DATA, activation: str | None = ACTIVATION) -> None:
    """Data, activation, width and seed; None for a command that takes several by default."""
    both = "default: digits and synthetic" if data is None else f"default: {data}"
    formulas = "default: z**3 + z and sinh(z)" if activation is None else f"default: {activation}"
    command.add_argument(
        "--data", default=data, metavar="DATA", help=f"digits, synthetic, FILE.npz or FILE.csv ({both})"
    )
    command.add_argument(
        "--activation",
        action=_Given,
        default=activation,
        metavar="FORMULA",
        help=f"in z, such as 'tanh(z)'; parsed, never run ({formulas})",
    )
    text = f"number of units (default: {WIDTH})"
    command.add_argument("--width", action=_Given, type=count, default=WIDTH, metavar="M", help=text)
    command.add_argument("--seed", type=natural, default=0, metavar="S", help="of everything random (default: 0)")
    command.add_argument("--json", action="store_true", help="print the numbers as JSON instead of a table")


def add_network(command: argparse.ArgumentParser) -> None:
    """Which network, what its units train and what they are weighted with."""
    command.add_argument(
        "--network",
        choices=NETWORKS,
        default=NETWORKS[0],
        help="two-layer (default); or, without activation, width and weights, with a unit a column of the data, "
        "diagonal: f = X (u^2 - v^2), or squares: f = X v^2",
    )
    add_units(command)


def add_units(command: argparse.ArgumentParser) -> None:
    """What the units train and what they are weighted with."""
    own = "comma-separated scalars that each unit trains, such as c in 'c*tanh(z)'"
    command.add_argument("--own", action=_Given, type=names, default=(), metavar="NAMES", help=own)
    text = "signed (drawn from the seed), trained, or numbers between commas, one a unit; after = if one is negative"
    command.add_argument("--output-weights", action=_Given, type=weights, metavar="A", help=f"{text} (default: all 1)")


def add_out(command: argparse.ArgumentParser, text: str, default: str | None = None) -> None:
    """The folder that a command writes to; `text` is what it writes."""
    shown = f"{text} (default: {default})" if default else text
    command.add_argument("--out", type=folder, default=default, metavar="DIR", help=shown)


def add_checkpoint(command: argparse.ArgumentParser) -> None:
    """Where a long run is saved, and how often."""
    command.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="save to this .npz file, and continue from it where it exists: the same bits, also after a kill",
    )
    command.add_argument(
        "--checkpoint-seconds", type=positive, default=60.0, metavar="S", help="time between saves (default: 60)"
    )


def make_case(arguments: argparse.Namespace) -> Case:
    """The one problem that was asked about."""
    return make_cases(arguments)[0]


def make_cases(
    arguments: argparse.Namespace, data: Sequence[str] = (DATA,), activations: Sequence[str] = (ACTIVATION,)
) -> tuple[Case, ...]:
    """The problems that were asked about; the data and activations given here, where none were named.

    Raises `InputError` for an option that has no meaning for the network.
    """
    from verification import cases

    network = getattr(arguments, "network", NETWORKS[0])
    _refuse_options_without_meaning(network, getattr(arguments, "given", ()))
    return cases.make_cases(
        data if arguments.data is None else (arguments.data,),
        activations if arguments.activation is None else (arguments.activation,),
        arguments.width, arguments.seed, arguments.own, arguments.output_weights, network,
    )  # fmt: skip


def _refuse_options_without_meaning(network: str, given: Sequence[str]) -> None:
    from manifoldflow.errors import InputError
    from verification.networks import UNITS

    if network in UNITS and given:
        options = ", ".join(dict.fromkeys(given))
        raise InputError(
            f"{options}: no meaning with --network {network}, whose units are {UNITS[network]}, one a column of the "
            f"data, with the data as coefficients. Leave out {options}, or take --network {NETWORKS[0]}."
        )


def show(arguments: argparse.Namespace, text: str, numbers: dict[str, Any]) -> int:
    """Print the text, or the numbers with --json; the exit code of success."""
    from verification.results import as_json

    print(as_json(numbers) if arguments.json else text)
    return 0


def write_numbers(path: Path, numbers: dict[str, Any]) -> None:
    """Write the numbers that --json prints to a file, whole or not at all."""
    from verification.files import write_text
    from verification.results import as_json

    print(f"wrote {write_text(path, as_json(numbers))}", file=sys.stderr)


def interrupted(arguments: argparse.Namespace, what: str) -> int:
    """Say what there is after Ctrl-C and how to go on; the exit code."""
    again = f"; the same command continues it from {arguments.checkpoint}" if arguments.checkpoint else ""
    print(f"manifoldflow {arguments.command}: interrupted after {what}{again}.", file=sys.stderr)
    return INTERRUPTED


def command_line(arguments: argparse.Namespace, more: Sequence[str] = ("statements",)) -> str:
    """The command that repeats the numbers."""
    import shlex

    two_layer = getattr(arguments, "network", NETWORKS[0]) == NETWORKS[0]
    problem = ("activation", "own", "output_weights", "width") if two_layer else ("network",)
    chosen = ("data", *problem, "seed", *more)
    given = [(name.replace("_", "-"), getattr(arguments, name, None)) for name in chosen]
    # With =, as weights may begin with a minus sign.
    options = [f"--{name}={shlex.quote(listed(value))}" for name, value in given if value not in (None, ())]
    return " ".join([f"manifoldflow {arguments.command}", *options])


def terminal_width() -> int | None:
    """The letters that a line of the terminal holds; None where the output goes elsewhere."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def report_progress(quiet: bool) -> Any:
    """What prints a line of progress on stderr; None with --quiet."""
    return None if quiet else lambda line: print(line, file=sys.stderr, flush=True)


@contextmanager
def progress_line(quiet: bool) -> Iterator[Any]:
    """A callback that keeps a line on the terminal up to date; None where there is none."""
    from verification.progress import ProgressLine

    line = None if quiet else ProgressLine.of()
    try:
        yield line
    finally:
        if line is not None:
            line.close()
