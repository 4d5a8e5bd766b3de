"""Your own Python functions as tasks, named from Python only."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import DescriptionError
from .fields import shown
from .task import Task, canonical


@dataclass(frozen=True)
class Call:
    """A function as a task: imported by its name where the task runs, called with keyword arguments.

    Args:
        function: "module:function". It returns a flat dict of numbers, texts, booleans and None.
        arguments: keyword arguments, JSON's own types; with the name they are what the result is kept under. Give the
            seed here: what a function draws from elsewhere is not repeated.

    Raises `DescriptionError` where the name or an argument is something else.

    >>> Call("operator:index", {"a": 1}).task().kind
    'call'
    """

    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        module, _, name = self.function.partition(":") if isinstance(self.function, str) else ("", "", "")
        if not all(part.isidentifier() for part in [*module.split("."), name]):
            raise DescriptionError(f"function is {shown(self.function)}; allowed: 'module:function'.")
        try:
            canonical(dict(self.arguments))
        except (TypeError, ValueError) as error:
            raise DescriptionError(f"arguments of {self.function}: {error}; allowed: JSON's own types.") from error

    def task(self) -> Task:
        """The task."""
        return Task("call", {"function": self.function, "arguments": dict(self.arguments)})


def named_function(name: str) -> Callable[..., Any]:
    """The function "module:function"; raises what importing it raises."""
    module, _, attribute = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found
