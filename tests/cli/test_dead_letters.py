"""From a job that failed to its replay, by the command line."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import light_worker
import pytest
from command_line import run
from pictures import numbered, truncated
from redis import Redis
from redis_process import RedisProcess, RedisStarter

from flawline.adapters.redis_queue import RedisQueue, RedisQueueOptions, RedisTimeoutError
from flawline.adapters.system_clock import SystemClock
from flawline.application.job import Failed, Job
from flawline.cli.dead_letters import _explained
from flawline.cli.fault import Fault
from flawline.core.errors import NotReady

FIELDS = {
    "id": "0",
    "line": "press-1",
    "meta": '{"recipe": "default", "min_score": null, "traceparent": null}',
    "reason": "its workers died",
    "deliveries": 3,
    "buried_ms": 1,
}


@pytest.fixture
def options(redis: RedisProcess, monkeypatch: pytest.MonkeyPatch) -> RedisQueueOptions:
    namespace = f"letters-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("FLAWLINE_QUEUE", redis.url)
    monkeypatch.setenv("FLAWLINE_QUEUE_NAMESPACE", namespace)
    return RedisQueueOptions(redis.url, 8, 8, namespace, inline_picture_bytes=100)


@pytest.fixture
def worker(options: RedisQueueOptions) -> Iterator[None]:
    process = light_worker.spawn(options)
    yield
    process.kill()
    process.join()


def bury(options: RedisQueueOptions, *pictures: bytes) -> list[str]:
    """Jobs that failed; returns their letters' ids."""

    async def fail() -> None:
        clock = SystemClock()
        queue = RedisQueue(options, clock)
        now_s = clock.monotonic_s()
        for number, picture in enumerate(pictures):
            job = Job(
                f"{number}",
                picture,
                "default",
                None,
                now_s,
                now_s + 60,
                line="press-1",
                part_id="SN-1",
            )
            await queue.submit(job)
            (lease,) = await queue.lease(1)
            await queue.resolve([(lease, Failed("1a2b"))])
        await queue.close()

    # In a thread: `run` below has an event loop of its own, and so has this.
    thread = threading.Thread(target=lambda: asyncio.run(fail()))
    thread.start()
    thread.join()
    return [line.split()[0] for line in run("dead-letters", "list").stdout.splitlines()]


def test_a_letter_is_listed_shown_and_dropped(options: RedisQueueOptions, tmp_path: Path) -> None:
    picture = numbered(7)
    first, second = bury(options, picture, numbered(8))
    (line, _) = run("dead-letters", "list").stdout.splitlines()
    assert line.endswith("press-1  1  processing failed, error id 1a2b")
    shown = run("dead-letters", "show", first, "--picture", tmp_path / "it.png")
    fields = json.loads(shown.stdout)
    assert (fields["part_id"], fields["picture_bytes"]) == ("SN-1", len(picture))
    assert (tmp_path / "it.png").read_bytes() == picture
    nowhere = run("dead-letters", "show", first, "--picture", tmp_path / "none" / "it.png")
    assert (nowhere.exit_code, nowhere.stderr[:13]) == (2, "Error: Cannot")
    dropped = run("dead-letters", "drop", "123-4", first, second)
    assert (dropped.exit_code, "no dead letter 123-4;" in dropped.stderr) == (2, True)
    assert run("dead-letters", "list").stdout == ""


def test_many_large_letters_are_listed_and_dropped_without_their_pictures(
    options: RedisQueueOptions, redis: RedisProcess
) -> None:
    large = [bytes([number]) * 4_000_000 for number in range(9)]
    bury(options, *large)
    with Redis.from_url(redis.url) as client:
        kept = [letter_id.decode() for letter_id, _ in client.xrange(f"{options.namespace}:dead")]
        sent_before = client.info("stats")["total_net_output_bytes"]
        listed = run("dead-letters", "list").stdout.splitlines()
        dropped = run("dead-letters", "drop", *kept)
        sent = client.info("stats")["total_net_output_bytes"] - sent_before
    assert (dropped.exit_code, run("dead-letters", "list").stdout) == (0, "")
    assert [line.split()[0] for line in listed] == kept
    assert len(kept) == len(large)
    assert sent < len(large[0])


