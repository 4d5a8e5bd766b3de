"""The command `manifoldflow`: arguments in, exit code out. What a command needs is loaded when it runs.

Exit codes: 0 done (and, for verify, nothing fails), 1 a statement fails, 2 refused input, 3 inconclusive,
130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._arguments import batch, count, listed, names, natural, positive, share, step_size, weights

if TYPE_CHECKING:
    from verification.records import Case
    from verification.results import VerificationReport

REFUSED, INTERRUPTED = 2, 130
_ACTIVATION, _DATA, _WIDTH = "z**3 + z", "digits", 10
# As in `manifoldflow.sgd`, which --help does not load; a test compares.
SAMPLINGS = ("replacement", "distinct", "epochs")
NOISES = ("none", "rademacher", "gaussian", "uniform")
SCHEDULES = ("constant", "linear", "cosine")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors of the toolkit become one message on stderr.

    >>> main(["inspect", "--data", "synthetic", "--activation", "z +"])
    2
    """
    arguments = parser().parse_args(argv)
    try:
        return _guarded(arguments)
    except KeyboardInterrupt:
        print("manifoldflow: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the output has gone; nothing more can be said to it, at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _guarded(arguments: argparse.Namespace) -> int:
    from manifoldflow.errors import ManifoldflowError

    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except ManifoldflowError as error:
        print(f"manifoldflow {arguments.command}: {error}", file=sys.stderr)
        return REFUSED


def parser() -> argparse.ArgumentParser:
    """The argument parser, with a sub-parser for each command."""
    top = argparse.ArgumentParser(
        prog="manifoldflow",
        description="Sharpness-minimising flows: check theorems, read derivations, run the solvers.",
    )
    top.add_argument("--version", action="version", version=_version())
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_verify(commands)
    _add_inspect(commands)
    _add_flow(commands)
    _add_sgd(commands)
    _add_study(commands)
    _add_derive(commands)
    return top


def _version() -> str:
    from manifoldflow import __version__

    return f"manifoldflow {__version__}"


def _add_verify(commands: Any) -> None:
    command = _command(commands, "verify", "test the statements and write a report", run_verify)
    _add_problem(command, data=None, activation=None)
    _add_network(command)
    command.add_argument("--statements", metavar="IDS", help="comma-separated, such as S1,S3 (default: all)")
    command.add_argument(
        "--out",
        type=Path,
        default=Path("report"),
        metavar="DIR",
        help="folder of the report (default: report)",
    )
    command.add_argument(
        "--processes",
        type=natural,
        default=2,
        metavar="N",
        help="cases tested at once (default: 2); 0: in this process",
    )
    command.add_argument("--quiet", action="store_true", help="no progress on stderr")


def _add_inspect(commands: Any) -> None:
    command = _command(commands, "inspect", "say which assumptions are proved and which statements apply", run_inspect)
    _add_problem(command)
    _add_network(command)


def _add_network(command: argparse.ArgumentParser) -> None:
    """What the units train and what they are weighted with."""
    own = "comma-separated scalars that each unit trains, such as c in 'c*tanh(z)'"
    command.add_argument("--own", type=names, default=(), metavar="NAMES", help=own)
    text = "signed (drawn from the seed), trained, or comma-separated numbers, one a unit (default: all 1)"
    command.add_argument("--output-weights", type=weights, metavar="A", help=f"{text}; write --output-weights=-1,...")


def _add_flow(commands: Any) -> None:
    command = _command(commands, "flow", "follow the sharpness flow to a stationary point", run_flow)
    _add_problem(command)
    command.add_argument("--out", type=Path, metavar="DIR", help="write flow.npz and plots there")


def _add_sgd(commands: Any) -> None:
    command = _command(commands, "sgd", "simulate label-noise SGD and compare it with the flow", run_sgd)
    _add_problem(command)
    _add_scheme(command)
    command.add_argument("--steps", type=count, default=200_000, metavar="K", help="default: 200000")
    command.add_argument("--runs", type=count, default=2, metavar="R", help="independent runs (default: 2)")
    command.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="save to this .npz file, and continue from it where it exists: the same bits, also after a kill",
    )
    command.add_argument(
        "--checkpoint-seconds", type=positive, default=60.0, metavar="S", help="time between saves (default: 60)"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="write sgd.html, sgd.npz and sgd.svg there")
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


