"""Reading and writing of the two data formats, `.npz` and `.csv`, without trusting the file.

Nothing in a file is unpickled or evaluated, and nothing is allocated on the word of a header: the size that
it declares must be the size that the archive holds, and that is bounded. What is returned are plain arrays
of real numbers; whether they form a data set is decided by `manifoldflow.datasets.DataSet`.
"""

import csv
import math
import os
import re
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray

from manifoldflow.errors import DataError

MAX_BYTES = 2**30
"""Largest file, and largest array in one, that is read: 1 GiB, or 134 million float64 numbers."""

_TOO_LARGE = f"at most {MAX_BYTES} bytes are read from a file; pass larger data as NumPy arrays"
_RESAVE = "save it again with numpy.savez(file, X=X, y=y)"

# What the standard library raises for an archive whose bytes are damaged, encrypted or packed by a method it
# lacks (NotImplementedError, a RuntimeError).
_ARCHIVE_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)

_Header = tuple[np.dtype[np.generic], tuple[int, ...], Literal["C", "F"], int]
_NPY_MAGIC = b"\x93NUMPY"
_NPY_HEADER_LIMIT = 10_000
_NPY_HEADER = re.compile(
    r"\{\s*'descr':\s*'(?P<dtype>[^']*)',\s*'fortran_order':\s*(?P<order>True|False),\s*"
    r"'shape':\s*\((?P<shape>[\d,\s]*)\),?\s*\}\s*"
)


def read_npz(path: Path) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Return the arrays `X` and `y` of an `.npz` archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_member(archive, "X"), _read_member(archive, "y")
    except DataError as error:
        raise DataError(f"{path}: {error}") from error.__cause__
    except _ARCHIVE_ERRORS as error:
        raise DataError(f"{path} is no readable .npz archive ({error}), or is cut off: {_RESAVE}.") from error


def _read_member(archive: zipfile.ZipFile, name: str) -> NDArray[np.generic]:
    info = _member_info(archive, name)
    with archive.open(info) as stream:
        dtype, shape, order, offset = _read_header(stream, name)
        declared = offset + dtype.itemsize * math.prod(shape)
        if declared != info.file_size:
            raise DataError(
                f"array {name} declares shape {_shown(shape)} of {dtype}, which takes {declared} bytes, but "
                f"the archive holds {info.file_size}; the file is damaged: {_RESAVE}."
            )
        content = stream.read()
    return np.frombuffer(content, dtype).reshape(shape, order=order)


def _member_info(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    found = [info for info in archive.infolist() if info.filename == f"{name}.npy"]
    if len(found) != 1:
        held = [info.filename[:40].removesuffix(".npy") for info in archive.infolist()[:10]]
        raise DataError(f"the archive must hold one array {name}; it holds {', '.join(held) or 'nothing'}: {_RESAVE}.")
    info = found[0]
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"array {name} is packed by a method that NumPy does not write: {_RESAVE}.")
    if info.file_size > MAX_BYTES:
        raise DataError(f"array {name} unpacks to {info.file_size} bytes; {_TOO_LARGE}.")
    return info


def _read_header(stream: IO[bytes], name: str) -> _Header:
    """Return dtype, shape, memory order and length of a `.npy` header, which is matched, never evaluated."""
    start = stream.read(8)
    width = 2 if start[6:7] == b"\x01" else 4
    length = int.from_bytes(stream.read(width), "little")
    if not start.startswith(_NPY_MAGIC) or length > _NPY_HEADER_LIMIT:
        raise DataError(f"array {name} has no .npy header: {_RESAVE}.")
    text = stream.read(length).decode("latin-1")
    match = _NPY_HEADER.fullmatch(text)
    if match is None:
        raise DataError(f"array {name} is not a plain array of numbers (header {text.strip()[:80]!r}): {_RESAVE}.")
    shape = tuple(_dimension(word, name) for word in match["shape"].split(",") if word.strip())
    order: Literal["C", "F"] = "F" if match["order"] == "True" else "C"
    return _real_dtype(match["dtype"], name), shape, order, 8 + width + length


