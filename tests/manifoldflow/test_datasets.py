"""Data sets: the numbers that ship, the two formats, and every kind of bad file."""

import importlib.util
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifoldflow import _datafiles, datasets
from manifoldflow.errors import DataError, InputError, ManifoldflowError

ROOT = Path(__file__).resolve().parent.parent.parent


# --- what ships -----------------------------------------------------------------------------------


def test_digits_are_the_documented_problem() -> None:
    data = datasets.digits()
    eigenvalues = np.linalg.eigvalsh(data.X @ data.X.T)
    assert data.X.shape == (50, 64)
    np.testing.assert_allclose(np.linalg.norm(data.X, axis=1), 1.0, rtol=4e-16)
    assert np.linalg.matrix_rank(data.X) == 50
    assert eigenvalues[-1] / eigenvalues[0] == pytest.approx(3.6e6, rel=0.01)
    assert eigenvalues[0] == pytest.approx(9.6e-6, rel=0.01)
    assert np.abs(data.X.mean(axis=0)).max() > 0.1  # not centred
    assert set(data.y) <= {k / 10 for k in range(1, 11)}


def test_digits_takes_the_first_n() -> None:
    np.testing.assert_array_equal(datasets.digits(7).X, datasets.digits().X[:7])
    np.testing.assert_array_equal(datasets.digits(7).y, datasets.digits().y[:7])


