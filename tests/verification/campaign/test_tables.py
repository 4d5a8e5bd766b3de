"""Exports, summaries, the page, repeats."""

import csv
import io
import json
import math
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow.cli.campaign import FORMATS as COMMAND_FORMATS
from verification import Case, Evidence, verify
from verification.campaign import (
    Call,
    Campaign,
    Database,
    DatabaseError,
    DescriptionError,
    ExportError,
    Standing,
    run,
)
from verification.campaign.export import FORMATS, export
from verification.campaign.measures import size_of_mean
from verification.campaign.page import page
from verification.campaign.progress import text
from verification.campaign.repeat import repeat
from verification.campaign.rows import TIMING, flat
from verification.campaign.summary import summary

from .conftest import EXAMPLES, every_kind


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with tasks of every kind, a failure, and a task that is left."""
    path = tmp_path_factory.mktemp("done") / "a.sqlite"
    run(every_kind(), path, processes=0)
    run(Campaign(calls=[Call(f"{EXAMPLES}:fail", {"message": "a, \"b\"\n<c>"})]), path, processes=0)
    with Database(path) as database:
        database.ask(Campaign(calls=[Call(f"{EXAMPLES}:square", {"x": 3})]).tasks)
    return path


def exported(path: Path, kind: str, timing: bool = True) -> bytes:
    with Database(path, create=False) as database:
        return export(database, kind, timing)


def table(path: Path) -> list[dict[str, Any]]:
    with Database(path, create=False) as database:
        return [flat(stored) for stored in database.rows()]


# --- what is measured --------------------------------------------------------------------------------


def test_verdicts_are_those_of_verify(done: Path) -> None:
    found = [row for row in table(done) if row["kind"] == "verify"]
    data = mf.datasets.synthetic(3, 6)
    for activation in ("z**3 + z", "tanh(z)"):
        for seed in (0, 1):
            report = verify([Case(data, activation, 4, seed)], ["S2", "S7"])
            rows = [row for row in found if (row["activation"], row["seed"]) == (activation, seed)]
            for row, verdict in zip(rows, report.verdicts, strict=True):
                assert (row["statement"], row["status"]) == (verdict.statement, verdict.status)
                assert len(row["checks"]) == len(verdict.checks)
                if verdict.decisive is not None:
                    assert (row["measured"], row["margin"]) == (verdict.decisive.measured, verdict.decisive.margin)


def test_flows_are_those_of_the_evidence(done: Path) -> None:
    row = next(row for row in table(done) if row["kind"] == "flow")
    flow = Evidence(Case(mf.datasets.synthetic(3, 6), "z**3 + z", 4)).flow
    assert (row["status"], row["end_time"], row["sharpness_end"]) == ("stationary", flow.t[-1], flow.sharpness[-1])
    assert row["singular_value_ratio"] < 1e-8


def test_the_size_of_a_mean_is_without_the_scatter(rng: np.random.Generator) -> None:
    """The square is unbiased, where the plain one is off by the scatter; the jackknife is of the right size."""
    mean, scatter = np.array([0.3, -0.4, 0.0]), 0.2
    samples = mean + scatter * rng.standard_normal((4000, 5, 3))
    sizes, errors = np.array([size_of_mean(sample) for sample in samples]).T
    squares = sizes**2
    standard_error = squares.std() / math.sqrt(4000)
    assert abs(squares.mean() - 0.25) < 4.0 * standard_error
    assert np.mean(np.linalg.norm(samples.mean(axis=1), axis=1) ** 2) - 0.25 > 4.0 * standard_error
    assert errors.mean() == pytest.approx(sizes.std(), rel=0.2)


def test_the_order_of_sgd_is_one(tmp_path: Path) -> None:
    grid = {"kind": "sgd", "n": 3, "d": 6, "width": 4, "coarse_steps": 4000, "step_fraction": [0.2, 0.1, 0.05]}
    run(Campaign(grid=grid), tmp_path / "a.sqlite", processes=0)
    with Database(tmp_path / "a.sqlite", create=False) as database:
        (found,) = summary(database).tables
    order, error = map(float, found.rows[0][2].split(" ± "))
    assert abs(order - 1.0) < 0.2 + 3.0 * error
    assert error < 0.2


# --- exports -----------------------------------------------------------------------------------------


def test_csv_gives_every_number_back(done: Path) -> None:
    found = list(csv.DictReader(io.StringIO(exported(done, "csv").decode(), newline="")))
    for row, line in zip(table(done), found, strict=True):
        for name, value in row.items():
            if isinstance(value, float):
                assert float(line[name]) == value
            elif isinstance(value, str):
                assert line[name] == value
    assert [line["message"] for line in found if line["state"] == "failed"] == ['a, "b"\n<c>']
    assert [line["state"] for line in found].count("left") == 1


def test_json_and_parquet_hold_the_same(done: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = json.loads(exported(done, "json"))["rows"]
    found = parquet.read_table(pyarrow.BufferReader(exported(done, "parquet"))).to_pylist()
    assert len(rows) == len(found) == len(every_kind().tasks) + 2
    for row, line in zip(rows, found, strict=True):
        for name, value in row.items():
            if not isinstance(value, list | dict) and name != "steps":
                assert line[name] == (math.inf if value == "Infinity" else value)


def test_timing_is_left_out_when_asked(done: Path) -> None:
    heads = (exported(done, "csv", timing).decode().splitlines()[0] for timing in (True, False))
    with_timing, without = (head.split(",") for head in heads)
    assert [name for name in with_timing if name not in without] == list(TIMING)


def test_mixed_results_of_ones_own_are_exported(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    names = ["module:one", "module:two", "module:three"]
    with Database(tmp_path / "a.sqlite") as database:
        tasks = Campaign(calls=[Call(name) for name in names]).tasks
        database.ask(tasks)
        results = ['{"x":1,"y":1,"kind":"mine","error":3}', '{"x":0.5,"y":"text"}', '{"x":"Infinity","y":true}']
        database.keep([
            {"key": task.key, "state": "done", "result": result, "error": None, "message": None, "seconds": 0.0,
             "version": "0", "attempts": 1} for task, result in zip(tasks, results, strict=True)
        ])  # fmt: skip
        rows = [flat(stored) for stored in database.rows()]
        assert [row["x"] for row in rows] == [1, 0.5, math.inf]
        assert (rows[0]["kind"], rows[0]["result_kind"], rows[0]["result_error"]) == ("call", "mine", 3)
        assert export(database, "parquet")[:4] == b"PAR1"


def test_a_missing_pyarrow_and_an_unknown_format_are_said(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ExportError, match=re.escape("pip install 'manifoldflow[parquet]'")):
        exported(done, "parquet")
    with pytest.raises(ExportError, match="there are csv, json, parquet"):
        exported(done, "xlsx")
    assert tuple(FORMATS) == COMMAND_FORMATS


def test_a_row_that_is_damaged_is_a_typed_error(done: Path, tmp_path: Path) -> None:
    import shutil
    import sqlite3

    shutil.copy(done, tmp_path / "a.sqlite")
    connection = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
    connection.execute("UPDATE results SET result = '[1' WHERE state = 'done'")
    connection.close()
    with pytest.raises(DatabaseError, match="is damaged"):
        exported(tmp_path / "a.sqlite", "csv")


# --- summary and page --------------------------------------------------------------------------------


def test_the_summary_counts_verdicts_and_finds_the_smallest_margins(done: Path) -> None:
    with Database(done, create=False) as database:
        found = summary(database)
    tables = {item.name: item for item in found.tables}
    assert set(tables) == {"verdicts", "margins", "orders", "flows", "failures"}
    rows = [row for row in table(done) if row["kind"] == "verify"]
    counted = sum(int(cell) for row in tables["verdicts"].rows for cell in row[1:5] if cell != "-")
    assert counted == len(rows) == 8
    smallest = min(row["margin"] for row in rows if (row["statement"], row["status"]) == ("S7", "holds"))
    key = next(row["key"] for row in rows if row.get("margin") == smallest)
    line = next(row for row in tables["margins"].rows if row[0] == "S7 holds")
    assert line[1] == f"{smallest:.4g}"
    assert line[-1] == f"manifoldflow campaign repeat {done} {key[:12]}"
    assert found.standing.left == 1
    assert f"{len(every_kind().tasks) + 2} tasks" in found.text()
    assert found.numbers()["tables"]["failures"][0]["error"] == "ArithmeticError"


class Page(HTMLParser):
    """Collects text and whatever a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [f"{tag} {value}" for name, value in attrs
                       if name in {"src", "href", "xlink:href"} and not (value or "").startswith("#")]  # fmt: skip

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_stands_by_itself(done: Path) -> None:
    with Database(done, create=False) as database:
        content = page(summary(database), "manifoldflow campaign status a.sqlite")
    found = Page()
    found.feed(content)
    assert found.loads == []
    assert "Smallest margins" in found.words
    assert "<c>" not in content
    assert len(content) < 200_000


