"""Whole answers, for where there is no application yet to give them."""

from __future__ import annotations

import json
from http import HTTPStatus

MAX_HEAD_BYTES = 64 * 1024
"""What may stand before a body; neither the parser nor uvicorn bounds it."""


def _refusal(status: HTTPStatus, code: str, detail: str, *, retry: bool = False) -> bytes:
    """A whole answer, for where there is no application yet to give it."""
    problem: dict[str, str | int] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code,
    }
    if retry:
        problem |= {"verdict": "Undefined", "reason": code}
    body = json.dumps(problem).encode()
    head = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        *(["Retry-After: 1"] if retry else []),
        "Connection: close",
    ]
    return "\r\n".join((*head, "", "")).encode() + body


TOO_MANY_CONNECTIONS = _refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "too_many_connections",
    "Too many connections are open; close those that are not used, and try again.",
    retry=True,
)
HEAD_TOO_LARGE = _refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head_too_large",
    f"What stands before the body, or behind it, is larger than the {MAX_HEAD_BYTES} bytes allowed here.",
)
UNREADABLE = _refusal(
    HTTPStatus.BAD_REQUEST,
    "malformed_request",
    "This is no HTTP/1.1 that can be read. In a path or query, a space is %20, a # is %23, and what is not ASCII "
    "%XX; a header is one line, which ends with CR and LF; there is one Content-Length, a number. gRPC has a port of "
    "its own.",
)
LENGTH_REQUIRED = _refusal(
    HTTPStatus.LENGTH_REQUIRED,
    "length_required",
    "The head of the request does not say how long its body is: give Content-Length, the number of its bytes, or "
    "Transfer-Encoding: chunked.",
)
