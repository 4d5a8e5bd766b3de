"""Hostile formulas and data files: a result or a typed error, at once, and nothing is run.

The parser and the readers have fuzzers of their own beside their tests; these mutate what is valid, and go through the
whole chain, to a unit function or a data set.
"""

import io
import pickle
import random
import struct
import time
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import manifoldflow as mf
from manifoldflow.errors import DataError, FormulaError
from tests.robustness.drawn import examples, formulas

SECONDS = 20.0  # of CPU, for what takes milliseconds: a hang, not a slow machine


class Touched(Exception):
    """Raised by what must not be run."""


class Hostile:
    def __reduce__(self):
        return _touch, ()


def _touch():
    raise Touched


# --- formulas -------------------------------------------------------------------------------------


def parsed(text):
    """The unit of a text, or None where it is refused; in time."""
    start = time.process_time()
    try:
        unit = mf.UnitFunction(text)
    except FormulaError as error:
        unit = None
        explained = str(error)
        _require(len(explained) > 15 and len(explained) < 5000)
    _require(time.process_time() - start < SECONDS)
    return unit


def _require(condition):
    assert condition


@st.composite
def mutated(draw):
    text = list(draw(formulas()))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        pieces = st.sampled_from(["(", ")", "**", "z", "__", ".", "\n", "\x00", "1e9", "²"])
        piece = draw(st.one_of(st.characters(), pieces))
        if draw(st.booleans()):
            text[at:at] = piece
        else:
            text[at : at + draw(st.integers(0, 3))] = piece
    return "".join(text)


@examples(150)
@given(mutated())
def test_mutated_formulas(text):
    unit = parsed(text)
    if unit is not None:
        assert mf.UnitFunction(unit.formula, own=unit.own) == unit


@examples(100)
@given(st.binary(max_size=80))
def test_random_bytes(content):
    for encoding in ("latin-1", "utf-16-le"):
        parsed(content.decode(encoding, errors="surrogatepass" if encoding == "latin-1" else "replace"))


LONG = {
    "long sum": "+".join(["z"] * 900),
    "long product": "*".join(["(z+1)"] * 300),
    "nested": "(" * 500 + "z" + ")" * 500,
    "nested calls": "sin(" * 200 + "z" + ")" * 200,
    "tower": "z" + "**9" * 100,
    "right tower": "9**" * 50 + "z",
    "digits": "z*" + "9" * 1900,
    "signs": "-" * 1500 + "z",
    "powers of sums": "((((z+1)**64+1)**64+1)**64+1)**64",
    "huge": "z" * 10**6,
    "full width": "ｚ**3",
    "bidirectional": "z\u202e3**",
    "combining": "z\u0301",
    "division by nought": "z/(1-1)",
    "complex": "z*sqrt(-1)",
    "logarithm of nought": "z + log(0)",
    "overflow": "z*exp(exp(exp(exp(9))))",
    "constants that SymPy cannot compare": "z + atan(tan(1e300))",
    "constants that SymPy cannot factor": "z + cosh(asinh(5e-301))",
    "the same as a power": "z + (1 + 5e-301*5e-301)**0.5",
}


@pytest.mark.parametrize("name", LONG)
def test_formulas_that_could_take_for_ever(name):
    parsed(LONG[name])


# --- data files -----------------------------------------------------------------------------------


def npz(X, y):
    stream = io.BytesIO()
    np.savez(stream, X=X, y=y)
    return stream.getvalue()


def csv(X, y):
    return "\n".join(",".join(map(repr, row)) for row in np.column_stack([X, y]).tolist()).encode()


X, Y = np.arange(12.0).reshape(4, 3), np.arange(4.0)
VALID = {".npz": npz(X, Y), ".csv": csv(X, Y)}


def loaded(path, content):
    """The data of a file, or None where it is refused; in time."""
    path.write_bytes(content)
    start = time.process_time()
    try:
        found = mf.datasets.load(path)
    except DataError as error:
        found = None
        _require(len(str(error)) < 5000)
    _require(time.process_time() - start < SECONDS)
    return found


