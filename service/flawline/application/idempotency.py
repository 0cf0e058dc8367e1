"""One result for one request, however often a caller repeats it under its key."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from flawline.application.answer import KeptAnswer
from flawline.application.deadline import DeadlinePassed, pause, within
from flawline.application.intake import Intake
from flawline.application.order import Order
from flawline.application.ports import AnswerMemory, Clock
from flawline.core.errors import InspectionError, KeyReused
from flawline.core.values import Inspection, Verdict

logger = logging.getLogger(__name__)

# A claim is ended by whoever holds it; only one who died leaves it to its end.
_CLAIM_OUTLIVES_S = 1.0
_LOOK_AGAIN_S = 0.02

Run = Callable[[Order], Coroutine[Any, Any, Inspection]]


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """An idempotency key among all callers and lines."""

    caller: str
    line: str
    idempotency_key: str

    @property
    def text(self) -> str:
        """One text; as JSON, since names and keys may hold any separator."""
        return json.dumps([self.caller, self.line, self.idempotency_key])


@dataclass(frozen=True, slots=True)
class _Running:
    order: Order
    task: asyncio.Task[Inspection]


class Idempotency:
    """Runs each keyed order once.

    A repeat joins the first while that runs, in this process or another that shares the memory, and
    gets its answer afterwards. The first goes on when its caller has gone, until its own deadline.
    `Undefined` is no answer to keep: the next repeat runs anew. Keys are those of a caller and a
    line: two callers, or two lines, may use the same.
    """

    def __init__(self, memory: AnswerMemory, clock: Clock, intake: Intake, run: Run) -> None:
        self._memory = memory
        self._clock = clock
        self._intake = intake
        self._run = run
        self._running: dict[str, _Running] = {}
        self._keeping: dict[str, asyncio.Task[KeptAnswer]] = {}  # until our claim ends
        self._errands: set[asyncio.Task[None]] = set()

    async def answer(self, order: Order, idempotency_key: str) -> Inspection:
        """The one answer. Raises KeyReused, DeadlinePassed, and what running raises."""
        key = AnswerKey(order.caller, order.line, idempotency_key).text
        while (running := self._running.get(key)) is not None:
            order.accepted(order.deadline_s)
            try:
                inspection = await within(
                    self._clock, order.deadline_s, self._joined(running, order)
                )
            except InspectionError:
                if running.order.fingerprint == order.fingerprint:
                    raise
                continue  # what was wrong with another request says nothing of this one
            except DeadlinePassed:
                if self._clock.monotonic_s() >= order.deadline_s:
                    raise
                continue  # it was that of the other, who had less patience
            _same(order, KeptAnswer(running.order.fingerprint, inspection))
            if inspection.verdict is not Verdict.UNDEFINED:
                return inspection
        # Before anything is waited for: from here on it goes on without its caller.
        task = asyncio.create_task(self._found_or_run(key, order))
        self._running[key] = _Running(order, task)
        task.add_done_callback(lambda ended: self._ended(key, ended))
        try:
            return await asyncio.shield(task)
        finally:
            del task  # as in `within`

    async def forget(self, keys: Iterable[AnswerKey]) -> None:
        """Keep the answers under these keys no longer."""
        await self._memory.forget([key.text for key in keys])

    async def memory_id(self) -> str:
        """Names what remembers; another name means that all answers are forgotten."""
        return await self._memory.identity()

    async def _joined(self, running: _Running, order: Order) -> Inspection:
        await self._fingerprint(order)
        return await asyncio.shield(running.task)

    async def _fingerprint(self, order: Order) -> None:
        if not order.fingerprint:
            order.fingerprint = await self._intake.read(
                order.picture, partial(_fingerprint_of, order)
            )

    async def _found_or_run(self, key: str, order: Order) -> Inspection:
        await within(self._clock, order.deadline_s, self._fingerprint(order))
        kept = await within(self._clock, order.deadline_s, self._memory.find(key))
        if kept is not None:
            return _same(order, kept)
        return await self._run_and_keep(key, order)

    async def _run_and_keep(self, key: str, order: Order) -> Inspection:
        await within(self._clock, order.deadline_s, self._claim(key, order))
        try:
            # Between the first look and the claim, another process may have answered.
            kept = await within(self._clock, order.deadline_s, self._memory.find(key))
            if kept is None:
                inspection = await self._run(order)
                if inspection.verdict is Verdict.UNDEFINED:
                    return inspection
                kept = await self._kept(key, KeptAnswer(order.fingerprint, inspection), order)
            return _same(order, kept)
        finally:
            # The answer does not wait for it.
            errand = asyncio.create_task(self._release(key))
            self._errands.add(errand)
            errand.add_done_callback(self._errands.discard)

    async def _kept(self, key: str, answer: KeptAnswer, order: Order) -> KeptAnswer:
        """What is kept under the key now; the answer itself where keeping takes half of the time that is left.

        It was counted and told to those who watch: it must not become another because the memory hangs. Where it is
        only slow, or little time was left, the answer is kept all the same.
        """
        now_s = self._clock.monotonic_s()
        moment_s = now_s + (order.deadline_s - now_s) / 2
        keeping = self._keeping[key] = asyncio.create_task(self._memory.keep(key, answer))
        try:
            return await within(self._clock, moment_s, asyncio.shield(keeping))
        except DeadlinePassed:
            logger.debug("answer_kept_later inspection_id=%s", answer.inspection.inspection_id)
            return answer

    async def _release(self, key: str) -> None:
        """End our claim, once there is an answer to be found: who waits for it would inspect anew."""
        if (keeping := self._keeping.pop(key, None)) is not None:
            await self._hold_while(key, keeping)
        await self._memory.release(key)

    async def _hold_while(self, key: str, keeping: asyncio.Task[KeptAnswer]) -> None:
        """A memory that is slow may take beyond the deadline, and so beyond our claim."""
        while not keeping.done():
            # From when it is asked: where that takes long as well, the next one must not come later still.
            moment_s = self._clock.monotonic_s() + _CLAIM_OUTLIVES_S / 2
            await self._memory.hold(key, _CLAIM_OUTLIVES_S)
            with suppress(DeadlinePassed):
                await within(self._clock, moment_s, asyncio.wait({keeping}))

    async def _claim(self, key: str, order: Order) -> None:
        """Return once no other process works on the answer; whoever dies over it is waited out."""
        life_s = order.deadline_s - self._clock.monotonic_s() + _CLAIM_OUTLIVES_S
        while not await self._memory.claim(key, life_s):
            order.accepted(order.deadline_s)
            await pause(self._clock, _LOOK_AGAIN_S)

    def _ended(self, key: str, task: asyncio.Task[Inspection]) -> None:
        self._running.pop(key, None)
        if not task.cancelled():
            task.exception()  # fetched, or asyncio would report it when its caller has gone


def _same(order: Order, kept: KeptAnswer) -> Inspection:
    # The part is not in the fingerprint: answers that an earlier version kept must still be found.
    if kept.fingerprint != order.fingerprint or kept.inspection.part_id != order.part_id:
        raise KeyReused
    return kept.inspection


def _fingerprint_of(order: Order, picture: bytes) -> str:
    # The model as asked for, not as found: a key outlives a switch of the stable one.
    model = "".join(f"{word}/" for word in order.model_asked if word is not None)
    asked = f"{order.recipe.name}/{order.min_score}/{model}{order.frames_sha256}".encode()
    return hashlib.sha256(asked + hashlib.sha256(picture).digest()).hexdigest()
