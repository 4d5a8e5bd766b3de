"""The database of a campaign: SQLite, written by drivers only, whole after a kill at any moment.

Table `tasks` has what was ever asked, `results` what became of it, both by the hash of what was asked. Values are
SQL's and JSON's own; nothing in the file is ever run or unpickled.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DatabaseError
from .task import Task, canonical

APPLICATION, SCHEMA = 0x6D666C77, 1  # "mflw"
_PATIENCE = 120.0  # seconds to wait for another driver's transaction, which takes milliseconds
_TABLES = f"""
CREATE TABLE tasks (
  key TEXT PRIMARY KEY,    -- SHA-256 of what was asked
  kind TEXT NOT NULL,
  asked TEXT NOT NULL,     -- JSON: all that the result depends on
  data TEXT,               -- name of the data set
  n INTEGER, d INTEGER,    -- its samples and columns
  recipe TEXT NOT NULL     -- JSON: where the data came from
);
CREATE TABLE results (
  key TEXT PRIMARY KEY REFERENCES tasks (key),
  state TEXT NOT NULL CHECK (state IN ('done', 'failed')),
  result TEXT,             -- JSON, where it is done
  error TEXT, message TEXT, -- type and message, where it failed
  attempts INTEGER NOT NULL,
  seconds REAL NOT NULL,
  version TEXT NOT NULL,   -- of manifoldflow, where it was computed
  finished TEXT NOT NULL   -- UTC
);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {SCHEMA};
"""
# A result that is there stays: another driver may have asked for the same at the same time.
_KEEP = """
INSERT INTO results (key, state, result, error, message, attempts, seconds, version, finished)
VALUES (:key, :state, :result, :error, :message, :attempts, :seconds, :version, strftime('%Y-%m-%dT%H:%M:%SZ'))
ON CONFLICT (key) DO UPDATE SET state = excluded.state, result = excluded.result, error = excluded.error,
  message = excluded.message, attempts = attempts + excluded.attempts, seconds = excluded.seconds,
  version = excluded.version, finished = excluded.finished
WHERE state = 'failed'
"""
_ROWS = """
SELECT tasks.key, kind, asked, data, n, d, recipe, state, result, error, message, attempts, seconds, version, finished
FROM tasks LEFT JOIN results USING (key) ORDER BY tasks.rowid
"""


@dataclass(frozen=True)
class Stored:
    """A row of the database as it is there; `state` is None where there is no result yet."""

    key: str
    kind: str
    asked: str
    data: str | None
    n: int | None
    d: int | None
    recipe: str
    state: str | None
    result: str | None
    error: str | None
    message: str | None
    attempts: int | None
    seconds: float | None
    version: str | None
    finished: str | None


class Database:
    """A campaign's database, open; `with Database(path) as found:` closes it.

    Args:
        path: of the file, which is made where there is none. It must be on a disk of this machine: SQLite's log does
            not work over network file systems.
        create: False to refuse a file that is not there, and never to write.

    Raises:
        DatabaseError: it cannot be made, opened, read or written, or is no campaign's database of this schema.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Database(Path(folder) / "a.sqlite") as found:
    ...     list(found.rows())
    []
    """

    def __init__(self, path: str | Path, *, create: bool = True) -> None:
        self.path = Path(path)
        with self._named("open"):
            if create and not self.path.exists():
                _make(self.path)
            if not self.path.is_file():
                raise DatabaseError(f"There is no database {self.path}; name one that a campaign has written.")
            # rw opens a file that is write-protected for reading; it makes none.
            address = f"{self.path.absolute().as_uri()}?mode=rw"
            self._connection = sqlite3.connect(address, uri=True, timeout=_PATIENCE, isolation_level=None)
        try:
            with self._named("open"):
                self._require_schema()
                self._connection.execute(f"PRAGMA query_only = {int(not create)}")
                self._connection.execute("PRAGMA synchronous = FULL")  # a power cut loses nothing either
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._named("close"):
            self._connection.close()

    @contextmanager
    def _named(self, doing: str) -> Iterator[None]:
        """Errors of SQLite and of the system as one that names the file and says what to do."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise DatabaseError(_advice(self.path, doing, error)) from error

    def _require_schema(self) -> None:
        application = self._connection.execute("PRAGMA application_id").fetchone()[0]
        schema = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION:
            raise DatabaseError(f"{self.path} is not the database of a campaign; name another file.")
        if schema != SCHEMA:
            raise DatabaseError(
                f"{self.path} has schema {schema}, and this version of manifoldflow reads schema {SCHEMA}. Export it "
                "with the version that wrote it, and name another file here."
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it, or nothing."""
        with self._named("write"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk may have ended it
                    self._connection.execute("ROLLBACK")
                raise

    def ask(self, tasks: Iterable[Task]) -> None:
        """Enter tasks; those that are there already stay as they are."""
        rows = [(task.key, task.kind, canonical(task.asked), *_about(task), canonical(task.recipe)) for task in tasks]
        with self._transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def keep(self, rows: Sequence[dict[str, Any]]) -> None:
        """Enter results in one transaction: after this returns, a kill or a power cut does not lose them."""
        with self._transaction() as connection:
            connection.executemany(_KEEP, rows)

    def finished(self, state: str | None = None) -> set[str]:
        """Keys of the tasks that have a result, of one state or of any."""
        with self._named("read"):
            found = self._connection.execute("SELECT key FROM results WHERE coalesce(state = ?, TRUE)", (state,))
            return {key for (key,) in found}

    def is_done(self, key: str) -> bool:
        """Has it been done, perhaps by another driver a moment ago?"""
        with self._named("read"):
            query = "SELECT 1 FROM results WHERE key = ? AND state = 'done'"
            return self._connection.execute(query, (key,)).fetchone() is not None

    def rows(self) -> Iterator[Stored]:
        """Every task with its result, in the order in which they were first asked for."""
        with self._named("read"):
            for row in self._connection.execute(_ROWS):
                yield Stored(*row)


def _about(task: Task) -> tuple[str | None, int | None, int | None]:
    return (None, None, None) if task.data is None else (task.data.name, *task.data.X.shape)


def _make(path: Path) -> None:
    """An empty database: made under another name, then linked, so that no driver ever sees half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        connection = sqlite3.connect(draft, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_TABLES)
        finally:
            connection.close()
        os.link(draft, path)
    except FileExistsError:
        return  # another driver was first
    finally:
        for end in ("", "-wal", "-shm"):  # a full disk leaves the log too
            draft.with_name(draft.name + end).unlink(missing_ok=True)


def _advice(path: Path, doing: str, error: Exception) -> str:
    """What went wrong, in SQLite's or the system's words, and what to do."""
    said = getattr(error, "strerror", None) or str(error)
    text = f"Cannot {doing} the database {path} ({said})."
    if "not a database" in said or "malformed" in said:
        return f"{text} It is no SQLite file, or is damaged; name another file."
    if doing == "write":
        return (f"{text} Every result that was written before is kept. Free some space, and run the same again: it "
                "does only what is left.")  # fmt: skip
    return f"{text} Name a file in a folder of this machine that can be written."
