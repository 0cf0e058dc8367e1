"""Which form of an answer a caller prefers, from its `Accept` header (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from starlette.datastructures import Headers


def prefers_text(headers: Headers) -> bool:
    """Whether `text/plain` is wanted more than JSON; without an `Accept` it is not. Several are one list."""
    ranges = [_parsed_range(part) for part in ",".join(headers.getlist("accept")).split(",")]
    return _quality(ranges, "text/plain") > _quality(ranges, "application/json")


def _parsed_range(part: str) -> tuple[str, float]:
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return media, float(parameter[2:])
            except ValueError:
                return media, 0.0
    return media, 1.0


def _quality(ranges: list[tuple[str, float]], media: str) -> float:
    """The wish of the most specific range that covers `media`, 0 when none does."""
    for pattern in (media, media.split("/")[0] + "/*", "*/*"):
        wishes = [quality for name, quality in ranges if name == pattern]
        if wishes:
            return max(wishes)
    return 0.0
