"""Errors of the verification."""

from __future__ import annotations

from manifoldflow.errors import ManifoldflowError


class NotStatedError(Exception):
    """The conclusion of a statement cannot be written down for a case; the text says why."""


class OutputError(ManifoldflowError):
    """A result cannot be written; the message names the file and what the system said."""


class WorkerError(ManifoldflowError):
    """A process that tested a case died; the message says what may have happened."""


class UnfinishedError(ManifoldflowError):
    """A solver did not come to an end, so that there is nothing to judge."""