def _add_study(commands: Any) -> None:
    command = _command(commands, "study", "measure how SGD approaches the flow (S9), and larger steps (S14)", run_study)
    _add_problem(command, data=None)
    command.add_argument(
        "--full", action="store_true", help="the sizes of docs/study.md, some ten minutes; otherwise about one"
    )
    command.add_argument("--parts", metavar="NAMES", help="comma-separated: order,clock,large,ends (default: all)")
    command.add_argument(
        "--out", type=Path, default=Path("study"), metavar="DIR",
        help="folder of tables, plots, numbers, and of the checkpoints that an interrupted study is continued from "
        "(default: study)",
    )  # fmt: skip
    command.add_argument("--quiet", action="store_true", help="no progress on stderr")


def _add_derive(commands: Any) -> None:
    command = _command(commands, "derive", "derive everything from a unit function; check every formula", run_derive)
    formula = f"in z, and in a and --own; parsed, never run (default: {_ACTIVATION})"
    command.add_argument("--activation", default=_ACTIVATION, metavar="FORMULA", help=formula)
    own = "comma-separated scalars that each unit trains, such as c"
    command.add_argument("--own", type=names, default=(), metavar="NAMES", help=own)
    command.add_argument("--general", action="store_true", help="leave the activation open: phi(z), or psi with --p")
    command.add_argument(
        "--p", type=natural, default=0, metavar="P", help="number of trained scalars, with --general (default: 0)"
    )
    command.add_argument(
        "--format", type=names, default=(), metavar="NAMES", help="comma-separated: html, md, tex, ipynb, pdf, json"
    )
    command.add_argument("--json", action="store_true", help="the same as --format json")
    command.add_argument("--out", type=Path, metavar="DIR", help="write derivation.html there, or what --format says")


def _command(commands: Any, name: str, text: str, run: Any) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(run=run)
    return command


def _add_problem(
    command: argparse.ArgumentParser, data: str | None = _DATA, activation: str | None = _ACTIVATION
) -> None:
    both = "default: digits and synthetic" if data is None else f"default: {data}"
    formulas = "default: z**3 + z and sinh(z)" if activation is None else f"default: {activation}"
    command.add_argument(
        "--data", default=data, metavar="DATA", help=f"digits, synthetic, FILE.npz or FILE.csv ({both})"
    )
    command.add_argument(
        "--activation",
        default=activation,
        metavar="FORMULA",
        help=f"in z, such as 'tanh(z)'; parsed, never run ({formulas})",
    )
    command.add_argument(
        "--width", type=count, default=_WIDTH, metavar="M", help=f"number of units (default: {_WIDTH})"
    )
    command.add_argument("--seed", type=natural, default=0, metavar="S", help="of everything random (default: 0)")
    command.add_argument("--json", action="store_true", help="print the numbers as JSON instead of a table")


# --- the commands ---------------------------------------------------------------------------------


def run_verify(arguments: argparse.Namespace) -> int:
    """Test, print, write the report."""
    from verification import cases
    from verification.runner import statement_ids, verify
    from verification.tables import report_table

    chosen = statement_ids(arguments.statements)
    problems = cases.make_cases(
        cases.DEFAULT_DATA if arguments.data is None else (arguments.data,),
        cases.DEFAULT_ACTIVATIONS if arguments.activation is None else (arguments.activation,),
        arguments.width,
        arguments.seed,
        arguments.own,
        arguments.output_weights,
    )
    report = verify(problems, chosen, progress=_progress(arguments.quiet), processes=arguments.processes)
    text = report.to_json(_command_line(arguments)) if arguments.json else report_table(report)
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

    page, _ = write_report(report, arguments.out, _command_line(arguments))
    print(f"report: {page}", file=sys.stderr)


def _progress(quiet: bool) -> Any:
    return None if quiet else lambda line: print(line, file=sys.stderr, flush=True)