def _dimension(word: str, name: str) -> int:
    # A dimension of more digits than any file could fill also meets Python's limit on reading long integers.
    if len(word.strip()) > 18 or not word.strip().isdecimal():
        raise DataError(f"array {name} declares an impossible dimension ({word.strip()[:30]}): {_RESAVE}.")
    return int(word)


def _real_dtype(code: str, name: str) -> np.dtype[np.generic]:
    if "O" in code:
        raise DataError(f"array {name} holds Python objects (pickles), never loaded: save it as float64.")
    try:
        if re.fullmatch(r"[<>=|]?[biuf]\d{1,2}", code):
            return np.dtype(code)
    except TypeError:
        pass  # a width that NumPy does not have; reported below like every other type that is refused
    raise DataError(f"array {name} has dtype {code!r}; real numbers are needed: save it as float64.")


def _shown(shape: tuple[int, ...]) -> str:
    text = str(shape)
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_csv(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the columns of a comma-separated table but the last as `X`, and the last as `y`.

    The first line is taken for a header if not one of its cells reads as a number.
    """
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path} has {path.stat().st_size} bytes; {_TOO_LARGE}.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(_number_rows(stream))
    except DataError as error:
        raise DataError(f"{path}, {error}") from error.__cause__
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a text file of comma-separated numbers ({error}).") from error
    if not rows:
        raise DataError(f"{path} holds no row of numbers; a row is x_1,...,x_d,y.")
    if len(rows[0]) < 2:
        raise DataError(f"{path} has one column; it needs at least two, separated by commas: the last is y.")
    table = np.array(rows)
    return table[:, :-1], table[:, -1]


def _number_rows(stream: IO[str]) -> Iterator[NDArray[np.float64]]:
    reader = csv.reader(stream, strict=True)
    columns = 0
    first = True
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        header = first and not any(_is_number(cell) for cell in cells)
        first = False
        if header:
            _check_header(cells, reader.line_num)
            continue
        columns = columns or len(cells)
        if len(cells) != columns:
            raise DataError(
                f"line {reader.line_num}: {len(cells)} columns, but the lines before have {columns}; "
                "every line needs the same number."
            )
        yield np.array([_number(cell, reader.line_num) for cell in cells])


def _check_header(cells: list[str], line: int) -> None:
    """Refuse a column without a name beside named ones: pandas writes the row numbers so, which are no feature."""
    if "" in (stripped := [cell.strip() for cell in cells]):
        raise DataError(
            f"line {line}: column {stripped.index('') + 1} has no name. If it numbers the rows, save the table "
            "without it, as with DataFrame.to_csv(file, index=False); if not, name it."
        )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python's 1_000 is no number to any other program


def _number(cell: str, line: int) -> float:
    if not _is_number(cell):
        separated = ", separated by commas" if re.search(r"\d[;\t ]+[-+.\d]", cell) else ""
        raise DataError(f"line {line}: {cell[:40]!r} is not a number; cells are decimals such as -1.5e-3{separated}.")
    return float(cell)


def write_npz(path: Path, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    """Write an `.npz` archive that `read_npz` reads; equal arrays give equal bytes."""
    _write_atomically(path, lambda stream: np.savez(stream, X=X, y=y))


def write_csv(path: Path, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    """Write a table with a header that `read_csv` reads; every number is read back as the same float64."""
    header = ",".join([f"x{k + 1}" for k in range(X.shape[1])] + ["y"])
    rows = [",".join(map(repr, row)) for row in np.column_stack([X, y]).tolist()]
    content = "\n".join([header, *rows, ""]).encode("ascii")
    _write_atomically(path, lambda stream: stream.write(content))


def _write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write under a temporary name in the same folder and rename: `path` is whole, or as it was before."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        try:
            with temporary.open("xb") as stream:
                write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DataError(f"cannot write {path} ({error.strerror or error}); nothing was changed.") from error
