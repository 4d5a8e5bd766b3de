"""The summary as one HTML page, which loads nothing from elsewhere."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from verification.report.axes import BLUE, ORANGE, RED, SIZE, new_axes
from verification.report.document import document, escape, header, plots, table
from verification.report.svg import SETTINGS, figure_svg
from verification.results import versions

from .rows import FlatRow
from .summary import Summary, rank, with_margin

_EDGE = 10.0
_TICKS = (-10.0, -1.0, -0.1, 0.0, 0.1, 1.0, 10.0)
_COLOURS = {"holds": BLUE, "inconclusive": ORANGE, "fails": RED}


def page(found: Summary, command: str = "") -> str:
    """The whole page."""
    body = [header(f"Campaign {found.path.stem}", command, escape(found.lead))]
    for item in found.tables:
        drawn = plots([_margins(found)]) if item.name == "margins" else ""
        body.append(f"<section><h2>{escape(item.title)}</h2>{drawn}{table(item.header, item.rows)}"
                    f'<p class="note">{escape(item.note)}</p></section>')  # fmt: skip
    used = ", ".join(f"{name} {number}" for name, number in versions().items())
    body.append(f"<footer><p>Every number is in the database; manifoldflow campaign export gives it as CSV, JSON or "
                f"Parquet. Page made with {escape(used)}.</p></footer>")  # fmt: skip
    return document(f"manifoldflow: campaign {found.path.stem}", body)


def _margins(found: Summary) -> tuple[str, str]:
    """Every margin, a statement a line."""
    with mpl.rc_context(SETTINGS):
        figure = _strip(with_margin(found.rows))
    caption = "Margins of verdicts that apply, a statement a line; left of 0 it fails. Those beyond 10 are at the edge."
    return caption, figure_svg(figure, "margins", caption)


def _strip(rows: list[FlatRow]) -> Figure:
    names = sorted({row["statement"] for row in rows}, key=rank)
    figure, axes = new_axes("margin (linear from -0.1 to 0.1)", "", "Margins")
    figure.set_size_inches(SIZE[0] * 1.3, 1.0 + 0.26 * len(names))
    axes.set_position((0.1, 0.62 / figure.get_figheight(), 0.87, 1.0 - 1.0 / figure.get_figheight()))
    for status, colour in _COLOURS.items():
        shown = [row for row in rows if row["status"] == status]
        if shown:
            heights = [names.index(row["statement"]) for row in shown]
            margins = np.clip([row["margin"] for row in shown], -_EDGE, _EDGE)
            axes.plot(margins, heights, "|", color=colour, markersize=9, label=status)
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set_xlim(-1.2 * _EDGE, 1.2 * _EDGE)
    axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)  # room for whole marks on the first and the last line
    axes.legend(fontsize=7.5, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(_COLOURS), borderaxespad=0.2)
    return figure
