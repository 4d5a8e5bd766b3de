"""The direction of imports, what may not be called, and how long a file may be, read off the syntax trees.

The rules are functions of a module's name and text, so that the tests at the end can feed them text that
breaks each one. What they cannot see: an import whose name is put together while the program runs, and a
SymPy function that reads text on its own account (`sympy.diff("x")`).
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("derivations", "manifoldflow", "verification")
MAX_LINES = 400

COMMAND_LINE = "manifoldflow.cli"
MAY_IMPORT_COMMAND_LINE = {"manifoldflow.__main__"}

# For each package, the top-level modules that it must not import.
FORBIDDEN_IMPORTS = {
    "derivations": {"numba", "llvmlite", "manifoldflow", "verification"},
    "manifoldflow": {"verification"},
    "verification": set(),
}
# Called on text they run it, whatever the text; unpickling does too.
FORBIDDEN_CALLS = {"eval", "exec", "parse_expr"}
FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}


def modules() -> list[tuple[str, Path]]:
    """Every module of the packages, as (dotted name, file)."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return [(".".join(file.relative_to(ROOT).with_suffix("").parts), file) for file in files]


def imported(name: str, tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of everything that a module imports, at its top or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = absolute(name, node)
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and called(node) in {"import_module", "__import__"} and node.args:
            yield literal(node.args[0])


def absolute(name: str, node: ast.ImportFrom) -> str:
    """Return the dotted name of the module that a `from` import names, relative ones included."""
    parents = name.split(".")[: -node.level] if node.level else []
    return ".".join(parents + ([node.module] if node.module else []))


def called(node: ast.Call) -> str:
    """Return the last part of the name that is called: `parse_expr` for `sympy.parsing.parse_expr(...)`."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def literal(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def wrong_imports(name: str, source: str) -> list[str]:
    """Return the imports that the direction of the packages does not allow."""
    targets = set(imported(name, ast.parse(source)))
    forbidden = set() if within_command_line(name) else FORBIDDEN_IMPORTS[name.split(".")[0]]
    wrong = {target for target in targets if target.split(".")[0] in forbidden | FORBIDDEN_MODULES}
    if name not in MAY_IMPORT_COMMAND_LINE and not within_command_line(name):
        wrong |= {target for target in targets if within_command_line(target)}
    return sorted(wrong)


def within_command_line(name: str) -> bool:
    return f"{name}.".startswith(f"{COMMAND_LINE}.")


def wrong_calls(source: str) -> list[str]:
    """Return the calls that would run text as a program, with their lines."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [f"line {node.lineno}: {ast.unparse(node)[:60]}" for node in calls if runs_text(node)]


def runs_text(node: ast.Call) -> bool:
    name = called(node)
    if name in {"eval", "exec"}:  # a method of such a name is something else: SymPy's Function.eval
        return isinstance(node.func, ast.Name) or ast.unparse(node.func).startswith("builtins.")
    if name == "sympify":  # with strict=True it refuses text
        return not has_keyword(node, "strict", True)
    if name == "S":  # SymPy's S(...) is sympify; S.One and the like are not calls
        return isinstance(node.func, ast.Name) or ast.unparse(node.func) in {"sympy.S", "sp.S"}
    return name in FORBIDDEN_CALLS or has_keyword(node, "allow_pickle", True)


def has_keyword(node: ast.Call, name: str, value: object) -> bool:
    return any(
        keyword.arg == name and isinstance(keyword.value, ast.Constant) and keyword.value.value is value
        for keyword in node.keywords
    )


@pytest.mark.parametrize(("name", "file"), modules(), ids=[name for name, _ in modules()])
def test_module_keeps_the_rules(name: str, file: Path) -> None:
    source = file.read_text(encoding="utf-8")
    assert wrong_imports(name, source) == []
    assert wrong_calls(source) == []
    assert len(source.splitlines()) <= MAX_LINES


def test_every_package_is_seen() -> None:
    assert {name.split(".")[0] for name, _ in modules()} == set(PACKAGES)


# --- the checker itself, on modules that break each rule ------------------------------------------


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("derivations.unit", "import numba"),
        ("derivations.unit", "from numba import njit"),
        ("derivations.unit", "import numba.core.types as t"),
        ("derivations.unit", "def f():\n    import manifoldflow.errors"),
        ("derivations.unit", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import verification"),
        ("derivations.unit", "import importlib\nimportlib.import_module('manifoldflow.flow')"),
        ("derivations.unit", "__import__('numba')"),
        ("derivations.unit", "import pickle"),
        ("manifoldflow.flow", "from verification import runner"),
        ("manifoldflow.flow", "from manifoldflow import cli"),
        ("manifoldflow.flow", "from .cli import main"),
        ("manifoldflow.flow", "from . import cli"),
        ("manifoldflow.codegen.emit", "from ..cli import main"),
        ("verification.runner", "import manifoldflow.cli"),
    ],
)
def test_a_wrong_import_is_refused(name: str, source: str) -> None:
    assert wrong_imports(name, source) != []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("derivations.unit", "import sympy\nfrom derivations.errors import FormulaError\nfrom . import a"),
        ("manifoldflow.flow", "import numba\nfrom derivations import unit\nfrom manifoldflow import clip"),
        ("manifoldflow.cli.verify", "from .options import show\nfrom verification import runner\nimport derivations"),
        ("manifoldflow.__main__", "from manifoldflow.cli import main"),
        ("verification.runner", "import manifoldflow as mf\nfrom derivations import UnitFunction"),
    ],
)
def test_a_right_import_is_accepted(name: str, source: str) -> None:
    assert wrong_imports(name, source) == []


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)",
        "exec(text, {})",
        "builtins.eval(text)",
        "sympy.sympify(text)",
        "sympify(text, strict=False)",
        "sp.S(text)",
        "S('1/3')",
        "from sympy.parsing.sympy_parser import parse_expr\nparse_expr(text)",
        "np.load(path, allow_pickle=True)",
        "def f(x):\n    return [eval(part) for part in x]",
    ],
)
def test_a_call_that_runs_text_is_refused(source: str) -> None:
    assert wrong_calls(source) != []


@pytest.mark.parametrize(
    "source",
    [
        "class f(sympy.Function):\n    @classmethod\n    def eval(cls, x):\n        return None",
        "spec.loader.exec_module(module)",
        "sympy.sympify(value, strict=True)",
        "sympy.S.One + sympy.Integer(2)",
        "np.load(path, allow_pickle=False)",
        "text = 'eval(1)'",
    ],
)
def test_a_harmless_call_is_accepted(source: str) -> None:
    assert wrong_calls(source) == []
