"""Every setting, with its default and its limits."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from flawline.application.request import LINE_NAME_RULE, is_line_name
from flawline.settings.connections import ConnectionSettings
from flawline.settings.engine import EngineSettings
from flawline.settings.logs import LogSettings
from flawline.settings.models import ModelSettings
from flawline.settings.open_inference import OpenInferenceSettings
from flawline.settings.tiling import TilingSettings
from flawline.settings.traces import TraceSettings
from flawline.settings.watching import WatchSettings
from flawspec.limits import HIGHEST_MAX_PIXELS

PREFIX = "FLAWLINE_"
_OTHER_LINE = "other"  # the label of undeclared lines


class FlawlineSettings(
    ConnectionSettings,
    EngineSettings,
    TilingSettings,
    ModelSettings,
    OpenInferenceSettings,
    TraceSettings,
    WatchSettings,
    LogSettings,
):
    """Every field is read from the environment as FLAWLINE_<NAME>."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True
    )

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    token_file: Path | None = Field(
        None,
        description="A file with one bearer token, which every caller must then show; probes need none.",
    )
    tls_cert_file: Path | None = Field(
        None, description="Certificate with its chain, PEM; HTTP, gRPC and metrics then speak TLS."
    )
    tls_key_file: Path | None = Field(
        None, validate_default=True, description="The certificate's private key, PEM, unencrypted."
    )
    insecure: bool = Field(
        False,
        validate_default=True,
        description="Agree to serve without a token on an address that others reach.",
    )
    port: int = Field(8080, ge=0, le=65535, description="HTTP port; 0 takes a free one.")
    grpc_port: int = Field(
        8081,
        ge=0,
        le=65535,
        validate_default=True,
        description="gRPC port, another one; 0 takes a free one.",
    )
    lines: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        max_length=256,
        description="Names of the production lines, comma separated; metrics call others 'other'.",
    )
    deadline_ms: int = Field(
        1000, ge=1, description="Until when an inspection is answered, unless the caller says."
    )
    max_deadline_ms: int = Field(
        60_000,
        ge=1,
        le=3_600_000,
        validate_default=True,
        description="The longest deadline that a caller may ask for.",
    )
    max_body_bytes: int = Field(
        20_000_000, ge=1_000, le=1_000_000_000, description="Largest picture, in bytes."
    )
    max_connections: int = Field(
        4096,
        ge=1,
        le=100_000,
        description="HTTP connections that are open at a time; who comes on top gets 503.",
    )
    max_frames: int = Field(16, ge=1, le=256, description="Most frames of one part in one request.")
    max_frames_bytes: int = Field(
        64_000_000,
        ge=1_000,
        le=1_000_000_000,
        description="All frames of one part in one request together, in bytes.",
    )
    max_open_bytes: int = Field(
        256_000_000,
        ge=1_000,
        description="Bytes of all pictures over HTTP that arrive or wait for their answer at a time, "
        "and likewise of all frames in streams; one request always fits.",
    )
    grpc_max_calls: int = Field(
        1000,
        ge=8,
        le=100_000,
        description="gRPC calls that are open at a time; more are refused. Each may hold a message of twice "
        "FLAWLINE_MAX_BODY_BYTES, which is not in `max_open_bytes`.",
    )
    max_streams: int = Field(
        64,
        ge=1,
        le=10_000,
        validate_default=True,
        description="InspectStream and WatchInspections calls among them; less than `grpc_max_calls`.",
    )
    stream_window: int = Field(
        32,
        ge=1,
        le=10_000,
        description="Frames of one InspectStream that are unanswered at a time.",
    )
    stream_idle_s: float = Field(
        300.0,
        gt=0,
        le=86_400,
        description="An InspectStream that sends nothing for so long is ended.",
    )
    watch_buffer: int = Field(
        256,
        ge=1,
        le=100_000,
        description="Inspections that wait for a slow watcher; the oldest give way.",
    )
    body_timeout_s: float = Field(
        30.0, gt=0, le=600, description="How long the body of a request may take to arrive."
    )
    max_pixels: int = Field(
        50_000_000, ge=256, le=HIGHEST_MAX_PIXELS, description="Largest picture, in pixels."
    )
    queue: str = Field(
        "memory",
        description="Where jobs wait: `memory` of this process, or a Redis that workers share, "
        "redis://, rediss:// or unix://.",
    )
    queue_namespace: str = Field(
        "flawline",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="Begins every key in Redis, so that several installations share a server.",
    )
    queue_timeout_s: float = Field(
        1.0, gt=0, le=60, description="How long Redis is waited for, with each MiB of a picture."
    )
    queue_fallback: Literal["refuse", "local"] = Field(
        "refuse",
        description="Without Redis: `refuse` answers 503, `local` inspects in the api's process.",
    )
    lease_s: float = Field(
        5.0,
        ge=0.1,
        le=600,
        description="A worker that is silent for so long has lost its jobs to others.",
    )
    max_deliveries: int = Field(
        3, ge=1, le=100, description="A job that so many workers or engines failed on is given up."
    )
    inline_picture_bytes: int = Field(
        65_536,
        ge=0,
        le=1_000_000,
        description="Larger pictures lie in Redis under a key of their own, which expires.",
    )
    queue_capacity: int = Field(
        256,
        ge=1,
        le=100_000,
        description="How many accepted pictures may wait, for each loaded model; of backfill half as many, of a line "
        "too, or as many frames as one part may have, but never the last eighth.",
    )
    line_capacity: int = Field(
        0,
        ge=0,
        le=100_000,
        description="How many of one line may wait; 0 leaves an eighth of the queue to the others.",
    )
    idempotency_s: float = Field(
        600.0,
        gt=0,
        le=86_400,
        description="How long the answer under an Idempotency-Key is kept.",
    )
    async_result_s: float = Field(
        600.0,
        gt=0,
        le=86_400,
        description="How long an answer is kept for a caller who does not wait (respond-async).",
    )
    async_results: int = Field(
        10_000, ge=1, le=1_000_000, description="How many such answers a process keeps at most."
    )
    metrics_port: int = Field(
        9090, ge=0, le=65535, description="Where a worker shows its metrics; 0 takes a free port."
    )
    drain_timeout_s: float = Field(
        10.0, ge=0, le=600, description="How long stopping waits for accepted inspections."
    )

    @property
    def most_of_one_line(self) -> int:
        """How many pictures of one line may wait."""
        return self.line_capacity or self.queue_capacity - self.queue_capacity // 8

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach what listens."""
        return _is_loopback(self.host)

    @property
    def allows_model_control(self) -> bool:
        """Whether callers may change models."""
        return self.model_control == "on" or (self.model_control == "auto" and self.on_loopback)

    @field_validator("queue")
    @classmethod
    def _know_the_queue(cls, queue: str) -> str:
        if queue != "memory" and not queue.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must be memory, or begin with redis://, rediss:// or unix://")
        return queue

    @field_validator("grpc_port")
    @classmethod
    def _keep_ports_apart(cls, grpc_port: int, info: ValidationInfo) -> int:
        if grpc_port and grpc_port == info.data.get("port"):
            raise ValueError("must not be the HTTP port as well (FLAWLINE_PORT)")
        return grpc_port

    @field_validator("lines", mode="before")
    @classmethod
    def _split(cls, lines: object) -> object:
        if isinstance(lines, str):
            return tuple(name for part in lines.split(",") if (name := part.strip()))
        return lines

    @field_validator("lines")
    @classmethod
    def _name_lines(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        odd = [line for line in lines if not is_line_name(line)]
        if odd:
            raise ValueError(f"no line names: {', '.join(map(repr, odd))}; {LINE_NAME_RULE}")
        if twice := [line for line in dict.fromkeys(lines) if lines.count(line) > 1]:
            raise ValueError(f"declared twice: {', '.join(map(repr, twice))}")
        if _OTHER_LINE in lines:
            # Its rates would be those of all undeclared lines as well.
            raise ValueError(
                f"metrics count undeclared lines as {_OTHER_LINE!r}; take another name"
            )
        return lines

    @field_validator("max_deadline_ms")
    @classmethod
    def _cover_the_default(cls, max_deadline_ms: int, info: ValidationInfo) -> int:
        deadline_ms = info.data.get("deadline_ms")
        if deadline_ms is not None and deadline_ms > max_deadline_ms:
            raise ValueError(f"must not be less than deadline_ms, which is {deadline_ms}")
        return max_deadline_ms

    @field_validator("tls_key_file")
    @classmethod
    def _pair_the_files(cls, tls_key_file: Path | None, info: ValidationInfo) -> Path | None:
        if (tls_key_file is None) is not (info.data.get("tls_cert_file") is None):
            raise ValueError("tls_cert_file and tls_key_file go together: set both, or neither")
        return tls_key_file

    @field_validator("max_streams")
    @classmethod
    def _leave_room_for_other_calls(cls, max_streams: int, info: ValidationInfo) -> int:
        max_calls = info.data.get("grpc_max_calls")
        if max_calls is not None and max_streams >= max_calls:
            raise ValueError(f"must be less than grpc_max_calls, which is {max_calls}")
        return max_streams

    @field_validator("insecure")
    @classmethod
    def _stay_on_loopback(cls, insecure: bool, info: ValidationInfo) -> bool:
        host, locked = info.data.get("host"), info.data.get("token_file") is not None
        if host is not None and not insecure and not locked and not _is_loopback(host):
            raise ValueError(
                f"host {host} can be reached by others and no token is asked for; set "
                "FLAWLINE_TOKEN_FILE, keep to 127.0.0.1, or agree with FLAWLINE_INSECURE=true "
                "(--insecure)"
            )
        return insecure


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
