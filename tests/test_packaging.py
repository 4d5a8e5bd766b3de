"""What is built and installed, and what importing the package costs."""

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import manifoldflow

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("derivations", "manifoldflow", "verification")

NOT_SOURCE = (".git", ".venv*", "__pycache__", "build", "dist", "*.egg-info", ".*_cache", "_build")

# Importing any of these costs more than NumPy itself.
HEAVY = ("autograd", "llvmlite", "matplotlib", "mpmath", "numba", "scipy", "sklearn", "sympy")


def run(*arguments: str, cwd: Path | None = None) -> str:
    """Run a Python program in a fresh interpreter and return what it prints."""
    command = [sys.executable, "-W", "error", *arguments]
    done = subprocess.run(command, cwd=cwd or ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that are loaded after a statement in a fresh interpreter."""
    listing = run("-c", f"{statement}\nimport sys\nprint(*(name.split('.')[0] for name in sys.modules))")
    return set(listing.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import manifoldflow").isdisjoint({*HEAVY, "numpy", "derivations", "verification"})


def test_a_heavy_module_would_be_seen() -> None:
    assert "sympy" in loaded_by("import manifoldflow, sympy")


def test_the_public_names_are_the_lazy_names_and_the_names_for_type_checkers() -> None:
    tree = ast.parse(Path(manifoldflow.__file__).read_text(encoding="utf-8"))
    guard = next(node for node in tree.body if isinstance(node, ast.If))
    for_checkers = {
        alias.name for node in guard.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert {*manifoldflow._HOME, "__version__"} == set(manifoldflow.__all__) == {*for_checkers, "__version__"}
    assert dir(manifoldflow) == sorted(manifoldflow.__all__)


@pytest.mark.parametrize("name", sorted(manifoldflow.__all__))
def test_every_public_name_can_be_loaded(name: str) -> None:
    assert getattr(manifoldflow, name) is getattr(manifoldflow, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'sharpnes_flow'"):
        manifoldflow.sharpnes_flow  # noqa: B018


def test_the_version_is_the_same_everywhere() -> None:
    version = manifoldflow.__version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, flags=re.MULTILINE) == [version]
    assert re.findall(r"^## \[([^]]+)\]", changelog, flags=re.MULTILINE)[0] == version


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel and a source archive, built from a copy so that the tree stays clean."""
    folder = tmp_path_factory.mktemp("built")
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    # Without pip and its isolation: what is needed to build is in the `test` extra, so nothing is downloaded.
    # Setuptools warns of its own plans; those are for the day they come true.
    target = repr(str(folder))
    build = f"from setuptools import build_meta as b; b.build_sdist({target}); b.build_wheel({target})"
    run("-W", "default", "-c", build, cwd=tree)
    return folder


def wheel_names(built: Path) -> set[str]:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        return set(wheel.namelist())


def test_the_wheel_holds_every_module_and_data_file(built: Path) -> None:
    wanted = {"py", "typed", "csv", "md", "pyi", "woff2"}
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.*") if file.is_file()]
    expected = {file.relative_to(ROOT).as_posix() for file in files if file.suffix.lstrip(".") in wanted}
    names = wheel_names(built)
    assert {"manifoldflow/data/digits.csv", "derivations/report/maths.woff2"} <= names
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert expected - names == set()


def test_the_wheel_holds_nothing_else(built: Path) -> None:
    tops = {name.split("/")[0] for name in wheel_names(built)}
    assert tops == {*PACKAGES, f"manifoldflow-{manifoldflow.__version__}.dist-info"}


def test_the_wheel_names_command_licence_and_needs(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        info = f"manifoldflow-{manifoldflow.__version__}.dist-info"
        commands = wheel.read(f"{info}/entry_points.txt").decode()
        metadata = wheel.read(f"{info}/METADATA").decode()
        names = [name for name in wheel.namelist() if name.startswith(f"{info}/licenses/")]
    assert "manifoldflow = manifoldflow.cli:main" in commands
    assert "Requires-Python: >=3.11" in metadata
    assert {name.rpartition("/")[2] for name in names} == {"LICENSE", "SOURCE.md", "FONT.md"}
    needs = re.findall(r"^Requires-Dist: (.+)$", metadata, flags=re.MULTILINE)
    assert {re.match(r"[\w-]+", need).group() for need in needs if "extra ==" not in need} == {
        "autograd", "math-core", "matplotlib", "numba", "numpy", "scipy", "sympy", "threadpoolctl",
    }
    assert not [need for need in needs if "<" in need or "==" in need.split(";")[0]]


def test_the_source_archive_can_be_tested_and_documented(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    build = {"Makefile", "setup.py", "pyproject.toml", "LICENSE", "CITATION.cff", ".ci/run"}
    fonts = {"derivations/report/maths.woff2", "derivations/report/FONT.md", "tools/make_font.py"}
    pages = {"examples/collapse.py", "docs/_ext/pages.py", "docs/_static/collapse.svg", "docs/tutorials/order.py"}
    rest = {"docs/conf.py", "tests/conftest.py", "tools/make_digits.py", "manifoldflow/data/digits.csv"}
    wanted = build | fonts | pages | rest
    assert wanted - names == set()