def test_the_shipped_file_is_what_the_tool_writes() -> None:
    pytest.importorskip("sklearn")
    spec = importlib.util.spec_from_file_location("make_digits", ROOT / "tools" / "make_digits.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.content() == (ROOT / "manifoldflow" / "data" / "digits.csv").read_bytes()


def test_synthetic_is_seeded_and_has_the_documented_scale() -> None:
    one, same, other = (datasets.synthetic(200, 300, rng=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.X, same.X)
    np.testing.assert_array_equal(one.y, same.y)
    assert not np.array_equal(one.X, other.X)
    assert (one.X**2).sum(axis=1).mean() == pytest.approx(1.0, abs=0.05)
    assert one.y.std() == pytest.approx(1.0, abs=0.2)


def test_synthetic_draws_from_a_generator() -> None:
    generator = np.random.default_rng(5)
    first = datasets.synthetic(3, 4, rng=generator)
    np.testing.assert_array_equal(first.X, datasets.synthetic(3, 4, rng=5).X)
    assert not np.array_equal(first.X, datasets.synthetic(3, 4, rng=generator).X)


@pytest.mark.parametrize("bad", [0, -1, 51, 2.0, "3", None, True, 10**30])
def test_digits_refuses_other_counts(bad: Any) -> None:
    with pytest.raises(InputError, match="integer from 1 to 50"):
        datasets.digits(bad)


@pytest.mark.parametrize("bad", [0, -1, 2.5, "3", None, True])
@pytest.mark.parametrize("option", ["n", "d"])
def test_synthetic_refuses_other_counts(option: str, bad: Any) -> None:
    with pytest.raises(InputError, match=rf"^{option} = .* an integer of at least 1"):
        datasets.synthetic(**{option: bad})


@pytest.mark.parametrize("bad", [-1, "seed", 1.5])
def test_synthetic_refuses_other_seeds(bad: Any) -> None:
    with pytest.raises(InputError, match=r"^rng = "):
        datasets.synthetic(rng=bad)


@pytest.mark.parametrize("name", datasets.NAMES)
def test_every_name_can_be_resolved(name: str) -> None:
    data = datasets.resolve(name)
    assert data.name == name
    np.testing.assert_array_equal(data.X, datasets.named(name).X)


@pytest.mark.parametrize("bad", ["digit", "", "mnist"])
def test_an_unknown_name_lists_the_known_ones(bad: str) -> None:
    with pytest.raises(DataError, match="digits, synthetic"):
        datasets.named(bad)
    with pytest.raises(DataError, match="digits, synthetic"):
        datasets.resolve(bad)


def test_resolve_loads_files(tmp_path: Path) -> None:
    datasets.save(datasets.synthetic(), tmp_path / "mine.npz")
    assert datasets.resolve(str(tmp_path / "mine.npz")).name == "mine"
    assert datasets.resolve(tmp_path / "mine.npz").X.shape == (10, 20)


# --- the record -----------------------------------------------------------------------------------


def test_a_data_set_is_float64_read_only_and_a_copy() -> None:
    X = np.ones((2, 3), dtype=np.float32)
    data = datasets.DataSet("d", X, [True, False], "here")
    X[:] = 7
    assert data.X.dtype == data.y.dtype == np.float64
    np.testing.assert_array_equal(data.X, np.ones((2, 3)))
    with pytest.raises(ValueError, match="read-only"):
        data.X[0, 0] = 1.0
    with pytest.raises(AttributeError):
        data.X = X


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ones(3), np.ones(3), r"X has shape \(3,\); it must be \(n, d\)"),
        (np.ones((3, 2, 1)), np.ones(3), r"X has shape"),
        (np.ones((3, 2)), np.ones((3, 1)), r"y has shape \(3, 1\); it must be \(n,\)"),
        (np.ones((3, 2)), np.ones(2), "X has 3 rows and y 2 labels"),
        (np.ones((0, 2)), np.ones(0), "X is empty"),
        (np.ones((2, 0)), np.ones(2), "X is empty"),
        ([[1.0, np.nan]], [1.0], r"X\[0, 1\] is nan"),
        ([[1.0, 2.0]], [np.inf], r"y\[0\] is inf"),
        ([[1.0, 2.0]], [1j], "y has dtype complex128"),
        ([["1", "2"]], [1], "X has dtype <U1"),
        ([[None, 1]], [1], "X has dtype object"),
        ([[1, 2], [3]], [1, 2], "X is not an array of numbers"),
    ],
)
def test_a_data_set_refuses(X: Any, y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        datasets.DataSet("bad", X, y, "here")


@pytest.mark.skipif(np.finfo(np.longdouble).max == np.finfo(float).max, reason="long double is double here")
def test_what_overflows_float64_is_refused() -> None:
    with pytest.raises(DataError, match=r"X\[0, 0\] is inf"):
        datasets.DataSet("bad", np.array([[np.longdouble("1e400")]]), [1.0], "here")


# --- both formats ---------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".NPZ", ".Csv"])
def test_saved_data_come_back_bit_for_bit(tmp_path: Path, suffix: str) -> None:
    data = datasets.synthetic(7, 3, rng=1)
    file = tmp_path / f"mine{suffix}"
    datasets.save(data, file)
    back = datasets.load(file)
    np.testing.assert_array_equal(back.X, data.X)
    np.testing.assert_array_equal(back.y, data.y)
    assert (back.name, back.source) == ("mine", str(file))
    assert os.listdir(tmp_path) == [file.name]


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_equal_data_give_equal_bytes(tmp_path: Path, suffix: str) -> None:
    for name in ("one", "two"):
        datasets.save(datasets.digits(), tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_a_failed_save_leaves_the_old_file(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"mine{suffix}"
    file.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left on device"):
        datasets.save(datasets.synthetic(), file)
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [file.name]


def test_saving_needs_a_known_ending_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ends in \.txt; data files are \.npz or \.csv"):
        datasets.save(datasets.synthetic(), tmp_path / "mine.txt")
    with pytest.raises(DataError, match="No such file or directory"):
        datasets.save(datasets.synthetic(), tmp_path / "no" / "mine.csv")


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_a_path_that_is_no_file_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(DataError, match="does not exist"):
        datasets.load(tmp_path / f"missing{suffix}")
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    with pytest.raises(DataError, match="is not a regular file"):
        datasets.load(folder)
    pipe = tmp_path / f"pipe{suffix}"
    os.mkfifo(pipe)
    with pytest.raises(DataError, match="is not a regular file"):
        datasets.load(pipe)
    with pytest.raises(DataError, match="File name too long"):
        datasets.load(tmp_path / ("x" * 5000 + suffix))


@pytest.mark.parametrize("name", ["mine.txt", "mine", "mine.npy", "mine.npz.gz"])
def test_another_ending_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"1,2\n")
    with pytest.raises(DataError, match=r"data files are \.npz or \.csv"):
        datasets.load(tmp_path / name)


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_an_empty_file_is_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"empty{suffix}").touch()
    with pytest.raises(DataError, match="empty"):
        datasets.load(tmp_path / f"empty{suffix}")


# --- .npz -----------------------------------------------------------------------------------------


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


def header(dtype: str, shape: str) -> bytes:
    """A .npy member that is nothing but a header, saying whatever it likes."""
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}\n".encode("latin-1")
    return b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text


