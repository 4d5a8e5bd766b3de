"""Links from every "S13" and "A1" on the pages to the place where the theory states it."""

import re

from docutils import nodes

NUMBER = re.compile(r"\b[SA]\d+\b")
APART = (nodes.title, nodes.term, nodes.reference, nodes.literal, nodes.literal_block, nodes.raw, nodes.Invisible)
"""What is left as it is: headings, which contents repeat, other links, and programs."""


def link(app, doctree, docname):
    """Replace the numbers in running text by links; one that no page has as a label stays text."""
    if app.builder.format != "html":
        return
    labels = app.env.get_domain("std").anonlabels
    for text in list(doctree.findall(nodes.Text)):
        if not any(isinstance(node, APART) for node in ancestors(text)):
            text.parent.replace(text, pieces(text.astext(), lambda number: address(app, labels, docname, number)))


def ancestors(node):
    """What a node is part of, from the inside out."""
    while node.parent is not None:
        node = node.parent
        yield node


def address(app, labels, docname, number):
    """Where a statement is stated, seen from a page; None where it is no statement of ours."""
    page, anchor = labels.get(number.lower(), (None, None))
    return page and f"{app.builder.get_relative_uri(docname, page)}#{anchor}"


def pieces(text, address):
    """Text and links in turn.

    >>> [type(piece).__name__ for piece in pieces("see S1, not S99", {"S1": "#s1"}.get)]
    ['Text', 'reference', 'Text']
    """
    found, end = [], 0
    for match in NUMBER.finditer(text):
        target = address(match.group())
        if target:
            link = nodes.reference("", match.group(), internal=True, refuri=target, classes=["statement"])
            found += [nodes.Text(text[end : match.start()]), link]
            end = match.end()
    return [piece for piece in (*found, nodes.Text(text[end:])) if piece.astext()]


def setup(app):
    """Register the hook; it reads no page."""
    app.connect("doctree-resolved", link)
    return {"parallel_read_safe": True}
