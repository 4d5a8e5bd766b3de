"""Links from every mention of a statement to its section."""

from __future__ import annotations

import re
from collections.abc import Collection

_TAG = re.compile(r"(<[^>]+>)")
_NAME = re.compile(r"</?(\w+)")
_NUMBER = re.compile(r"\bS\d+\b")
_APART = frozenset({"a", "h1", "h2", "h3", "code", "svg"})


def linked(body: str, statements: Collection[str]) -> str:
    """The HTML with links to the sections of these statements, but for headings, plots and what links already.

    In its own section a statement is not linked.

    >>> linked('<p>S3 of S14</p><section id="S3"><h2>S3</h2><p>S3</p></section>', {"S3"})
    '<p><a href="#S3">S3</a> of S14</p><section id="S3"><h2>S3</h2><p>S3</p></section>'
    """
    apart, here, made = 0, "", []
    for part in _TAG.split(body):
        name = _NAME.match(part)
        if name is None:
            made.append(part if apart else _NUMBER.sub(lambda found, here=here: _link(found[0], statements, here), part))
            continue
        made.append(part)
        if name[1] in _APART and not part.endswith("/>"):
            apart += -1 if part.startswith("</") else 1
        if name[1] == "section":
            here = part.partition('id="')[2].partition('"')[0]
    return "".join(made)


def _link(number: str, statements: Collection[str], here: str) -> str:
    return f'<a href="#{number}">{number}</a>' if number in statements and number != here else number
