"""When a worker takes more, where others take from the same queue."""

from __future__ import annotations

from flawline.application.engine_watch import EngineWatch
from flawline.application.ports import Clock
from flawline.application.taken import TakenPictures

_SHARE_OF_A_RUN = 0.5


class Appetite:
    """As long as its engine has enough to do, a worker pauses between two times that it takes.

    So one that has nothing to do comes first, and what was submitted meanwhile is taken in one go.

    parallel: how many batches the engine runs side by side.
    """

    def __init__(
        self, engine: EngineWatch, taken: TakenPictures, clock: Clock, parallel: int
    ) -> None:
        self._engine = engine
        self._taken = taken
        self._clock = clock
        self._parallel = parallel

    async def until_hungry(self) -> None:
        """Return once a thread of the engine has nothing to do; at the latest after half of what one picture needs."""
        latest_s = self._clock.monotonic_s() + _SHARE_OF_A_RUN * self._engine.expected_s(1)
        while self._sated and self._clock.monotonic_s() < latest_s:
            await self._engine.until_one_ends(latest_s)

    @property
    def _sated(self) -> bool:
        """Whether each thread of the engine has a picture, or will have."""
        return len(self._taken) + self._engine.running >= self._parallel
