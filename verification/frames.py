"""A verification report as a table: how `manifoldflow.interop` converts it, one row a check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from manifoldflow.interop import to_pandas, to_xarray
from manifoldflow.interop.extras import require
from manifoldflow.interop.tables import plain_attributes

from .records import Check, Verdict
from .results import VerificationReport, versions

_NUMBERS = ("measured", "bound", "tolerance", "margin", "uncertainty")


@to_pandas.register
def _(result: VerificationReport, attrs: Mapping[str, Any] | None = None) -> Any:
    pandas = require("pandas", "to_pandas")
    rows = [_row(verdict, check) for verdict in result.verdicts for check in verdict.checks or (None,)]
    frame = pandas.DataFrame(rows, columns=list(_row(None, None)))
    frame.attrs.update({**versions(), "exit_code": result.exit_code, **plain_attributes(attrs)})
    return frame


@to_xarray.register
def _(result: VerificationReport, attrs: Mapping[str, Any] | None = None) -> Any:
    xarray = require("xarray", "to_xarray")
    frame = to_pandas(result, attrs)
    columns = {name: ("check", np.array(frame[name].tolist())) for name in frame.columns}
    return xarray.Dataset(columns, attrs=frame.attrs)


def _row(verdict: Verdict | None, check: Check | None) -> dict[str, Any]:
    """A check and the verdict it belongs to; a verdict without checks has a row of its own, without numbers."""
    words = ("case", "statement", "title", "status", "reason", "seed")
    about = {name: getattr(verdict, name, "") for name in words}
    numbers = {name: getattr(check, name, np.nan) for name in _NUMBERS}
    return {
        **about,
        "check_status": getattr(check, "status", ""),
        "quantity": getattr(check, "quantity", ""),
        "relation": getattr(check, "relation", ""),
        **numbers,
        "sample_size": getattr(check, "sample_size", 0),
    }
