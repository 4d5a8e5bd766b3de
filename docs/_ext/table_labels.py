"""Tables of text that a telephone can show: each cell carries the title of its column, which wide screens hide.

`pages.css` shows a row as a card where the screen is narrow. Tables of short cells stay tables, as their columns
are there to be compared; they scroll.
"""

from docutils import nodes

COLUMNS, LETTERS = 3, 40
"""A table with so many columns, and a cell with so many letters, is one of text that does not fit a telephone."""
BESIDE = 18
"""Columns of cells with at most so many letters stand side by side in a card."""


def label(app, doctree, docname):
    """Put its column's title into every cell but a row's first, which is the title of the card."""
    del docname  # Sphinx's, of the page
    if app.builder.format != "html":
        return
    for table in doctree.findall(nodes.table):
        titles = [entry.astext() for head in table.findall(nodes.thead) for entry in head.findall(nodes.entry)]
        rows = [row for body in table.findall(nodes.tbody) for row in body.findall(nodes.row)]
        longest = max((len(entry.astext()) for row in rows for entry in row.findall(nodes.entry)), default=0)
        if len(titles) >= COLUMNS and longest >= LETTERS:
            table["classes"].append("cards")
            columns = zip(*(list(row.findall(nodes.entry)) for row in rows), strict=True)
            for title, entries in list(zip(titles, columns, strict=True))[1:]:
                put(title, entries)


def put(title, entries):
    """Put the title into the cells of a column that say something, and mark those of a column of text."""
    long = any(len(entry.astext()) > BESIDE for entry in entries)
    for entry in entries:
        if long:
            entry["classes"].append("long")
        if title and entry.astext():
            entry.insert(0, nodes.inline("", title, classes=["column"]))


def setup(app):
    """Register the hook; it reads no page."""
    app.connect("doctree-resolved", label)
    return {"parallel_read_safe": True}
