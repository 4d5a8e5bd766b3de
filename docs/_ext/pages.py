"""Directives for what pages take from the code when they are built, so that neither can say something else.

`{example} NAME` runs `examples/NAME.py` and shows its text, picture and program; with `:picture:` the picture alone.
`{generated} WHAT` shows a table or text that a function of `CONTENT` writes.
"""

import ast
import importlib
import io
import sys
from contextlib import redirect_stdout
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PICTURES = "_pictures"  # below the folder of the pages; git ignores it


def notation():
    """Give the table that the derivations use."""
    from derivations.notation import notation_table

    return notation_table()


def statements():
    """Give what `verify` measures for each statement, and what it cannot see."""
    from verification import STATEMENTS

    head = ["| | statement | what the measurement would not notice |", "|---|---|---|"]
    return "\n".join(head + [f"| {s.id} | {s.title} ({s.source}) | {s.blind_spot} |" for s in STATEMENTS])


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


CONTENT = {"notation": notation, "statements": statements, "errors": errors}


class Generated(SphinxDirective):
    """A table or text written by the code."""

    required_arguments = 1

    def run(self):
        """Parse what the function gives as part of the page."""
        return parsed(self, CONTENT[self.arguments[0]]())


class Example(SphinxDirective):
    """An example: what it is about, its picture, its program."""

    required_arguments = 1
    option_spec = {"picture": directives.flag}

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
        return [*parsed(self, text.strip()), picture, nodes.paragraph("", "", nodes.literal("", f"examples/{name}.py")), listing]


def parsed(directive, markdown):
    """Give the nodes of Markdown within a page."""
    holder = nodes.container()
    directive.state.nested_parse(StringList(markdown.splitlines(), source="generated"), directive.content_offset, holder)
    return holder.children


def draw(name, target):
    """Run an example in this process; what it prints is not part of the page."""
    if str(EXAMPLES) not in sys.path:
        sys.path.insert(0, str(EXAMPLES))
    with redirect_stdout(io.StringIO()):
        figure = importlib.import_module(name).figure()
    target.parent.mkdir(exist_ok=True)
    importlib.import_module("figures").save(figure, target)


def setup(app):
    """Register the directives; pages are read one after another, as the examples share modules."""
    app.add_directive("example", Example)
    app.add_directive("generated", Generated)
    return {"parallel_read_safe": False}
