"""What a caller may ask, and which of it is refused before any work is spent."""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass, field

from flawline.core.errors import InvalidRequest
from flawline.core.priority import Priority

DEFAULT_LINE = "default"
MAX_PART_ID_CHARACTERS = 128
MAX_KEY_CHARACTERS = 255
LINE_NAME_RULE = (
    "1 to 64 letters (A-Z, a-z), digits, '.', '_' or '-', the first a letter or a digit"
)
# Version, trace id, parent id, flags; ids of zeros alone are invalid (W3C Trace Context, 3.2).
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_LINE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class InspectionRequest:
    """One picture to inspect, as any protocol hands it over.

    picture: the encoded bytes. line: where it was taken. part_id: the serial number MES knows.
    recipe: its name.
    min_score: 0..1, replaces the recipe's thresholds for this request. deadline_ms: from now.
    priority: a word of `flawline.core.priority.Priority`. traceparent: the caller's W3C trace context.
    idempotency_key: repeats of a request under one key get one answer. model, model_version: a loaded
    model to inspect with, by its name; the version may be left out. None means the default.
    caller: who asks, as the protocol's lock knows him; "" for anybody. Never what a caller says of himself.
    frames_sha256: of all frames of the part that this is one of, "" for a lone picture; under a key, other frames are
    another request.
    inspection_id: what the inspection will be called; ours to choose.
    """

    picture: bytes
    line: str | None = None
    part_id: str | None = None
    recipe: str | None = None
    min_score: float | None = None
    deadline_ms: int | None = None
    priority: str | None = None
    traceparent: str | None = None
    idempotency_key: str | None = None
    caller: str = ""
    model: str | None = None
    model_version: str | None = None
    frames_sha256: str = ""
    inspection_id: str = field(default_factory=lambda: uuid.uuid4().hex, compare=False)


def is_line_name(text: str) -> bool:
    """Whether a line may be called so; LINE_NAME_RULE says it in words."""
    return _LINE_NAME.fullmatch(text) is not None


def checked_line(line: str | None) -> str:
    """The line's name, or the default one. Raises InvalidRequest."""
    if line is None:
        return DEFAULT_LINE
    if not is_line_name(line):
        raise InvalidRequest("line", f"line must be {LINE_NAME_RULE}.")
    return line


def checked_part_id(part_id: str | None) -> str | None:
    """The part id as given. Raises InvalidRequest."""
    if part_id is not None and not (
        1 <= len(part_id) <= MAX_PART_ID_CHARACTERS and part_id.isprintable()
    ):
        raise InvalidRequest(
            "part_id", f"part_id must be 1 to {MAX_PART_ID_CHARACTERS} printable characters."
        )
    return part_id


def checked_min_score(min_score: float | None) -> float | None:
    """The score as given; NaN is refused too. Raises InvalidRequest."""
    if min_score is not None and not 0.0 <= min_score <= 1.0:
        raise InvalidRequest("min_score", "min_score must be a number from 0 to 1.")
    return min_score


def checked_deadline_ms(deadline_ms: int | None, default_ms: int, max_ms: int) -> int:
    """Milliseconds until the caller must have an answer. Raises InvalidRequest."""
    if deadline_ms is None:
        return default_ms
    if not 1 <= deadline_ms <= max_ms:
        raise InvalidRequest(
            "deadline_ms", f"deadline_ms must be a whole number from 1 to {max_ms}."
        )
    return deadline_ms


def checked_priority(priority: str | None) -> Priority:
    """The class of that name, inline by default. Raises InvalidRequest."""
    if priority is None:
        return Priority.INLINE
    try:
        return Priority(priority)
    except ValueError:
        known = ", ".join(known.value for known in Priority)
        raise InvalidRequest("priority", f"priority must be one of {known}.") from None


def checked_model(name: str | None, version: str | None) -> tuple[str | None, str | None]:
    """Both as given. Raises InvalidRequest for a version of nothing."""
    if name is None and version is not None:
        raise InvalidRequest("model_version", "model_version says nothing without model.")
    return name, version


def checked_idempotency_key(key: str | None) -> str | None:
    """The key as given. Raises InvalidRequest."""
    if key is not None and not (
        1 <= len(key) <= MAX_KEY_CHARACTERS and key.isascii() and key.isprintable()
    ):
        raise InvalidRequest(
            "idempotency_key",
            f"The idempotency key must be 1 to {MAX_KEY_CHARACTERS} printable ASCII characters.",
        )
    return key


def key_of_one(key: str | None, place: str) -> str | None:
    """Of one of several pictures under `key`, in a form that no caller chooses by chance. Raises InvalidRequest."""
    if checked_idempotency_key(key) is None:
        return None
    return hashlib.sha256(f"{place} of {key}".encode()).hexdigest()


def usable_traceparent(traceparent: str | None) -> str | None:
    """The trace context, or None where it is malformed: the standard wants that to be no error."""
    if traceparent is None or _TRACEPARENT.fullmatch(traceparent) is None:
        return None
    return traceparent
