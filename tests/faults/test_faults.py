"""What breaks in a factory, done to real processes: nothing accepted is lost, nothing comes late."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from pictures import numbered, quarters
from redis.asyncio import Redis
from redis_process import RedisProcess, RedisStarter
from shared_line import SharedLine
from swallowing_proxy import SwallowingProxy

from flawline.adapters.redis_queue import RedisQueueOptions
from flawline.application.inspector import InspectionRequest
from flawline.application.job import Expired, Job, Judged
from flawline.core.errors import KeyReused, NotReady
from flawline.core.values import Inspection, Verdict

KILLS = 20
BOOKS = int(os.environ.get("BOOKS", "10000"))
POISON = quarters((255, 255, 255, 255))


def options_for(url: str, **changes: object) -> RedisQueueOptions:
    options = RedisQueueOptions(
        url,
        capacity=4000,
        line_capacity=4000,
        namespace=f"faults-{uuid.uuid4().hex[:8]}",
        lease_s=0.5,
        command_timeout_s=2.0,
    )
    return replace(options, **changes)


@pytest.fixture
async def client(redis: RedisProcess) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis.url)
    yield client
    await client.aclose()


async def load(line: SharedLine, done: asyncio.Event, streams: int = 24) -> list[Inspection]:
    """Inspections one after the other in so many streams, until `done`."""
    numbers = iter(range(1_000_000))

    async def stream() -> list[Inspection]:
        answers = []
        while not done.is_set():
            answers.append(await line.inspect(next(numbers)))
        return answers

    parts = await asyncio.gather(*(stream() for _ in range(streams)))
    return [inspection for part in parts for inspection in part]


@pytest.mark.timeout(120)
async def test_kill_9_of_random_workers_under_load(redis: RedisProcess, client: Redis) -> None:
    options = options_for(redis.url, max_deliveries=100)
    async with SharedLine(options, batch_s=0.02) as line:
        line.hire(3)
        await line.until_served(30)
        before = await line.replies_given(client)
        done = asyncio.Event()
        loading = asyncio.create_task(load(line, done))
        chance = random.Random(4)
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.05, 0.2))
            await asyncio.to_thread(line.kill, chance.randrange(3))
        done.set()
        answers = await loading
        assert len(answers) > KILLS
        # Answered once, each with its own verdict (`inspect` compares), none lost to the deadline.
        assert Counter(answer.verdict for answer in answers) == {Verdict.NOT_OK: len(answers)}
        assert len({answer.inspection_id for answer in answers}) == len(answers)
        assert await line.replies_given(client) == before + len(answers)
        assert await line.keys_left(client) == set()


@pytest.mark.timeout(120)
async def test_frozen_worker_and_its_late_outcomes(redis: RedisProcess, client: Redis) -> None:
    options = options_for(redis.url)
    async with SharedLine(options, batch_s=0.2) as line:
        line.hire(1)
        await line.until_served(30)
        before = await line.replies_given(client)
        accepted = [asyncio.create_task(line.inspect(number)) for number in range(40)]
        await asyncio.wait(accepted, return_when=asyncio.FIRST_COMPLETED)
        frozen = line.workers[0].pid
        os.kill(frozen, signal.SIGSTOP)
        line.hire(1)
        answers = await asyncio.gather(*accepted)
        assert Counter(answer.verdict for answer in answers) == {Verdict.NOT_OK: len(answers)}
        os.kill(frozen, signal.SIGCONT)
        asking = [asyncio.create_task(line.inspect(number)) for number in range(40)]
        answers = await asyncio.gather(*asking)
        assert Counter(answer.verdict for answer in answers) == {Verdict.NOT_OK: len(answers)}
        assert await line.replies_given(client) == before + 2 * len(answers)


@pytest.mark.timeout(120)
async def test_kill_9_of_redis_with_append_only_file(start_redis: RedisStarter) -> None:
    server = start_redis(appendonly="yes")
    options = options_for(server.url)
    client = Redis.from_url(server.url)
    async with SharedLine(options, batch_s=0.3) as line:
        line.hire(3)
        await line.until_served(30)
        stream = f"{options.namespace}:jobs:inline"
        before = (await client.xinfo_stream(stream))["entries-added"]
        accepted = [asyncio.create_task(line.inspect(number)) for number in range(200)]
        for _ in range(1000):  # until all are accepted
            if (await client.xinfo_stream(stream))["entries-added"] == before + len(accepted):
                break
            await asyncio.sleep(0.01)
        await client.aclose()
        await asyncio.to_thread(server.kill)
        for number in range(5):
            with pytest.raises(NotReady):
                await line.inspect(number, deadline_ms=2000)
        assert not all(task.done() for task in accepted)
        await asyncio.to_thread(server.start)
        answers = await asyncio.gather(*accepted)
        assert Counter(answer.verdict for answer in answers) == {Verdict.NOT_OK: len(accepted)}
        await line.until_served()


async def ask_throughout(line: SharedLine, seconds: float) -> Counter[str]:
    """Inspections with a deadline of 300 ms, all of which `inspect` holds to their time."""
    seen: Counter[str] = Counter()
    ends_s = time.monotonic() + seconds

    async def stream(number: int) -> None:
        while time.monotonic() < ends_s:
            try:
                inspection = await line.inspect(number, deadline_ms=300)
                seen[inspection.reasons[0].code] += 1
            except NotReady as error:  # noqa: PERF203 - refusals are counted
                seen[error.reason] += 1
                await asyncio.sleep(0.02)

    await asyncio.gather(*(stream(number) for number in range(8)))
    return seen


@pytest.mark.timeout(120)
async def test_frozen_redis(start_redis: RedisStarter) -> None:
    server = start_redis()
    async with SharedLine(options_for(server.url, command_timeout_s=0.3)) as line:
        line.hire(2)
        await line.until_served(30)
        server.freeze()
        seen = await ask_throughout(line, 10.0)
        assert set(seen) == {"deadline", "queue_unavailable"}
        server.thaw()
        await line.until_served()


@pytest.mark.timeout(120)
async def test_a_network_that_swallows(start_redis: RedisStarter) -> None:
    server = start_redis()
    async with SwallowingProxy(server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        async with SharedLine(options_for(url, command_timeout_s=0.3)) as line:
            line.hire(2)
            await line.until_served(30)
            proxy.cut()
            seen = await ask_throughout(line, 5.0)
            assert set(seen) == {"deadline", "queue_unavailable"}
            proxy.heal()
            await line.until_served(20)


@pytest.mark.timeout(120)
async def test_a_repeat_at_another_api_joins_the_first(redis: RedisProcess, client: Redis) -> None:
    options = options_for(redis.url)
    async with SharedLine(options, batch_s=0.3) as one, SharedLine(options) as other:
        one.hire(1)
        await one.until_served(30)
        before = await line_added(client, options)
        asking = [
            asyncio.create_task(line.inspect(7, idempotency_key="part 7"))
            for line in (one, other, one, other)
        ]
        answers = await asyncio.gather(*asking)
        assert len({answer.inspection_id for answer in answers}) == 1
        assert await line_added(client, options) == before + 1
        # It is counted once, by the api that had it done.
        counted = [*one.telemetry.inspections, *other.telemetry.inspections]
        assert sum(inspection.part_id == "7" for inspection in counted) == 1
        with pytest.raises(KeyReused):
            await other.inspect(8, idempotency_key="part 7")


async def line_added(client: Redis, options: RedisQueueOptions) -> int:
    return (await client.xinfo_stream(f"{options.namespace}:jobs:inline"))["entries-added"]


@pytest.mark.timeout(120)
async def test_a_poison_picture_kills_so_many_and_no_more(
    redis: RedisProcess, client: Redis
) -> None:
    options = options_for(redis.url, max_deliveries=3, lease_s=0.3)
    async with SharedLine(options, batch_s=0.01) as line:
        line.hire(3)
        await line.until_served(30)
        poison = asyncio.create_task(
            line.inspector.inspect(InspectionRequest(POISON, deadline_ms=30_000))
        )
        deaths = 0
        asking = []
        while not poison.done():
            asking.append(asyncio.create_task(line.inspect(len(asking))))
            await asyncio.sleep(0.02)
            for number, worker in enumerate(line.workers):
                if not worker.is_alive():
                    deaths += 1
                    await asyncio.to_thread(line.kill, number)
        inspection = await poison
        assert inspection.reasons[0].code == "processing_failed"
        assert deaths == 3
        answers = await asyncio.gather(*asking)
        assert Counter(answer.verdict for answer in answers) == {Verdict.NOT_OK: len(answers)}
        ((_, letter),) = await client.xrange(f"{options.namespace}:dead")
        assert letter[b"picture"] == POISON


@pytest.mark.timeout(300)
async def test_the_books_balance(redis: RedisProcess, client: Redis) -> None:
    # Patient: a machine that is busy with other things is no outage, after which callers would have to ask again.
    options = options_for(redis.url, inline_picture_bytes=150, lease_s=5.0, command_timeout_s=30.0)
    async with SharedLine(options) as line:
        line.hire(3)
        await line.until_served(30)
        books: Counter[str] = Counter()
        turns = asyncio.Semaphore(64)

        async def one(number: int) -> None:
            async with turns:
                now_s = time.monotonic()
                late = number % 20 == 1
                job = Job(
                    f"books-{number}",
                    numbered(number % 400),
                    "default",
                    None,
                    submitted_s=now_s,
                    deadline_s=now_s + (0.001 if late else 60.0),
                    line=f"line-{number % 5}",
                )
                await line.queue.submit(job)
                if number % 20 == 0:
                    await line.queue.cancel(job.job_id)
                    books["cancelled"] += 1
                    return
                outcome = await line.queue.result(job.job_id)
                books[{Judged: "answered", Expired: "expired"}[type(outcome)]] += 1

        half = BOOKS // 2
        await asyncio.gather(*(one(number) for number in range(half)))
        processes = {"api": os.getpid(), "redis": redis.pid}  # the api is in this one
        processes |= {f"worker {worker.pid}": worker.pid for worker in line.workers}
        memory_kb = {name: resident_kb(pid) for name, pid in processes.items()}
        await asyncio.gather(*(one(number) for number in range(half, BOOKS)))
        assert sum(books.values()) == BOOKS
        assert books["cancelled"] == BOOKS // 20
        assert 0 < books["expired"] <= BOOKS // 20
        await line.inspect(1)  # whatever was cancelled before it has been read by now
        await asyncio.sleep(0.1)
        assert await line.keys_left(client) == set()
        for name, before_kb in memory_kb.items():
            assert resident_kb(processes[name]) < 1.2 * before_kb + 5_000, name


def resident_kb(pid: int | None) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])
