"""What a campaign found, at a glance: verdicts counted, the smallest margins, orders, flows, failures."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from verification.noise import fitted_order
from verification.records import STATUSES
from verification.statements import STATEMENTS
from verification.study.tables import Table
from verification.tables import number

from .database import Database
from .rows import FlatRow, flat
from .standing import Standing

DECIDED = ("holds", "fails", "inconclusive")
_SHORT = 12  # digits of a key that are shown: enough to tell a million tasks apart
_TITLES = {statement.id: statement.title for statement in STATEMENTS}


@dataclass(frozen=True, eq=False)
class Summary:
    """The database's rows, decoded, and how far it is; `path` is for the commands that repeat a task."""

    path: Path
    rows: tuple[FlatRow, ...]

    @property
    def standing(self) -> Standing:
        """How far it is."""
        states = Counter(row["state"] for row in self.rows)
        return Standing(len(self.rows), states["done"], states["failed"])

    @property
    def tables(self) -> list[Table]:
        """All tables that there is something for."""
        done = [row for row in self.rows if row["state"] == "done"]
        made = [_verdicts(_of(done, "verify")), _margins(_of(done, "verify"), self.repeat), _orders(_of(done, "sgd")),
                _flows(_of(done, "flow")), _failures(self.rows)]  # fmt: skip
        return [table for table in made if table.rows]

    @property
    def lead(self) -> str:
        """One line on how far it is."""
        standing = self.standing
        seconds = sum(row["seconds"] or 0.0 for row in self.rows)
        versions = sorted({row["version"] for row in self.rows if row["version"]})
        made = f", by version {' and '.join(versions)}" if versions else ""
        return (f"{standing.asked} tasks: {standing.done} done, {standing.failed} failed, {standing.left} left; "
                f"{seconds:.0f} s of work{made}.")  # fmt: skip

    def repeat(self, row: FlatRow) -> str:
        """The command that does one task again and compares."""
        return f"manifoldflow campaign repeat {shlex.quote(str(self.path))} {row['key'][:_SHORT]}"

    def text(self) -> str:
        """For a terminal."""
        return "\n\n".join([f"{self.path}: {self.lead}", *(table.text() for table in self.tables)])

    def numbers(self) -> dict[str, Any]:
        """For JSON: every table as a list of rows."""
        standing = self.standing
        counts = {name: getattr(standing, name) for name in ("asked", "done", "failed", "left")}
        return {"database": str(self.path), **counts, "tables": {
            table.name: [dict(zip(table.header, row, strict=True)) for row in table.rows] for table in self.tables
        }}  # fmt: skip


def summary(database: Database) -> Summary:
    """Read everything."""
    return Summary(database.path, tuple(flat(stored) for stored in database.rows()))


def _of(rows: Iterable[FlatRow], kind: str) -> list[FlatRow]:
    return [row for row in rows if row["kind"] == kind]