def _command_line(arguments: argparse.Namespace, more: Sequence[str] = ("statements",)) -> str:
    """The command that repeats the numbers."""
    import shlex

    names = ("data", "activation", "own", "output_weights", "width", "seed", *more)
    given = [(name.replace("_", "-"), getattr(arguments, name, None)) for name in names]
    options = [f"--{name} {shlex.quote(listed(value))}" for name, value in given if value not in (None, ())]
    return " ".join([f"manifoldflow {arguments.command}", *options]).replace("--output-weights ", "--output-weights=")


def run_inspect(arguments: argparse.Namespace) -> int:
    """Assumptions and constants of one problem."""
    from verification.commands.inspect import inspect

    return _show(arguments, *inspect(_case(arguments, arguments.own, arguments.output_weights)))


def run_flow(arguments: argparse.Namespace) -> int:
    """The flow to stationarity."""
    from verification.commands.flow import flow

    return _show(arguments, *flow(_case(arguments), arguments.out))


def run_sgd(arguments: argparse.Namespace) -> int:
    """Label-noise SGD next to the flow; 130 where Ctrl-C cut it short, with what there is."""
    from verification.commands.sgd import Settings, sgd

    names = ("step_size", "noise", "noise_std", "steps", "runs", "batch_size", "sampling", "momentum", "schedule",
             "checkpoint", "checkpoint_seconds")  # fmt: skip
    settings = Settings(**{name: getattr(arguments, name) for name in names})
    with _progress_line(arguments.quiet) as progress:
        text, numbers = sgd(_case(arguments), settings, arguments.out, _command_line(arguments, names[:-2]), progress)
    _show(arguments, text, numbers)
    if numbers["status"] == "interrupted":
        again = f"; the same command continues it from {arguments.checkpoint}" if arguments.checkpoint else ""
        message = f"interrupted after {numbers['steps']} of {arguments.steps} steps{again}."
        print(f"manifoldflow sgd: {message}", file=sys.stderr)
        return INTERRUPTED
    return 0


def run_study(arguments: argparse.Namespace) -> int:
    """The study of S9 and S14: tables, plots, numbers."""
    from verification import cases
    from verification.commands import study

    problems = cases.make_cases(
        ("synthetic", "digits") if arguments.data is None else (arguments.data,),
        (arguments.activation,),
        arguments.width,
        arguments.seed,
    )
    command = _command_line(arguments, ("parts",)) + (" --full" if arguments.full else "")
    with _progress_line(arguments.quiet) as progress:
        report = _progress(arguments.quiet) or (lambda line: None)
        found = study.run(problems, arguments.full, arguments.parts, arguments.out, report, progress)
    if found.interrupted:
        print("manifoldflow study: interrupted; the same command continues it.", file=sys.stderr)
    print(study.numbers_json(found, command) if arguments.json else study.text(found))
    if found.statuses or not found.interrupted:
        print(f"study: {study.write(found, arguments.out, command)[0]}", file=sys.stderr)
    return found.exit_code


@contextmanager
def _progress_line(quiet: bool) -> Iterator[Any]:
    """A callback that keeps a line on the terminal up to date; None where there is none."""
    from verification.progress import ProgressLine

    line = None if quiet else ProgressLine.of()
    try:
        yield line
    finally:
        if line is not None:
            line.close()


def run_derive(arguments: argparse.Namespace) -> int:
    """The derivation of one unit function, or of an open one."""
    from verification.commands.derive import Request, derive

    formats = arguments.format + (("json",) if arguments.json else ())
    request = Request(arguments.activation, arguments.own, arguments.general, arguments.p, formats, arguments.out)
    print(derive(request))
    return 0


def _case(arguments: argparse.Namespace, own: Sequence[str] = (), output_weights: Any = None) -> Case:
    from verification.cases import make_cases

    problem = (arguments.data,), (arguments.activation,), arguments.width, arguments.seed, own, output_weights
    return make_cases(*problem)[0]


def _show(arguments: argparse.Namespace, text: str, numbers: dict[str, Any]) -> int:
    from verification.results import as_json

    print(as_json(numbers) if arguments.json else text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
