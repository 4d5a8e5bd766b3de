"""Directives for what pages take from the code when they are built, so that neither can say something else.

`{example} NAME` runs `examples/NAME.py` and shows its text, picture and program; with `:picture:` the picture alone.
`{generated} WHAT` shows a table or text that a function of `CONTENT` writes.
"""

import argparse
import ast
import importlib
import io
import os
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PICTURES = "_pictures"  # below the folder of the pages; git ignores it

PUBLIC = (
    "derivations",
    "derivations.checks",
    "derivations.report",
    "manifoldflow",
    "manifoldflow.certificates",
    "manifoldflow.checks",
    "manifoldflow.codegen",
    "manifoldflow.datasets",
    "manifoldflow.errors",
    "manifoldflow.interop",
    "manifoldflow.sgd",
    "verification",
    "verification.campaign",
    "verification.report",
    "verification.search",
)
"""Modules whose `__all__` the interface page must describe."""

LOG = logging.getLogger(__name__)


def notation():
    """Give the table that the derivations use."""
    from derivations.notation import notation_table

    return notation_table()


def statements():
    """Give what `verify` cannot see of each statement, and which inequalities `search` tries to break."""
    from verification import STATEMENTS
    from verification.search import INEQUALITIES

    head = ["| | statement | what the measurement would not notice | searched |", "|---|---|---|---|"]
    searched = {s.id: ", ".join(q.name for q in INEQUALITIES if belongs(q.name, s.id)) for s in STATEMENTS}
    rows = [f"| {s.id} | {s.title} ({s.source}) | {s.blind_spot} | {searched[s.id]} |" for s in STATEMENTS]
    return "\n".join(head + rows).replace("*", "\\*")


def belongs(inequality, statement):
    """Whether "S3r*" or "S10/S3" is about "S3" or "S10"."""
    return re.match(r"S\d+", inequality).group() == statement


def errors():
    """Give the tree of typed errors as text."""
    from manifoldflow.errors import ManifoldflowError

    return "\n".join(["```text", *branch(ManifoldflowError), "```"])


def branch(kind, depth=0):
    """Give a class of errors and those derived from it, one a line."""
    bases = [base.__name__ for base in kind.__bases__ if not base.__module__.startswith(("manifold", "deriv"))]
    own = ", ".join(name for name in bases if name != "Exception")
    lines = [f"{'  ' * depth}{kind.__name__}{f'  (also a {own})' if own else ''}"]
    children = sorted(kind.__subclasses__(), key=lambda child: child.__name__)
    return lines + [line for child in children for line in branch(child, depth + 1)]


def commands():
    """Give the help of every command."""
    from manifoldflow import cli

    os.environ["COLUMNS"] = "88"  # what argparse wraps its lines at
    top = cli.parser()
    found = next(action.choices for action in top._actions if isinstance(action, argparse._SubParsersAction))
    return "\n\n".join(f"## {name}\n\n```text\n{command.format_help()}```" for name, command in found.items())


CONTENT = {"notation": notation, "statements": statements, "errors": errors, "commands": commands}


class Generated(SphinxDirective):
    """A table or text written by the code."""

    required_arguments = 1

    def run(self):
        """Parse what the function gives as part of the page."""
        return parsed(self, CONTENT[self.arguments[0]]())


class Example(SphinxDirective):
    """An example: what it is about, its picture, its program."""

    required_arguments = 1
    option_spec: ClassVar = {"picture": directives.flag}

    def run(self):
        """Run the script, unless the builder shows no pictures."""
        name = self.arguments[0]
        script = EXAMPLES / f"{name}.py"
        source = script.read_text(encoding="utf-8")
        title, _, text = ast.get_docstring(ast.parse(source)).partition("\n")
        for file in (script, EXAMPLES / "figures.py"):
            self.env.note_dependency(str(file))
        picture = nodes.image(uri=f"/{PICTURES}/{name}.svg", alt=title, classes=["figure"], candidates={})
        if self.env.app.builder.format == "html":
            draw(name, Path(self.env.srcdir) / PICTURES / f"{name}.svg")
        else:
            picture = nodes.comment()
        if "picture" in self.options:
            return [picture]
        program = source[source.index('"""\n', 4) + 4 :].strip()
        listing = nodes.literal_block(program, program, language="python")
        place = nodes.paragraph("", "", nodes.literal("", f"examples/{name}.py"))
        return [*parsed(self, text.strip()), picture, place, listing]


def parsed(directive, markdown):
    """Give the nodes of Markdown within a page."""
    holder = nodes.container()
    lines = StringList(markdown.splitlines(), source="generated")
    directive.state.nested_parse(lines, directive.content_offset, holder, match_titles=1)
    return holder.children


def draw(name, target):
    """Run an example in this process; what it prints is not part of the page."""
    if str(EXAMPLES) not in sys.path:
        sys.path.insert(0, str(EXAMPLES))
    with redirect_stdout(io.StringIO()):
        figure = importlib.import_module(name).figure()
    target.parent.mkdir(exist_ok=True)
    importlib.import_module("figures").save(figure, target)


def warn_of_missing_names(app, env):
    """Warn of public names that no page describes; warnings are errors where the pages are built for good."""
    known = {name for name, _, kind, *_ in env.get_domain("py").get_objects()}
    for path in PUBLIC:
        module = importlib.import_module(path)
        for name in module.__all__:
            value = getattr(module, name)
            home = f"{getattr(value, '__module__', path)}.{getattr(value, '__qualname__', name)}"
            documented = known & {f"{path}.{name}", home, f"manifoldflow.{name}", getattr(value, "__name__", home)}
            if not documented:
                LOG.warning("no page describes %s.%s; docs/api.md is the place", path, name, type="api")


def setup(app):
    """Register the directives; pages are read one after another, as the examples share modules."""
    app.connect("env-check-consistency", warn_of_missing_names)
    app.add_directive("example", Example)
    app.add_directive("generated", Generated)
    return {"parallel_read_safe": False}
