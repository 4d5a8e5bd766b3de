"""LaTeX to MathML: the one place that knows the converter."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from derivations.errors import DerivationError

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@lru_cache(maxsize=4096)
def mathml(latex: str, *, display: bool = False) -> str:
    r"""Convert a formula, or refuse it; nothing is guessed.

    Args:
        latex: The formula, without dollars.
        display: Whether it stands by itself.

    Raises:
        DerivationError: math-core is not installed, or does not know something in the formula.

    >>> mathml(r"\kappa")
    '<math><mi>κ</mi></math>'
    """
    converter, error = _converter()
    try:
        return _spaced(str(converter.convert_with_local_state(latex, displaystyle=display)))
    except error as problem:
        reason = " ".join(_COLOURS.sub("", str(problem)).split())[:200]
        raise DerivationError(f"the formula {latex[:200]} cannot be converted to MathML: {reason}") from None


def _spaced(markup: str) -> str:
    r"""Room beside bars that stretch, which fractions would touch; and under a root that of a capital letter.

    Browsers set bars as narrow as they are drawn, and hang the smallest root sign from the top of what is under it, so
    that over a low letter it would stand below the line.

    >>> mathml(r"\sqrt{\mu}")
    '<math><msqrt><mspace height="0.8em" depth="0.1em"/><mi>μ</mi></msqrt></math>'
    """
    bars = markup.replace("<mo>|</mo>", '<mo lspace="0.12em" rspace="0.12em">|</mo>')
    return bars.replace("<msqrt>", '<msqrt><mspace height="0.8em" depth="0.1em"/>')


@lru_cache(maxsize=1)
def _converter() -> tuple[Any, type[Exception]]:
    try:
        # Imported here so that every other format works where there is no wheel of it.
        import math_core
    except ImportError:
        raise DerivationError(
            "an HTML page needs math-core to set formulas: run 'pip install math-core', or choose --format md, tex "
            "or ipynb"
        ) from None
    return math_core.LatexToMathML(), math_core.LatexError
