"""The study of S9 and S14: how fast label-noise SGD approaches the flow, on which clock, and what its ends look like.

>>> from verification.study import QUICK, FULL
>>> QUICK.clock.runs < FULL.clock.runs
True
"""

from .run import Study, study
from .sizes import FULL, QUICK, Size

__all__ = ["FULL", "QUICK", "Size", "Study", "study"]
