"""The theorems as tests: statements, the evidence they are judged on, verdicts, and the report.

>>> [statement.id for statement in STATEMENTS]
['S1', 'S2', 'S3', 'S4', 'S5', 'S6', 'S7', 'S8', 'S9', 'S10', 'S11', 'S12', 'S13', 'S14']
"""

from . import frames as frames  # registers the conversions of reports with manifoldflow.interop
from .cases import make_cases
from .evidence import Evidence
from .records import Case, Check, Statement, Verdict
from .results import VerificationReport
from .runner import verify
from .statements import STATEMENTS

__all__ = [
    "STATEMENTS",
    "Case",
    "Check",
    "Evidence",
    "Statement",
    "Verdict",
    "VerificationReport",
    "make_cases",
    "verify",
]
