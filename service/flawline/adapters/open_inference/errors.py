"""What can be wrong, in the protocol's kinds; each face has one table from these to its statuses."""

from __future__ import annotations

from enum import Enum, auto

from flawline.core.errors import InspectionError, NotReady, QueueFull, UnknownRecipe
from flawline.core.model_errors import (
    ChangeInProgress,
    ModelConflict,
    ModelControlOff,
    UnknownModel,
)

_SHOWN_CHARACTERS = 64


class Kind(Enum):
    """The kinds that clients of this protocol tell apart."""

    INVALID = auto()
    NOT_FOUND = auto()
    FORBIDDEN = auto()
    CONFLICT = auto()
    BUSY = auto()
    UNAVAILABLE = auto()
    INTERNAL = auto()


class OpenInferenceError(Exception):
    """A call that has no answer; the text is safe to show.

    code: a stable word for metrics and machines. retry_after_s: when to come back, None for never. for_good: whether
    this process takes no work any more, and another one may.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        code: str,
        retry_after_s: float | None = None,
        for_good: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code
        self.retry_after_s = retry_after_s
        self.for_good = for_good


def invalid(message: str) -> OpenInferenceError:
    """The request is at fault."""
    return OpenInferenceError(Kind.INVALID, message, code="invalid_request")


def not_found(message: str, code: str) -> OpenInferenceError:
    """There is no such thing."""
    return OpenInferenceError(Kind.NOT_FOUND, message, code=code)


def no_verdict(detail: str, code: str) -> OpenInferenceError:
    """Accepted, but the deadline passed or processing failed: design.md wants 503 for it."""
    return OpenInferenceError(Kind.UNAVAILABLE, detail, code=code)


def unexpected(error_id: str) -> OpenInferenceError:
    """What nobody expected: the id of the log line alone."""
    message = f"Unexpected error; the server's log has it under the id {error_id}."
    return OpenInferenceError(Kind.INTERNAL, message, code="internal_error")


def translated(error: InspectionError) -> OpenInferenceError:
    """The one table from our errors to the protocol's kinds."""
    retry_after_s: float | None = None
    if isinstance(error, (QueueFull, NotReady, ChangeInProgress)):
        retry_after_s = error.retry_after_s
    return OpenInferenceError(
        _kind_of(error),
        str(error),
        code=error.code,
        retry_after_s=retry_after_s,
        for_good=isinstance(error, NotReady) and error.for_good,
    )


def _kind_of(error: InspectionError) -> Kind:
    for errors, kind in (
        (QueueFull, Kind.BUSY),
        (NotReady, Kind.UNAVAILABLE),
        ((UnknownModel, UnknownRecipe), Kind.NOT_FOUND),
        (ModelConflict, Kind.CONFLICT),
        (ModelControlOff, Kind.FORBIDDEN),
    ):
        if isinstance(error, errors):
            return kind
    return Kind.INVALID


def shown(text: str) -> str:
    """What a caller sent, quoted and cut: his megabyte does not belong into an error."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}...")
