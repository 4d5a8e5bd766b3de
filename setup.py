"""Build file: what is installed, what it needs, and the one command it provides.

The version is written once, in `manifoldflow/__init__.py`; it is read from the text here, because importing
the package would need its dependencies before they are installed.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
SUMMARY = "Sharpness-minimising flows on zero-loss manifolds: derived, solved and checked"
PACKAGES = ["derivations", "manifoldflow", "verification"]

# There are no upper bounds, since one that turns out to be wrong cannot be lifted by the person who meets it.
REQUIRED = [
    "numpy>=1.26",
    "scipy>=1.11",
    "sympy>=1.14",
    "autograd>=1.7",
    "numba>=0.61",
    "threadpoolctl>=3.1",
    "matplotlib>=3.8",
    # Sets the formulas of derivation pages. It is young, but small, and has wheels for these platforms; on others a
    # source build would need Rust, so there every format but HTML is left.
    "math-core>=0.9; platform_machine in 'x86_64 AMD64 arm64 ARM64 aarch64'",
]
REPORT = ["typst>=0.15", "mathra>=1.5"]  # derivations as PDF
TEST = [
    "nbformat>=5.10",
    "pytest>=8",
    "pytest-xdist>=3.2",  # a process for each processor, which psutil counts: `make unit`
    "psutil>=5.9",
    "hypothesis>=6.90",
    "joblib>=1.3",
    "scikit-learn>=1.4",
    "setuptools>=70.1",  # builds wheels by itself from here on: tests/test_packaging.py builds one
    "ruff>=0.6",
    "mypy>=1.11",
]
CLUSTER = ["distributed>=2024.5"]  # Dask: campaigns on several machines
PARQUET = ["pyarrow>=14"]
CERTIFY = ["python-flint>=0.6"]  # Arb, for formulas that float64 intervals cannot enclose
INTEROP = ["pymanopt>=2.2", "xarray>=2024.1", "pandas>=2.1"]  # manifoldflow.interop: each is imported only when used
OPTIONAL = CERTIFY + CLUSTER + INTEROP + PARQUET + REPORT
DOCS = ["sphinx>=7.3", "myst-parser>=3", "furo>=2024.5.6"]
# PyTorch is used where it is installed; on Linux its usual wheel brings some gigabytes for GPUs with it.
BENCH = ["jax>=0.4.30", "diffrax>=0.7", "scikit-sundae>=1.1", "heyoka>=4"]


def version() -> str:
    """Return the version that `manifoldflow/__init__.py` states."""
    text = (ROOT / "manifoldflow" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', text, flags=re.MULTILINE)
    if match is None:
        raise RuntimeError('manifoldflow/__init__.py has no line of the form: __version__ = "1.2.3"')
    return match.group(1)


def long_description() -> str:
    """Return the README, or the summary where there is none: it is not needed to build."""
    readme = ROOT / "README.md"
    return readme.read_text(encoding="utf-8") if readme.exists() else SUMMARY


setup(
    name="manifoldflow",
    version=version(),
    description=SUMMARY,
    long_description=long_description(),
    long_description_content_type="text/markdown",
    author="manifoldflow developers",
    license="BSD-3-Clause",
    license_files=["LICENSE", "manifoldflow/data/SOURCE.md", "derivations/report/FONT.md"],
    python_requires=">=3.11",
    packages=find_packages(include=[pattern for name in PACKAGES for pattern in (name, f"{name}.*")]),
    package_data={
        "": ["py.typed", "*.pyi"],
        "manifoldflow": ["data/*.csv", "data/*.md"],
        "derivations": ["report/*.woff2", "report/*.md"],
        "verification": ["campaign/*.toml"],
    },
    include_package_data=False,  # the list above is the whole list; MANIFEST.in is for the source archive
    zip_safe=False,
    install_requires=REQUIRED,
    extras_require={
        "certify": CERTIFY,
        "cluster": CLUSTER,
        "interop": INTEROP,
        "parquet": PARQUET,
        "report": REPORT,
        "test": TEST + OPTIONAL,
        "docs": DOCS,
        "bench": BENCH,
        "dev": TEST + OPTIONAL + DOCS,
    },
    entry_points={"console_scripts": ["manifoldflow = manifoldflow.cli:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Mathematics",
        "Typing :: Typed",
    ],
)
