"""`manifoldflow campaign`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import INTERRUPTED, add_command
from .refusals import nearest
from .values import count, natural

if TYPE_CHECKING:
    from verification.campaign import Campaign, Standing

EXAMPLE = """\
manifoldflow campaign
The example, 152 tasks in some seconds: verdicts over data, activations and
seeds, kept in example.sqlite. The same command again does only the rest."""

# As in `verification.campaign.export`, which --help does not load; a test compares.
FORMATS = ("csv", "json", "parquet")
USAGE = """manifoldflow campaign [FILE] [--dry-run] [--database DB] [--processes N | --scheduler ADDRESS]
           [--retry-failed] [--attempts K] [--json] [--out DIR] [--quiet]
       manifoldflow campaign status DB [--json] [--out DIR]
       manifoldflow campaign export DB [--format csv|json|parquet] [--out FILE] [--without-timing]
       manifoldflow campaign repeat DB KEY [--json]
       manifoldflow campaign cluster [--processes N] [--host HOST] [--port PORT]"""


def add(commands: Any) -> None:
    """Name the options."""
    text = "run many tasks from one description, and look at their results"
    command = add_command(commands, "campaign", text, run, EXAMPLE)
    command.usage = USAGE
    command.add_argument(
        "words", nargs="*", metavar="FILE",
        help="the description, TOML (default: an example); or one of the words status, export, repeat, cluster",
    )  # fmt: skip
    command.add_argument("--json", action="store_true", help="print the numbers as JSON instead of tables")
    command.add_argument("--out", type=Path, metavar="PATH", help="folder of the summary page, or file of the export")
    _add_running(command)
    _add_others(command)
    options = set().union(*(action.options for action in _ACTIONS.values()))
    command.set_defaults(defaults={name: command.get_default(name) for name in options})


def _add_running(command: argparse.ArgumentParser) -> None:
    running = command.add_argument_group("running")
    running.add_argument(
        "--database", type=Path, metavar="DB",
        help="SQLite file of the results, on a disk of this machine; what it has is not done again (default: the "
        "description's name with .sqlite, in the current folder)",
    )  # fmt: skip
    where = running.add_mutually_exclusive_group()
    where.add_argument("--processes", type=natural, default=2, metavar="N", help="default: 2; 0: in this process")
    where.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a Dask cluster, such as tcp://host:8786, instead of processes"
    )
    running.add_argument("--retry-failed", action="store_true", help="do tasks again that are kept as failures")
    running.add_argument(
        "--attempts", type=count, default=3, metavar="K",
        help="workers that a task may kill before it is kept as a failure (default: 3)",
    )  # fmt: skip
    running.add_argument("--dry-run", action="store_true", help="check the description and print its tasks")
    running.add_argument("--quiet", action="store_true", help="no progress on stderr")


def _add_others(command: argparse.ArgumentParser) -> None:
    others = command.add_argument_group("export and cluster")
    others.add_argument("--format", choices=FORMATS, default="csv", help="of the export (default: csv)")
    others.add_argument("--without-timing", action="store_true", help="leave out what differs from run to run")
    others.add_argument("--host", default="127.0.0.1", help="where the scheduler listens (default: this machine only)")
    others.add_argument("--port", type=natural, default=8786, help="default: 8786; 0: any that is free")


def run(arguments: argparse.Namespace) -> int:
    """Run a campaign, or do what the first word says."""
    from manifoldflow.errors import InputError

    first = arguments.words[0] if arguments.words else ""
    action, given = _ACTIONS.get(first, _ACTIONS[""]), arguments.words[1:]
    if len(given) != action.words:
        raise InputError(f"{_too_many(first, action.words, len(given))}. Usage:\n       {USAGE}")
    for name, default in arguments.defaults.items():
        if name not in action.options and getattr(arguments, name) != default:
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} says nothing to `campaign {first}`. Usage:\n       {USAGE}")
    return action.run(arguments, *given)


def _too_many(first: str, allowed: int, came: int) -> str:
    if first in _ACTIONS:
        return f"{first} takes {allowed} more word(s); got {came}"
    near = nearest(first, _ACTIONS) or f", nor is it one of the words {', '.join(filter(None, _ACTIONS))}"
    return f"{first!r} is one description, after which no word may follow{near}"


def _run(arguments: argparse.Namespace) -> int:
    from verification.campaign import load

    description = Path(arguments.words[0]) if arguments.words else _example()
    campaign = load(description)
    if arguments.dry_run:
        return _dry_run(campaign, arguments.json)
    database = arguments.database or Path(f"{description.stem}.sqlite")
    standing = _carry_out(campaign, database, arguments)
    _status(arguments, str(database))
    if standing.interrupted:
        print("manifoldflow campaign: interrupted; the same command does the rest.", file=sys.stderr)
        return INTERRUPTED
    return standing.exit_code


def _example() -> Path:
    import verification.campaign

    return Path(verification.campaign.__file__).with_name("example.toml")


def _dry_run(campaign: Campaign, as_numbers: bool) -> int:
    from verification.results import as_json

    tasks = [{"key": task.key, "name": task.name} for task in campaign.tasks]
    lines = (f"{task['key'][:12]}  {task['name']}" for task in tasks)
    print(as_json({"tasks": tasks}) if as_numbers else "\n".join(lines))
    print(f"{len(campaign.tasks)} tasks", file=sys.stderr)
    return 0


def _carry_out(campaign: Campaign, database: Path, arguments: argparse.Namespace) -> Standing:
    from verification.campaign import run as carry_out
    from verification.campaign.executors import dask

    options: dict[str, Any] = {"retry_failed": arguments.retry_failed, "attempts": arguments.attempts}
    with _line(arguments.quiet) as progress:
        if arguments.scheduler is None:
            return carry_out(campaign, database, processes=arguments.processes, progress=progress, **options)
        with dask(arguments.scheduler) as executor:
            return carry_out(campaign, database, executor=executor, progress=progress, **options)


@contextmanager
def _line(quiet: bool) -> Iterator[Callable[[Standing], None] | None]:
    from verification.campaign.progress import Line

    line = None if quiet else Line()
    try:
        yield line
    finally:
        if line is not None:
            line.close()


def _status(arguments: argparse.Namespace, name: str) -> int:
    """Print the summary; with a folder, also write it as a page."""
    from verification.campaign import Database
    from verification.campaign.page import page
    from verification.campaign.summary import summary
    from verification.files import write_text
    from verification.results import as_json

    with Database(name, create=False) as database:
        found = summary(database)
    print(as_json(found.numbers()) if arguments.json else found.text())
    if arguments.out is not None:
        path = write_text(arguments.out / "index.html", page(found, f"manifoldflow campaign status {name}"))
        write_text(arguments.out / "summary.json", as_json(found.numbers()) + "\n")
        print(f"summary: {path}", file=sys.stderr)
    return 0


def _export(arguments: argparse.Namespace, name: str) -> int:
    from manifoldflow.errors import InputError
    from verification.campaign import Database
    from verification.campaign.export import export
    from verification.files import write_bytes

    if arguments.out is None and arguments.format == "parquet":
        raise InputError("Parquet is not text: name a file with --out.")
    with Database(name, create=False) as database:
        content = export(database, arguments.format, not arguments.without_timing)
    if arguments.out is None:
        sys.stdout.write(content.decode())
    else:
        print(f"wrote {write_bytes(arguments.out, content)}", file=sys.stderr)
    return 0


def _repeat(arguments: argparse.Namespace, name: str, key: str) -> int:
    """0: the same bits; 1: others."""
    from verification.campaign import Database
    from verification.campaign.repeat import repeat
    from verification.results import as_json

    with Database(name, create=False) as database:
        found = repeat(database, key)
    said = "the same bits" if found.same else "other bits"
    if arguments.json:
        print(as_json({"task": found.task.name, "same": found.same, "kept": found.kept, "found": found.found}))
    else:
        print(f"{found.task.name}\nkept:  {found.kept}\nfound: {found.found or found.reason}\n{said}")
    return 0 if found.same else 1


def _cluster(arguments: argparse.Namespace) -> int:
    """A scheduler and workers until Ctrl-C."""
    import signal
    import threading

    from manifoldflow.errors import InputError
    from verification.campaign.executors import cluster, imported_distributed

    if arguments.processes == 0:
        raise InputError("A cluster has --processes of 1 or more; got 0.")
    imported_distributed()
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which the workers inherit: the terminal sends it to them too
    with cluster(arguments.processes, arguments.host, arguments.port) as address:
        print(f"scheduler at {address}\nuse it:      manifoldflow campaign FILE --scheduler {address}\n"
              f"more workers: dask worker {address} --nthreads 1", flush=True)  # fmt: skip
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *received: stop.set())
        stop.wait()
    return 0


@dataclass(frozen=True)
class _Action:
    """What a first word does: its function, how many words follow, and the options that it looks at."""

    run: Callable[..., int]
    words: int
    options: frozenset[str]


def _action(run: Callable[..., int], words: int, options: str) -> _Action:
    return _Action(run, words, frozenset(options.split()))


_ACTIONS = {
    "": _action(_run, 0, "json out database processes scheduler retry_failed attempts dry_run quiet"),
    "status": _action(_status, 1, "json out"),
    "export": _action(_export, 1, "out format without_timing"),
    "repeat": _action(_repeat, 2, "json"),
    "cluster": _action(_cluster, 0, "processes host port"),
}