@pytest.mark.parametrize("suffix", VALID)
def test_truncated_flipped_and_spliced_files(suffix, tmp_path):
    valid, stream = VALID[suffix], random.Random(7)
    read = 0
    for number in range(250):
        content = bytearray(valid)
        kind = number % 3
        if kind == 0:
            content = content[: stream.randrange(len(content))]
        elif kind == 1:
            for _ in range(stream.randint(1, 5)):
                content[stream.randrange(len(content))] ^= 1 << stream.randrange(8)
        else:
            at, length = stream.randrange(len(content)), stream.randint(1, 40)
            content[at : at + stream.randint(0, 40)] = stream.randbytes(length)
        found = loaded(tmp_path / f"data{suffix}", bytes(content))
        if found is not None:
            read += 1
            assert np.isfinite(found.X).all()
            assert found.X.shape[0] == found.y.size
    assert read < 250  # damage is seen


def header(shape, descr="'<f8'"):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def archive(method=zipfile.ZIP_DEFLATED, **members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as out:
        for name, content in members.items():
            out.writestr(f"{name}.npy", content)
    return stream.getvalue()


ONE = header("(1,)") + struct.pack("<d", 1.0)
BOMBS = {
    "zeros that unpack to much": archive(X=header("(8192, 2048)") + bytes(1 << 20), y=ONE),
    "huge shape": archive(X=header("(999999999, 999999999)"), y=ONE),
    "negative shape": archive(X=header("(-1, 3)"), y=ONE),
    "shape of many dimensions": archive(X=header("(" + "1, " * 90 + ")") + struct.pack("<d", 1.0), y=ONE),
    "objects": archive(X=header("(1, 1)", "'|O'") + pickle.dumps([Hostile()]), y=ONE),
    "bare pickle": archive(X=pickle.dumps(Hostile()), y=ONE),
    "records": archive(X=header("(1, 1)", "[('a', '<f8')]") + bytes(8), y=ONE),
    "strings": archive(X=header("(1, 1)", "'<U2'") + bytes(8), y=ONE),
    "complex numbers": archive(X=header("(1, 1)", "'<c16'") + bytes(16), y=ONE),
    "times": archive(X=header("(1, 1)", "'<M8[s]'") + bytes(8), y=ONE),
    "code as a type": archive(X=header("(1, 1)", "__import__('os')") + bytes(8), y=ONE),
    "long header": archive(X=b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31 - 1) + b"{" * 1000, y=ONE),
    "no header": archive(X=b"", y=ONE),
    "archive in an archive": archive(X=archive(X=ONE, y=ONE), y=ONE),
    "no archive": pickle.dumps(Hostile()),
    "nothing": b"",
}


@pytest.mark.parametrize("name", BOMBS)
def test_hostile_archives_are_refused(name, tmp_path):
    assert loaded(tmp_path / "data.npz", BOMBS[name]) is None


TABLES = {
    "one long line": b"1," * 500_000,
    "one long cell": b"9" * 1_000_000 + b",1\n",
    "open quote": b'"1,2\n' * 1000,
    "nought bytes": b"\x00" * 1000,
    "utf-16": "1,2\n3,4\n".encode("utf-16"),
    "not a number": b"nan,1\n",
    "infinite": b"1e999,1\n",
    "formula": b"=1+1,2\n",
    "ragged": b"1,2\n1,2,3\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_hostile_tables_are_refused(name, tmp_path):
    assert loaded(tmp_path / "data.csv", TABLES[name]) is None


def test_the_hostile_object_would_be_noticed():
    with pytest.raises(Touched):
        pickle.loads(pickle.dumps(Hostile()))


@pytest.mark.parametrize("suffix", VALID)
def test_the_valid_files_are_read(suffix, tmp_path):
    found = loaded(tmp_path / f"data{suffix}", VALID[suffix])
    np.testing.assert_array_equal(found.X, X)
