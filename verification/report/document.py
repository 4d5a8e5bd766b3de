"""What every page is made of: the frame with its style sheet, tables, plots. A page loads nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape as _escape

from .style import STYLE

_SIGNS = (
    ("phi'''", "\u03c6\u2034"), ("phi''", "\u03c6\u2033"), ("phi'", "\u03c6\u2032"), (r"phi\^-1", "\u03c6\u207b\u00b9"),
    (r"\bphi\b", "\u03c6"), ("rho1", "\u03c1\u2081"), ("rho2", "\u03c1\u2082"), (r"\blambda(?=_|\b)", "\u03bb"), (r"\bkappa\b", "\u03ba"), (r"\bbeta\b", "\u03b2"),
    (r"\bmu\b", "\u03bc"), ("sqrt\\(\u03bc\\)", "\u221a\u03bc"), (r"\beps\b", "\u03b5"), (r"\^2(?!\.?\d)", "\u00b2"), (r"\+-", "\u00b1"), ("\u00b1 ", "\u00b1\u00a0"), ("<=", "\u2264"), ("==", "="), (">=", "\u2265"),
)  # fmt: skip


def escape(text: str) -> str:
    """Text for HTML, with Greek letters and signs where the plain text of the table spells them out.

    >>> escape("mu of many multipliers <= rho1 in steps of eps, phi'^2")
    '\u03bc of many multipliers \u2264 \u03c1\u2081 in steps of \u03b5, \u03c6\u2032\u00b2'
    >>> escape("1 +- 2") == "1 \u00b1\u00a02"
    True
    """
    for pattern, sign in _SIGNS:
        text = re.sub(pattern, sign, text)
    return _escape(text)


def document(title: str, body: Iterable[str]) -> str:
    """A whole page; `body` is HTML.

    >>> document("a < b", ["<p>text</p>"]).splitlines()[-5:]
    ['<main>', '<p>text</p>', '</main>', '</body>', '</html>']
    """
    return _FRAME.format(title=_escape(title), style=STYLE, body="\n".join(body))


_FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def header(title: str, command: str, lead: str) -> str:
    """The title, the command that repeats the numbers, and a line of HTML that sums up."""
    shown = f"<p><code>{_escape(command)}</code></p>" if command else ""
    return f'<header><h1>{escape(title)}</h1>{shown}<p class="lead">{lead}</p></header>'


def plural(count: int, noun: str) -> str:
    """A count with its noun.

    >>> plural(1, "case"), plural(4, "case")
    ('1 case', '4 cases')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def plots(found: Iterable[tuple[str, str]]) -> str:
    """Plots side by side, each a caption and an SVG."""
    figures = "".join(f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>" for caption, svg in found)
    return f'<div class="plots">{figures}</div>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of text. Where a cell is long, narrow screens show its rows as cards, each cell under its column's name.

    >>> table(["x"], [["1 < 2"]])
    '<div class="wide"><table><thead><tr><th scope="col">x</th></tr></thead><tbody><tr><td>1 &lt; 2</td></tr></tbody></table></div>'
    >>> 'class="cards"' in table(["x", "y", "z"], [["1", "2", 40 * "3"]])
    True
    """
    lines = [list(row) for row in rows]
    cards = len(header) >= _COLUMNS and any(len(cell) >= _LETTERS for row in lines for cell in row)
    names = [_label(name, [row[k] for row in lines]) if cards else "" for k, name in enumerate(header)]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(f"<tr>{_cells(names, row)}</tr>" for row in lines)
    shown = '<table class="cards">' if cards else "<table>"
    return f'<div class="wide">{shown}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


# As on the documentation's pages: a table with so many columns, and a cell with so many letters, does not fit a
# telephone; columns of cells with at most so many stand side by side in a card.
_COLUMNS, _LETTERS, _BESIDE = 3, 40, 18


def _label(name: str, column: Sequence[str]) -> str:
    """The attributes of a column's cells; those of short ones stand side by side in a card."""
    kind = ' class="long"' if any(len(cell) > _BESIDE for cell in column) else ""
    return f'{kind} data-label="{escape(name)}"'


def _cells(names: Sequence[str], row: Sequence[str]) -> str:
    return "".join(f"<td{name}>{escape(cell)}</td>" for name, cell in zip(names, row, strict=True))
