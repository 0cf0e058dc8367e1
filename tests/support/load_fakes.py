"""Ways and benches without a service: what they answer is what the test says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence

from fakes import ManualClock

from flawline.application.tuning import CannotServeError
from flawline.core.load import Outcome, OutcomeKind
from flawline.core.tuning import Candidate, Step

OK = Outcome(OutcomeKind.VERDICT, "OK")


class HeldWay:
    """Answers when it is told to; `waiting` are the frames that have no answer yet, in their order."""

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes, int, asyncio.Future[Outcome]]] = []
        self.broken: Exception | None = None

    async def inspect(self, picture: bytes, caller: int) -> Outcome:
        if self.broken is not None:
            raise self.broken
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.waiting.append((picture, caller, answer))
        return await answer

    def answer_all(self, outcome: Outcome = OK) -> None:
        for _, _, answer in self.waiting:
            if not answer.done():
                answer.set_result(outcome)
        self.waiting.clear()


class ModelledBench:
    """A service that takes `start_s` to start and gives what `model` says of settings and callers."""

    def __init__(
        self, clock: ManualClock, model: Callable[[dict[str, int], int], Step], start_s: float = 2.0
    ) -> None:
        self.visits: list[tuple[Candidate, tuple[int, ...]]] = []
        self.steps: Counter[Candidate] = Counter()
        self._clock = clock
        self._model = model
        self._start_s = start_s

    async def measure(
        self, candidate: Candidate, callers: Sequence[int], step_s: float
    ) -> AsyncGenerator[Step, None]:
        self.visits.append((candidate, tuple(callers)))
        self._clock.advance(self._start_s)
        values = dict(candidate.values)
        if values.get("max_batch") == 13:
            raise CannotServeError("unlucky")
        for number in callers:
            await asyncio.sleep(0)
            self._clock.advance(step_s)
            self.steps[candidate] += 1
            yield self._model(values, number)
