"""Workers of one process, which die together."""

from __future__ import annotations

from flawline.application.deadline import pause
from flawline.application.engine_watch import EngineWatch
from flawline.application.in_hand import InHand
from flawline.application.ports import Clock

_LOOK_EVERY_S = 0.02


class Crew:
    """One worker at a time may work alone: the others finish what they have, and begin nothing.

    One whose engine is stuck is neither waited for nor heeded: it may never end.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._engines: dict[InHand, EngineWatch] = {}
        self._alone: InHand | None = None

    def join(self, member: InHand, engine: EngineWatch) -> None:
        """One more, known by what it has in hand."""
        self._engines[member] = engine

    def admits(self, member: InHand, *, alone: bool = False) -> bool:
        """Whether it may begin; alone: the others may not then, until it gives that up."""
        first = self._alone or member
        if first is not member and not self._engines[first].stuck:
            return False
        if alone:
            self._alone = member
        return True

    def give_up(self, member: InHand) -> None:
        """The others may begin again."""
        if self._alone is member:
            self._alone = None

    async def until_admitted(self, member: InHand) -> None:
        """Wait until no other one works alone."""
        while not self.admits(member):
            await pause(self._clock, _LOOK_EVERY_S)

    async def until_others_ended(self, member: InHand) -> bool:
        """What they were being given just now, they hand back meanwhile.

        False when another works alone by then, since this one's engine was stuck.
        """
        others = [(one, engine) for one, engine in self._engines.items() if one is not member]
        working = bool(others)
        while working:
            await pause(self._clock, _LOOK_EVERY_S)
            working = any(not one.idle and not engine.stuck for one, engine in others)
        return self.admits(member, alone=True)
