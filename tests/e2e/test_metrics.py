"""What /metrics says while much is asked, by whom nobody knows, and while the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from pictures import numbered, slow_to_decode
from prometheus_client.parser import text_string_to_metric_families
from server_process import ServerProcess

NAMES = 120
PATIENT_MS = 60_000
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def samples(
    client: httpx.AsyncClient,
) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = (await client.get("/metrics")).raise_for_status().text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield client


async def test_lines_that_nobody_declared_add_no_series_and_figures_stay_right(
    client: httpx.AsyncClient,
) -> None:
    async def ask(number: int) -> str:
        query = {"line": f"made-up-{number}", "deadline_ms": PATIENT_MS}
        answer = await client.post("/v1/inspections", params=query, content=numbered(number))
        return answer.json()["verdict"]

    def counted(found: Samples) -> float:
        return sum(
            value
            for (name, labels), value in found.items()
            if name == "flawline_inspections_total" and ("line", "other") in labels
        )

    await ask(0)  # whatever comes into being with the first
    before, seen = await samples(client), []
    asking = asyncio.gather(*(ask(number) for number in range(NAMES)))
    while not asking.done():  # one scrape after the other, all the while
        seen.append(counted(await samples(client)))
    assert set(await asking) == {"NotOK"}
    after = await samples(client)
    assert after.keys() == before.keys()
    assert counted(after) - counted(before) == NAMES
    assert seen == sorted(seen)  # a counter never falls


async def until(client: httpx.AsyncClient, condition: Callable[[Samples], bool]) -> Samples:
    """The first samples for which it holds."""
    for _ in range(2000):
        if condition(found := await samples(client)):
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to pass")


async def test_metrics_can_be_read_while_the_server_stops(artifact: Path) -> None:
    server = ServerProcess(artifact, drain_timeout_s="60", decode_threads="1")
    slow = slow_to_decode()
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        query = {"deadline_ms": PATIENT_MS}
        asking = [
            asyncio.create_task(client.post("/v1/inspections", params=query, content=slow))
            for _ in range(24)
        ]
        await until(client, lambda now: now["flawline_open_inspections", ()] == len(asking))
        server.terminate()
        now = await until(client, lambda now: not now["flawline_ready", ()])
        assert now["flawline_open_inspections", ()] > 0
        answers = await asyncio.gather(*asking)
    assert {answer.json()["verdict"] for answer in answers} == {"NotOK"}
    assert await asyncio.to_thread(server.exit_code) == 0, server.log
