"""Errors of campaigns, one for each stage at fault."""

from __future__ import annotations

from manifoldflow.errors import ManifoldflowError


class DescriptionError(ManifoldflowError, ValueError):
    """A campaign's description is outside what is allowed; the message names the key, what came and what is allowed."""


class DatabaseError(ManifoldflowError):
    """A campaign's database cannot be made, read or written, or the file is something else."""


class ExportError(ManifoldflowError):
    """A table cannot be made in the format that was asked for."""
