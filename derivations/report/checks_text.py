"""What a machine check says, in words."""

from __future__ import annotations

from derivations.checks.result import CheckResult


def outcome(result: CheckResult) -> str:
    """Whether a check passed, and by how much.

    >>> from derivations.checks.result import verdict
    >>> outcome(verdict("loss", "autograd", 1e-16, 1e-9, ""))
    'passed: deviation 1.0e-16, at most 1e-09'
    """
    if not result.checked:
        return result.detail
    word = "passed" if result.passed else "REFUSED"
    if result.tolerance == 0:
        return f"{word}: {'exactly equal' if result.deviation == 0 else f'{result.deviation:g} differences'}"
    return f"{word}: deviation {result.deviation:.1e}, at most {result.tolerance:.0e}"
