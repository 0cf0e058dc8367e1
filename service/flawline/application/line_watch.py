"""Watches each declared line over time."""

from __future__ import annotations

from collections.abc import Iterable

from flawline.application.ports import Clock
from flawline.core.line_figures import LineFigures


class LineWatch:
    """What is known of the declared lines; others are not watched, so that memory is bounded."""

    def __init__(self, lines: Iterable[str], clock: Clock) -> None:
        self._clock = clock
        now_s = clock.monotonic_s()
        self._seen_s = dict.fromkeys(lines, now_s)

    def seen(self, line: str) -> None:
        """A frame of that line came."""
        if line in self._seen_s:
            self._seen_s[line] = self._clock.monotonic_s()

    def figures(self) -> tuple[LineFigures, ...]:
        """How each line does now."""
        now_s = self._clock.monotonic_s()
        return tuple(LineFigures(line, now_s - seen_s) for line, seen_s in self._seen_s.items())
