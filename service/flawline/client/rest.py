"""Over REST. Needs httpx: `pip install 'flawline[client]'`."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from flawline.client.access import usable_token, usable_url
from flawline.client.answers import (
    Box,
    Detection,
    FrameInfo,
    Inspection,
    ModelRef,
    ProcessingTimes,
    Reason,
    RecipeRef,
    Verdict,
    undefined,
)
from flawline.client.attempts import Failure, answered, deadline_ms_of
from flawline.client.background import Background
from flawline.client.errors import NotLetInError, RefusedError
from flawline.client.frame import Frame

try:
    import httpx
except ImportError as error:
    raise ImportError("flawline.client.rest needs httpx: pip install 'flawline[client]'") from error

_PATH = "/v1/inspections"
_BUSY = {429, 503}
_OTHER_MEDIA_TYPE = "application/octet-stream"
_UNSENDABLE = "The request cannot be sent: a text of the frame is none, or has characters that cannot be sent."


class AsyncRestClient:
    """Asks one service; for any number of tasks at a time.

    url: such as `http://localhost:8080`. token: the bearer token. ca_file: certificates to trust
    instead of the system's. deadline_s: until when `inspect` has an answer, unless it is told.
    Raises ValueError for a url or a token that cannot be one.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        ca_file: str | Path | None = None,
        deadline_s: float = 5.0,
    ) -> None:
        self._deadline_s = deadline_s
        token = usable_token(token)
        self._http = httpx.AsyncClient(
            base_url=usable_url(url),
            headers={"Authorization": f"Bearer {token}"} if token else {},
            verify=ssl.create_default_context(cafile=ca_file) if ca_file else True,
            timeout=None,  # noqa: S113 - each try is bounded as a whole
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
        )

    async def inspect(
        self,
        frame: Frame,
        *,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> Inspection:
        """Inspect one frame; without a verdict by the deadline it is `Undefined`.

        What is busy or away is tried again until then, under one idempotency key, which may be given
        so that other repeats get the same answer. Raises RefusedError.
        """
        limit_s = self._deadline_s if deadline_s is None else deadline_s
        return await answered(frame, limit_s, idempotency_key, self._try)

    async def aclose(self) -> None:
        """Close all connections."""
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
        headers = {"Content-Type": _OTHER_MEDIA_TYPE, "Idempotency-Key": key}
        if frame.traceparent is not None:
            headers["traceparent"] = frame.traceparent
        try:
            response = await self._http.post(
                _PATH, params=_query(frame, remaining_s), content=frame.picture, headers=headers
            )
        # Texts of these may show a header, and so the token.
        except (httpx.LocalProtocolError, TypeError, UnicodeError) as error:
            raise RefusedError("invalid_request", _UNSENDABLE) from error
        except httpx.TransportError as error:
            return Failure("unreachable", f"The service cannot be reached: {error!r}.")
        return _outcome(frame, response)


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

    def close(self) -> None:
        """Close all connections."""
        self._background.run(self._client.aclose())
        self._background.close()

    def __enter__(self) -> RestClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


def _query(frame: Frame, remaining_s: float) -> dict[str, str | float]:
    asked: dict[str, str | float | None] = {
        "line": frame.line,
        "part_id": frame.part_id,
        "recipe": frame.recipe,
        "min_score": frame.min_score,
        "priority": frame.priority,
        "deadline_ms": deadline_ms_of(remaining_s),
    }
    return {name: value for name, value in asked.items() if value is not None}


def _outcome(frame: Frame, response: httpx.Response) -> Inspection | Failure:
    try:
        fields = response.json()
        if response.is_success:
            return _inspection_from(fields)
    except (ValueError, KeyError, TypeError):  # a proxy's page, say
        fields = {}
    problem: Mapping[str, Any] = fields if isinstance(fields, Mapping) else {}
    code = str(problem.get("code") or f"http_{response.status_code}")
    detail = str(problem.get("detail") or f"The answer was HTTP status {response.status_code}.")
    if response.status_code in _BUSY:
        return Failure(code, detail, _retry_after_s(response))
    if response.status_code in {401, 403}:
        raise NotLetInError(code, detail)
    if response.is_client_error:
        faults: Sequence[Mapping[str, str]] = problem.get("errors") or ({},)
        raise RefusedError(code, detail, faults[0].get("field"))
    if (
        problem.get("verdict") == Verdict.UNDEFINED.value
    ):  # accepted, and the answer is that there is none
        return undefined(frame, code, detail, str(problem.get("inspection_id") or ""))
    return Failure(code, detail)


def _retry_after_s(response: httpx.Response) -> float | None:
    """Seconds; the service sends no dates, and a proxy's date is not worth a clock that agrees."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None


def _inspection_from(fields: Mapping[str, Any]) -> Inspection:
    return Inspection(
        inspection_id=fields["inspection_id"],
        verdict=Verdict(fields["verdict"]),
        reasons=tuple(Reason(r["code"], r["detail"]) for r in fields["reasons"]),
        detections=tuple(
            Detection(d["class"], d["score"], Box(**d["box"])) for d in fields["detections"]
        ),
        frame=FrameInfo(**fields["frame"]),
        line=fields["line"],
        part_id=fields["part_id"],
        recipe=RecipeRef(**fields["recipe"]),
        model=ModelRef(**fields["model"]),
        created_at=datetime.fromisoformat(fields["created_at"].replace("Z", "+00:00")),
        processing_times_ms=ProcessingTimes(**fields["processing_times_ms"]),
    )
