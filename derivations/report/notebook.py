"""The document as a Jupyter notebook: the text in cells, a section a group, and one cell that derives it again."""

from __future__ import annotations

import json
from typing import Any

from derivations.report.document import Block, Document, Heading
from derivations.report.markdown import JUPYTER, Writer, escaped


def notebook(document: Document, program: str) -> str:
    """Write a document as a notebook of format 4.5.

    Args:
        document: What to write.
        program: Python that makes the derivation again, for the first cell.
    """
    writer = Writer(document, JUPYTER)
    groups = _groups(document)
    cells = [_cell("markdown", f"# {escaped(document.title)}", 0), _cell("code", program, 1)]
    for number, group in enumerate(groups, start=2):
        cells.append(_cell("markdown", "\n\n".join(map(writer.block, group)), number))
    content = {"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def _groups(document: Document) -> list[list[Block]]:
    """The blocks from each heading to the next."""
    groups: list[list[Block]] = [[]]
    for block in document.blocks:
        if isinstance(block, Heading):
            groups.append([])
        groups[-1].append(block)
    return [group for group in groups if group]


def _cell(kind: str, text: str, number: int) -> dict[str, Any]:
    source = text.splitlines(keepends=True)
    cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": source}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})
