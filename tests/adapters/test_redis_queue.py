"""What only a queue between processes has: dead workers, a server that goes, keys to clean up."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError
from redis_process import RedisProcess, RedisStarter, free_port
from rig import MODEL
from scripted_inspector import NOT_OK as INSPECTION
from swallowing_proxy import SwallowingProxy

from flawline.adapters.redis_queue import RedisQueue, RedisQueueOptions
from flawline.adapters.redis_queue.wire import (
    NotUnderstood,
    meta_from,
    outcome_from_wire,
    outcome_to_wire,
)
from flawline.adapters.system_clock import SystemClock
from flawline.application.answer import KeptAnswer
from flawline.application.job import (
    Abandoned,
    Expired,
    Failed,
    Job,
    JobOutcome,
    Judged,
    PictureRefused,
)
from flawline.application.ticket import Finished, Pending
from flawline.application.tickets import Tickets
from flawline.core.errors import NotReady, QueueFull
from flawline.core.priority import Priority
from flawline.core.quality import FrameQuality
from flawline.core.values import (
    Box,
    Detection,
    Inspection,
    ModelRef,
    Reason,
    RecipeRef,
    StageTimes,
    Verdict,
)

JUDGED = Judged(
    verdict=Verdict.NOT_OK,
    reasons=(Reason("defect", "1 pit, über 0.5"),),
    detections=(Detection("pit", 0.75, Box(1.5, 2.0, 3.25, 4.0)),),
    recipe=RecipeRef("default", "1"),
    model=ModelRef("tiny", "1.2.3", "ab" * 32),
    times=StageTimes(1.0, 2.0, 3.0, 4.0, 5.0),
)
MEASURED = replace(JUDGED, quality=FrameQuality(0.5, 0.1, 0.4, 0.0))
CLOCK = SystemClock()
Maker = Callable[..., RedisQueue]


def job(name: str, deadline_in_s: float = 60.0, **options: object) -> Job:
    now_s = CLOCK.monotonic_s()
    fields = {"picture": name.encode(), "line": "press", "min_score": 0.25} | options
    return Job(
        name, recipe="default", submitted_s=now_s, deadline_s=now_s + deadline_in_s, **fields
    )


@pytest.fixture
def namespace() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def client(redis: RedisProcess) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis.url)
    yield client
    await client.aclose()


@pytest.fixture
async def make(redis: RedisProcess, namespace: str) -> AsyncIterator[Maker]:
    """Makes queues of one namespace, as so many processes have."""
    made: list[RedisQueue] = []

    def make(**options: object) -> RedisQueue:
        chosen = {"url": redis.url, "capacity": 8, "line_capacity": 8, "namespace": namespace}
        counts: dict[str, int] = {}

        def count(event: str, times: int) -> None:
            counts[event] = counts.get(event, 0) + times

        queue = RedisQueue(RedisQueueOptions(**(chosen | options)), CLOCK, count)
        queue.counts = counts
        made.append(queue)
        return queue

    yield make
    for queue in made:
        await queue.close()


async def keys_left(client: Redis, namespace: str) -> set[str]:
    """All keys of the queue but empty streams and the bell."""
    left = set()
    for key in [key.decode() async for key in client.scan_iter(f"{namespace}:*")]:
        empty = await client.type(key) == b"stream" and await client.xlen(key) == 0
        if not empty and not key.endswith((":bell", ":resolved", ":takers")):
            left.add(key.removeprefix(f"{namespace}:"))
    return left


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to pass within 5 s")


@pytest.mark.parametrize(
    "outcome",
    [
        JUDGED,
        MEASURED,
        PictureRefused("corrupt_picture", "It ends."),
        Failed("1a2b"),
        Expired(),
        Abandoned(),
    ],
)
def test_every_outcome_comes_back_as_it_went(outcome: JobOutcome) -> None:
    assert outcome_from_wire(outcome_to_wire(outcome).encode()) == outcome


def test_an_outcome_of_another_version_is_understood() -> None:
    fields = json.loads(outcome_to_wire(MEASURED))
    newer = fields | {"quality": fields["quality"] | {"glare": 0.5}, "mood": "good"}
    assert outcome_from_wire(json.dumps(newer).encode()) == MEASURED
    del fields["quality"]["saturated"]
    assert outcome_from_wire(json.dumps(fields).encode()) == JUDGED
    del fields["quality"]
    assert outcome_from_wire(json.dumps(fields).encode()) == JUDGED


def test_parts_of_an_outcome_of_another_version_are_understood() -> None:
    fields = json.loads(outcome_to_wire(JUDGED))
    for part in ("recipe", "model", "times"):
        fields[part]["mood"] = "good"
    for found in fields["detections"]:
        found["box"]["mood"] = "good"
    for reason in fields["reasons"]:
        reason["mood"] = "good"
    assert outcome_from_wire(json.dumps(fields).encode()) == JUDGED
    failed = json.loads(outcome_to_wire(Failed("1a2b"))) | {"mood": "bad"}
    assert outcome_from_wire(json.dumps(failed).encode()) == Failed("1a2b")


def test_a_job_of_another_version_is_understood() -> None:
    older = {"recipe": "default", "min_score": None, "traceparent": None}
    assert meta_from(json.dumps(older).encode()) == older | {"part_id": None}
    assert meta_from(json.dumps(older | {"mood": "good"}).encode()) == older | {"part_id": None}


async def until_no_more_than(most: int, client: Redis, stream: bytes) -> None:
    for _ in range(500):
        if await client.xlen(stream) <= most:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{await client.xlen(stream)} entries were left for 5 s")


async def test_outcomes_that_were_read_do_not_pile_up_while_others_are_waited_for(
    make: Maker, client: Redis, namespace: str
) -> None:
    api, worker = make(capacity=200, line_capacity=200), make()
    names = [f"{number}" for number in range(70)]
    for name in names:
        await api.submit(job(name))
    leases = await worker.lease(len(names))
    for lease in leases[:66]:
        await worker.resolve([(lease, JUDGED)])
    for lease in leases[:66]:
        assert await api.result(lease.job.job_id) == JUDGED
    (replies,) = [key async for key in client.scan_iter(f"{namespace}:replies:*")]
    await until_no_more_than(63, client, replies)
    await api.cancel(leases[66].job.job_id)  # while three others are waited for
    for lease in leases[67:]:
        await worker.resolve([(lease, JUDGED)])
        await api.result(lease.job.job_id)
    await until_no_more_than(0, client, replies)


async def test_a_job_goes_through_another_process_and_leaves_nothing(
    make: Maker, client: Redis, namespace: str
) -> None:
    api, worker = make(inline_picture_bytes=10), make()
    large = job("large", picture=bytes(range(256)) * 8, traceparent="00-ab-cd-01")
    small = job("small", priority=Priority.BACKFILL)
    for submitted in (large, small):
        await api.submit(submitted)
    leases = await worker.lease(8)
    for lease, submitted in zip(leases, (large, small), strict=True):
        moments = {"submitted_s": submitted.submitted_s, "deadline_s": submitted.deadline_s}
        assert lease.job.deadline_s == pytest.approx(submitted.deadline_s, abs=5)
        assert replace(lease.job, **moments) == submitted
        await worker.resolve([(lease, JUDGED)])
    assert [await api.result("large"), await api.result("small")] == [JUDGED, JUDGED]
    assert await keys_left(client, namespace) == set()


async def test_who_saw_that_no_job_is_left_asks_again_once_there_is_one(
    make: Maker, client: Redis
) -> None:
    queue = make()
    await queue.submit(job("a"))
    assert [lease.job.job_id for lease in await queue.lease(2)] == ["a"]
    before = await client.info("commandstats")
    waiting = asyncio.create_task(queue.lease(2))
    await queue.submit(job("b"))
    assert [lease.job.job_id for lease in await waiting] == ["b"]
    after = await client.info("commandstats")
    calls = [stats["cmdstat_evalsha"]["calls"] for stats in (before, after)]
    assert calls[1] - calls[0] == 2  # submit, take


async def test_who_took_as_many_as_he_could_asks_at_once(make: Maker) -> None:
    queue = make()
    for name in ("a", "b", "c"):
        await queue.submit(job(name))
    taken = [await asyncio.wait_for(queue.lease(1), 5) for _ in range(3)]
    assert [lease.job.job_id for leases in taken for lease in leases] == ["a", "b", "c"]


async def test_what_a_dead_worker_held_goes_to_another_and_its_late_outcome_is_nobodys(
    make: Maker, client: Redis, namespace: str
) -> None:
    api, dying, heir = make(), make(lease_s=0.1), make(lease_s=0.1)
    await api.submit(job("a"))
    (lost,) = await dying.lease(1)
    (lease,) = await heir.lease(1)  # waits until the lease has run out
    assert lease.job.job_id == "a"
    assert heir.counts["reclaimed"] == 1
    await heir.resolve([(lease, JUDGED)])
    await dying.resolve([(lost, Failed("too late"))])
    assert await api.result("a") == JUDGED
    assert dying.counts["resolved_elsewhere"] == 1
    assert await keys_left(client, namespace) == set()


async def test_what_a_dead_worker_held_is_found_behind_much_that_is_in_good_hands(
    make: Maker,
) -> None:
    api, busy, dying, heir = (make(capacity=64, line_capacity=64, lease_s=0.4) for _ in range(4))
    for number in range(31):
        await api.submit(job(f"{number}"))
    held = await busy.lease(30)
    await dying.lease(1)
    waiting = asyncio.create_task(heir.lease(1))
    while not waiting.done():
        await busy.extend(held)
        await asyncio.wait({waiting}, timeout=0.1)
    assert [lease.job.job_id for lease in waiting.result()] == ["30"]


async def test_an_extended_lease_is_kept(make: Maker) -> None:
    api, busy, idle = make(), make(lease_s=0.4), make(lease_s=0.4)
    await api.submit(job("a"))
    leases = await busy.lease(1)
    waiting = asyncio.create_task(idle.lease(1))
    for _ in range(8):
        await asyncio.sleep(0.1)
        await busy.extend(leases)
    assert not waiting.done()
    await busy.resolve([(leases[0], JUDGED)])
    assert await api.result("a") == JUDGED
    waiting.cancel()


async def test_a_lease_is_kept_while_its_picture_is_still_on_its_way(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, slow, idle = make(inline_picture_bytes=2), make(lease_s=0.3), make(lease_s=0.3)
    await api.submit(job("large", picture=bytes(20)))
    get, asked, comes = slow._server.commands.getrange, asyncio.Event(), asyncio.Event()

    async def get_late(*piece: object) -> object:
        asked.set()
        await comes.wait()
        return await get(*piece)

    monkeypatch.setattr(slow._server.commands, "getrange", get_late)
    taking = asyncio.create_task(slow.lease(1))
    await asked.wait()
    others = await asyncio.gather(asyncio.wait_for(idle.lease(1), 1.0), return_exceptions=True)
    comes.set()
    (lease,) = await taking
    assert isinstance(others[0], asyncio.TimeoutError)
    await slow.resolve([(lease, JUDGED)])
    assert (lease.job.picture, slow.counts["resolved"]) == (bytes(20), 1)


async def test_who_goes_away_waits_for_no_picture_that_is_on_its_way(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when Redis hangs while a worker is told to stop: each would cost it a time limit."""
    worker, other, asked = make(inline_picture_bytes=2), make(), asyncio.Event()
    for n in range(5):
        await worker.submit(job(f"large-{n}"))

    async def hang(*_: object) -> None:
        asked.set()
        await asyncio.sleep(1.0)
        raise RedisError

    monkeypatch.setattr(worker._server.commands, "getrange", hang)
    taking = asyncio.create_task(worker.lease(8))
    await asked.wait()
    taking.cancel()
    await asyncio.wait_for(worker._leases.close(), 1.0)
    assert [lease.deliveries for lease in await other.lease(8)] == [1] * 5


