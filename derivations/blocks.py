"""Quantities with a component for each kind of parameter: the weights of z, then c_1, .., c_p."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sympy import Expr, Tuple

Block: TypeAlias = "Expr | Tuple"
"""An expression, or one for each of z, c_1, .., c_p."""


def each(block: Block, change: Callable[[Expr], Expr]) -> Block:
    """Apply a change to an expression or to each component of a block.

    >>> from derivations import symbols as sym
    >>> each(Tuple(sym.L, sym.F), lambda x: 2 * x)
    (2*L, 2*F)
    """
    return Tuple(*map(change, block)) if isinstance(block, Tuple) else change(block)


def components(block: Block) -> tuple[Expr, ...]:
    """The components of a block; an expression is a block of one.

    >>> from derivations import symbols as sym
    >>> components(sym.L)
    (L,)
    """
    return tuple(block) if isinstance(block, Tuple) else (block,)


def block(parts: list[Expr]) -> Block:
    """Make a block; one component alone stays an expression.

    >>> from derivations import symbols as sym
    >>> block([sym.L])
    L
    """
    return Tuple(*parts) if len(parts) > 1 else parts[0]
