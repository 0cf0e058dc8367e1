"""Over REST. Needs httpx: `pip install 'flawline[client]'`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from flawline.client.access import usable_certificates, usable_deadline, usable_token, usable_url
from flawline.client.answers import Inspection, PartInspection, undefined, undefined_part
from flawline.client.attempts import Failure, answered, deadline_ms_of
from flawline.client.background import Background
from flawline.client.calls import OpenCalls
from flawline.client.errors import RefusedError
from flawline.client.frame import Frame, Part, part_with_bytes, refuse_unsendable, with_bytes
from flawline.client.handshake import MAYBE_TLS, refuse_handshake

try:
    import httpx
except ImportError as error:
    raise ImportError("flawline.client.rest needs httpx: pip install 'flawline[client]'") from error

from flawline.client.rest_answers import inspection_of, part_of

_PATH = "/v1/inspections"
_OTHER_MEDIA_TYPE = "application/octet-stream"
_UNSENDABLE = "The request cannot be sent: a text of the frame is none, or has characters that cannot be sent."


class AsyncRestClient:
    """Asks one service; for any number of tasks of one event loop at a time.

    url: such as `http://localhost:8080`. token: the bearer token. ca_file: certificates to trust
    instead of the system's. deadline_s: until when `inspect` has an answer, unless it is told.
    Raises ValueError for what of these cannot be one.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        ca_file: str | Path | None = None,
        deadline_s: float = 5.0,
    ) -> None:
        self._deadline_s = usable_deadline(deadline_s)
        token = usable_token(token)
        base_url = _base_url(url)
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=None,  # noqa: S113 - each try is bounded as a whole
            # Given and not made by httpx, which would go by way of the environment's proxies, to loopback too.
            transport=httpx.AsyncHTTPTransport(
                verify=usable_certificates(ca_file or None, str(base_url)),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            ),
        )
        self._calls = OpenCalls()

    async def inspect(
        self,
        frame: Frame,
        *,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> Inspection:
        """Inspect one frame; without a verdict by the deadline it is `Undefined`.

        What is busy or away is tried again until then, under one idempotency key, which may be given
        so that other repeats get the same answer. Raises RefusedError, ValueError for the deadline,
        RuntimeError once the client is closed.
        """
        frame = with_bytes(frame)
        limit_s = self._deadline_s if deadline_s is None else deadline_s
        call = answered(
            limit_s,
            idempotency_key,
            frame.traceparent,
            partial(self._try, frame),
            partial(undefined, frame),
        )
        return await self._calls.run(call)

    async def inspect_part(
        self,
        part: Part,
        *,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> PartInspection:
        """Inspect several frames of one part, for one verdict; as `inspect` in all else."""
        part = part_with_bytes(part)
        limit_s = self._deadline_s if deadline_s is None else deadline_s
        call = answered(
            limit_s,
            idempotency_key,
            part.traceparent,
            partial(self._try_part, part),
            partial(undefined_part, part),
        )
        return await self._calls.run(call)

    async def aclose(self) -> None:
        """Close all connections; calls that are open raise RuntimeError."""
        await self._calls.close()
        await self._http.aclose()

    async def __aenter__(self) -> AsyncRestClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _try(self, frame: Frame, key: str, remaining_s: float) -> Inspection | Failure:
        media_type = {"Content-Type": _OTHER_MEDIA_TYPE}
        response = await self._post(frame, key, remaining_s, media_type, content=frame.picture)
        return response if isinstance(response, Failure) else inspection_of(frame, response)

    async def _try_part(self, part: Part, key: str, remaining_s: float) -> PartInspection | Failure:
        files = [
            ("frames", (str(index), picture, _OTHER_MEDIA_TYPE))
            for index, picture in enumerate(part.pictures)
        ]
        response = await self._post(part, key, remaining_s, {}, files=files)
        return response if isinstance(response, Failure) else part_of(part, response)

    async def _post(
        self,
        asked_for: Frame | Part,
        key: str,
        remaining_s: float,
        headers: dict[str, str],
        **body: Any,
    ) -> httpx.Response | Failure:
        headers = headers | {"Idempotency-Key": key}
        if asked_for.traceparent is not None:
            headers["traceparent"] = asked_for.traceparent
        query = _query(asked_for, remaining_s)
        try:
            return await self._http.post(_PATH, params=query, headers=headers, **body)
        # Texts of these may show a header, and so the token.
        except (httpx.LocalProtocolError, TypeError, UnicodeError) as error:
            raise RefusedError("invalid_request", _UNSENDABLE) from error
        except httpx.TransportError as error:
            refuse_handshake(error)
            ended = self._http.base_url.scheme == "http" and "disconnected" in str(error)
            hint = MAYBE_TLS if ended else ""
            return Failure(
                "unreachable", f"{self._http.base_url} cannot be reached: {error!r}.{hint}"
            )
        except httpx.RequestError as error:
            # Its body is not in the coding that its head names, say.
            return Failure("unreachable", f"An answer came that cannot be read: {error!r}.")


class RestClient:
    """AsyncRestClient for ordinary code; for any number of threads at a time."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        ca_file: str | Path | None = None,
        deadline_s: float = 5.0,
    ) -> None:
        self._client = AsyncRestClient(url, token=token, ca_file=ca_file, deadline_s=deadline_s)
        self._background = Background()

    def inspect(
        self,
        frame: Frame,
        *,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> Inspection:
        """Inspect one frame; see AsyncRestClient."""
        return self._background.run(
            self._client.inspect(frame, deadline_s=deadline_s, idempotency_key=idempotency_key)
        )

    def inspect_part(
        self,
        part: Part,
        *,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> PartInspection:
        """Inspect several frames of one part; see AsyncRestClient."""
        return self._background.run(
            self._client.inspect_part(part, deadline_s=deadline_s, idempotency_key=idempotency_key)
        )

    def close(self) -> None:
        """Close all connections; harmless when they are. Calls of other threads that are open raise RuntimeError."""
        self._background.close(self._client.aclose)

    def __enter__(self) -> RestClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


def _base_url(url: str) -> httpx.URL:
    """Raises ValueError."""
    try:
        return httpx.URL(usable_url(url))
    except httpx.InvalidURL as error:  # a host that is no name, say
        raise ValueError(f"The url names no host that there can be: {error}.") from error


def _query(asked_for: Frame | Part, remaining_s: float) -> dict[str, str | float]:
    """Raises RefusedError."""
    refuse_unsendable(asked_for)
    asked: dict[str, str | float | None] = {
        "line": asked_for.line,
        "part_id": asked_for.part_id,
        "recipe": asked_for.recipe,
        "min_score": None if asked_for.min_score is None else float(asked_for.min_score),
        "priority": asked_for.priority,
        "deadline_ms": deadline_ms_of(remaining_s),
    }
    return {name: value for name, value in asked.items() if value is not None}
