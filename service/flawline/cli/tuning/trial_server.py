"""`flawline serve` in a process of its own, on loopback, with settings to try."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from flawline.application.tuning import CannotServeError
from flawline.cli.load.address import Address
from flawline.core.tuning import Candidate
from flawline.settings import PREFIX

_STARTS_WITHIN_S = 60.0
_STOPS_WITHIN_S = 10.0
_LAST_LINES = 3
# An empty variable counts as one that is not set.
_ALONE: Mapping[str, str] = {
    "host": "127.0.0.1",
    "port": "0",
    "grpc_port": "0",
    "queue": "memory",
    "lines": "",  # or a picture that comes again and again, alone, would be a camera that hangs, and cost no time
    "token_file": "",
    "tls_cert_file": "",
    "tls_key_file": "",
    "insecure": "",
    "traces": "off",
    "log_level": "info",
    "log_format": "json",
    "log_inspections": "none",
}


@asynccontextmanager
async def serving(candidate: Candidate, settings: Mapping[str, str]) -> AsyncIterator[Address]:
    """Its address over REST, once it is ready; leaving stops it. Raises CannotServeError.

    settings: by their names, over those of the environment; the candidate's come on top.
    """
    asked = {**_ALONE, **settings, **{name: str(value) for name, value in candidate.values}}
    environment = os.environ | {f"{PREFIX}{name.upper()}": value for name, value in asked.items()}
    # A task of its own: who is cancelled while it starts must stop it all the same.
    spawning = asyncio.create_task(
        asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "flawline", "serve"),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    )
    reading: asyncio.Task[None] | None = None
    try:
        process = await asyncio.shield(spawning)
        address = await _until_ready(process)
        reading = asyncio.create_task(_read_on(process))
        yield address
    finally:
        await _stopped(await spawning)
        if reading is not None:
            await reading


async def _until_ready(process: asyncio.subprocess.Process) -> Address:
    said: list[str] = []
    try:
        return await asyncio.wait_for(_address_said(process, said), _STARTS_WITHIN_S)
    except asyncio.TimeoutError as error:
        raise CannotServeError(f"it was not ready within {_STARTS_WITHIN_S:g} s.") from error
    except EOFError as error:
        words = " ".join(line.strip() for line in said[-_LAST_LINES:])
        raise CannotServeError(words or "it ended without a word.") from error


async def _address_said(process: asyncio.subprocess.Process, said: list[str]) -> Address:
    if process.stderr is None:
        raise EOFError
    while line := (await process.stderr.readline()).decode(errors="replace"):
        said.append(line)
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event") == "ready" and "rest" in event:
            return Address.of(str(event["rest"]))
    raise EOFError


async def _read_on(process: asyncio.subprocess.Process) -> None:
    """What it says must not fill the pipe: it would stand still."""
    while process.stderr is not None and await process.stderr.readline():
        pass


async def _stopped(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOPS_WITHIN_S)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()
