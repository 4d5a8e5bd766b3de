"""Data sets: the ones that ship, Gaussian ones from a seed, and your own from an `.npz` or `.csv` file."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manifoldflow import _datafiles
from manifoldflow.errors import DataError, InputError
from manifoldflow.immutable import ReadOnlyArrays, lock

__all__ = ["NAMES", "DataSet", "digits", "load", "named", "resolve", "save", "synthetic"]

_DIGITS_SOURCE = (
    "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository "
    "(1998), doi:10.24432/C50P49, CC BY 4.0: 50 from scikit-learn's load_digits, seed 0, rows normalised"
)


@dataclass(frozen=True, eq=False)  # generated equality would compare arrays as if they were single numbers
class DataSet(ReadOnlyArrays):
    """Samples and labels, checked once: finite float64 arrays that cannot be written to.

    Args:
        name: short name, for reports and file names.
        X: (n, d), one sample a row; any real array-like, copied.
        y: (n,), the labels; any real array-like, copied.
        source: where the numbers come from, for reports.

    Raises:
        DataError: the arrays are not real, finite, non-empty and of these shapes.

    >>> data = DataSet("two points", X=[[1, 0], [0, 2]], y=[0.5, 1.0], source="made up")
    >>> data.X.shape, data.y.dtype.name
    ((2, 2), 'float64')
    """

    name: str
    X: NDArray[np.float64]
    y: NDArray[np.float64]
    source: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "X", _checked_array(self.X, "X", ndim=2))
        object.__setattr__(self, "y", _checked_array(self.y, "y", ndim=1))
        if len(self.X) != len(self.y):
            raise DataError(f"X has {len(self.X)} rows and y {len(self.y)} labels; give one label a row.")


def _checked_array(values: ArrayLike, name: str, *, ndim: int) -> NDArray[np.float64]:
    array = _real_array(values, name)
    if array.ndim != ndim:
        expected = "(n, d), one sample a row" if ndim == 2 else "(n,), one label for each sample"
        column = f"; {name}.ravel() has it" if ndim == 1 and array.shape[1:] == (1,) else ""
        raise DataError(f"{name} has shape {array.shape}; it must be {expected}{column}.")
    if array.size == 0:
        raise DataError(f"{name} is empty (shape {array.shape}); give at least one sample and one column.")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        place = ", ".join(str(k) for k in bad[0])
        raise DataError(
            f"{name}[{place}] is {array[tuple(bad[0])]}; all entries must be finite, {len(bad)} are not: "
            "remove those samples or fill them in."
        )
    lock(array)
    return array


def _real_array(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        raw = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} is not an array of numbers: {error}") from error
    if raw.dtype.kind not in "biuf":
        raise DataError(f"{name} has dtype {raw.dtype}; it must be real numbers, which are kept as float64.")
    with np.errstate(over="ignore"):  # what overflows becomes infinite, and is then refused by name
        return np.array(raw, dtype=np.float64, order="C")


def digits(n: int = 50) -> DataSet:
    """Return n of 50 handwritten digits: unit-norm rows with d = 64, labels y = (digit + 1)/10 in [0.1, 1].

    The rows are divided by their norms and not centred: centring would take one from the rank. All 50
    together have rank 50, and their Gram matrix has condition number 3.6e6 and smallest eigenvalue 9.6e-6: a
    stiff problem. The labels are positive, so that activations of one sign (softplus, the logistic sigmoid,
    z^2) reach them, and at most 1, so that two units of tanh or of the sigmoid do.

    Args:
        n: how many, from 1 to 50; the first n in the stored order, which is random.

    >>> data = digits()
    >>> data.X.shape, int(np.linalg.matrix_rank(data.X)), float(data.y.min()), float(data.y.max())
    ((50, 64), 50, 0.1, 1.0)
    """
    count = _count(n, "n", largest=50)
    with resources.as_file(resources.files("manifoldflow") / "data" / "digits.csv") as path:
        pixels, digit = _datafiles.read_csv(path)
    X = pixels / np.sqrt((pixels * pixels).sum(axis=1, keepdims=True))
    return DataSet("digits", X[:count], (digit[:count] + 1) / 10, _DIGITS_SOURCE)


def synthetic(n: int = 10, d: int = 20, *, rng: int | np.random.Generator = 0) -> DataSet:
    """Return n Gaussian samples, entries N(0, 1/d), with standard normal labels.

    Rows have norm close to 1, and for n well below d the Gram matrix is close to the identity.

    Args:
        n, d: numbers of samples and of columns, at least 1. Where n > d, the rows are dependent.
        rng: seed or NumPy `Generator`; the same seed gives the same numbers.

    >>> synthetic(3, 5, rng=1).X.shape
    (3, 5)
    >>> bool((synthetic(3, 5, rng=1).y == synthetic(3, 5, rng=1).y).all())
    True
    """
    rows, columns = _count(n, "n"), _count(d, "d")
    generator = _generator(rng)
    X = generator.standard_normal((rows, columns)) / np.sqrt(columns)
    seed = "a generator passed in" if isinstance(rng, np.random.Generator) else f"seed {rng}"
    y = generator.standard_normal(rows)
    return DataSet("synthetic", X, y, f"Gaussian, n = {rows}, d = {columns}, {seed}")


def _generator(rng: int | np.random.Generator) -> np.random.Generator:
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        message = f"rng = {rng!r} is not allowed; give a seed (an integer >= 0) or a NumPy Generator."
        raise InputError(message) from error


def _count(value: int, name: str, *, largest: int | None = None) -> int:
    allowed = f"an integer from 1 to {largest}" if largest else "an integer of at least 1"
    try:
        count = operator.index(value)
    except TypeError as error:
        raise InputError(f"{name} = {value!r} is not allowed; it must be {allowed}.") from error
    if isinstance(value, bool) or count < 1 or (largest is not None and count > largest):
        raise InputError(f"{name} = {value!r} is not allowed; it must be {allowed}.")
    return count


_BUILT_IN: dict[str, Callable[[], DataSet]] = {"digits": digits, "synthetic": synthetic}

NAMES: tuple[str, ...] = tuple(_BUILT_IN)
"""The data sets that `named` knows."""


def named(name: str) -> DataSet:
    """Return a built-in data set, with the default size and seed, by its name.

    Raises:
        DataError: the name is not in `NAMES`.

    >>> NAMES
    ('digits', 'synthetic')
    >>> named("synthetic").X.shape
    (10, 20)
    """
    if name not in _BUILT_IN:
        raise DataError(f"there is no built-in data set {name!r}; there are {', '.join(NAMES)}.")
    return _BUILT_IN[name]()


def resolve(name_or_path: str | Path) -> DataSet:
    """Return a built-in data set if its name is given, and load a file otherwise: what `--data` takes.

    >>> resolve("digits").name
    'digits'
    """
    if isinstance(name_or_path, str) and name_or_path in _BUILT_IN:
        return named(name_or_path)
    path = Path(name_or_path)
    if path.suffix or len(path.parts) > 1:
        return load(path)
    raise DataError(
        f"{str(name_or_path)!r} is neither a built-in data set ({', '.join(NAMES)}) nor an .npz or .csv file."
    )


_READERS = {".npz": _datafiles.read_npz, ".csv": _datafiles.read_csv}
_WRITERS = {".npz": _datafiles.write_npz, ".csv": _datafiles.write_csv}


def load(path: str | Path) -> DataSet:
    """Load a data set from a file, named after the file.

    * `.npz`: arrays `X` (n, d) and `y` (n,), as `numpy.savez(file, X=X, y=y)` writes them. Pickled objects
      are refused.
    * `.csv`: comma-separated numbers in UTF-8, one sample a line, the last column is y. The first line may be
      a header: it is one if none of its cells is a number, and every column has a name. Blank lines are skipped.

    Raises:
        DataError: the file is missing, of another kind, damaged or larger than 1 GiB, or its arrays are not
            those of a `DataSet`.
    """
    file = Path(path)
    reader = _READERS[_format_of(file)]
    try:
        if not file.is_file():
            found = "is not a regular file" if file.exists() else "does not exist"
            raise DataError(f"{file} {found}; name an .npz or .csv file, or one of {', '.join(NAMES)}.")
        X, y = reader(file)
    except OSError as error:
        raise DataError(f"cannot read {str(file)[:200]} ({error.strerror or error}).") from error
    try:
        return DataSet(file.stem, X, y, source=str(file))  # type: ignore[arg-type]  # made float64 there
    except DataError as error:
        raise DataError(f"{file}: {error}") from error


def save(data: DataSet, path: str | Path) -> None:
    """Save a data set as `.npz` or `.csv`; both give the same numbers back. The file is whole or not there.

    Raises:
        DataError: the file name ends in neither, or the file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(digits(), f"{folder}/digits.csv")
    ...     bool((load(f"{folder}/digits.csv").X == digits().X).all())
    True
    """
    file = Path(path)
    _WRITERS[_format_of(file)](file, data.X, data.y)


def _format_of(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise DataError(f"{str(path)[:200]} ends in {suffix or 'no extension'}; data files are .npz or .csv.")
    return suffix
