"""One result for one request, however often it is repeated under its key."""

from __future__ import annotations

import asyncio

import pytest
from fakes import settle
from pictures import DARK, numbered, quarters, truncated
from rig import Rig

from flawline.adapters.memory_answers import MemoryAnswers
from flawline.application.answer import KeptAnswer
from flawline.application.deadline import pause
from flawline.application.idempotency import AnswerKey
from flawline.core.errors import BadPicture, InvalidRequest, KeyReused
from flawline.core.values import Inspection, Verdict


async def test_a_repeat_gets_the_same_answer_and_is_not_inspected_again(rig: Rig) -> None:
    first = await rig.inspect(numbered(1), idempotency_key="k")
    again = await rig.inspect(numbered(1), idempotency_key="k")
    assert again == first
    assert rig.engine.sizes == [1]
    assert rig.telemetry.inspections == [first]


async def test_a_repeat_joins_the_first_while_it_runs(rig: Rig) -> None:
    rig.engine.hold()
    first = rig.ask(numbered(1), idempotency_key="k")
    await rig.engine.started.get()
    again = rig.ask(numbered(1), idempotency_key="k")
    await settle()
    rig.engine.release()
    assert await again == await first
    assert rig.engine.sizes == [1]


async def test_two_at_the_very_same_moment_are_one(rig: Rig) -> None:
    asking = [rig.ask(numbered(1), idempotency_key="k") for _ in range(5)]
    answers = await asyncio.gather(*asking)
    assert len({answer.inspection_id for answer in answers}) == 1
    assert rig.engine.sizes == [1]


async def test_the_answer_is_there_although_the_first_caller_went_away(rig: Rig) -> None:
    rig.engine.hold()
    first = rig.ask(numbered(1), idempotency_key="k")
    await rig.engine.started.get()
    first.cancel()
    await settle()
    rig.engine.release()
    await settle()
    assert (await rig.inspect(numbered(1), idempotency_key="k")).verdict is Verdict.NOT_OK
    assert rig.engine.sizes == [1]


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize(
    ("picture", "options"),
    [(numbered(2), {}), (numbered(1), {"min_score": 0.4}), (numbered(1), {"part_id": "SN-2"})],
)
async def test_another_request_under_the_key_is_refused(
    rig: Rig, running: bool, picture: bytes, options: dict[str, float]
) -> None:
    rig.engine.hold()
    first = rig.ask(numbered(1), idempotency_key="k")
    await rig.engine.started.get()
    if not running:
        rig.engine.release()
        await first
    other = rig.ask(picture, idempotency_key="k", **options)
    await settle()
    rig.engine.release()
    with pytest.raises(KeyReused):
        await other
    assert (await first).verdict is Verdict.NOT_OK


async def test_a_large_picture_is_told_apart_off_the_event_loop_and_in_the_order_of_arrival() -> (
    None
):
    large, other = numbered(1) + bytes(2000), numbered(2)
    async with Rig(large_picture_bytes=2000) as rig:
        rig.intake.hold()
        first, again = (rig.ask(large, idempotency_key="k") for _ in range(2))
        small = rig.ask(other, idempotency_key="k")
        await settle()
        assert rig.intake.calls == 2
        assert (await rig.inspect(numbered(3))).verdict is Verdict.NOT_OK
        rig.intake.release()
        assert await again == await first
        with pytest.raises(KeyReused):
            await small
        assert rig.engine.sizes == [1, 1]


async def test_a_key_is_that_of_a_line(rig: Rig) -> None:
    one = await rig.inspect(numbered(1), idempotency_key="k", line="a")
    other = await rig.inspect(numbered(2), idempotency_key="k", line="b")
    assert one.inspection_id != other.inspection_id


async def test_undefined_is_not_kept_and_a_repeat_is_inspected_anew(rig: Rig) -> None:
    rig.engine.hold()
    late = rig.ask(numbered(1), idempotency_key="k", deadline_ms=100)
    await rig.engine.started.get()
    patient = rig.ask(numbered(1), idempotency_key="k", deadline_ms=900)
    await settle()
    rig.clock.advance(0.1)
    assert (await late).verdict is Verdict.UNDEFINED
    await settle()
    rig.engine.release()
    assert (await patient).verdict is Verdict.NOT_OK


async def test_who_joins_is_held_to_his_own_deadline(rig: Rig) -> None:
    rig.engine.hold()
    first = rig.ask(numbered(1), idempotency_key="k", deadline_ms=900)
    await rig.engine.started.get()
    hasty = rig.ask(numbered(1), idempotency_key="k", deadline_ms=100)
    await settle()
    rig.clock.advance(0.1)
    assert (await hasty).reasons[0].code == "deadline"
    rig.engine.release()
    assert (await first).verdict is Verdict.NOT_OK


