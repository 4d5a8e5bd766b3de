"""A task: one thing that is asked, hashed by its content, so that it is asked once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from manifoldflow.checkpoint import content_hash
from manifoldflow.datasets import DataSet, digits, resolve, synthetic
from manifoldflow.errors import ManifoldflowError

from .errors import DescriptionError
from .fields import BY_NAME, DATA_FIELDS, field_of, names_of, settled, shown

_MOST_BYTES = 2**30  # of data, as of a file


@dataclass(frozen=True, eq=False)
class Task:
    """One thing that is asked.

    `kind`: verify, sgd, flow or call; `options`: what the result depends on besides the data; `recipe`: how to find
    the data again, on which it does not depend: their content counts.

    >>> first, same = (Task("flow", {"seed": 0}, synthetic(3, 5), {"data": name}) for name in ("a", "b"))
    >>> first.key == same.key
    True
    """

    kind: str
    options: Mapping[str, Any]
    data: DataSet | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def asked(self) -> dict[str, Any]:
        """All that the result depends on, as JSON's own types: samples and labels by their hash."""
        found = {"kind": self.kind, **self.options}
        return found if self.data is None else {**found, "samples": _hash(self.data)}

    @cached_property
    def key(self) -> str:
        """SHA-256 of the JSON text of what is asked."""
        return hashlib.sha256(canonical(self.asked).encode()).hexdigest()

    @property
    def case(self) -> str:
        """Equal for tasks that share their case, and so its flow and points; the key where nothing is shared."""
        return canonical({**self.asked, "statement": None}) if self.kind == "verify" else self.key

    @property
    def name(self) -> str:
        """A line for people."""
        given = {**self.recipe, **self.options}
        return ", ".join([self.kind, *(f"{key} {value}" for key, value in given.items() if value is not None)])


@lru_cache(maxsize=1024)
def _hash(data: DataSet) -> str:
    """Of its numbers; kept, since many tasks share a set."""
    return content_hash(data.X, data.y)


def canonical(content: Mapping[str, Any]) -> str:
    """The one JSON text of a mapping: keys sorted, no spaces, shortest digits that give the number back.

    >>> canonical({"b": 0.1, "a": [1]})
    '{"a":[1],"b":0.1}'
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def shared(tasks: Iterable[Task]) -> list[tuple[Task, ...]]:
    """Tasks in groups that share a case, in the order of their first: a group is computed in one go."""
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.case, []).append(task)
    return [tuple(group) for group in groups.values()]


def find_data(where: str, recipe: Mapping[str, Any]) -> DataSet:
    """The data set of a recipe; `DescriptionError` where it does not exist or has fewer samples."""
    name, n, d, seed = (recipe.get(part.name) for part in DATA_FIELDS)
    if name != "synthetic" and (d is not None or seed is not None):
        raise DescriptionError(f"{where}: d and data_seed are of the set 'synthetic'; {name!r} has columns of its own.")
    try:
        if name == "synthetic":
            return _synthetic(where, 10 if n is None else n, 20 if d is None else d, seed or 0)
        found = digits() if name == "digits" else resolve(str(name))
    except ManifoldflowError as error:
        raise DescriptionError(f"{where}: {error}") from error
    if n is None or n == len(found.y):
        return found
    if n > len(found.y):
        raise DescriptionError(f"{where}: n is {n}; {name!r} has {len(found.y)} samples.")
    return DataSet(found.name, found.X[:n], found.y[:n], f"{found.source}; the first {n}")


def _synthetic(where: str, n: int, d: int, seed: int) -> DataSet:
    if 8 * n * d > _MOST_BYTES:
        raise DescriptionError(f"{where}: n = {n} and d = {d} make {8 * n * d} bytes; allowed: up to {_MOST_BYTES}.")
    return synthetic(n, d, rng=seed)


def restored(kind: str, asked: Mapping[str, Any], recipe: Mapping[str, Any]) -> Task:
    """A task from what a database says of it, checked like a description; its data must be what they were."""
    if kind not in BY_NAME["data"].kinds:
        raise DescriptionError(f"A task of kind {shown(kind)} is not repeated from a database: run it from Python.")
    names = names_of(kind)
    where = "The database's task"
    given = {name: value for name, value in {**recipe, **asked}.items() if name in names and value is not None}
    checked = {name: field_of(name, given).value(f"{where}: {name}", value) for name, value in given.items()}
    own = {part.name for part in DATA_FIELDS}
    found = {name: value for name, value in checked.items() if name in own}
    options = settled({k: v for k, v in checked.items() if k not in own})
    task = Task(kind, {k: v for k, v in options.items() if v is not None}, find_data(where, found), found)
    if task.asked != dict(asked):
        raise DescriptionError(f"{where} was made with other data than {found.get('data')!r} holds now, or is damaged.")
    return task
