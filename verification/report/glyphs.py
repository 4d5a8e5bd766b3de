"""Outlines of letters, which Matplotlib writes into every plot: once for a page."""

from __future__ import annotations

import re


def with_shared_glyphs(page: str) -> str:
    """A page in which the outlines of letters stand once and not in every plot: half of its size."""
    numbers: dict[str, int] = {}
    outlines: dict[int, str] = {}

    def taken(match: re.Match[str]) -> str:
        outlines.setdefault(numbers.setdefault(match[1], len(numbers)), match[2])
        return ""

    def used(match: re.Match[str]) -> str:
        return f'<use href="#g{numbers[match[1]]}"{_place(match[2])}/>'

    page = _USE.sub(used, _OUTLINE.sub(taken, page))
    paths = "".join(f'<path id="g{k}" {rest}/>' for k, rest in outlines.items())
    shared = f'<svg class="glyphs" aria-hidden="true" width="0" height="0"><defs>{paths}</defs></svg>\n' if paths else ""
    return shared + page.replace("<defs></defs>", "").replace("<defs> </defs>", "")


_LETTER = r"[\w-]*?-((?:DejaVu|Cm)[\w-]*)"
_OUTLINE = re.compile(rf'<path id="{_LETTER}" ([^>]*?)/>')
_USE = re.compile(rf'<use xlink:href="#{_LETTER}"([^>]*?)/>')


def _place(attributes: str) -> str:
    """A shift along the line in as few letters as it takes; other attributes as they are.

    >>> _place(' transform="translate(63.62 0)"'), _place(' transform="translate(1 2) scale(0.7)"')
    (' x="63.62"', ' transform="translate(1 2) scale(0.7)"')
    """
    return re.sub(r'^ transform="translate\(([\d.-]+) 0\)"$', r' x="\1"', attributes)