GOOD_X, GOOD_Y = npy(np.arange(6.0).reshape(3, 2)), npy(np.arange(3.0))


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression=method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (header("'<f8'", "(1000000000000000, 2)"), "takes 16000000000000"),
        (header("'<f8'", "(100, 2)"), "declares shape"),
        (header("'<f8'", f"({'9' * 5000}, 2)"), "impossible dimension"),
        (header("'<f8'", "(" + "1, " * 200 + ")"), "declares shape"),
        (header("'<f8'", "(-1, 2)"), "not a plain array"),
        (header("'<f8'", "(1 2,)"), "impossible dimension"),
        (header("'<f8'", "(3, 2)") + bytes(40), "declares shape"),
        (header("'|O'", "(1,)") + pickle.dumps([print]), "pickles"),
        (header("'<c16'", "(1, 1)") + bytes(16), "real numbers are needed"),
        (header("'<U4'", "(1, 1)") + bytes(16), "real numbers are needed"),
        (header("'<M8[s]'", "(1, 1)") + bytes(8), "real numbers are needed"),
        (header("'<f3'", "(1, 1)") + bytes(3), "real numbers are needed"),
        (header("[('a', '<f8')]", "(1, 1)") + bytes(8), "not a plain array"),
        (header("__import__('os').abort()", "(1, 1)"), "not a plain array"),
        (b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little"), "no .npy header"),
        (b"", "no .npy header"),
        (b"not numpy at all", "no .npy header"),
        (npy(np.zeros((0, 10**12))), "X is empty"),
        (npy(np.float64(1.0)), r"X has shape \(\)"),
        (npy(np.full((3, 2), np.nan)), r"X\[0, 0\] is nan"),
    ],
)
def test_a_bad_array_is_refused(tmp_path: Path, X: bytes, message: str) -> None:
    file = archive(tmp_path / "bad.npz", {"X.npy": X, "y.npy": GOOD_Y})
    with pytest.raises(DataError, match=message) as caught:
        datasets.load(file)
    assert str(file) in str(caught.value)
    assert len(str(caught.value)) < len(str(file)) + 300


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(tmp_path / "sprung"),))

    np.savez(tmp_path / "trap.npz", X=np.array([[Trap()]], dtype=object), y=np.ones(1))
    with pytest.raises(DataError, match="pickles"):
        datasets.load(tmp_path / "trap.npz")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"y.npy": GOOD_Y}, "one array X; it holds y"),
        ({"X.npy": GOOD_X, "Y.npy": GOOD_Y}, "one array y; it holds X, Y"),
        ({}, "it holds nothing"),
    ],
)
def test_a_missing_array_is_named(tmp_path: Path, members: dict[str, bytes], message: str) -> None:
    with pytest.raises(DataError, match=message):
        datasets.load(archive(tmp_path / "bad.npz", members))


def test_an_array_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zeros = npy(np.zeros((1000, 1000)))
    file = archive(tmp_path / "bomb.npz", {"X.npy": zeros, "y.npy": npy(np.zeros(1000))})
    assert file.stat().st_size < 100_000
    assert datasets.load(file).X.shape == (1000, 1000)
    monkeypatch.setattr(_datafiles, "MAX_BYTES", 1_000_000)
    with pytest.raises(DataError, match="X unpacks to 8000128 bytes"):
        datasets.load(file)


def test_another_packing_is_refused(tmp_path: Path) -> None:
    file = archive(tmp_path / "bad.npz", {"X.npy": GOOD_X, "y.npy": GOOD_Y}, zipfile.ZIP_LZMA)
    with pytest.raises(DataError, match="packed by a method"):
        datasets.load(file)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # zipfile says so while the bad file is made
def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.npz", "w") as file:
        for name in ("X.npy", "X.npy", "y.npy"):
            file.writestr(name, GOOD_X)
    with pytest.raises(DataError, match="one array X; it holds X, X, y"):
        datasets.load(tmp_path / "two.npz")


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<f2", "<i8", "|u1", "|b1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_real_type_and_order_is_read(tmp_path: Path, dtype: str, order: Any) -> None:
    X = np.array([[0, 1, 1], [1, 0, 1]], dtype=dtype, order=order)
    np.savez_compressed(tmp_path / "good.npz", X=X, y=np.array([0, 1], dtype=dtype), extra=np.ones(3))
    np.testing.assert_array_equal(datasets.load(tmp_path / "good.npz").X, X.astype(float))


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    whole = archive(tmp_path / "whole.npz", {"X.npy": GOOD_X, "y.npy": GOOD_Y}).read_bytes()
    cut = tmp_path / "cut.npz"
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        with pytest.raises(DataError, match="cut off"):
            datasets.load(cut)


