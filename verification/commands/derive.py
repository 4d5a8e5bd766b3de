"""`manifoldflow derive`: the derivation for one unit function, checked, in any of the formats."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Any

import derivations
from derivations import Derivation, DerivationError, FormulaError, UnitFunction
from derivations.analysis.assumptions import assumptions
from derivations.analysis.enclosed import Enclosed
from derivations.checks import CheckResult, check_general
from derivations.report import Document, build, html, machine_readable, markdown, notebook, pdf, tex
from manifoldflow import __version__
from verification.files import write_bytes

EXTENSIONS: Mapping[str, str] = MappingProxyType(
    {"html": "html", "md": "md", "tex": "tex", "ipynb": "ipynb", "pdf": "pdf", "json": "json"}
)
"""The formats, and the extension of each file."""


@dataclass(frozen=True)
class Request:
    """What to derive, and how to write it.

    Args:
        formula: The unit function or activation; not used where `general`.
        own: Names of the unit's own trained scalars.
        general: Whether to leave the unit open.
        p: Number of own scalars of an open unit; 0 is an activation phi(z).
        formats: Names of formats; empty takes "md" to print and "html" to write.
        out: The folder to write to; None prints.
    """

    formula: str = "z**3 + z"
    own: tuple[str, ...] = ()
    general: bool = False
    p: int = 0
    formats: tuple[str, ...] = ()
    out: Path | None = None

    @property
    def chosen(self) -> tuple[str, ...]:
        """The formats, each once."""
        return tuple(dict.fromkeys(self.formats)) or (("md",) if self.out is None else ("html",))

    @property
    def command(self) -> str:
        """The command that makes the report again."""
        subject = ["--general", "--p", str(self.p)] if self.general else ["--activation", self.formula]
        own = ["--own", ",".join(self.own)] if self.own else []
        # One folder for all: where a report was written does not change its bytes.
        out = ["--out", "report"] if self.out else []
        return shlex.join(["manifoldflow", "derive", *subject, *own, "--format", ",".join(self.chosen), *out])

    @property
    def program(self) -> str:
        """Python that derives the same, for a notebook."""
        if self.general:
            return (
                f"import derivations\n\nderivation = derivations.derive_general({self.p}, "
                f"separable={self.p == 0})\nderivation\n"
            )
        unit = f"derivations.UnitFunction({self.formula!r}, own={self.own!r})"
        return f"import derivations\n\nderivation = derivations.derive({unit})\nderivation\n"


@dataclass(frozen=True)
class _Made:
    """A derivation with all that its report says."""

    request: Request
    derivation: Derivation
    checks: tuple[CheckResult, ...]
    kernel: str
    enclosed: Enclosed | None = None

    @cached_property
    def document(self) -> Document:
        """The document of every format but JSON."""
        return build(self.derivation, self.checks, **self._rest)

    def json(self) -> str:
        """The same for programs."""
        return machine_readable(self.derivation, self.checks, **self._rest)

    @property
    def _rest(self) -> dict[str, Any]:
        command = self.request.command
        return {"kernel": self.kernel, "command": command, "versions": versions(), "enclosed": self.enclosed}


_WRITERS: Mapping[str, Callable[[_Made], str | bytes]] = MappingProxyType(
    {
        "html": lambda made: html(made.document),
        "md": lambda made: markdown(made.document),
        "tex": lambda made: tex(made.document),
        "ipynb": lambda made: notebook(made.document, made.request.program),
        "pdf": lambda made: pdf(made.document),
        "json": lambda made: made.json(),
    }
)


def derive(request: Request) -> str:
    """Derive, check and write; what is returned is to be printed.

    Raises:
        FormulaError: the formula, a name or the combination of options is not one the toolkit can take.
        DerivationError: a check refused a record, or what a format needs is not installed.

    >>> print(derive(Request("sinh(z)")).splitlines()[0])
    # Derivation for sinh(z)
    """
    _check_request(request)
    made = _made(request)
    if request.out is None:
        return str(_WRITERS[request.chosen[0]](made)).rstrip("\n")
    paths = [_written(request.out, name, _WRITERS[name](made)) for name in request.chosen]
    return "\n".join(f"wrote {path}" for path in paths)


def _check_request(request: Request) -> None:
    unknown = [name for name in request.chosen if name not in EXTENSIONS]
    if unknown:
        raise FormulaError(f"there is no format {unknown[0]!r}; the formats are {', '.join(EXTENSIONS)}")
    if request.out is None and (len(request.chosen) > 1 or request.chosen == ("pdf",)):
        raise FormulaError(f"{', '.join(request.chosen)} cannot be printed; name a folder with --out")
    if request.general and request.own:
        raise FormulaError("--own names the scalars of a formula; with --general give their number with --p")
    if request.p and not request.general:
        raise FormulaError(
            "--p is the number of scalars of an open unit, with --general; name those of a formula with --own"
        )


def _made(request: Request) -> _Made:
    if request.general:
        general = derivations.derive_general(request.p, separable=request.p == 0)
        return _Made(request, general, _passed(check_general(general)), "")
    # Imported here because it loads the compiler, which an open unit does not need.
    from manifoldflow.codegen.emit import unit_source

    unit = UnitFunction(request.formula, request.own)
    derivation = derivations.derive(unit)
    kernel = unit_source(unit, __version__)
    return _Made(request, derivation, _passed(derivation.check(rng=0)), kernel, enclosed(unit))


def enclosed(unit: UnitFunction) -> Enclosed | None:
    """What interval arithmetic proves where the derivation decides no signs: A1, on the interval where a grid shows it.

    >>> enclosed(UnitFunction("sinh(z) + z**3/5")).constants["rho2"]
    ('2.199999', '2.200001')
    >>> enclosed(UnitFunction("sinh(z)")) is None
    True
    """
    seen = None if unit.phi is None or assumptions(unit).exact else assumptions(unit).interval
    if seen is None:
        return None
    from manifoldflow.certificates import enclose_activation
    from manifoldflow.certificates.record import above, below

    found = enclose_activation(unit, (float(seen.low), float(seen.high)))
    if not found.certificate("A1").proved or found.ratio is None:
        return None
    constants = {"rho1": found.rho1, "rho2": found.rho2, "gamma": found.ratio}
    if found.certificate("A3").proved and found.beta.high < inf:
        constants["beta"] = found.beta
    bounds = {name: (below(value.low, 7), above(value.high, 7)) for name, value in constants.items()}
    return Enclosed(*found.interval, bounds, found.certificate("A1").arithmetic)


def _passed(checks: tuple[CheckResult, ...]) -> tuple[CheckResult, ...]:
    """The results, none of them a refusal."""
    refused = [f"{result.record} ({result.method})" for result in checks if result.checked and not result.passed]
    if refused:
        raise DerivationError(f"machine checks refused {', '.join(refused)}: please report the formula")
    return checks


def _written(folder: Path, name: str, content: str | bytes) -> Path:
    data = content.encode("utf-8") if isinstance(content, str) else content
    return write_bytes(folder / f"derivation.{EXTENSIONS[name]}", data)


def versions() -> dict[str, str]:
    """The versions of what derives and checks.

    >>> list(versions())[:2]
    ['manifoldflow', 'Python']
    """
    others = {name: metadata.version(name) for name in ("sympy", "mpmath", "numpy", "autograd")}
    return {"manifoldflow": __version__, "Python": platform.python_version()} | others