async def test_a_large_picture_may_take_longer_than_a_command(
    redis: RedisProcess, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flawline.adapters.redis_queue.large_pictures._PIECE_BYTES", 1 << 16)
    picture = bytes(range(256)) * 2048
    async with SwallowingProxy(redis.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        queue = make(url=url, command_timeout_s=1.0, inline_picture_bytes=2)
        await queue.submit(job("first"))  # all is connected, and each script known
        await queue.resolve([(lease, JUDGED) for lease in await queue.lease(1)])
        proxy.bytes_per_s = 300_000
        await queue.submit(job("large", picture=picture))
        (lease,) = await queue.lease(1)
        assert lease.job.picture == picture


async def test_jobs_of_two_classes_may_come_in_the_same_millisecond(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their entries have the same id then."""
    worker, extended, asked = make(lease_s=0.1), [], asyncio.Event()

    async def note(name: str, consumer: str, *places: object) -> None:
        extended.append({*zip(places[::2], places[1::2], strict=False)})
        asked.set()

    async def fail(*_: object) -> None:
        await asked.wait()
        raise RedisError

    monkeypatch.setattr(worker._server, "run", note)
    monkeypatch.setattr(worker._server.commands, "getrange", fail)
    jobs = [(number, b"5-0", b"id", b"press", 60_000, 0, b"", b"", 1) for number in (1, 2)]
    assert await worker._leases._all_taken(jobs, CLOCK.monotonic_s()) == []
    assert extended[0] == {(1, "5-0"), (2, "5-0")}


async def test_who_lost_a_lease_can_neither_extend_nor_hand_it_back(make: Maker) -> None:
    api, frozen, heir = make(), make(lease_s=0.1), make(lease_s=0.1)
    await api.submit(job("a"))
    leases = await frozen.lease(1)
    (lease,) = await heir.lease(1)
    await frozen.extend(leases)
    await frozen.release(leases[0])
    assert "released" not in frozen.counts
    await heir.resolve([(lease, JUDGED)])
    assert await api.result("a") == JUDGED


async def test_a_job_that_kills_its_workers_is_buried_after_so_many(
    make: Maker, client: Redis, namespace: str
) -> None:
    api = make(inline_picture_bytes=2)
    await api.submit(job("poison"))
    for _ in range(3):
        dying = make(lease_s=0.05, max_deliveries=3)
        assert len(await dying.lease(1)) == 1
    await api.submit(job("b"))
    last = make(lease_s=0.05, max_deliveries=3)
    await asyncio.sleep(0.06)
    assert [lease.job.job_id for lease in await last.lease(8)] == ["b"]
    assert last.counts["dead_letter"] == 1
    outcome = await api.result("poison")
    assert isinstance(outcome, Failed)
    ((_, letter),) = await client.xrange(f"{namespace}:dead")
    assert (letter[b"id"], letter[b"picture"]) == (b"poison", b"poison")
    assert letter[b"deliveries"] == b"3"
    assert letter[b"reason"].startswith(b"its workers died")


async def test_handing_back_does_not_count_as_a_delivery(make: Maker) -> None:
    api, worker = make(), make(max_deliveries=1)
    await api.submit(job("a"))
    for _ in range(5):
        (lease,) = await worker.lease(1)
        await worker.release(lease)
    (lease,) = await worker.lease(1)
    assert (worker.counts["released"], worker.counts["reclaimed"]) == (5, 0)
    await worker.resolve([(lease, JUDGED)])
    assert await api.result("a") == JUDGED


async def test_a_failed_job_is_answered_and_kept_as_a_dead_letter(
    make: Maker, client: Redis, namespace: str
) -> None:
    queue = make()
    await queue.submit(job("a"))
    (lease,) = await queue.lease(1)
    await queue.resolve([(lease, Failed("1a2b3c"))])
    assert await queue.result("a") == Failed("1a2b3c")
    ((_, letter),) = await client.xrange(f"{namespace}:dead")
    assert letter[b"reason"] == b"processing failed, error id 1a2b3c"
    assert await keys_left(client, namespace) == {"dead"}


async def test_dead_letters_leave_room_for_what_is_to_be_inspected(
    start_redis: RedisStarter,
) -> None:
    """A person is to drop them, who may not come for days."""
    server = start_redis(maxmemory="24mb", maxmemory_policy="noeviction")
    queue = RedisQueue(RedisQueueOptions(server.url, capacity=8, line_capacity=8), CLOCK)
    try:
        for number in range(60):
            await queue.submit(job(f"{number}", picture=bytes(500_000)))
            (lease,) = await queue.lease(1)
            await queue.resolve([(lease, Failed("1a2b3c"))])
        letters = [letter.job_id for letter in await queue.dead_letters.all()]
        assert 5 < len(letters) < 25
        assert letters[-1] == "59"
        for number in range(8):  # which take more, for a while
            await queue.submit(job(f"waits {number}", picture=bytes(500_000)))
        (lease,) = await queue.lease(1)
        await queue.resolve([(lease, Failed("1a2b3c"))])
        assert len(await queue.dead_letters.all()) >= len(letters) - 1
    finally:
        await queue.close()


async def test_without_workers_the_stream_stays_bounded(
    make: Maker, client: Redis, namespace: str
) -> None:
    api = make(capacity=2, line_capacity=2)
    for number in range(1200):
        await api.submit(job(f"{number}"))
        await api.cancel(f"{number}")
    assert await client.xlen(f"{namespace}:jobs:inline") < 1100


async def test_what_was_handed_back_and_expired_takes_up_no_room_without_workers(
    make: Maker,
) -> None:
    api, worker = make(capacity=2), make(capacity=2)
    for name in ("a", "b"):
        await api.submit(job(name, deadline_in_s=0.1))
    for lease in await worker.lease(2):
        await worker.release(lease)
    await worker.close()
    await asyncio.sleep(0.12)
    await api.submit(job("c"))
    assert await asyncio.wait_for(api.result("a"), 5) == Expired()


async def test_what_was_handed_back_is_there_at_once_for_one_of_a_longer_lease(make: Maker) -> None:
    """As while FLAWLINE_LEASE_S is rolled out."""
    api, old, new = make(), make(lease_s=0.2), make(lease_s=30)
    await api.submit(job("a"))
    (lease,) = await old.lease(1)
    await old.release(lease)
    (again,) = await asyncio.wait_for(new.lease(1), 2)
    assert again.job.job_id == "a"


async def test_what_another_version_took_is_no_longer_counted(
    make: Maker, client: Redis, namespace: str
) -> None:
    queue, left = make(capacity=2), {"old-1": 1, "old-2": 2}
    await client.zadd(f"{namespace}:waiting:inline", left)
    await queue.submit(job("a"))  # or the queue would be full for ever
    await client.zadd(f"{namespace}:waiting:inline", left)
    await queue.start()
    await until(lambda: queue.state.depth[Priority.INLINE] == 1)


async def test_a_large_picture_that_is_refused_leaves_nothing(
    make: Maker, client: Redis, namespace: str
) -> None:
    api = make(capacity=1, inline_picture_bytes=2)
    await api.submit(job("a"))
    with pytest.raises(QueueFull):
        await api.submit(job("b"))
    assert "picture:b" not in await keys_left(client, namespace)
    await api.cancel("a")
    assert "picture:a" not in await keys_left(client, namespace)


async def test_a_large_picture_that_came_otherwise_than_it_was_sent_leaves_nothing(
    make: Maker, client: Redis, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = make(inline_picture_bytes=2)
    monkeypatch.setattr("flawline.adapters.redis_queue.large_pictures._PIECE_BYTES", 4)
    run = api._server.run

    async def twice(name: str, *arguments: str | bytes | int) -> object:
        return await run(name, *arguments[:1], b"twice") if name == "piece" else None

    monkeypatch.setattr(api._server, "run", twice)
    with pytest.raises(NotReady, match="queue_unavailable"):
        await api.submit(job("a", picture=bytes(10)))
    assert not await keys_left(client, namespace)
    # nor does a piece that comes when the picture was dropped: without its first one, it would have no end
    assert await run("piece", "a", b"late") == 0
    assert not await keys_left(client, namespace)


async def test_a_picture_that_is_gone_is_too_late(
    make: Maker, client: Redis, namespace: str
) -> None:
    queue = make(inline_picture_bytes=2)
    await queue.submit(job("gone"))
    await client.delete(f"{namespace}:picture:gone")
    leasing = asyncio.create_task(queue.lease(1))
    assert await queue.result("gone") == Expired()
    leasing.cancel()


async def test_a_worker_that_goes_while_it_takes_hands_back(make: Maker) -> None:
    api, worker = make(), make()
    await api.submit(job("a"))
    leasing = asyncio.create_task(worker.lease(1))
    await asyncio.sleep(0)  # it has asked, and has no answer yet
    leasing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leasing
    await worker.close()
    (lease,) = await make().lease(1)
    assert lease.job.job_id == "a"


async def test_a_server_that_lost_everything_is_furnished_again(
    make: Maker, client: Redis, namespace: str
) -> None:
    api, worker = make(), make()
    leasing = asyncio.create_task(worker.lease(1))
    await asyncio.sleep(0.05)
    await client.script_flush()
    for key in [key async for key in client.scan_iter(f"{namespace}:*")]:
        await client.delete(key)
    await api.submit(job("a"))
    (lease,) = await leasing
    await worker.resolve([(lease, JUDGED)])
    assert await api.result("a") == JUDGED


async def test_workers_leave_the_group_and_never_with_jobs(
    make: Maker, client: Redis, namespace: str
) -> None:
    api, idle, holding = make(), make(), make()
    await api.submit(job("a"))
    await holding.lease(1)
    leasing = asyncio.create_task(idle.lease(1))
    await asyncio.sleep(0.05)
    for queue in (idle, holding):
        await queue.close()
    assert await leasing == []
    names = [c["name"] for c in await client.xinfo_consumers(f"{namespace}:jobs:inline", "workers")]
    assert names == [holding.name.encode()]


async def test_who_waits_at_the_close_is_told_and_his_job_dropped(
    make: Maker, client: Redis, namespace: str
) -> None:
    api, worker = make(), make()
    await api.submit(job("a"))
    waiting = asyncio.create_task(api.result("a"))
    await asyncio.sleep(0)
    await api.close()
    assert await waiting == Abandoned()
    with pytest.raises(NotReady):
        await api.submit(job("b"))
    leasing = asyncio.create_task(worker.lease(1))
    await until(lambda: worker.counts.get("cancelled") == 1)
    leasing.cancel()
    assert await keys_left(client, namespace) == set()


async def test_the_state_is_measured(make: Maker) -> None:
    queue = make()
    for name, priority in (("a", Priority.INLINE), ("b", Priority.BACKFILL)):
        await queue.submit(job(name, priority=priority))
        await queue.submit(job(f"{name}2", priority=priority))
    a, _ = await queue.lease(2)
    await asyncio.sleep(0.05)
    await queue.release(a)  # it waits again, and nobody holds it
    await queue.start()
    state = queue.state
    assert list(state.depth.values()) == [1, 0, 2]
    assert (state.leased, state.dead_letters) == (1, 0)
    assert 0.04 < state.oldest_age_s[Priority.INLINE] < 5
    assert state.oldest_age_s[Priority.REINSPECTION] == 0
    assert queue.reachable


async def test_nothing_waits_less_than_no_time_when_the_clock_of_redis_goes_back(
    make: Maker, client: Redis, namespace: str
) -> None:
    queue, stream = make(), f"{namespace}:jobs:inline"
    await queue.submit(job("a"))
    ((entry_id, fields),) = await client.xrange(stream)
    later_ms = int(fields[b"submitted_ms"]) + 30_000
    await client.xadd(stream, fields | {b"submitted_ms": later_ms})
    await client.xdel(stream, entry_id)
    await client.zadd(f"{namespace}:waiting:inline", {"a": later_ms})
    await queue.start()
    await until(lambda: queue.state.depth[Priority.INLINE] == 1)
    assert queue.state.oldest_age_s[Priority.INLINE] == 0
    (lease,) = await queue.lease(1)
    assert lease.job.submitted_s <= CLOCK.monotonic_s()


async def test_a_server_out_of_memory_refuses_and_still_finishes(start_redis: RedisStarter) -> None:
    server = start_redis(maxmemory="8mb", maxmemory_policy="noeviction")
    options = RedisQueueOptions(server.url, capacity=1000, line_capacity=1000)
    queue = RedisQueue(options, CLOCK)
    accepted = []
    try:
        refusal = None
        while refusal is None:
            name = f"{len(accepted)}"
            size = 50_000 if len(accepted) % 2 else 100_000  # within an entry, and outside
            try:
                await queue.submit(job(name, picture=bytes(size)))
                accepted.append(name)
            except NotReady as error:
                refusal = error
        assert refusal.reason == "queue_out_of_memory"
        assert len(accepted) > 5
        for _ in accepted:
            (lease,) = await queue.lease(1)
            await queue.resolve([(lease, JUDGED)])
        assert {await queue.result(name) for name in accepted} == {JUDGED}
        await queue.submit(job("again"))
    finally:
        await queue.close()
        server.kill()


async def test_a_server_out_of_memory_takes_nothing_until_there_is_room(
    start_redis: RedisStarter, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_redis()
    queue = RedisQueue(RedisQueueOptions(server.url, capacity=8, line_capacity=8), CLOCK)
    client = Redis.from_url(server.url)
    try:
        await queue.start()
        assert queue.fault is None
        await client.config_set("maxmemory", "1")
        for name in ("a", "b"):
            with pytest.raises(NotReady, match="queue_out_of_memory"):
                await queue.submit(job(name))
        assert (queue.reachable, queue.fault) == (True, "queue_out_of_memory")
        state = queue.state
        await until(lambda: queue.state is not state)  # it was looked at once more
        assert queue.fault == "queue_out_of_memory"
        await client.config_set("maxmemory", "0")
        await until(lambda: queue.fault is None)
        await queue.submit(job("c"))
        assert caplog.text.count("redis_out_of_memory") == 1
        assert caplog.text.count("redis_has_room") == 1
    finally:
        await client.aclose()
        await queue.close()
        server.kill()


async def test_a_server_that_would_throw_pictures_away_is_told_of(
    start_redis: RedisStarter, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flawline.adapters.redis_queue.eviction._LOOK_EVERY", 2)
    server = start_redis(maxmemory="100mb", maxmemory_policy="allkeys-lru")
    queue = RedisQueue(RedisQueueOptions(server.url, capacity=8, line_capacity=8), CLOCK)
    client = Redis.from_url(server.url)
    try:
        await queue.start()
        assert "redis_evicts policy=allkeys-lru" in caplog.text
        assert "set maxmemory-policy to noeviction" in caplog.text
        assert queue.fault is None  # it is a queue, as long as there is room
        await client.config_set("maxmemory-policy", "noeviction")
        await until(lambda: "redis_evicts_no_more" in caplog.text)
        assert caplog.text.count("redis_evicts policy") == 1
    finally:
        await client.aclose()
        await queue.close()
        server.kill()


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"maxmemory": "100mb", "maxmemory_policy": "noeviction"}, id="keeps all"),
        pytest.param({"maxmemory": "0", "maxmemory_policy": "allkeys-lru"}, id="no limit"),
    ],
)
async def test_a_server_that_throws_nothing_away_needs_no_word(
    start_redis: RedisStarter, caplog: pytest.LogCaptureFixture, options: dict[str, str]
) -> None:
    server = start_redis(**options)
    queue = RedisQueue(RedisQueueOptions(server.url, capacity=8, line_capacity=8), CLOCK)
    try:
        await queue.start()
        assert queue.reachable
        assert "redis_evicts" not in caplog.text
    finally:
        await queue.close()
        server.kill()


async def test_a_server_that_cannot_write_is_no_queue_until_it_can(
    start_redis: RedisStarter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As with a full disk: Redis answers, and refuses to write (MISCONF)."""
    server = start_redis(save="3600 1000000", dbfilename="occupied")
    queue = RedisQueue(RedisQueueOptions(server.url, capacity=8, line_capacity=8), CLOCK)
    client = Redis.from_url(server.url)
    try:
        await queue.start()
        await until(lambda: queue.reachable)
        (tmp_path / "occupied" / "by").mkdir(parents=True)  # no snapshot can take its place
        await client.bgsave()
        await until(lambda: not queue.reachable)
        with pytest.raises(NotReady, match="queue_unavailable"):
            await queue.submit(job("a"))
        assert caplog.text.count("redis_unreachable error=MISCONF") == 1
        await client.config_set("stop-writes-on-bgsave-error", "no")
        await until(lambda: queue.reachable)
        await queue.submit(job("b"))
    finally:
        await client.aclose()
        await queue.close()
        server.kill()


@pytest.mark.parametrize("noticed", [True, False])
async def test_a_replica_that_takes_over_behind_the_same_address_is_found(
    start_redis: RedisStarter, noticed: bool
) -> None:
    """Redis keeps the connections of a server that becomes a replica, and answers READONLY on them for ever."""
    former, other = start_redis(), start_redis()
    client = Redis.from_url(former.url)
    async with SwallowingProxy(former.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        options = RedisQueueOptions(url, capacity=8, line_capacity=8)
        queue = RedisQueue(options, CLOCK)
        worker = RedisQueue(replace(options, url=other.url), CLOCK)
        try:
            await queue.start()
            await queue.submit(job("a"))  # now somebody reads what comes for it
            await client.replicaof("127.0.0.1", other.port)
            if noticed:
                with pytest.raises(NotReady, match="queue_unavailable"):
                    await queue.submit(job("b"))
            else:
                await asyncio.sleep(0.3)
            proxy.target = other.port
            if noticed:
                await until(lambda: queue.reachable)
            await queue.submit(job("c"))
            (lease,) = await worker.lease(8)
            await worker.resolve([(lease, JUDGED)])
            assert await asyncio.wait_for(queue.result("c"), 1) == JUDGED
        finally:
            await client.aclose()
            await queue.close()
            await worker.close()


@pytest.mark.parametrize(
    ("database", "forbidden", "why"),
    [
        pytest.param("99", "-flushall", "index is out of range", id="no such database"),
        pytest.param("0", "-xpending", "can't run this command", id="a command is not allowed"),
        pytest.param("0", "-@scripting", "evalsha", id="no script is allowed"),
    ],
)
async def test_why_a_server_that_answers_is_no_queue_is_told_once(
    start_redis: RedisStarter,
    caplog: pytest.LogCaptureFixture,
    database: str,
    forbidden: str,
    why: str,
) -> None:
    server = start_redis()
    client = Redis.from_url(server.url)
    await client.execute_command("ACL", "SETUSER", "default", forbidden)
    url = f"{server.url.removesuffix('/0')}/{database}"
    queue = RedisQueue(RedisQueueOptions(url, capacity=8, line_capacity=8), CLOCK)
    try:
        await queue.start(announce=MODEL)
        await queue._look()
        assert not queue.reachable
        assert why in queue.error
        (told,) = [line for line in caplog.messages if "redis_refuses" in line]
        assert why in told
    finally:
        await queue.close()
        await client.aclose()
        server.kill()


class ClockAhead(SystemClock):
    """Of a machine whose time is a minute ahead."""

    def utc_now(self) -> datetime:
        return super().utc_now() + timedelta(minutes=1)


async def test_an_api_whose_clock_is_ahead_gives_up_no_inspection_of_another(
    redis: RedisProcess, namespace: str
) -> None:
    options = RedisQueueOptions(redis.url, capacity=8, line_capacity=8, namespace=namespace)
    clocks = (CLOCK, ClockAhead())
    here, ahead = (RedisQueue(options, clock) for clock in clocks)
    for queue in (here, ahead):
        await queue.start()
    begun = asyncio.Event()

    async def ask(accepted: Callable[[float], None]) -> Inspection:
        accepted(CLOCK.monotonic_s() + 10)
        await begun.wait()
        return INSPECTION

    tickets = [Tickets([q.tickets(60)], c) for q, c in zip((here, ahead), clocks, strict=True)]
    try:
        for name, (asked, other) in zip("ab", (tickets, tickets[::-1]), strict=True):
            await asked.begin(name, "", ask)
            assert isinstance(await other.find(name, ""), Pending)
            begun.set()
            await asked.settle(5)
            assert await other.find(name, "") == Finished(INSPECTION)
            begun.clear()
    finally:
        for queue in (here, ahead):
            await queue.close()


@asynccontextmanager
async def served_by(start_redis: RedisStarter) -> AsyncIterator[tuple[Redis, RedisQueue]]:
    """A server of one's own, to forbid things on, and a queue on it that is not started."""
    server = start_redis()
    client = Redis.from_url(server.url)
    queue = RedisQueue(RedisQueueOptions(server.url, capacity=8, line_capacity=8), CLOCK)
    try:
        yield client, queue
    finally:
        await queue.close()
        await client.aclose()
        server.kill()


async def test_a_script_that_is_refused_is_told_of_once_until_it_is_run(
    start_redis: RedisStarter, caplog: pytest.LogCaptureFixture
) -> None:
    async with served_by(start_redis) as (client, queue):
        await client.execute_command("ACL", "SETUSER", "default", "-xadd")
        await queue.start(announce=MODEL)
        for n in range(2):
            with pytest.raises(NotReady):
                await queue.submit(job(str(n)))
            await queue._look()
        assert queue.reachable  # or nobody would ask again
        assert caplog.text.count("redis_refuses script=submit") == 1
        await client.execute_command("ACL", "SETUSER", "default", "+xadd")
        await queue.submit(job("2"))
        assert caplog.text.count("redis_refuses_no_more script=submit") == 1
        assert "redis_back" not in caplog.text


async def test_a_worker_that_may_not_announce_itself_is_told_of_once(
    start_redis: RedisStarter, caplog: pytest.LogCaptureFixture
) -> None:
    async with served_by(start_redis) as (client, queue):
        await queue.start()
        await client.execute_command("ACL", "SETUSER", "default", "-zremrangebyscore")
        queue._announcement = "me"
        for _ in range(3):
            await queue._look()
        assert not queue.reachable
        assert "run this command" in queue.error
        await client.execute_command("ACL", "SETUSER", "default", "+zremrangebyscore")
        await queue._look()
        assert (queue.reachable, queue.error) == (True, "")
        assert [line.split(" error=")[0] for line in caplog.messages if "redis" in line] == [
            "redis_refuses script=announce",
            "redis_refuses_no_more script=announce",
        ]


async def test_readers_outlive_a_connection_that_is_closed_under_them(
    start_redis: RedisStarter,
) -> None:
    """As when a server comes back. redis-py then fails with AttributeError in some moments."""
    queue = RedisQueue(RedisQueueOptions(start_redis().url, capacity=500, line_capacity=500), CLOCK)
    pool = queue._server.blocking.connection_pool
    try:
        for number in range(150):
            await queue.submit(job(f"{number}"))
            taking = asyncio.create_task(queue.lease(1))
            for _ in range(4):
                await asyncio.sleep(0.0005 * (number % 5))
                await pool.disconnect()
            (lease,) = await taking
            await queue.resolve([(lease, JUDGED)])
        waits = asyncio.gather(*(queue.result(f"{number}") for number in range(150)))
        outcomes = await asyncio.wait_for(waits, 20)
        assert outcomes == [JUDGED] * 150
    finally:
        await queue.close()


async def test_an_outage_is_told_at_once_and_outlived(start_redis: RedisStarter) -> None:
    server = start_redis(appendonly="yes")
    options = RedisQueueOptions(server.url, capacity=8, line_capacity=8)
    api, worker = RedisQueue(options, CLOCK), RedisQueue(options, CLOCK)
    try:
        await api.start()
        for name in "ab":
            await api.submit(job(name))
        (held,) = await worker.lease(1)
        waiting = asyncio.create_task(worker.lease(8))
        server.kill()
        resolving = asyncio.create_task(worker.resolve([(held, JUDGED)]))
        with pytest.raises(NotReady) as caught:
            await api.submit(job("c"))
        assert caught.value.reason == "queue_unavailable"
        assert not api.reachable
        await worker.extend([held])
        await worker.release(held)
        server.start()
        await resolving
        assert await api.result("a") == JUDGED
        leases = await waiting
        if not leases or leases[0].job.job_id != "b":
            raise AssertionError(leases)
        await worker.resolve([(leases[0], JUDGED)])
        assert await api.result("b") == JUDGED
        await until(lambda: api.reachable)
    finally:
        await api.close()
        await worker.close()
        server.kill()


@pytest.mark.parametrize("unseen", [False, True])
async def test_outcomes_come_from_a_server_that_lost_its_data_and_whose_clock_went_back(
    start_redis: RedisStarter, unseen: bool
) -> None:
    """A board without a clock of its own starts in the past: its new entries have smaller ids than the old ones."""
    server = start_redis()
    queue = RedisQueue(RedisQueueOptions(server.url, capacity=8, line_capacity=8), CLOCK)
    client = Redis.from_url(server.url)
    try:
        await queue.start()
        await queue.submit(job("before"))
        tomorrow = f"{(await client.time())[0] + 86_400}000-0"
        fields = {"id": "before", "outcome": outcome_to_wire(JUDGED)}
        await client.xadd(queue._replies.key, fields, id=tomorrow)
        assert await queue.result("before") == JUDGED
        if unseen:  # as between two reads
            await client.flushall()
        else:
            server.kill()
            server.start()
        await queue.submit(job("after"))
        (lease,) = await queue.lease(1)
        await queue.resolve([(lease, JUDGED)])
        assert await asyncio.wait_for(queue.result("after"), 5) == JUDGED
    finally:
        await client.aclose()
        await queue.close()
        server.kill()


async def test_an_outcome_that_nobody_waits_for_any_more_is_not_tried_for_ever(
    start_redis: RedisStarter,
) -> None:
    server = start_redis()
    queue = RedisQueue(RedisQueueOptions(server.url, capacity=8, line_capacity=8), CLOCK)
    await queue.submit(job("a", deadline_in_s=0.3))
    (lease,) = await queue.lease(1)
    server.kill()
    await queue.resolve([(lease, JUDGED)])
    await queue.close()


async def test_a_server_that_does_not_answer_is_not_waited_for(start_redis: RedisStarter) -> None:
    server = start_redis()
    options = RedisQueueOptions(server.url, capacity=8, line_capacity=8, command_timeout_s=0.2)
    queue = RedisQueue(options, CLOCK)
    try:
        await queue.submit(job("a"))
        server.freeze()
        with pytest.raises(NotReady):
            await asyncio.wait_for(queue.submit(job("b")), 2)
        server.thaw()
        await queue.submit(job("c"))
        names = {lease.job.job_id for lease in await queue.lease(8)}
        assert {"a", "c"} <= names <= {"a", "b", "c"}
    finally:
        await queue.close()
        server.kill()


async def test_the_user_that_the_documentation_names_can_do_all_that_is_needed(
    redis: RedisProcess, client: Redis
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "redis.md").read_text("utf-8")
    (rule,) = re.findall(r"^user flawline (.*)$", page, re.MULTILINE)
    await client.execute_command("ACL", "SETUSER", "flawline", *rule.split())
    url = redis.url.replace("redis://", "redis://flawline:PASSWORD@")
    options = RedisQueueOptions(
        url, capacity=1, line_capacity=1, inline_picture_bytes=2, lease_s=0.1
    )
    queue, other = RedisQueue(options, CLOCK), RedisQueue(options, CLOCK)
    await queue.start(announce=MODEL)
    assert queue.reachable
    await queue.submit(job("large"))
    with pytest.raises(QueueFull):
        await queue.submit(job("too many"))
    leases = await queue.lease(1)
    await queue.extend(leases)
    await queue.release(leases[0])
    await queue.lease(1)
    (lease,) = await other.lease(1)
    await other.resolve([(lease, Failed("1a2b"))])
    assert await queue.result("large") == Failed("1a2b")
    (letter,) = await queue.dead_letters.all()
    await queue.dead_letters.drop(letter.letter_id)
    await queue.submit(job("b"))
    await queue.cancel("b")
    await other.close()
    await queue.close()
    # Without it nobody would hear of a server that throws pictures away.
    assert await client.execute_command("ACL", "DRYRUN", "flawline", "INFO", "memory") == b"OK"
    for command in (["FLUSHALL"], ["KEYS", "*"], ["CONFIG", "GET", "*"], ["GET", "others:key"]):
        reply = await client.execute_command("ACL", "DRYRUN", "flawline", *command)
        assert reply != b"OK", command


@pytest.fixture
def tls_files(tmp_path: Path) -> tuple[str, str]:
    """A certificate of 127.0.0.1 and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
    names = ["-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", key, "-out", certificate]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return certificate, key


async def test_over_tls(start_redis: RedisStarter, tls_files: tuple[str, str]) -> None:
    (certificate, key), port = tls_files, free_port()
    server = start_redis(
        tls_port=str(port),
        tls_cert_file=certificate,
        tls_key_file=key,
        tls_ca_cert_file=certificate,
        tls_auth_clients="no",
    )
    trusting = RedisQueue(
        RedisQueueOptions(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}", 8, 8), CLOCK
    )
    doubting = RedisQueue(RedisQueueOptions(f"rediss://127.0.0.1:{port}/0", 8, 8), CLOCK)
    try:
        await trusting.submit(job("a"))
        (lease,) = await trusting.lease(1)
        await trusting.resolve([(lease, JUDGED)])
        assert await trusting.result("a") == JUDGED
        with pytest.raises(NotReady):
            await doubting.submit(job("b"))
    finally:
        await trusting.close()
        await doubting.close()
        server.kill()


async def test_the_first_answer_under_a_key_is_that_of_all_apis(
    make: Maker, client: Redis, namespace: str
) -> None:
    one, other = (make().answers(60.0) for _ in range(2))
    first, second = KeptAnswer("f", INSPECTION), KeptAnswer("g", INSPECTION)
    assert await one.find("press-1/k") is None
    assert await one.keep("press-1/k", first) == first
    assert await other.keep("press-1/k", second) == first
    assert await other.find("press-1/k") == first
    (key,) = [key async for key in client.scan_iter(f"{namespace}:answer:*")]
    assert 59_000 < await client.pttl(key) <= 60_000


async def test_while_the_server_is_away_no_answer_is_found_or_kept() -> None:
    queue = RedisQueue(RedisQueueOptions("redis://127.0.0.1:1", 1, 1), CLOCK)
    answers = queue.answers(60.0)
    assert await answers.claim("k", 1.0) is True
    assert await answers.find("k") is None
    answer = KeptAnswer("f", INSPECTION)
    assert await answers.keep("k", answer) == answer
    await answers.release("k")
    await queue.close()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"5",
        b'"judged"',
        b'{"kind": "dreamt"}',
        b'{"kind": "failed"}',
        json.dumps(json.loads(outcome_to_wire(JUDGED)) | {"recipe": "default/1"}).encode(),
        json.dumps(json.loads(outcome_to_wire(JUDGED)) | {"times": 5}).encode(),
        json.dumps(json.loads(outcome_to_wire(JUDGED)) | {"detections": {"label": 1}}).encode(),
        b'{"kind": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_outcome_is_not_understood(text: bytes) -> None:
    with pytest.raises(NotUnderstood):
        outcome_from_wire(text)


async def test_a_picture_that_cannot_be_had_costs_no_other_and_no_share(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make(inline_picture_bytes=10, lease_s=0.2, max_deliveries=1)
    for n in range(3):
        await worker.submit(job(str(n), picture=bytes(20)))
    get, asked = worker._server.commands.getrange, []

    async def failing_once(*piece: object) -> object:
        asked.append(piece)
        if len(asked) == 2:
            raise RedisError("away")
        return await get(*piece)

    monkeypatch.setattr(worker._server.commands, "getrange", failing_once)
    leases = await worker.lease(8)
    assert [lease.job.job_id for lease in leases] == ["0", "2"]
    assert len(worker._leases._held) == 2
    await worker.resolve([(lease, JUDGED) for lease in leases])
    assert not worker._leases._held
    (again,) = await asyncio.wait_for(worker.lease(8), 5)
    assert (again.job.job_id, again.deliveries) == ("1", 1)  # it killed nobody


async def test_the_time_that_pictures_take_to_come_is_taken_off_all_their_deadlines(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make(inline_picture_bytes=10)
    deadlines_s = []
    for n in range(3):
        asked = job(str(n), picture=bytes(20))
        deadlines_s.append(asked.deadline_s)
        await worker.submit(asked)
    get, late_s = worker._server.commands.getrange, 0.0

    class Clock(SystemClock):
        def monotonic_s(self) -> float:
            return super().monotonic_s() + late_s

    async def taking_ten_seconds(*piece: object) -> object:
        nonlocal late_s
        late_s += 10.0
        return await get(*piece)

    monkeypatch.setattr(worker._server.commands, "getrange", taking_ten_seconds)
    monkeypatch.setattr(worker._leases, "_clock", Clock())
    leases = await worker.lease(8)
    assert [lease.job.deadline_s for lease in leases] == pytest.approx(deadlines_s, abs=1.0)


async def test_who_asks_for_no_work_takes_no_share(make: Maker) -> None:
    busy, stuck = make(), make()
    await stuck.start(announce=MODEL)
    for n in range(8):
        await busy.submit(job(str(n), line=f"press-{n}"))
    assert len(await busy.lease(8)) == 8


async def test_what_comes_at_once_is_shared_out_among_the_workers_that_are_there(
    make: Maker,
) -> None:
    one, other, api = make(), make(), make()
    for worker in (one, other):  # asks, and goes on to other things
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(worker.lease(8), 0.2)
    for n in range(8):
        await api.submit(job(str(n), line=f"press-{n}"))
    mine = await one.lease(8)
    assert [lease.job.job_id for lease in mine] == ["0", "1", "2", "3"]
    # It holds its share, and has room: what it asks for still is not kept from it.
    assert [lease.job.job_id for lease in await one.lease(8)] == ["4"]
    assert [lease.job.job_id for lease in await other.lease(8)] == ["5", "6", "7"]
    await one.resolve([(lease, JUDGED) for lease in mine[:3]])
    await one.release(mine[3])
    await other.close()
    await api.submit(job("8"))
    # Two that it holds no more, and who has left takes no share: all that waits.
    assert {lease.job.job_id for lease in await one.lease(8)} >= {"3", "8"}


async def test_announcements_of_another_version_are_understood_or_left_out(
    make: Maker, client: Redis, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker, api = make(), make()
    await worker.start(announce=MODEL)
    key = f"{namespace}:workers"
    ((own, until_ms),) = await client.zrange(key, 0, -1, withscores=True)
    said = json.loads(own)
    said["model"]["mood"] = "good"
    strange = ["dreams", "{}", "[1]", "5", '{"model": "tiny"}', '{"model": ' + "[" * 100_000]
    await client.zadd(key, dict.fromkeys([json.dumps(said), *strange], until_ms))
    await api.start()
    assert api.announced == (MODEL, MODEL)
    assert caplog.text.count("worker_not_understood") == len(strange)


async def test_an_outcome_of_another_version_costs_no_other(
    make: Maker, client: Redis, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    api, worker = make(), make()
    await api.start()
    await api.submit(job("a"))
    await api.submit(job("b"))
    key = f"{namespace}:replies:{api.name}"
    await client.xadd(key, {"id": "a", "outcome": json.dumps({"kind": "dreamt"})})
    strange = await api.result("a")
    assert isinstance(strange, Failed)
    assert f"error_id={strange.error_id}" in caplog.text
    for lease in await worker.lease(2):
        await worker.resolve([(lease, Failed("1a2b"))])
    assert await api.result("b") == Failed("1a2b")


@pytest.mark.parametrize("text", ["dreams", "[1]", '{"kind": "dreamt"}', '{"fingerprint": "f"}'])
async def test_answers_and_tickets_of_another_version_are_understood_or_left_out(
    make: Maker, client: Redis, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    api = make()
    await api.start()
    answers, tickets, mine = api.answers(60), api.tickets(60), KeptAnswer("f", INSPECTION)
    for key in (api._keys.answer("k"), api._keys.ticket("k")):
        await client.set(key, text)
    assert await answers.find("k") is None
    assert await answers.keep("k", mine) == mine
    assert await tickets.find("k") is None
    await tickets.keep("k", Finished(INSPECTION))
    assert await tickets.find("k") == Finished(INSPECTION)
    assert caplog.text.count("answer_not_understood") == 2
    assert caplog.text.count("ticket_not_understood") == 1


@pytest.mark.parametrize("meta", ["dreams", "[1]", '{"recipe": "default"}'])
async def test_a_job_of_another_version_costs_no_other(
    make: Maker, client: Redis, namespace: str, meta: str, caplog: pytest.LogCaptureFixture
) -> None:
    api, worker = make(), make()
    await api.submit(job("strange"))
    stream = f"{namespace}:jobs:inline"
    ((entry_id, fields),) = await client.xrange(stream)
    await client.xadd(stream, fields | {b"meta": meta})
    await client.xdel(stream, entry_id)
    await api.submit(job("a"))
    (lease,) = await worker.lease(2)
    await worker.resolve([(lease, JUDGED)])
    assert await api.result("a") == JUDGED
    failed = await api.result("strange")
    assert isinstance(failed, Failed)
    (told,) = [line for line in caplog.messages if "job_not_understood" in line]
    assert f"inspection_id=strange error_id={failed.error_id}" in told


@pytest.mark.parametrize(
    "fields", [{"mood": "good"}, {"id": b"\xff", "outcome": "{}"}, {"id": "b"}]
)
async def test_a_reply_of_another_shape_ends_no_reading(
    make: Maker, client: Redis, namespace: str, fields: dict[str, bytes | str]
) -> None:
    api, worker = make(), make()
    await api.submit(job("a"))
    await api.submit(job("b"))
    await client.xadd(f"{namespace}:replies:{api.name}", fields)
    lease, other = await worker.lease(2)
    await worker.resolve([(lease, JUDGED)])
    assert await asyncio.wait_for(api.result("a"), 5) == JUDGED
    await worker.resolve([(other, JUDGED)])
    outcome = await asyncio.wait_for(api.result("b"), 5)
    assert outcome == JUDGED or (fields.get("id") == "b" and isinstance(outcome, Failed))


async def test_a_dead_letter_of_another_version_hides_no_other(
    make: Maker, client: Redis, namespace: str
) -> None:
    queue = make()
    await queue.submit(job("a"))
    (lease,) = await queue.lease(1)
    await queue.resolve([(lease, Failed("1a2b3c"))])
    ((_, fields),) = await client.xrange(f"{namespace}:dead")
    await client.xadd(f"{namespace}:dead", fields | {b"id": b"strange", b"meta": b"dreams"})
    letters = await queue.dead_letters.all()
    assert [(letter.job_id, letter.recipe) for letter in letters] == [
        ("a", "default"),
        ("strange", "?"),
    ]
    found = await queue.dead_letters.find(letters[1].letter_id)
    assert found is not None
    assert found.picture == b"a"


async def test_what_breaks_the_look_at_redis_does_not_end_it(
    make: Maker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    api, worker = make(), make()
    await api.start()
    with monkeypatch.context() as patch:
        patch.setattr("flawline.adapters.redis_queue.queue.announced_from_wire", lambda _: 1 / 0)
        await until(lambda: "look_failed" in caplog.text)
    await worker.submit(job("a"))
    await until(lambda: api.state.depth[Priority.INLINE] == 1)
