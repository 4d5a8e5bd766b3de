"""Campaigns: many tasks from one description, on any executor, their results in one database.

>>> import tempfile
>>> from pathlib import Path
>>> campaign = Campaign(grid={"n": 3, "d": 6, "width": 4, "seed": [0, 1], "statement": ["S2", "S7"]})
>>> with tempfile.TemporaryDirectory() as folder:
...     run(campaign, Path(folder) / "a.sqlite", processes=0).done
4
"""

from .calls import Call
from .database import Database
from .description import Campaign, load
from .drive import run
from .errors import DatabaseError, DescriptionError, ExportError
from .standing import Standing

__all__ = [
    "Call",
    "Campaign",
    "Database",
    "DatabaseError",
    "DescriptionError",
    "ExportError",
    "Standing",
    "load",
    "run",
]