async def test_an_error_is_everyones_and_not_kept(rig: Rig) -> None:
    asking = [rig.ask(truncated(), idempotency_key="k") for _ in range(2)]
    for task in asking:
        with pytest.raises(BadPicture):
            await task
    assert (await rig.inspect(quarters(DARK), idempotency_key="k")).verdict is Verdict.OK


async def test_what_runs_is_ended_with_its_event_loop(rig: Rig) -> None:
    rig.engine.hold()
    first = rig.ask(numbered(1), idempotency_key="k")
    await rig.engine.started.get()
    (running,) = rig.inspector._idempotency._running.values()
    running.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert rig.inspector._idempotency._running == {}


async def test_the_answer_that_was_kept_first_is_everyones(rig: Rig) -> None:
    """Another process was faster."""
    first = await rig.inspect(numbered(1), idempotency_key="k")
    memory = rig.inspector._idempotency._memory
    ((_, kept),) = memory._kept.values()
    rig.inspector._idempotency._memory = Elsewhere(kept)
    assert (await rig.inspect(numbered(1), idempotency_key="k")) == first
    with pytest.raises(KeyReused):
        await rig.inspect(numbered(2), idempotency_key="k")
    assert rig.engine.sizes == [1, 1, 1]


async def test_who_goes_while_the_memory_is_asked_is_inspected_all_the_same(rig: Rig) -> None:
    memory = rig.inspector._idempotency._memory = Slow(rig.inspector._idempotency._memory)
    first = rig.ask(numbered(1), idempotency_key="k", deadline_ms=900)
    await settle()
    first.cancel()
    await settle()
    memory.answers.set()
    await asyncio.wait_for(rig.engine.started.get(), 5)
    again = await rig.inspect(numbered(1), idempotency_key="k")
    assert rig.telemetry.inspections == [again]
    assert rig.engine.sizes == [1]


async def test_who_joins_has_his_own_patience_with_the_memory(rig: Rig) -> None:
    memory = rig.inspector._idempotency._memory = Slow(rig.inspector._idempotency._memory)
    hasty = rig.ask(numbered(1), idempotency_key="k", deadline_ms=100)
    await settle()
    patient = rig.ask(numbered(1), idempotency_key="k", deadline_ms=900)
    await settle()
    rig.clock.advance(0.1)
    assert (await hasty).reasons[0].code == "deadline"
    memory.answers.set()
    assert (await patient).verdict is Verdict.NOT_OK


class Slow:
    """A memory that finds nothing before it is let."""

    def __init__(self, memory: MemoryAnswers) -> None:
        self.answers = asyncio.Event()
        self._memory = memory

    async def find(self, key: str) -> KeptAnswer | None:
        await self.answers.wait()
        return await self._memory.find(key)

    def __getattr__(self, name: str) -> object:
        return getattr(self._memory, name)


async def test_a_verdict_is_told_although_it_cannot_be_kept(rig: Rig) -> None:
    rig.inspector._idempotency._memory = Hanging()
    asking = rig.ask(numbered(1), idempotency_key="k", deadline_ms=1000)
    await until_asked(rig.inspector._idempotency._memory)
    rig.clock.advance(0.5)
    answer = await asking
    assert answer.verdict is Verdict.NOT_OK
    assert rig.telemetry.inspections == [answer]


async def until_asked(memory: Hanging) -> None:
    await asyncio.wait_for(memory.asked.wait(), 5)
    await settle()


class Hanging:
    """Finds nothing, and never keeps anything."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def claim(self, key: str, life_s: float) -> bool:
        return True

    async def hold(self, key: str, life_s: float) -> None: ...

    async def release(self, key: str) -> None: ...

    async def find(self, key: str) -> None: ...

    async def keep(self, key: str, answer: KeptAnswer) -> KeptAnswer:
        self.asked.set()
        await asyncio.Event().wait()
        return answer


class KeepsLate(MemoryAnswers):
    """Keeps an answer when it is told to."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(600.0, rig.clock)
        self.asked = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def keep(self, key: str, answer: KeptAnswer) -> KeptAnswer:
        self.asked.set()
        await self.goes_on.wait()
        return await super().keep(key, answer)


async def being_kept(rig: Rig, memory: KeepsLate) -> asyncio.Task[Inspection]:
    """A request under the key k whose answer that memory has been asked to keep."""
    rig.inspector._idempotency._memory = memory
    asking = rig.ask(numbered(1), idempotency_key="k", deadline_ms=1000)
    await asyncio.wait_for(memory.asked.wait(), 5)
    return asking


async def test_an_answer_that_is_kept_after_its_deadline_is_that_of_a_repeat(rig: Rig) -> None:
    memory = KeepsLate(rig)
    asking = await being_kept(rig, memory)
    await settle()
    rig.clock.advance(0.6)
    first = await asking
    assert first.verdict is Verdict.NOT_OK
    again = rig.ask(numbered(1), idempotency_key="k")
    await settle()
    rig.clock.advance(0.02)
    await settle()
    memory.goes_on.set()
    await settle()
    rig.clock.advance(0.02)
    assert await again == first
    assert rig.engine.sizes == [1]


