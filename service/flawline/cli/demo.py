"""`flawline demo`: what `make run` shows."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from PIL import Image

from flawline.adapters.logs import set_up_logs
from flawline.adapters.rest import InspectionAnswer
from flawline.bootstrap import Running, running
from flawline.cli.annotated import write_annotated
from flawline.cli.fault import Fault
from flawline.cli.loop import run
from flawline.cli.startup import settings_from, startup_explained
from flawline.core.values import Box, Detection
from flawline.samples.generator import generate_frame
from flawline.settings import FlawlineSettings
from flawspec.decoding import DecodeLimits

_HOST = "127.0.0.1"
_SEED = 7
_FLAWS = ("scratches", "patches")
_DEADLINE_MS = 10_000
_FOLDER = "inspected"


@click.command("demo", short_help="Serve on loopback and inspect a sample frame.")
@click.option("--once", is_flag=True, help="End after the answer.")
@click.option("--port", type=int, help="HTTP port; 0 takes a free one.  [default: 8080]")
@click.option("--grpc-port", type=int, help="gRPC port; 0 takes a free one.  [default: 8081]")
def command(once: bool, port: int | None, grpc_port: int | None) -> None:
    """Draw a frame of steel with flaws, serve on loopback, and inspect the frame over REST."""
    settings = settings_from(queue="memory", host=_HOST, port=port, grpc_port=grpc_port)
    # On loopback, to be tried with curl: the commands it prints shall work as they stand.
    settings = settings.model_copy(
        update={"token_file": None, "tls_cert_file": None, "tls_key_file": None}
    )
    set_up_logs("warning")
    frame = generate_frame(_SEED, flaws=_FLAWS)
    buffer = io.BytesIO()
    Image.fromarray(frame.grey).save(buffer, format="PNG")
    with startup_explained():
        run(_show(settings, buffer.getvalue(), once))


async def _show(settings: FlawlineSettings, picture: bytes, once: bool) -> None:
    with _told_to_stop() as told:
        async with running(settings) as parts:
            folder = await asyncio.to_thread(_folder_for, picture)
            deadline_ms = min(_DEADLINE_MS, settings.max_deadline_ms)
            answer = await asyncio.to_thread(
                _inspect_over_rest, parts.rest_port, deadline_ms, picture
            )
            click.echo(json.dumps(json.loads(answer.to_json()), indent=2))
            annotated = folder / "sample-annotated.png"
            labels = parts.service.model.labels
            await asyncio.to_thread(_annotate, annotated, picture, answer, labels)
            click.echo(_guide(parts, folder / "sample.png", annotated))
            if not once:
                click.echo("\nServing until Ctrl-C.")
                await told.wait()
                click.echo("Stopping.")


@contextmanager
def _told_to_stop() -> Iterator[asyncio.Event]:
    """Ctrl-C and SIGTERM set the event, so that the servers are left in their order."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    numbers = () if sys.platform == "win32" else (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, told.set)
    try:
        yield told
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _folder_for(picture: bytes) -> Path:
    """`inspected` here with the sample in it, or a temporary folder where nothing can be written."""
    try:
        folder = Path.cwd() / _FOLDER
        folder.mkdir(exist_ok=True)
        (folder / "sample.png").write_bytes(picture)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="flawline-"))
        (folder / "sample.png").write_bytes(picture)
    return folder


def _inspect_over_rest(port: int, deadline_ms: int, picture: bytes) -> InspectionAnswer:
    """As any client would; http.client, because it asks no proxy for the way to this machine."""
    connection = http.client.HTTPConnection(_HOST, port, timeout=2 * deadline_ms / 1000)
    try:
        path = f"/v1/inspections?part_id=SAMPLE-1&deadline_ms={deadline_ms}"
        connection.request("POST", path, picture, {"Content-Type": "image/png"})
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        raise Fault(f"The sample got no verdict: {response.status} {body.decode()}")
    return InspectionAnswer.model_validate_json(body)


def _annotate(
    target: Path, picture: bytes, answer: InspectionAnswer, labels: tuple[str, ...]
) -> None:
    detections = [
        Detection(found.label, found.score, Box(**found.box.model_dump()))
        for found in answer.detections
    ]
    write_annotated(
        target,
        picture,
        DecodeLimits(),
        detections=detections,
        verdict=answer.verdict,
        labels=labels,
    )


def _guide(parts: Running, sample: Path, annotated: Path) -> str:
    url = f"http://{_HOST}:{parts.rest_port}"
    return f"""
Verdict and boxes above; the frame with them drawn in:
  {annotated}

API docs   {url}/docs
Metrics    {url}/metrics
gRPC       {_HOST}:{parts.grpc_port}  flawline.v1.InspectionService, with reflection
Try        curl --data-binary @{sample} -H 'Content-Type: image/png' {url}/v1/inspections"""
