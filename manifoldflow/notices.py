"""The toolkit's own warnings on a terminal: a line each, without the place in its source that Python adds."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from .errors import AssumptionWarning, CancellationWarning, IllConditionedWarning

_OURS = (AssumptionWarning, CancellationWarning, IllConditionedWarning)


def warn_in_one_line(program: str) -> Callable[[], None]:
    """From now on such warnings are printed as `program: warning: message`; returns what takes that back.

    >>> restore = warn_in_one_line("manifoldflow flow")
    >>> print(warnings.formatwarning("few digits are left.", IllConditionedWarning, "flow.py", 7), end="")
    manifoldflow flow: warning: few digits are left.
    >>> restore()
    """
    usual = warnings.formatwarning

    def formatted(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        if issubclass(category, _OURS):
            return f"{program}: warning: {message}\n"
        return usual(message, category, filename, lineno, line)

    def restore() -> None:
        warnings.formatwarning = usual

    warnings.formatwarning = formatted
    return restore
