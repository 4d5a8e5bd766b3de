"""One task of a database again, compared bit by bit with what is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .database import Database, Stored
from .errors import DatabaseError
from .rows import decoded
from .task import Task, restored
from .work import perform


@dataclass(frozen=True)
class Repeated:
    """What is kept of a task and what came out now, as JSON text; None where it failed."""

    task: Task
    kept: str | None
    found: str | None
    reason: str | None

    @property
    def same(self) -> bool:
        """The same bits, or a failure both times?"""
        return self.kept == self.found


def repeat(database: Database, key: str) -> Repeated:
    """Do the task again whose key starts so.

    Raises:
        DatabaseError: no task or several have such a key, or it has no result.
        DescriptionError: its data are not to be had any more, or are others; or it is a call, which nothing but your
            own program names.
    """
    stored = _found(database, key)
    task = restored(stored.kind, decoded(stored, stored.asked), decoded(stored, stored.recipe))
    row: dict[str, Any] = perform([task])[0]
    return Repeated(task, stored.result, row["result"], row["message"])


def _found(database: Database, key: str) -> Stored:
    found = [stored for stored in database.rows() if key and stored.key.startswith(key)]
    if len(found) != 1:
        count = "No task has" if not found else f"{len(found)} tasks have"
        raise DatabaseError(f"{count} a key that starts with {key[:64]!r}; the column `key` of an export has them.")
    if found[0].state is None:
        raise DatabaseError(f"The task {key[:64]} has no result yet; run the campaign.")
    return found[0]
