"""Whether and when to try again: with jitter, not before the service says so, never past the deadline."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from flawline.client.access import usable_deadline
from flawline.client.errors import RefusedError

T = TypeVar("T")

_FIRST_S = 0.05
_LONGEST_S = 2.0
# Many clients that were told the same moment should not all come at it.
_SPREAD = 0.25
_LONGEST_JOURNEY_S = 0.05
_JOURNEY_SHARE = 0.1
# A service refuses to be asked for more, unless it is set otherwise.
_MOST_ASKED_MS = 60_000
# gRPC calls what is far longer busy.
_MOST_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class Failure:
    """A try without a verdict that may go better next time.

    retry_after_s: when the service would like to be asked again, None when it did not say.
    """

    code: str
    detail: str
    retry_after_s: float | None = None


class Pauses:
    """Pauses that grow, between half and all of their length."""

    def __init__(self) -> None:
        self._next_s = _FIRST_S

    def next_s(self, retry_after_s: float | None = None) -> float:
        """How long to stay away now; at least `retry_after_s`."""
        pause_s = self._next_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._next_s = min(self._next_s * 2, _LONGEST_S)
        if retry_after_s is None:
            return pause_s
        return max(pause_s, retry_after_s * random.uniform(1.0, 1.0 + _SPREAD))  # noqa: S311

    def reset(self) -> None:
        """It worked."""
        self._next_s = _FIRST_S


def deadline_ms_of(remaining_s: float) -> int:
    """What to ask of the service, so that its answer is here in time; at most 60 000, the rest is for further tries."""
    journey_s = min(_LONGEST_JOURNEY_S, remaining_s * _JOURNEY_SHARE)
    return max(1, int(min(_MOST_ASKED_MS, (remaining_s - journey_s) * 1000)))


async def answered(
    deadline_s: float,
    idempotency_key: str | None,
    traceparent: str | None,
    attempt: Callable[[str, float], Awaitable[T | Failure]],
    undefined: Callable[[str, str], T],
) -> T:
    """The answer, or `Undefined` once the deadline has come or would come before the next try.

    attempt: one try with the idempotency key (the same each time, so that a repeat is not inspected twice) and the
    seconds that remain. What it raises, is raised. undefined: makes the answer of the code and the detail of what the
    last try failed of. Raises RefusedError for a key or a traceparent that cannot be sent, ValueError for a deadline
    that is none.
    """
    usable_deadline(deadline_s)
    _require_printable("idempotency_key", idempotency_key)
    _require_printable("traceparent", traceparent)
    ends_s = time.monotonic() + deadline_s
    key = idempotency_key or uuid.uuid4().hex
    pauses = Pauses()
    too_late = f"No verdict within {deadline_s:g} s."
    failure = Failure("deadline", too_late)
    while (remaining_s := ends_s - time.monotonic()) > 0:
        try:
            outcome = await asyncio.wait_for(attempt(key, remaining_s), remaining_s)
        except asyncio.TimeoutError:
            failure = Failure("deadline", too_late)
            break
        except RefusedError as error:
            # A frame of `wait_for` has the task that has the error, which would hold itself, and so the picture.
            raise error.with_traceback(None) from error.__cause__
        if not isinstance(outcome, Failure):
            return outcome
        failure = outcome
        # Of a try that the deadline cuts off nothing is known but what went wrong before it.
        too_late = f"No verdict within {deadline_s:g} s. The try before: {failure.detail}"
        pause_s = pauses.next_s(failure.retry_after_s)
        if time.monotonic() + pause_s >= ends_s:
            break
        await asyncio.sleep(pause_s)
    return undefined(failure.code, failure.detail)


def _require_printable(field: str, text: str | None) -> None:
    """Raises RefusedError: it cannot be sent."""
    if text is None:
        return
    if len(text) > _MOST_CHARACTERS or not (text.isascii() and text.isprintable()):
        detail = f"{field} must be at most {_MOST_CHARACTERS} printable ASCII characters."
        raise RefusedError("invalid_request", detail, field)
