"""Typed errors, one for each stage at fault; every message says what came, what is allowed and what to do."""

from derivations.errors import DerivationError, FormulaError, ManifoldflowError

__all__ = [
    "AssumptionWarning",
    "CancellationWarning",
    "CertificateError",
    "CheckpointError",
    "CodegenError",
    "DataError",
    "DerivationError",
    "DivergenceError",
    "FormulaError",
    "GeometryError",
    "IllConditionedWarning",
    "InputError",
    "ManifoldflowError",
    "MissingExtraError",
    "ProjectionError",
    "UnreachableLabelsError",
]


class InputError(ManifoldflowError, ValueError):
    """An argument is outside its domain."""


class DataError(ManifoldflowError, ValueError):
    """A data set cannot be read or used."""


class CheckpointError(ManifoldflowError):
    """A checkpoint cannot be written or read, or belongs to a run with other arguments."""


class CodegenError(ManifoldflowError):
    """An expression cannot be compiled, or a pass changed its value."""


class GeometryError(ManifoldflowError):
    """The zero-loss set is not a manifold at this point (J J^T is singular), or the point is not on it."""


class CertificateError(ManifoldflowError):
    """Rigorous arithmetic is not to be had: of this machine, of this formula, or because an extra is not installed."""


class MissingExtraError(ManifoldflowError, ImportError):
    """A tool that this part works with is not installed; the message names the extra that brings it."""


class ProjectionError(ManifoldflowError):
    """Newton's method for the projection onto the manifold did not converge."""


class UnreachableLabelsError(ManifoldflowError, ValueError):
    """No parameters of this network reach the labels."""


class DivergenceError(ManifoldflowError):
    """A simulation left every bounded region; the message gives the stable step size."""


class AssumptionWarning(UserWarning):
    """An assumption of a theorem fails on the range that occurs; the message names what no longer applies."""


class IllConditionedWarning(UserWarning):
    """J J^T is so ill-conditioned that results have few digits left; the message says how many, and why."""


class CancellationWarning(UserWarning):
    """Terms of a formula cancel, so that float64 keeps few digits of it; the message says how many."""
