"""The database: what is refused, what stays, a full disk, several at once."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from verification.campaign import Campaign, Database, DatabaseError, drive, run
from verification.campaign.work import failure

from .conftest import calls, kept


def row(key: str, state: str = "done", result: str | None = "{}", **more: Any) -> dict[str, Any]:
    return {"key": key, "state": state, "result": result, "error": None, "message": None, "seconds": 1.0,
            "version": "0", "attempts": 1, **more}  # fmt: skip


@pytest.fixture
def squares() -> Campaign:
    return calls("square", {"x": 1}, {"x": 2})


def test_what_is_kept_is_there_after_opening_again(tmp_path: Path, squares: Campaign) -> None:
    keys = [task.key for task in squares.tasks]
    with Database(tmp_path / "a.sqlite") as database:
        database.ask(squares.tasks)
        database.keep([row(keys[0])])
    with Database(tmp_path / "a.sqlite", create=False) as database:
        database_rows = [(found.key, found.state) for found in database.rows()]
        assert database_rows == [(keys[0], "done"), (keys[1], None)]
        assert (database.is_done(keys[0]), database.is_done(keys[1])) == (True, False)


def test_a_result_stays_and_a_failure_is_replaced(tmp_path: Path, squares: Campaign) -> None:
    key, other = (task.key for task in squares.tasks)
    with Database(tmp_path / "a.sqlite") as database:
        database.ask(squares.tasks)
        database.keep([row(key, result='{"x":1}'), failure(squares.tasks[1], "E", "first", 0.0)])
        database.keep([row(key, result='{"x":2}'), failure(squares.tasks[1], "E", "second", 0.0)])
        database.keep([failure(squares.tasks[0], "E", "late", 0.0), row(other, result='{"x":3}')])
        found = {stored.key: stored for stored in database.rows()}
    assert (found[key].result, found[key].state, found[key].attempts) == ('{"x":1}', "done", 1)
    assert (found[other].result, found[other].message, found[other].attempts) == ('{"x":3}', None, 3)


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path, squares: Campaign) -> None:
    with Database(tmp_path / "a.sqlite") as database:
        database.ask(squares.tasks)
        with pytest.raises(DatabaseError, match="CHECK constraint failed"):
            database.keep([row(squares.tasks[0].key), row(squares.tasks[1].key, state="perhaps")])
        assert database.finished() == set()


def test_looking_does_not_write(tmp_path: Path, squares: Campaign) -> None:
    Database(tmp_path / "a.sqlite").close()
    with Database(tmp_path / "a.sqlite", create=False) as database, pytest.raises(DatabaseError, match="readonly"):
        database.ask(squares.tasks)
    assert [path.name for path in tmp_path.iterdir()] == ["a.sqlite"]


def test_other_files_are_refused_and_left_as_they_are(tmp_path: Path) -> None:
    text, empty, other, folder = (tmp_path / name for name in ("text", "empty", "other", "folder"))
    text.write_text("no database " * 100)
    empty.touch()
    folder.mkdir()
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE results (x)")
    connection.close()
    before = [path.read_bytes() for path in (text, empty, other)]
    for path, said in ((text, "file is not a database"), (empty, "not the database of a campaign"),
                       (other, "not the database of a campaign"), (folder, "no database")):  # fmt: skip
        with pytest.raises(DatabaseError, match=said):
            Database(path)
    assert [path.read_bytes() for path in (text, empty, other)] == before


def test_another_schema_is_refused(tmp_path: Path) -> None:
    Database(tmp_path / "a.sqlite").close()
    connection = sqlite3.connect(tmp_path / "a.sqlite")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(DatabaseError, match="has schema 2, and this version of manifoldflow reads schema 1"):
        Database(tmp_path / "a.sqlite")


def test_a_damaged_database_is_a_typed_error(tmp_path: Path, squares: Campaign) -> None:
    path = tmp_path / "a.sqlite"
    with Database(path) as database:
        database.ask(squares.tasks)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(DatabaseError, match="damaged"), Database(path) as database:
        list(database.rows())


def test_places_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseError, match="Cannot open the database"):
        Database(tmp_path / "file" / "a.sqlite")
    with pytest.raises(DatabaseError, match="no database"):
        Database(tmp_path / "nothing.sqlite", create=False)


def test_drivers_that_begin_together_make_one_database(tmp_path: Path, squares: Campaign) -> None:
    def begin(number: int) -> int:
        with Database(tmp_path / f"{number // 8}.sqlite") as database:
            database.ask(squares.tasks)
            return len(list(database.rows()))

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(begin, range(64))) == [2] * 64
    # Where two close at once, each may leave SQLite's own log to the other; the next to open it takes it away.
    logs = {".sqlite-shm", ".sqlite-wal"}
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.suffix not in logs) == [".sqlite"] * 8


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk(Database):
        def ask(self, tasks: Any) -> None:
            super().ask(tasks)
            pages = self._connection.execute("PRAGMA page_count").fetchone()[0]
            self._connection.execute(f"PRAGMA max_page_count = {pages + 3}")

    campaign = calls("square", *({"x": x} for x in range(300)))
    with monkeypatch.context() as patch:
        patch.setattr(drive, "Database", FullDisk)
        with pytest.raises(DatabaseError, match=r"database or disk is full.* written before is kept"):
            run(campaign, tmp_path / "a.sqlite", processes=0)
    before = kept(tmp_path / "a.sqlite")
    assert 0 < len(before) < 300
    assert run(campaign, tmp_path / "a.sqlite", processes=0).done == 300
    assert before.items() <= kept(tmp_path / "a.sqlite").items()
