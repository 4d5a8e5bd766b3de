"""The report: one HTML page with plots, and the numbers as JSON.

>>> import tempfile
>>> from pathlib import Path
>>> from verification.results import VerificationReport
>>> with tempfile.TemporaryDirectory() as folder:
...     sorted(path.name for path in write_report(VerificationReport(()), Path(folder)))
['index.html', 'verification.json']
"""

from __future__ import annotations

from pathlib import Path

from verification.files import write_text
from verification.results import VerificationReport

from .page import page

__all__ = ["page", "write_report"]


def write_report(report: VerificationReport, folder: Path, command: str = "") -> tuple[Path, Path]:
    """Write `index.html` and `verification.json` into a folder, which is made; each file is whole or as it was.

    Raises `OutputError` where the folder cannot be written.
    """
    numbers = write_text(folder / "verification.json", report.to_json(command))
    return write_text(folder / "index.html", page(report, command)), numbers
