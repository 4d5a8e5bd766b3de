"""Sphinx configuration. Pages need no network and no script for formulas: MathML, with the font beside them."""

import sys
from pathlib import Path

from docutils import nodes

import manifoldflow
from derivations.report import mathml

sys.path.insert(0, str(Path(__file__).with_name("_ext")))

project = "manifoldflow"
author = "manifoldflow developers"
copyright = "2026, manifoldflow developers"
version = release = manifoldflow.__version__
language = "en_GB"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "pages",
    "statement_links",
    "table_labels",
]
exclude_patterns = ["_build", "_ext", "_static", "_style"]  # tables in _static are included by pages
html_theme = "furo"
html_title = f"manifoldflow {version}"
html_math_renderer = "mathml"
html_static_path = ["_style", str(Path(mathml.__file__).with_name("maths.woff2"))]
html_css_files = ["formulas.css", "pages.css"]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3  # links such as page.md#heading are checked

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # as the source has them: a default may be a long tuple
autodoc_typehints = "none"  # the docstrings give shapes, which type hints cannot
napoleon_numpy_docstring = False
napoleon_use_rtype = False  # what stands before a colon in Returns is text, and no class to link to

# `make doctest` runs the examples that a page marks as such; pytest runs those in docstrings.
doctest_test_doctest_blocks = ""
doctest_global_setup = "import manifoldflow as mf\nimport numpy as np"

# Classes of other projects: linking to them would need their inventories, and so the network.
nitpick_ignore_regex = [("py:.*", r"(numpy|np|scipy|sympy|numba|matplotlib|collections|pathlib|typing)\..*")]

default_role = "code"  # `name` in a docstring is code


def plain_bars(app, what, name, obj, options, lines):
    """Escape |x|, an absolute value in a docstring and a substitution in reStructuredText."""
    literal = None  # indent of the line that opened a literal block or a directive
    example = False
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if literal is not None and line.strip() and indent <= literal:
            literal = None
        if literal is None and not example:
            parts = line.split("`")  # those with odd numbers are code
            parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
            lines[number] = "`".join(parts)
        if literal is None and line.rstrip().endswith("::"):
            literal = indent


COLON = "\ue000"  # of a private use area: no docstring has it


def hide_colon(app, what, name, obj, options, lines):
    """Keep Napoleon from taking "A number: which one" for a type and a description, in a property's first line."""
    if what in {"attribute", "property"} and lines:
        lines[0] = lines[0].replace(": ", COLON)


def show_colon(app, what, name, obj, options, lines):
    """Undo `hide_colon`."""
    lines[:] = [line.replace(COLON, ": ") for line in lines]


def inline_formula(writer, node):
    """A formula in running text."""
    writer.body.append(mathml.mathml(node.astext()))
    raise nodes.SkipNode


def displayed_formula(writer, node):
    """A formula on a line of its own, which scrolls where it is too long."""
    writer.body.append(f'<div class="formula">{mathml.mathml(node.astext(), display=True)}</div>')
    raise nodes.SkipNode


def setup(app):
    """Register the hooks around Napoleon, which rewrites the sections at priority 500."""
    app.connect("autodoc-process-docstring", hide_colon, priority=100)
    app.connect("autodoc-process-docstring", plain_bars, priority=900)
    app.connect("autodoc-process-docstring", show_colon, priority=901)
    app.add_html_math_renderer("mathml", (inline_formula, None), (displayed_formula, None))