def _grouped(rows: Iterable[FlatRow], key: Callable[[FlatRow], Any]) -> dict[Any, list[FlatRow]]:
    groups: dict[Any, list[FlatRow]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def rank(statement: str) -> tuple[int, str]:
    """S2 before S13."""
    return int("0" + "".join(filter(str.isdigit, statement))), statement


def _verdicts(rows: list[FlatRow]) -> Table:
    """How often each statement held, for each activation."""
    groups = _grouped(rows, lambda row: (row["statement"], unit_name(row)))
    body = []
    for (statement, activation), found in sorted(groups.items(), key=lambda item: (rank(item[0][0]), item[0][1])):
        counts = Counter(row["status"] for row in found)
        body.append((f"{statement} {_TITLES.get(statement, '')}", *(str(counts[name] or "-") for name in STATUSES),
                     activation))  # fmt: skip
    header = ("statement", *STATUSES, "activation")
    return Table("verdicts", "Verdicts", header, tuple(body), "A verdict holds at the points tried; it is no proof.")


def _margins(rows: list[FlatRow], repeat: Callable[[FlatRow], str]) -> Table:
    """The smallest margin of each statement, and the task that attains it."""
    body = []
    groups = _grouped(with_margin(rows), lambda row: (row["statement"], row["status"]))
    for (statement, status), found in sorted(groups.items(), key=lambda item: (rank(item[0][0]), item[0][1])):
        row = min(found, key=lambda row: (row["margin"], row["key"]))
        measured = f"{number(row['measured'])} {row['relation']} {number(row['bound'])}"
        body.append((f"{statement} {status}", number(row["margin"]), measured, str(len(found)), case_name(row),
                     repeat(row)))  # fmt: skip
    note = "Margin: the distance to failing, relative to the bound; negative where it fails. Of verdicts that apply."
    header = ("verdict", "margin", "measured", "of", "task", "again")
    return Table("margins", "Smallest margins", header, tuple(body), note)


def with_margin(rows: Iterable[FlatRow]) -> list[FlatRow]:
    """Verdicts that apply and were measured."""
    return [row for row in rows if row.get("status") in DECIDED and isinstance(row.get("margin"), int | float)]


def case_name(row: FlatRow) -> str:
    """The case of a row in a few words."""
    seed = "" if row["data_seed"] is None else f", data seed {row['data_seed']}"
    width = f", width {row['width']}" if row.get("width") else ""
    return f"{row['data']} {row['n']} x {row['d']}{seed}, {unit_name(row)}{width}, seed {row['seed']}"


def unit_name(row: FlatRow) -> str:
    """What the units of a row are: the activation and what is not usual, or the network where it has its own.

    >>> unit_name({"activation": "c*tanh(z)", "own": "c"}), unit_name({"network": "squares"})
    ('c*tanh(z), own c', 'network squares')
    """
    activation = [row["activation"]] if row.get("activation") else []
    more = [f"{name.replace('_', ' ')} {row[name]}" for name in _UNITS if row.get(name)]
    return ", ".join([*activation, *more])


_UNITS = ("network", "own", "output_weights")
_SCHEME = ("samples", "activation", *_UNITS, "width", "seed", "runs", "coarse_steps", "drop")


def _orders(rows: list[FlatRow]) -> Table:
    """Errors of SGD at several step sizes, and the order fitted to them, a case a line."""
    body = []
    for found in _grouped(rows, lambda row: tuple(row.get(name) for name in _SCHEME)).values():
        found.sort(key=lambda row: row["step"])
        errors = ", ".join(f"{row['distance']:.2g}" for row in found)
        steps = f"{found[0]['step']:.2g} to {found[-1]['step']:.2g}"
        body.append((case_name(found[0]), steps, _order(found), str(found[0]["runs"]), errors))
    note = (
        "Distance of the mean of the runs, pulled back to M, from the flow, by increasing step size; the order is "
        "fitted, with its standard error. The theorem's order is 1, in the limit of small steps."
    )
    header = ("case", "step sizes", "order", "runs", "distances")
    return Table("orders", "SGD against the flow", header, tuple(body), note)


def _order(rows: Sequence[FlatRow]) -> str:
    """Least squares in logarithms; its standard error from the errors' own, which are independent."""
    steps, errors, spread = (np.array([row[name] or np.nan for row in rows], dtype=float)
                             for name in ("step", "distance", "distance_se"))  # fmt: skip
    if np.unique(steps).size < 2 or not np.all(errors > 0.0):
        return "-"
    centred = np.log(steps) - np.log(steps).mean()
    weights = centred / np.sum(centred**2)
    return f"{fitted_order(steps, errors):.2f} ± {np.sqrt(np.sum((weights * spread / errors) ** 2)):.2f}"


_PROBLEM = ("data", "n", "d")


def _flows(rows: list[FlatRow]) -> Table:
    """Where flows ended, for each data set and activation."""
    body = []
    for group, found in _grouped(rows, lambda row: (*(row[name] for name in _PROBLEM), unit_name(row))).items():
        data, n, d, activation = group
        ends = Counter(row["status"] for row in found)
        ended = ", ".join(f"{count} {name}" for name, count in ends.items())
        ranges = (_range(found, name) for name in ("steps", "end_time", "singular_value_ratio"))
        body.append((f"{data} {n} x {d}", str(len(found)), ended, *ranges, activation))
    header = ("data", "flows", "ended", "steps", "time", "sv2/sv1 at the end", "activation")
    note = "sv2/sv1: second singular value of the features over the first, 0 at rank one."
    return Table("flows", "Flows", header, tuple(body), note)


def _range(rows: list[FlatRow], name: str) -> str:
    values = [row[name] for row in rows if row[name] is not None]
    ends = dict.fromkeys(f"{value:.3g}" for value in (min(values), max(values))) if values else ["-"]
    return " to ".join(ends)


def _failures(rows: Sequence[FlatRow]) -> Table:
    """Failures by what they said."""
    groups = _grouped((row for row in rows if row["state"] == "failed"), lambda row: (row["error"], row["message"]))
    body = [(error, str(len(found)), found[0]["key"][:_SHORT], message) for (error, message), found in groups.items()]
    header = ("error", "tasks", "first", "message")
    return Table("failures", "Failures", header, tuple(body), "Tried again with --retry-failed.")