async def test_a_claim_lasts_until_its_answer_is_kept_however_late(rig: Rig) -> None:
    memory = KeepsLate(rig)
    asking = await being_kept(rig, memory)
    for _ in range(10):
        await settle()
        rig.clock.advance(0.5)
    first = await asking
    again = rig.ask(numbered(1), idempotency_key="k", deadline_ms=1000)
    await settle()
    memory.goes_on.set()
    for _ in range(4):
        await settle()
        rig.clock.advance(0.02)
    assert await again == first
    assert rig.engine.sizes == [1]
    await settle()
    assert await memory.claim(AnswerKey("", "default", "k").text, 60.0), "the claim was not ended"


async def test_a_claim_lasts_although_holding_it_is_slow_too(rig: Rig) -> None:
    class HoldsLate(KeepsLate):
        async def hold(self, key: str, life_s: float) -> None:
            await pause(rig.clock, 0.4)
            await super().hold(key, life_s)
            await pause(rig.clock, 0.4)

    memory = HoldsLate(rig)
    asking = await being_kept(rig, memory)
    for _ in range(50):
        await settle()
        rig.clock.advance(0.1)
        assert not await memory.claim(AnswerKey("", "default", "k").text, 1.0)
    memory.goes_on.set()
    await asking


class Elsewhere:
    """Finds nothing, and then has an answer already."""

    def __init__(self, kept: KeptAnswer) -> None:
        self._kept = kept

    async def claim(self, key: str, life_s: float) -> bool:
        return True

    async def release(self, key: str) -> None: ...

    async def find(self, key: str) -> KeptAnswer | None:
        return None

    async def keep(self, key: str, answer: KeptAnswer) -> KeptAnswer:
        return self._kept


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "schlüssel"])
async def test_a_bad_key_is_refused(rig: Rig, key: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await rig.inspect(numbered(1), idempotency_key=key)
    assert caught.value.field == "idempotency_key"


async def test_memory_is_bounded_in_time_and_number(rig: Rig) -> None:
    answer = KeptAnswer("f", await rig.inspect(numbered(1)))
    answers = MemoryAnswers(10.0, rig.clock, most=2)
    for key in "abc":
        await answers.keep(key, answer)
        rig.clock.advance(4.0)
    assert [await answers.find(key) for key in "abc"] == [None, answer, answer]
    rig.clock.advance(6.0)
    assert await answers.find("c") is None
    assert answers._kept == {}


async def test_a_key_is_that_of_a_caller(rig: Rig) -> None:
    one = await rig.inspect(numbered(1), idempotency_key="k", caller="mes-1")
    other = await rig.inspect(numbered(2), idempotency_key="k", caller="mes-2")
    again = await rig.inspect(numbered(1), idempotency_key="k", caller="mes-1")
    assert one.inspection_id != other.inspection_id
    assert again == one


async def test_no_name_reaches_into_the_keys_of_another(rig: Rig) -> None:
    one = await rig.inspect(numbered(1), idempotency_key="k", line="b", caller='a", "x')
    other = await rig.inspect(numbered(2), idempotency_key='x", "k', line="b", caller="a")
    assert one.inspection_id != other.inspection_id


async def test_another_process_that_works_on_the_answer_is_waited_for(rig: Rig) -> None:
    (kept,) = [await rig.inspect(numbered(1))]
    key = AnswerKey("", "default", "k").text
    assert await rig.answers.claim(key, 60.0)
    asking = rig.ask(numbered(1), idempotency_key="k")
    hasty = rig.ask(numbered(1), idempotency_key="k", deadline_ms=100)
    for _ in range(10):
        await settle()
        rig.clock.advance(0.02)
    assert (await hasty).reasons[0].code == "deadline"
    assert rig.engine.sizes == [1]
    rig.engine.hold()
    await rig.answers.release(key)
    await settle()
    rig.clock.advance(0.02)
    await rig.engine.started.get()
    rig.engine.release()
    await settle()
    assert (await asking).inspection_id != kept.inspection_id
    await settle()
    assert await rig.answers.claim(key, 60.0), "the claim was not ended"


async def test_what_is_wrong_with_another_request_is_not_held_against_who_joined_it(
    rig: Rig,
) -> None:
    rig.engine.hold()
    first = rig.ask(numbered(0))
    await rig.engine.started.get()
    bad = rig.ask(truncated(), idempotency_key="k")
    await settle()
    good = rig.ask(numbered(1), idempotency_key="k")
    await settle()
    rig.engine.release()
    await first
    with pytest.raises(BadPicture):
        await bad
    assert (await good).verdict is Verdict.NOT_OK
