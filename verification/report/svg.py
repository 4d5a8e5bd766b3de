"""Matplotlib figures and formulas as SVG to put into a page: same bytes every time, no links, ids of their own."""

from __future__ import annotations

import io
import re
from functools import lru_cache
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "manifoldflow",
    "svg.fonttype": "path",
    "mathtext.fontset": "cm",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.titlesize": 10.0,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def figure_svg(figure: Figure, name: str, description: str) -> str:
    """A figure as an `<svg>` element, its ids prefixed with `name` and its description for those who cannot see it."""
    return _element(_render(figure), name, description)


def standalone(svg: str) -> str:
    """An `<svg>` element as a file of its own."""
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return svg.replace("<svg", f"<svg {spaces}", 1) + "\n"


@lru_cache(maxsize=64)
def formula_svg(latex: str, name: str) -> str:
    """A formula as an `<svg>` element, with its LaTeX as the text alternative."""
    with mpl.rc_context(SETTINGS):
        figure = Figure()
        FigureCanvasSVG(figure)
        figure.text(0.0, 0.0, f"${latex}$", fontsize=15.0)
        return _element(_render(figure, tight=True), name, latex)


def _render(figure: Figure, tight: bool = False) -> str:
    stream = io.StringIO()
    options = {"bbox_inches": "tight", "pad_inches": 0.03} if tight else {}
    with mpl.rc_context(SETTINGS):
        figure.savefig(stream, format="svg", transparent=True, metadata=_NO_METADATA, **options)
    return stream.getvalue()


def _rounded(match: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point."""
    return f' {match[1]}="{_hundredths(match[2])}"'


def _hundredths(text: str) -> str:
    """Numbers to two decimals.

    >>> _hundredths("M 1.23456 -0.001 L 2 3.5")
    'M 1.23 -0 L 2 3.5'
    """
    return re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), text)


def _element(text: str, name: str, description: str) -> str:
    """The `<svg>` element of a document, without declarations, metadata and namespaces, which HTML does not need."""
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", body)
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', body))
    used = {found for pair in used for found in pair if found}
    body = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", body)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    body = re.sub(r"\s*<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r">\s+<", "><", body)
    body = re.sub(r"\s+", " ", body)
    body = re.sub(r' (d|x|y)="([^"]*)"', _rounded, body)
    body = re.sub(r"(translate)\(([^)]*)\)", lambda found: f"translate({_hundredths(found[2])})", body)

    body = body.replace("<style type=\"text/css\">*{stroke-linejoin: round; stroke-linecap: butt}</style>", "")
    label = escape(description, quote=True)
    return body.replace("<svg", f'<svg role="img" aria-label="{label}"', 1).rstrip()
