"""What can be wrong with a request, without any protocol's status.

    InspectionError          .code: stable machine word; str(error): a sentence that is safe to show the caller
    ├── InvalidRequest       .field: the parameter at fault
    │   └── KeyReused        an idempotency key that stands for another request
    ├── UnknownRecipe        .name, .known
    ├── BadPicture           .code as in flawspec (too_many_bytes, corrupt_picture, ...), .field
    ├── QueueFull            .retry_after_s
    │   ├── LineFull         .line
    │   └── BackfillFull
    ├── Unauthenticated      .token_given
    └── NotReady             .retry_after_s, .reason: starting | draining | engine_stuck | engine_failing |
                             worker_failed | queue_unavailable | queue_out_of_memory

Each adapter holds one table from these to its own statuses.
"""

# ruff: noqa: N818 - the names say what is wrong, as flawspec's do

from __future__ import annotations

from collections.abc import Sequence

_SHOWN_CHARACTERS = 64


class InspectionError(Exception):
    """The request was not accepted. The text says what is wrong, and nothing internal."""

    code: str = "inspection_error"


class InvalidRequest(InspectionError):
    """A parameter is malformed or out of range."""

    code = "invalid_request"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class KeyReused(InvalidRequest):
    """The idempotency key was used for another request."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__(
            "idempotency_key",
            "This idempotency key was used for another picture, part_id, recipe, min_score or model, or for other "
            "frames of the part; take a new key for a new request.",
        )


class UnknownRecipe(InspectionError):
    """No recipe has the name asked for."""

    code = "unknown_recipe"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        # cut, because a caller's megabyte would not fit into the headers that carry errors
        shown = name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}..."
        super().__init__(f"There is no recipe named {shown!r}; known recipes: {', '.join(known)}.")
        self.name = shown
        self.known = tuple(known)


class BadPicture(InspectionError):
    """The bytes are no picture that can be inspected; `code` is that of flawspec's PictureError.

    field: where in the request they stood. The code, not the class, tells the kinds apart, so that
    the error can cross a queue between processes.
    """

    def __init__(self, code: str, message: str, field: str = "picture") -> None:
        super().__init__(message)
        self.code = code
        self.field = field


class QueueFull(InspectionError):
    """More is waiting than may be, in the queue unless `fault` says where; try again after `retry_after_s` seconds."""

    code = "queue_full"

    def __init__(self, retry_after_s: float, fault: str = "The queue is full") -> None:
        super().__init__(f"{fault}; try again in {retry_after_s:.1f} s.")
        self.retry_after_s = retry_after_s


class LineFull(QueueFull):
    """One line has as much work waiting as a line may have; others are still served."""

    code = "line_full"

    def __init__(self, line: str, retry_after_s: float) -> None:
        super().__init__(retry_after_s, f"Too much of line {line!r} is waiting")
        self.line = line


class BackfillFull(QueueFull):
    """As much waits, in the queue or of that line, as may for backfill to be taken in; what is urgent still is."""

    code = "backfill_full"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(
            retry_after_s,
            "So much waits that backfill is not taken in, which leaves room for what is urgent",
        )


class Unauthenticated(InspectionError):
    """The caller did not show the token that is asked for here, or another; `token_given` tells."""

    code = "unauthenticated"

    def __init__(self, *, token_given: bool) -> None:
        fault = "The token is not the one of this service" if token_given else "A token is needed"
        super().__init__(f"{fault}: send the header 'Authorization: Bearer TOKEN'.")
        self.token_given = token_given


class NotReady(InspectionError):
    """The service cannot take work now; `reason` is one of the words in the module's docstring."""

    code = "not_ready"

    def __init__(self, reason: str, retry_after_s: float) -> None:
        super().__init__(f"Not ready ({reason}); try again in {retry_after_s:.1f} s.")
        self.reason = reason
        self.retry_after_s = retry_after_s

    @property
    def for_good(self) -> bool:
        """Whether this process takes no work any more: another one may."""
        return self.reason == "draining"
