"""The adversarial search: the smallest margin of each inequality, and phase diagrams where A1 fails."""

from .driver import FAMILIES, Row, run
from .family import Coefficient, Family
from .inequalities import INEQUALITIES, Inequality
from .instance import Instance, inequality_named, load
from .optimise import FULL, QUICK, Effort
from .replay import Replay, replay

__all__ = [
    "FAMILIES",
    "FULL",
    "INEQUALITIES",
    "QUICK",
    "Coefficient",
    "Effort",
    "Family",
    "Inequality",
    "Instance",
    "Replay",
    "Row",
    "inequality_named",
    "load",
    "replay",
    "run",
]
