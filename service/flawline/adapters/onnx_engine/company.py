"""Whether the calls of the engines of a process come one at a time."""

from __future__ import annotations

_CALM_CALLS = 4
"""So many calls must have met no other one: under load, a moment without company is soon over."""


class Company:
    """Counts calls that are open. Not for several threads: calls are made on one event loop."""

    def __init__(self) -> None:
        self._open = 0
        self._calm_calls = 0

    def __enter__(self) -> None:
        self._open += 1
        if self._open > 1:
            self._calm_calls = 0

    def __exit__(self, *_: object) -> None:
        self._open -= 1
        if not self._open:
            self._calm_calls += 1

    @property
    def alone(self) -> bool:
        """Whether no other call is open, and none was during the last few."""
        return self._open == 1 and self._calm_calls >= _CALM_CALLS
