"""An instance that a search reports: everything needed to evaluate it again, in a file of text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manifoldflow.errors import DataError, ManifoldflowError
from verification.files import write_text
from verification.results import as_json, versions

from .family import Array, Family
from .inequalities import INEQUALITIES, Inequality

FORMAT = 1
_SIZE_LIMIT = 10_000_000


@dataclass(frozen=True, eq=False)
class Instance:
    """One inequality at one point: X (n, d), theta (m, d), a (m,), coefficients; the labels are the outputs there.

    `flattest` (m, n) starts Newton's method for the flattest features, and `ratio` is what the search found.
    """

    inequality: Inequality
    family: Family
    values: tuple[float, ...]
    X: Array
    theta: Array
    a: Array
    flattest: Array
    ratio: float
    seed: int

    @property
    def formula(self) -> str:
        """The activation with its coefficients."""
        return self.family.formula(self.values)

    @property
    def groups(self) -> tuple[int, ...]:
        """Sizes of the runs of units with equal weights and output weights."""
        rows = np.column_stack([self.theta, self.a])
        changes = np.flatnonzero(np.any(rows[1:] != rows[:-1], axis=1)) + 1
        return tuple(int(size) for size in np.diff([0, *changes, len(rows)]))

    @property
    def y(self) -> Array:
        """Labels in float64, (n,)."""
        outputs = self.family.table(self.theta @ self.X.T, self.values)[0]
        return np.asarray((self.a[:, None] * outputs).sum(axis=0))

    def save(self, path: Path) -> Path:
        """Write the instance as JSON; floats are written so that they come back with the same bits."""
        coefficients = dict(zip(self.family.names, self.values, strict=True))
        content = {
            "format": FORMAT, "inequality": self.inequality.name, "claim": self.inequality.text, "ratio": self.ratio,
            "family": self.family.text, "coefficients": coefficients, "activation": self.formula,
            "X": self.X.tolist(), "y": self.y.tolist(), "theta": self.theta.tolist(), "a": self.a.tolist(),
            "flattest": self.flattest.tolist(), "seed": self.seed, "versions": versions(),
        }  # fmt: skip
        return write_text(path, as_json(content) + "\n")


def load(path: Path) -> Instance:
    """Read an instance.

    Raises `DataError` where the file cannot be read or does not hold one; nothing in it is evaluated.

    >>> load(Path("/dev/null"))
    Traceback (most recent call last):
        ...
    manifoldflow.errors.DataError: /dev/null holds no instance of a search: Expecting value: line 1 column 1 (char 0)
    """
    try:
        text = path.read_bytes()[: _SIZE_LIMIT + 1]
    except OSError as error:
        raise DataError(f"Cannot read {path} ({error.strerror or error}).") from error
    try:
        if len(text) > _SIZE_LIMIT:
            raise ValueError(f"it has more than {_SIZE_LIMIT} bytes")
        return _instance(json.loads(text))
    except (ValueError, KeyError, TypeError, RecursionError, ManifoldflowError) as error:
        reason = f"no entry {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{path} holds no instance of a search: {reason}") from error


def _instance(content: dict[str, Any]) -> Instance:
    if content["format"] != FORMAT:
        raise ValueError(f"its format is {content['format']!r}; this version reads {FORMAT}")
    coefficients = {name: float(value) for name, value in content["coefficients"].items()}
    X, theta, flattest = (_matrix(content, name) for name in ("X", "theta", "flattest"))
    a = np.array(content["a"], dtype=float)
    m, n = len(a), len(X)
    if theta.shape != (m, X.shape[1]) or flattest.shape != (m, n) or not (np.isfinite(a).all() and (a != 0.0).all()):
        raise ValueError("its arrays do not fit together, or an output weight is 0 or not finite")
    family = Family.of(content["family"], {name: (value, value) for name, value in coefficients.items()})
    return Instance(
        inequality_named(content["inequality"]), family, tuple(coefficients.values()), X, theta, a, flattest,
        float(content["ratio"]), int(content["seed"]),
    )  # fmt: skip


def _matrix(content: dict[str, Any], name: str) -> Array:
    found = np.array(content[name], dtype=float)
    if found.ndim != 2 or found.size == 0 or not np.isfinite(found).all():
        raise ValueError(f"{name} must be a matrix of finite numbers")
    return found


def inequality_named(name: str) -> Inequality:
    """The inequality of that name.

    >>> inequality_named("S6*").sharper
    True
    """
    for inequality in INEQUALITIES:
        if inequality.name == name:
            return inequality
    raise DataError(f"There is no inequality {name!r}; there are {', '.join(x.name for x in INEQUALITIES)}.")
