"""A database as CSV, JSON or Parquet: the same rows in the same order, the same bytes for the same results."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from verification.results import as_json

from .database import Database
from .errors import ExportError
from .rows import FlatRow, cell, columns, flat


def export(database: Database, kind: str, timing: bool = True) -> bytes:
    """The whole table in the format csv, json or parquet.

    Args:
        timing: with the columns of `rows.TIMING`, which differ from run to run.

    Raises `ExportError` for Parquet where PyArrow is not installed, and for an unknown format.
    """
    if kind not in FORMATS:
        raise ExportError(f"There is no format {kind!r}; there are {', '.join(FORMATS)}.")
    rows = [flat(stored) for stored in database.rows()]
    return FORMATS[kind](rows, columns(rows, timing))


def _csv(rows: list[FlatRow], names: list[str]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([cell(row.get(name)) for name in names] for row in rows)
    return stream.getvalue().encode()


def _json(rows: list[FlatRow], names: list[str]) -> bytes:
    return (as_json({"rows": [{name: row[name] for name in names if name in row} for row in rows]}) + "\n").encode()


def _parquet(rows: list[FlatRow], names: list[str]) -> bytes:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ExportError("Parquet needs PyArrow: pip install 'manifoldflow[parquet]', or export csv.") from error
    table = pyarrow.table({name: _column([cell(row.get(name)) for row in rows]) for name in names})
    stream = io.BytesIO()
    parquet.write_table(table, stream)
    return stream.getvalue()


def _column(values: list[Any]) -> list[Any]:
    """Values of one type: numbers as float where one is, everything as text where texts are among them."""
    types = {type(value) for value in values if value is not None}
    if len(types) <= 1:
        return values
    make = float if types <= {int, float} else str
    return [None if value is None else make(value) for value in values]


FORMATS: dict[str, Callable[[list[FlatRow], list[str]], bytes]] = {"csv": _csv, "json": _json, "parquet": _parquet}