def test_an_empty_campaign_has_a_page(tmp_path: Path) -> None:
    with Database(tmp_path / "a.sqlite") as database:
        assert "0 tasks" in page(summary(database))


# --- repeats -----------------------------------------------------------------------------------------


def test_every_task_of_the_library_repeats_to_the_bit(done: Path) -> None:
    with Database(done, create=False) as database:
        for row in table(done):
            if row["kind"] != "call" and row["seed"] == 1:
                assert repeat(database, row["key"]).same


def test_a_result_that_was_changed_is_seen(done: Path, tmp_path: Path) -> None:
    import shutil
    import sqlite3

    shutil.copy(done, tmp_path / "a.sqlite")
    connection = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
    connection.execute("UPDATE results SET result = replace(result, '0', '1')")
    connection.close()
    with Database(tmp_path / "a.sqlite", create=False) as database:
        assert not repeat(database, table(done)[0]["key"]).same


def test_what_cannot_be_repeated_is_said(done: Path) -> None:
    rows = {row["state"]: row["key"] for row in table(done)}
    with Database(done, create=False) as database:
        for key, said in (("", "No task has"), ("x", "No task has"), (rows["left"], "no result yet")):
            with pytest.raises(DatabaseError, match=said):
                repeat(database, key)
        with pytest.raises(DescriptionError, match="run it from Python"):
            repeat(database, rows["failed"])


@pytest.mark.parametrize(
    ("rate", "said"), [(0.0, ""), (1.0, ", 90 s to go"), (0.1, ", 15 min to go"), (0.001, ", 25.0 h to go")]
)
def test_progress_says_how_long(rate: float, said: str) -> None:
    assert text(Standing(100, 9, 1, rate)) == f"9 done, 1 failed, 90 left{said}"
