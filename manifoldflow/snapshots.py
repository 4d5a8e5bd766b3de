"""What a checkpoint of a flow holds: everything that changes while an integration advances, as named arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .checkpoint import Arrays
from .compiled import stepping
from .trajectory import Segment
from .validation import Array

if TYPE_CHECKING:
    from .integration import Integration


def snapshot(run: Integration) -> dict[str, Array]:
    """Everything that changes while a run advances, as named arrays.

    An interruption and the step limit are not kept: a run that goes on from here is under way.
    """
    unfinished = run.reason in ("interrupted", "stopped", "step_limit")
    arrays = {
        "scalars": run.state.scalars, "W": run.state.W, "counters": run.state.counters,
        "reason": np.array("running" if unfinished else run.reason),
        "method": np.array(run.method), "steps": np.array(list(run.steps_by_method.values())),
        "stride": np.array(run.output.stride), "dense": np.array(run.output.dense),
        "sampled.t": np.array([entry[0] for entry in run.sampled]),
        "sampled.W": np.array([entry[1] for entry in run.sampled]).reshape(-1, *run.state.W.shape),
        "sampled.numbers": np.array([entry[2] for entry in run.sampled]).reshape(-1, 3),
    }  # fmt: skip
    if run.turning.at is not None:
        arrays["turned_at"] = run.turning.at
    for number, (times, points) in enumerate(zip(run.t_events, run.W_events, strict=True)):
        arrays[f"event{number}.t"] = np.array(times)
        arrays[f"event{number}.W"] = np.array(points).reshape(-1, *run.state.W.shape)
    for number, segment in enumerate(run.output.segments):
        for name in ("t", "W", "numbers", "dense", "turned_at"):
            if getattr(segment, name) is not None:
                arrays[f"segment{number}.{name}"] = getattr(segment, name)
        arrays[f"segment{number}.explicit"] = np.array(segment.explicit)
    return arrays


def put_back(run: Integration, arrays: Arrays) -> None:
    """Continue a run where `snapshot` saw it."""
    run.state.scalars[:], run.state.W[:], run.state.counters[:] = arrays["scalars"], arrays["W"], arrays["counters"]
    run.reason, run.method = str(arrays["reason"]), str(arrays["method"])
    run.turning.set_to(arrays.get("turned_at"))
    if run.state.counters[stepping.ACCEPTED] >= run.control.max_steps:
        run.reason = "step_limit"
    run.steps_by_method = dict(zip(run.steps_by_method, map(int, arrays["steps"]), strict=True))
    run.output.stride, run.output.dense = int(arrays["stride"]), bool(arrays["dense"])
    sampled = arrays["sampled.t"].tolist(), arrays["sampled.W"], arrays["sampled.numbers"]
    run.sampled = list(zip(*sampled, strict=True))
    for number in range(len(run.events)):
        run.t_events[number] = arrays[f"event{number}.t"].tolist()
        run.W_events[number] = list(arrays[f"event{number}.W"])
    count = sum(name.startswith("segment") and name.endswith(".t") for name in arrays)
    run.output.segments = [
        Segment(
            arrays[f"segment{number}.t"], arrays[f"segment{number}.W"], arrays[f"segment{number}.numbers"],
            arrays.get(f"segment{number}.dense"), bool(arrays[f"segment{number}.explicit"]),
            arrays.get(f"segment{number}.turned_at"),
        )
        for number in range(count)
    ]
