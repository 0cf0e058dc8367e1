"""`flawline check`."""

from __future__ import annotations

import asyncio
import io
import sys
from contextlib import AsyncExitStack

import click
from PIL import Image

from flawline.adapters.artifact_file import ArtifactFile
from flawline.adapters.logs import set_up_logs
from flawline.adapters.release_file import Release
from flawline.application.inspector import InspectionRequest
from flawline.bootstrap import Door, StartupError, build_service
from flawline.cli.loop import run
from flawline.core.errors import InspectionError
from flawline.core.values import Inspection, Verdict
from flawline.samples.generator import generate_frame
from flawline.settings import FlawlineSettings, SettingsError, load_settings
from flawspec.errors import ArtifactError

_SELF_TEST_DEADLINE_MS = 30_000


class _FailedCheckError(Exception):
    """The check that failed was printed; the ones after it make no sense."""


@click.command("check", short_help="Check settings and artifact; run a self test.")
def command() -> None:
    """Check settings and artifact, and inspect a generated frame in this process."""
    set_up_logs("error")
    try:
        settings = _check_settings()
        _check_door(settings)
        _check_artifact(settings)
        _check_queue(settings)
        _check_self_test(settings)
    except _FailedCheckError:
        sys.exit(2)


def _check_settings() -> FlawlineSettings:
    try:
        settings = load_settings()
    except SettingsError as error:
        for fault in error.faults:
            _print_mark(False, "settings", fault)
        raise _FailedCheckError from error
    listening = f"REST {settings.host}:{settings.port}, gRPC {settings.host}:{settings.grpc_port}"
    lines = f"lines {', '.join(settings.lines) or 'not declared'}"
    queue = "in memory" if settings.queue == "memory" else "shared"
    says = f"{listening}; {lines}; deadline {settings.deadline_ms} ms; queue {queue}"
    _print_mark(True, "settings", says)
    return settings


def _check_door(settings: FlawlineSettings) -> None:
    if settings.token_file is None and settings.tls_cert_file is None:
        return
    try:
        Door.of(settings)
    except StartupError as error:
        _print_mark(False, "door", str(error))
        raise _FailedCheckError from error
    token = f"token in {settings.token_file}" if settings.token_file else "no token"
    tls = f"TLS with {settings.tls_cert_file}" if settings.tls_cert_file else "no TLS"
    _print_mark(True, "door", f"{token}; {tls}")


def _check_artifact(settings: FlawlineSettings) -> None:
    try:
        artifact = ArtifactFile.find(settings.artifact, settings.artifact_sha256)
    except ArtifactError as error:
        _print_mark(False, "artifact", str(error))
        raise _FailedCheckError from error
    manifest, release = artifact.manifest, Release.of_this_installation()
    belongs = "of" if release.holds(artifact.sha256) else "not of"
    _print_mark(
        True,
        "artifact",
        f"{manifest.model_name} {manifest.model_version}, sha256 {artifact.sha256[:16]}..., "
        f"{belongs} release {release.version}; classes {', '.join(manifest.labels.names)}",
    )


def _check_queue(settings: FlawlineSettings) -> None:
    if settings.queue == "memory":
        return
    try:
        run(_build(settings))
    except StartupError as error:
        _print_mark(False, "queue", str(error))
        raise _FailedCheckError from error
    _print_mark(True, "queue", "its address can be used; whether a Redis answers was not tried")


async def _build(settings: FlawlineSettings) -> None:
    build_service(settings)  # nothing of it runs, so there is nothing to stop


def _check_self_test(settings: FlawlineSettings) -> None:
    try:
        inspection, fell_back = run(_inspect_generated(settings))
    except (StartupError, InspectionError) as error:
        _print_mark(False, "self test", str(error))
        raise _FailedCheckError from error
    if fell_back:
        says = f"{settings.engine_device} is not to be had here; the self test computes on the CPU"
        _print_mark(None, "engine", f"FLAWLINE_ENGINE_DEVICE={says}, as serve would")
    reasons = " ".join(reason.detail for reason in inspection.reasons)
    if inspection.verdict is Verdict.UNDEFINED:
        _print_mark(False, "self test", reasons)
        raise _FailedCheckError
    _print_mark(
        True,
        "self test",
        f"a generated frame was inspected in {inspection.processing_times.total_ms:.0f} ms: "
        f"{inspection.verdict.value}, flaws found: {len(inspection.detections)}",
    )


async def _inspect_generated(settings: FlawlineSettings) -> tuple[Inspection, bool]:
    """The inspection, and whether it ran on the CPU although another device was asked for."""
    deadline_ms = min(_SELF_TEST_DEADLINE_MS, settings.max_deadline_ms)
    picture = await asyncio.to_thread(_generated_picture)
    service = build_service(settings.model_copy(update={"queue": "memory"}))
    async with AsyncExitStack() as stopping:
        stopping.push_async_callback(service.stop)
        await service.start()
        request = InspectionRequest(picture, deadline_ms=deadline_ms)
        return await service.inspector.inspect(request), service.fell_back


def _generated_picture() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(generate_frame(1, flaws=["scratches"]).grey).save(buffer, format="PNG")
    return buffer.getvalue()


def _print_mark(good: bool | None, name: str, text: str) -> None:
    """A mark, coloured on a terminal; words where the terminal cannot show it. None is a warning."""
    mark, word, colour = {
        True: ("\N{CHECK MARK}", "ok", "green"),
        False: ("\N{BALLOT X}", "FAILED", "red"),
        None: ("!", "!", "yellow"),
    }[good]
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        mark.encode(encoding)
    except UnicodeEncodeError:
        mark = word
    click.echo(f"{click.style(mark, fg=colour)} {name}: {text}")
