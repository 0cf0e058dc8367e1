"""Inspections that are not waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from fakes import ManualClock, settle
from pictures import numbered, truncated
from rig import Rig
from scripted_inspector import NOT_OK

from flawline.adapters.memory_tickets import MemoryTickets
from flawline.application.inspector import InspectionRequest
from flawline.application.ticket import (
    Answer,
    Finished,
    Pending,
    Refused,
    TicketState,
    Unanswered,
)
from flawline.application.tickets import Ask, Tickets
from flawline.core.errors import BadPicture, QueueFull, UnknownRecipe

CALLER = "somebody"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def memory(clock: ManualClock) -> MemoryTickets:
    return MemoryTickets(600.0, 100, clock)


@pytest.fixture
def tickets(memory: MemoryTickets, clock: ManualClock) -> Tickets:
    return Tickets([memory], clock)


class Held:
    """An inspection that ends when the test says so."""

    def __init__(self, clock: ManualClock, accepts: bool = True) -> None:
        self.outcome: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.cancelled = False
        self._clock = clock
        self._accepts = accepts

    async def ask(self, accepted: Callable[[float], None]) -> Answer:
        if self._accepts:
            accepted(self._clock.monotonic_s() + 1.0)
        try:
            return await asyncio.shield(self.outcome)
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def test_it_is_pending_until_it_is_answered(tickets: Tickets, clock: ManualClock) -> None:
    held, ended = Held(clock), asyncio.Event()
    await tickets.begin("t", CALLER, held.ask, ended.set)
    state = await tickets.find("t", CALLER)
    assert isinstance(state, Pending)
    assert (state.until - clock.utc_now()).total_seconds() == 1.0
    assert not ended.is_set()
    held.outcome.set_result(NOT_OK)
    await ended.wait()
    await settle()
    assert await tickets.find("t", CALLER) == Finished(NOT_OK)


async def test_a_ticket_is_its_callers_alone(tickets: Tickets, clock: ManualClock) -> None:
    held = Held(clock)
    await tickets.begin("t", CALLER, held.ask)
    assert await tickets.find("t", "somebody else") is None
    held.outcome.set_result(NOT_OK)
    await settle()
    assert await tickets.find("t", "somebody else") is None
    assert await tickets.find("u", CALLER) is None


async def test_a_refusal_is_heard_at_once_and_leaves_no_ticket(
    tickets: Tickets, clock: ManualClock
) -> None:
    held, ended = Held(clock, accepts=False), asyncio.Event()
    held.outcome.set_exception(UnknownRecipe("x", ["default"]))
    with pytest.raises(UnknownRecipe):
        await tickets.begin("t", CALLER, held.ask, ended.set)
    assert await tickets.find("t", CALLER) is None
    assert ended.is_set()


async def test_an_answer_from_memory_has_a_ticket_all_the_same(
    tickets: Tickets, clock: ManualClock
) -> None:
    held = Held(clock, accepts=False)
    held.outcome.set_result(NOT_OK)
    await tickets.begin("t", CALLER, held.ask)
    await settle()
    assert await tickets.find("t", CALLER) == Finished(NOT_OK)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (
            BadPicture("corrupt_picture", "Cut.", "frames[1]"),
            Refused("corrupt_picture", "Cut.", "frames[1]"),
        ),
        (
            QueueFull(1.0),
            Unanswered("queue_full", "The queue is full; try again in 1.0 s."),
        ),
    ],
)
async def test_what_it_comes_to_after_it_was_accepted_is_kept(
    tickets: Tickets, clock: ManualClock, error: Exception, state: TicketState
) -> None:
    held = Held(clock)
    await tickets.begin("t", CALLER, held.ask)
    held.outcome.set_exception(error)
    await settle()
    assert await tickets.find("t", CALLER) == state


async def test_what_nobody_expected_is_told_by_an_id_alone(
    tickets: Tickets, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held(clock)
    await tickets.begin("t", CALLER, held.ask)
    held.outcome.set_exception(RuntimeError("password=hunter2"))
    await settle()
    state = await tickets.find("t", CALLER)
    assert isinstance(state, Unanswered)
    assert "hunter2" not in state.detail
    assert "hunter2" in caplog.text


async def test_it_can_be_waited_for(tickets: Tickets, clock: ManualClock) -> None:
    held = Held(clock)
    await tickets.begin("t", CALLER, held.ask)
    waiting = asyncio.create_task(tickets.find("t", CALLER, wait_s=5))
    impatient = asyncio.create_task(tickets.find("t", CALLER, wait_s=1))
    await settle()
    clock.advance(1)
    assert isinstance(await impatient, Pending)
    held.outcome.set_result(NOT_OK)
    assert await waiting == Finished(NOT_OK)


async def test_who_gives_up_before_it_is_accepted_withdraws_it(
    tickets: Tickets, clock: ManualClock
) -> None:
    held = Held(clock, accepts=False)
    beginning = asyncio.create_task(tickets.begin("t", CALLER, held.ask))
    await settle()
    beginning.cancel()
    await settle()
    assert held.cancelled


async def test_a_process_that_died_leaves_undefined_behind(
    memory: MemoryTickets, clock: ManualClock
) -> None:
    held = Held(clock)
    await Tickets([memory], clock).begin("t", CALLER, held.ask)
    another = Tickets([memory], clock)  # which sees the memory alone
    assert isinstance(await another.find("t", CALLER), Pending)
    clock.advance(6.1)
    state = await another.find("t", CALLER)
    assert isinstance(state, Unanswered)
    assert state.code == "stopped"


async def test_one_process_tells_what_another_was_asked(clock: ManualClock) -> None:
    shared = MemoryTickets(600.0, 100, clock)
    one, other = (Tickets([MemoryTickets(600.0, 100, clock), shared], clock) for _ in range(2))
    held = Held(clock)
    await one.begin("t", CALLER, held.ask)
    assert isinstance(await other.find("t", CALLER), Pending)
    held.outcome.set_result(NOT_OK)
    await settle()
    assert await one.find("t", CALLER) == await other.find("t", CALLER) == Finished(NOT_OK)


async def test_settling_waits_for_answers_and_withdraws_the_rest(
    tickets: Tickets, clock: ManualClock
) -> None:
    await tickets.settle(1.0)  # with nothing to wait for
    quick, stuck = Held(clock), Held(clock)
    await tickets.begin("quick", CALLER, quick.ask)
    await tickets.begin("stuck", CALLER, stuck.ask)
    settling = asyncio.create_task(tickets.settle(2.0))
    await settle()
    quick.outcome.set_result(NOT_OK)
    await settle()
    assert not settling.done()
    clock.advance(2.0)
    await settling
    assert stuck.cancelled
    assert await tickets.find("quick", CALLER) == Finished(NOT_OK)


async def test_with_everything_behind_it(rig: Rig) -> None:
    tickets = Tickets([MemoryTickets(600.0, 100, rig.clock)], rig.clock)

    def asking(picture: bytes, **options: object) -> Ask:
        request = InspectionRequest(picture, **options)
        return lambda accepted: rig.inspector.inspect(request, accepted)

    rig.engine.hold()
    await tickets.begin("good", CALLER, asking(numbered(1), idempotency_key="k"))
    await tickets.begin("same", CALLER, asking(numbered(1), idempotency_key="k"))
    await tickets.begin("late", CALLER, asking(numbered(2), deadline_ms=100))
    await tickets.begin("damaged", CALLER, asking(truncated()))
    with pytest.raises(BadPicture):
        await tickets.begin("bad", CALLER, asking(b"no picture"))
    for name in ("good", "same", "late", "damaged"):
        assert isinstance(await tickets.find(name, CALLER), Pending | Refused)
    await rig.engine.started.get()
    rig.clock.advance(0.1)
    rig.engine.release()
    await settle()
    good, same, late, damaged = [
        await tickets.find(name, CALLER) for name in ("good", "same", "late", "damaged")
    ]
    assert isinstance(good, Finished)
    assert good == same
    assert good.answer.verdict.value == "NotOK"
    assert isinstance(late, Finished)
    assert late.answer.verdict.value == "Undefined"
    assert isinstance(damaged, Refused)
    assert await rig.inspector.drain(0.0)
