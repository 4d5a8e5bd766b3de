"""Make `derivations/report/maths.woff2`, the font of the formulas in a derivation page, from STIX Math.

    apt-get download fonts-stix && dpkg -x fonts-stix_*.deb stix
    python tools/make_font.py stix/usr/share/fonts/opentype/stix-word/STIXMath-Regular.otf

A page carries its font so that brackets and roots stretch on every machine. The subset keeps the characters that
formulas are made of and the table that says how they stretch. It has a name of its own, as the font's licence asks
of changed versions. Needs fontTools (a dependency of matplotlib) and brotli.
"""

import sys
from pathlib import Path
from typing import Any

from fontTools import subset
from fontTools.pens.boundsPen import BoundsPen
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.transformPen import TransformPen
from fontTools.ttLib import TTFont

TARGET = Path(__file__).resolve().parent.parent / "derivations" / "report" / "maths.woff2"
NAME = "Manifoldflow Maths"

RANGES = (
    (0x20, 0x7E),  # ASCII
    (0xA0, 0xB7),
    (0xD7, 0xD7),
    (0x302, 0x308),  # accents
    (0x391, 0x3F5),  # Greek
    (0x2016, 0x2057),  # bars, primes, dots
    (0x2061, 0x2064),  # invisible operators
    (0x2102, 0x2133),  # letters kept outside the mathematical block: script M, R
    (0x2190, 0x21D4),  # arrows
    (0x2200, 0x22F1),  # operators
    (0x2308, 0x230B),  # floor and ceiling
    (0x239B, 0x23B3),  # pieces of brackets
    (0x27E8, 0x27EB),
    (0x2A7D, 0x2A7E),
    (0x1D400, 0x1D4CF),  # bold, italic, script
    (0x1D6A8, 0x1D6E1),
    (0x1D6E2, 0x1D71B),  # italic Greek
)

PRIMES = (0x2032, 0x2033, 0x2034, 0x2057)
"""STIX draws these small and raised; as superscripts, which MathML makes them, they would be smaller and higher."""

PRIME_SHAPE = (1.5, 0, 0, 1.8, 0, -664)

BARS = (0x7C, 0x2016)
"""The repeated piece of these may overlap on one side only; browsers reject that and do not stretch them."""

BAR_OVERLAP = 600

BRACKETS = (0x28, 0x29, 0x5B, 0x5D, 0x7B, 0x7D)
ROOT = 0x221A
TALLEST = 1900
"""Browsers give each bracket and root, whatever its height, the width of its widest form, and centre it in that. So
brackets above this height (a thousandth of the size each) are made from pieces, the others lose the room at their
sides, and tall roots become as narrow as the smallest.
"""

SIDE = 70


def main(source: str) -> None:
    """Subset the font and write it."""
    options = subset.Options(layout_features=[], notdef_outline=True, hinting=False, drop_tables=["FFTM"])
    font = subset.load_font(source, options)
    worker = subset.Subsetter(options)
    for code in BRACKETS:
        _leave_tall_ones_to_pieces(font, font.getBestCmap()[code])
    worker.populate(unicodes=[code for low, high in RANGES for code in range(low, high + 1)])
    worker.subset(font)
    for code in PRIMES:
        name = font.getBestCmap()[code]
        _redraw(font, name, PRIME_SHAPE, font["hmtx"][name][0] * PRIME_SHAPE[0])
    for code in BRACKETS:
        for record in _construction(font, font.getBestCmap()[code]).MathGlyphVariantRecord[1:]:
            _narrow(font, record.VariantGlyph)
    _make_roots_alike(font, font.getBestCmap()[ROOT])
    for code in BARS:
        _let_repeat(font, font.getBestCmap()[code])
    _rename(font)
    font.flavor = "woff2"
    font.recalcTimestamp = False
    font.save(TARGET)
    print(f"{TARGET}: {TARGET.stat().st_size} bytes, {len(font.getBestCmap())} characters")


def _leave_tall_ones_to_pieces(font: TTFont, name: str) -> None:
    """Drop the forms of a bracket that are drawn in one piece and tall."""
    construction = _construction(font, name)
    kept = [record for record in construction.MathGlyphVariantRecord if record.AdvanceMeasurement <= TALLEST]
    construction.MathGlyphVariantRecord, construction.VariantCount = kept, len(kept)


def _construction(font: TTFont, name: str) -> Any:
    """How a glyph grows in height."""
    variants = font["MATH"].table.MathVariants
    return variants.VertGlyphConstruction[variants.VertGlyphCoverage.glyphs.index(name)]


def _narrow(font: TTFont, name: str) -> None:
    """Leave the same little room on both sides of a glyph."""
    glyphs = font.getGlyphSet()
    pen = BoundsPen(glyphs)
    glyphs[name].draw(pen)
    left, _, right, _ = pen.bounds
    _redraw(font, name, (1, 0, 0, 1, SIDE - left, 0), right - left + 2 * SIDE)


def _make_roots_alike(font: TTFont, name: str) -> None:
    """Draw the tall forms of the root, and their pieces, as wide as the smallest."""
    construction, width = _construction(font, name), font["hmtx"][name][0]
    tall = {record.VariantGlyph for record in construction.MathGlyphVariantRecord[1:]}
    for glyph in sorted(tall | {part.glyph for part in construction.GlyphAssembly.PartRecords}):
        _redraw(font, glyph, (width / font["hmtx"][glyph][0], 0, 0, 1, 0, 0), width)


def _redraw(font: TTFont, name: str, shape: tuple[float, ...], advance: float) -> None:
    """Draw a glyph transformed, with another width."""
    width = round(advance)
    glyphs = font.getGlyphSet()
    pen = T2CharStringPen(width, glyphs)
    glyphs[name].draw(TransformPen(pen, shape))
    strings = font["CFF "].cff.topDictIndex[0].CharStrings
    old = strings[name]
    strings[name] = pen.getCharString(private=old.private, globalSubrs=old.globalSubrs)
    font["hmtx"][name] = (width, font["hmtx"][name][1])


def _let_repeat(font: TTFont, name: str) -> None:
    """Let the pieces of a bar overlap at both of their ends."""
    for part in _construction(font, name).GlyphAssembly.PartRecords:
        part.StartConnectorLength = part.EndConnectorLength = BAR_OVERLAP


def _rename(font: TTFont) -> None:
    """Names of its own, the copyright notice and the licence kept."""
    names = {1: NAME, 3: NAME, 4: NAME, 6: NAME.replace(" ", ""), 16: NAME}
    for record in list(font["name"].names):
        if record.nameID in names:
            record.string = names[record.nameID]
    if "CFF " in font:
        top = font["CFF "].cff
        top.fontNames = [NAME.replace(" ", "")]
        for key in ("FullName", "FamilyName"):
            setattr(top.topDictIndex[0], key, NAME)


if __name__ == "__main__":
    main(*sys.argv[1:])