@given(changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_bytes_give_a_data_set_or_a_typed_error(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(archive(folder / "bad.npz", {"X.npy": GOOD_X, "y.npy": GOOD_Y}).read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    (folder / "bad.npz").write_bytes(content)
    try:
        data = datasets.load(folder / "bad.npz")
    except DataError:
        data = datasets.synthetic(3, 2)
    assert np.isfinite(data.X).all()
    assert len(data.X) == len(data.y)


# --- .csv -----------------------------------------------------------------------------------------


def table(tmp_path: Path, content: str | bytes) -> Path:
    file = tmp_path / "table.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


@pytest.mark.parametrize(
    "content",
    [
        "1,2,3\n4,5,6\n",
        "1,2,3\n4,5,6",
        "1,2,3\r\n4,5,6\r\n",
        "a,b,y\n1,2,3\n4,5,6\n",
        "# x1, x2, y\n1, 2, 3\n4, 5, 6\n",
        "\n1,2,3\n\n4,5,6\n\n",
        '"1","2","3"\n4.0,5e0,+6\n',
        b"\xef\xbb\xbf1,2,3\n4,5,6\n",
        b"\xef\xbb\xbfa,b,y\n1,2,3\n4,5,6\n",
    ],
)
def test_tables_as_programs_write_them(tmp_path: Path, content: str | bytes) -> None:
    data = datasets.load(table(tmp_path, content))
    np.testing.assert_array_equal(data.X, [[1, 2], [4, 5]])
    np.testing.assert_array_equal(data.y, [3, 6])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,2,3\n4,5\n", "line 2: 2 columns, but the lines before have 3"),
        ("1,2,3\n4,five,6\n", "line 2: 'five' is not a number"),
        ("1,2,y\n4,5,6\n", "line 1: 'y' is not a number"),
        ("a,b,c\nd,e,f\n1,2,3\n", "line 2: 'd' is not a number"),
        ("1,,3\n", "line 1: '' is not a number"),
        (",a,y\n0,1,2\n", "line 1: column 1 has no name. If it numbers the rows"),
        ("1;2;3\n4;5;6\n", "such as -1.5e-3, separated by commas"),
        ("1,2_0,3\n", "line 1: '2_0' is not a number"),
        ("1,2+3j,3\n", "is not a number"),
        ("1;2;3\n", "no row of numbers"),
        ("1 2 3\n4 5 6\n", "not a number"),
        ("1\n2\n", "has one column"),
        ("a,b,c\n", "no row of numbers"),
        ("1,nan,3\n", r"X\[0, 1\] is nan"),
        ("1,2,1e999\n", r"y\[0\] is inf"),
        ("1,2\x00,3\n", "line"),
        (b"\xff\xfe1\x00,\x002\x00", "not a text file"),
        (b"PK\x03\x04" + bytes(range(128, 256)), "not a text file"),
        ('1,"2\n', "unexpected end of data"),
        ("1," + "2" * 200_000 + "\n", "not a text file"),
    ],
)
def test_a_bad_table_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    file = table(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        datasets.load(file)
    assert str(file) in str(caught.value)
    assert len(str(caught.value)) < len(str(file)) + 300


def test_a_table_that_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_datafiles, "MAX_BYTES", 10)
    with pytest.raises(DataError, match="has 12 bytes; at most"):
        datasets.load(table(tmp_path, "1,2,3\n4,5,6\n"))


@given(content=st.text(alphabet="0123456789.,;-+einfa \"'\n\r\t\x00é", max_size=60))
def test_any_text_gives_a_data_set_or_a_typed_error(
    tmp_path_factory: pytest.TempPathFactory, content: str
) -> None:
    file = table(tmp_path_factory.mktemp("text"), content)
    try:
        data = datasets.load(file)
    except DataError:
        data = datasets.synthetic(3, 2)
    assert np.isfinite(data.X).all()
    assert len(data.X) == len(data.y)


def test_the_errors_are_the_toolkit_s_own() -> None:
    assert issubclass(DataError, ManifoldflowError)
    assert issubclass(DataError, ValueError)