@pytest.mark.parametrize("command", [["list"], ["show", "1-1"], ["drop", "1-1"], ["replay", "1-1"]])
def test_a_queue_that_answers_too_late_is_told_with_what_to_set(
    start_redis: RedisStarter, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    server, start = start_redis(), RedisQueue.start

    async def start_then_freeze(queue: RedisQueue) -> None:
        await start(queue)
        server.freeze()

    monkeypatch.setattr(RedisQueue, "start", start_then_freeze)
    monkeypatch.setenv("FLAWLINE_QUEUE_TIMEOUT_S", "0.3")
    result = run("dead-letters", "--queue", server.url, *command)
    assert result.exit_code == 2
    assert "did not answer in time" in result.stderr
    assert "FLAWLINE_QUEUE_TIMEOUT_S" in result.stderr


def test_what_the_queue_does_not_do_is_told(start_redis: RedisStarter) -> None:
    server = start_redis()
    with Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "default", "-xdel")
        letter_id = client.xadd("flawline:dead", FIELDS).decode()
    result = run("dead-letters", "--queue", server.url, "drop", letter_id)
    assert result.exit_code == 2
    assert "did not do what it was asked" in result.stderr
    assert "xdel" in result.stderr


def test_a_letter_that_is_tried_again_gets_its_verdict_and_goes(
    options: RedisQueueOptions, worker: None
) -> None:
    good, damaged = bury(options, numbered(7), truncated())
    replayed = run("dead-letters", "replay", good)
    assert (replayed.exit_code, replayed.stdout) == (0, "NotOK\n"), replayed.output
    refused = run("dead-letters", "replay", damaged)
    assert refused.exit_code == 1
    assert refused.stdout.startswith("refused: ")
    assert [line.split()[0] for line in run("dead-letters", "list").stdout.splitlines()] == [
        damaged
    ]


@contextmanager
def failing_worker(options: RedisQueueOptions, jobs: int) -> Iterator[None]:
    """Takes so many jobs meanwhile, and fails at each; left once it has."""

    async def fail() -> None:
        queue = RedisQueue(options, SystemClock())
        for number in range(jobs):
            (lease,) = await queue.lease(1)
            await queue.resolve([(lease, Failed(f"again-{number}"))])
        await queue.close()

    thread = threading.Thread(target=lambda: asyncio.run(fail()), daemon=True)
    thread.start()
    yield
    thread.join()


def test_a_letter_that_fails_again_is_not_doubled(
    options: RedisQueueOptions, tmp_path: Path
) -> None:
    picture = numbered(7)
    letter_id, other = bury(options, picture, numbered(8))
    with failing_worker(options, jobs=3):
        for number in range(3):
            before = letter_id
            replayed = run("dead-letters", "replay", letter_id)
            assert replayed.exit_code == 1
            said, letter_id = replayed.stdout.strip().rsplit(" ", 1)
            assert said == f"failed again; error id again-{number}; kept as dead letter"
            assert letter_id != before
            listed = run("dead-letters", "list").stdout.splitlines()
            assert [line.split()[0] for line in listed] == [other, letter_id]
    run("dead-letters", "show", letter_id, "--picture", tmp_path / "it.png")
    assert (tmp_path / "it.png").read_bytes() == picture


def test_a_letter_without_a_verdict_in_time_stays(
    options: RedisQueueOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flawline.cli.dead_letters._REPLAY_LIMIT_S", 0.1)
    (letter_id,) = bury(options, numbered(7))
    replayed = run("dead-letters", "replay", letter_id)
    assert (replayed.exit_code, replayed.stdout) == (1, "no verdict within 0.1 s\n")
    (line,) = run("dead-letters", "list").stdout.splitlines()
    assert line.split()[0] == letter_id


@pytest.mark.parametrize("letter_id", ["123-4", "no-such"])
@pytest.mark.parametrize("command", ["show", "replay", "drop"])
def test_a_letter_that_is_not_there(
    options: RedisQueueOptions, command: str, letter_id: str
) -> None:
    result = run("dead-letters", command, letter_id)
    assert result.exit_code == 2
    assert f"no dead letter {letter_id}" in result.stderr


@pytest.mark.parametrize(
    ("queue", "says"),
    [
        ("memory", "keeps no dead letters"),
        ("redis://127.0.0.1:1", "cannot be reached: Error 111 connecting to 127.0.0.1:1."),
    ],
)
def test_without_a_shared_queue_there_are_none(queue: str, says: str) -> None:
    result = run("dead-letters", "--queue", queue, "list")
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_wrong_password_is_called_one_and_not_shown(start_redis: RedisStarter) -> None:
    server = start_redis()
    client = Redis.from_url(server.url)
    client.config_set("requirepass", "the-right-one")
    client.close()
    queue = server.url.replace("redis://", "redis://:not-this-one@")
    result = run("dead-letters", "--queue", queue, "list")
    assert result.exit_code == 2
    assert "invalid username-password pair" in result.stderr
    assert "not-this-one" not in result.stderr
    server.kill()


def test_a_picture_handed_in_too_slowly_is_told_with_what_to_set() -> None:
    with pytest.raises(Fault, match="FLAWLINE_QUEUE_TIMEOUT_S"), _explained():
        raise NotReady("queue_unavailable", 2.0) from RedisTimeoutError("Timeout writing to socket")
