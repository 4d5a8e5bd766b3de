"""Import of tools that are optional."""

import importlib
from types import ModuleType

from ..errors import MissingExtraError


def require(name: str, purpose: str) -> ModuleType:
    """Import an optional tool; `MissingExtraError` where it is not installed.

    >>> require("math", "square roots").sqrt(4.0)
    2.0
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
        raise MissingExtraError(
            f"{purpose} needs {name}, which is not installed: pip install 'manifoldflow[interop]'."
        ) from error
