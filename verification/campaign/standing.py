"""How far a campaign is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """How far a campaign is: `asked` tasks, of which so many are `done` and `failed`; `rate`: tasks a second by this
    driver, and `seconds` that it has been at work.
    """

    asked: int
    done: int
    failed: int
    rate: float = 0.0
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def left(self) -> int:
        """Tasks without a result."""
        return self.asked - self.done - self.failed

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far; None where nothing is known."""
        return self.left / self.rate if self.rate > 0.0 else None

    @property
    def exit_code(self) -> int:
        """130 interrupted, 1 some tasks failed or were not reached, 0 all are done."""
        if self.interrupted:
            return 130
        return 0 if self.done == self.asked else 1
