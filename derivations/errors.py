"""Errors of the toolkit: one base class, one class for each stage at fault.

The base lives here because `derivations` imports nothing of the other packages.
"""


class ManifoldflowError(Exception):
    """Base of every error that the toolkit raises on purpose."""


class FormulaError(ManifoldflowError, ValueError):
    """A formula is not one the toolkit can take; the message says where and what is allowed."""


class DerivationError(ManifoldflowError):
    """A derivation met an expression it has no rule for, or a machine check refused a record."""
