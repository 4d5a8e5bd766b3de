"""A campaign: what to do, from a TOML file or from Python, checked in full before anything runs."""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manifoldflow.datasets import DataSet

from .calls import Call
from .errors import DescriptionError
from .fields import BY_NAME, DATA_FIELDS, KINDS, UNIT_FIELDS, field_of, names_of, settled, shown
from .task import Task, find_data

MOST_TASKS = 1_000_000
_MOST_BYTES = 10_000_000
_TOP = ("grid", "task", "exclude")
Row = dict[str, Any]  # a value for each key of a kind, and the kind itself


@dataclass(frozen=True, eq=False)
class Campaign:
    """A sweep: a grid, further tasks, exclusions, and calls of your own functions.

    Args:
        grid: key to value or list of values; every combination is a task. Without `kind`, tasks are of kind verify.
        task: tables of single values, each one task more.
        exclude: tables of values or lists of them; a task of the grid that agrees with all of a table is left out.
        calls: functions of your own; a TOML file cannot name any, since that would be running what a file says.
        folder: where relative paths of data files start (None: the current folder).

    Raises:
        DescriptionError: anything is not as it should be; the message names the key, what came and what is allowed.

    >>> campaign = Campaign(grid={"activation": ["z**3 + z", "sinh(z)"], "seed": [0, 1], "statement": "S2"})
    >>> len(campaign.tasks), campaign.tasks[0].name
    (4, 'verify, data synthetic, activation z**3 + z, width 10, seed 0, statement S2')
    """

    grid: Mapping[str, Any] | None = None
    task: Sequence[Mapping[str, Any]] = ()
    exclude: Sequence[Mapping[str, Any]] = ()
    calls: Sequence[Call] = ()
    folder: Path | None = None
    tasks: tuple[Task, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        rows = _without(_grid(self.grid), _tables("exclude", self.exclude))
        rows += [_single(f"task[{k}]", table) for k, table in enumerate(_tables("task", self.task))]
        tasks = list(_Maker(self.folder).tasks(list(map(settled, rows))))
        tasks += [_called(k, call) for k, call in enumerate(self.calls)]
        if not tasks:
            raise DescriptionError("The description asks for nothing: give it a grid, or tasks.")
        # The same data and formula under two names is one task.
        object.__setattr__(self, "tasks", tuple({task.key: task for task in tasks}.values()))


def load(path: str | Path) -> Campaign:
    """The campaign that a TOML file describes; paths of data are relative to its folder.

    Raises `DescriptionError` where it cannot be read, is not TOML, or describes something that is not allowed.
    """
    file = Path(path)
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise DescriptionError(f"{file} has more than {_MOST_BYTES} bytes; a description is a small text.")
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DescriptionError(f"Cannot read {file} ({error.strerror or error}). Name a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DescriptionError(f"{file} is not TOML: {error}.") from error
    try:
        _known("The description", content, _TOP)
        return Campaign(**content, folder=file.parent)
    except DescriptionError as error:
        raise DescriptionError(f"{file}: {error}") from error


def _tables(key: str, given: Any) -> list[Mapping[str, Any]]:
    if not isinstance(given, list | tuple):
        raise DescriptionError(f"{key} is {shown(given)}; allowed: tables, each headed [[{key}]].")
    return [_table(f"{key}[{k}]", table) for k, table in enumerate(given)]


def _called(k: int, call: Any) -> Task:
    if not isinstance(call, Call):
        raise DescriptionError(f"calls[{k}] is {shown(call)}; allowed: a Call.")
    return call.task()


def _table(where: str, given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise DescriptionError(f"{where} is {shown(given)}; allowed: a table of keys and values.")
    return given


def _known(where: str, given: Mapping[str, Any], allowed: Sequence[str]) -> None:
    for key in given:
        if key not in allowed:
            raise DescriptionError(f"{where} has a key {shown(key)}; allowed: {', '.join(allowed)}.")


def _kinds(where: str, given: Any) -> tuple[str, ...]:
    found = tuple(given) if isinstance(given, list | tuple) else (given,)
    for kind in found:
        if kind not in KINDS:
            raise DescriptionError(f"{where} is {shown(kind)}; allowed: {', '.join(KINDS)}.")
    return found


def _grid(grid: Mapping[str, Any] | None) -> list[Row]:
    """Every combination of the grid's values, kind by kind, in the order in which they are written."""
    if grid is None:
        return []
    kinds = _kinds("grid.kind", _table("grid", grid).get("kind", KINDS[0]))
    _known("grid", grid, ("kind", *dict.fromkeys(name for kind in kinds for name in names_of(kind))))
    axes = {name: _values(f"grid.{name}", name, grid) for name in grid if name != "kind"}
    _one_step_size("grid", axes)
    _units_of_their_own("grid", axes)
    sizes = [math.prod(len(axis) for axis in _axes(kind, axes).values()) for kind in kinds]
    if sum(sizes) > MOST_TASKS:
        raise DescriptionError(f"grid has {sum(sizes)} combinations; allowed: up to {MOST_TASKS}. Make it several.")
    return [row for kind in kinds for row in _product(kind, _axes(kind, axes))]


def _axes(kind: str, axes: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """The values of each key of a kind, named or by default."""
    found = {name: axes.get(name, BY_NAME[name].default) for name in names_of(kind)}
    if "step_size" in axes and "step_fraction" in found:
        found["step_fraction"] = (None,)
    return found


def _product(kind: str, axes: Mapping[str, Sequence[Any]]) -> Iterator[Row]:
    for values in itertools.product(*axes.values()):
        yield {"kind": kind, **dict(zip(axes, values, strict=True))}


def _one_step_size(where: str, given: Mapping[str, Any]) -> None:
    if "step_size" in given and "step_fraction" in given:
        raise DescriptionError(f"{where} has step_size and step_fraction (of the stable one); allowed: one of them.")


def _units_of_their_own(where: str, axes: Mapping[str, Sequence[Any]]) -> None:
    """Refuse what has no meaning for any of the networks that are named."""
    words = axes.get("network", (None,))
    useless = [name for name in UNIT_FIELDS if name in axes]
    if None not in words and useless:
        raise DescriptionError(
            f"{where} has {', '.join(useless)}, without a meaning for the network {', '.join(words)}: its units are "
            "the columns of the data. Leave them out."
        )


def _values(where: str, name: str, table: Mapping[str, Any]) -> tuple[Any, ...]:
    """The values of a key: one, a list of them, or a range of whole numbers as a table {first, last}."""
    field, given = field_of(name, table), table[name]
    if isinstance(given, Mapping) and field.whole:
        given = _range(where, given)
    if not isinstance(given, list | tuple | range):
        return (field.value(where, given),)
    if not given:
        raise DescriptionError(f"{where} is an empty list; give it a value, or leave the key out.")
    return tuple(dict.fromkeys(field.value(f"{where}[{k}]", item) for k, item in enumerate(given)))


def _range(where: str, given: Mapping[str, Any]) -> range:
    ends = [given.get("first", 0), given.get("last")]
    whole = all(isinstance(end, int) and not isinstance(end, bool) for end in ends)
    if not set(given) <= {"first", "last"} or not whole or not 0 <= ends[1] - ends[0] < MOST_TASKS:
        raise DescriptionError(f"{where} is {shown(dict(given))}; allowed: {{first = 0, last = 9}}, both included.")
    return range(ends[0], ends[1] + 1)


def _single(where: str, table: Mapping[str, Any]) -> Row:
    """One task: single values, and the first of the defaults for what is not named."""
    kind = table.get("kind", KINDS[0])
    _kinds(f"{where}.kind", [kind])
    _known(where, table, ("kind", *names_of(kind)))
    _one_step_size(where, table)
    if kind == "verify" and "statement" not in table:
        raise DescriptionError(f"{where} has no statement; allowed: {BY_NAME['statement'].default}, one a task.")
    given = {name: (field_of(name, table).value(f"{where}.{name}", value),)
             for name, value in table.items() if name != "kind"}  # fmt: skip
    _units_of_their_own(where, given)
    return {"kind": kind, **{name: axis[0] for name, axis in _axes(kind, given).items()}}


def _without(rows: list[Row], exclude: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows that no exclusion names; one that names none is refused, since it says something that was not meant."""
    for k, table in enumerate(exclude):
        where = f"exclude[{k}]"
        _known(where, table, ("kind", *BY_NAME))
        named = {name: _kinds(f"{where}.kind", given) if name == "kind" else _values(f"{where}.{name}", name, table)
                 for name, given in table.items()}  # fmt: skip
        kept = [row for row in rows if not all(row.get(name) in values for name, values in named.items())]
        if len(kept) == len(rows) or not named:
            raise DescriptionError(f"{where} is {shown(dict(table))}, which no task of the grid agrees with.")
        rows = kept
    return rows


class _Maker:
    """Makes tasks of rows; each data set is read once."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._sets: dict[tuple[Any, ...], DataSet] = {}

    def tasks(self, rows: Sequence[Row]) -> Iterator[Task]:
        for row in rows:
            recipe = self._recipe(row)
            options = {name: row[name] for name in names_of(row["kind"]) if name not in recipe}
            yield Task(row["kind"], _named(options), self._data(recipe), _named(recipe))

    def _recipe(self, row: Row) -> dict[str, Any]:
        """What the set is found by: a path from the description's folder; d and data_seed are synthetic's alone."""
        found = {part.name: row[part.name] for part in DATA_FIELDS}
        path = Path(found["data"])
        if path.suffix or len(path.parts) > 1:  # as `datasets.resolve` tells files from names
            found["data"] = str((self._folder or Path()).joinpath(path).absolute())
        return found if found["data"] == "synthetic" else {**found, "d": None, "data_seed": None}

    def _data(self, recipe: Mapping[str, Any]) -> DataSet:
        key = tuple(recipe.values())
        if key not in self._sets:
            self._sets[key] = find_data("data", recipe)
        return self._sets[key]


def _named(row: Row) -> Row:
    """What is not None: a key that is new in a later version leaves the hashes of tasks that do not name it."""
    return {name: value for name, value in row.items() if value is not None}
