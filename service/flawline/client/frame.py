"""What is sent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Real

from flawline.client.errors import RefusedError


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture and what to do with it; what is None is left to the service, what is empty is refused.

    picture: the file as it is (JPEG, PNG, BMP or TIFF), in bytes or what has them in a row, a
    bytearray say. line: where it was taken. part_id: the serial number that the MES knows. recipe:
    its name. min_score: 0..1, replaces the recipe's thresholds. priority: `inline`, `reinspection` or
    `backfill`. traceparent: W3C trace context.
    """

    picture: bytes | bytearray | memoryview
    line: str | None = None
    part_id: str | None = None
    recipe: str | None = None
    min_score: float | None = None
    priority: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Several pictures of one part, which get one verdict together; what else is given counts for each, as for a Frame.

    pictures: at least one, and no more than `FLAWLINE_MAX_FRAMES` of the service.
    """

    pictures: tuple[bytes | bytearray | memoryview, ...]
    line: str | None = None
    part_id: str | None = None
    recipe: str | None = None
    min_score: float | None = None
    priority: str | None = None
    traceparent: str | None = None


def with_bytes(frame: Frame) -> Frame:
    """The frame with its picture as bytes, which nobody changes meanwhile. Raises RefusedError for what is none."""
    if isinstance(frame.picture, bytes):
        return frame
    return replace(frame, picture=_bytes_of(frame.picture, "picture"))


def part_with_bytes(part: Part) -> Part:
    """As `with_bytes`, for each picture. Raises RefusedError, for none too."""
    if not isinstance(part.pictures, (list, tuple)) or not part.pictures:
        detail = "A part needs at least one picture: give a tuple of the bytes of each."
        raise RefusedError("invalid_request", detail, "frames")
    pictures = (
        _bytes_of(picture, f"frames[{index}]") for index, picture in enumerate(part.pictures)
    )
    return replace(part, pictures=tuple(pictures))


def refuse_unsendable(asked_for: Frame | Part) -> None:
    """Raises RefusedError for what REST and gRPC would take for different things.

    An empty line, say, is none to gRPC: frames whose line somebody forgot to configure would count for `default`.
    And True is a score of 1 there, which calls every part OK.
    """
    for field in ("line", "part_id", "recipe"):
        text = getattr(asked_for, field)
        if text is not None and not isinstance(text, str):
            raise _unsendable(field, f"must be text, not {type(text).__name__}")
        if text == "":
            raise _unsendable(field, "is empty; None leaves it out")
    score: object = asked_for.min_score
    if isinstance(score, bool) or not isinstance(score, Real | Decimal | None):
        raise _unsendable("min_score", f"must be a number, not {type(score).__name__}")


def _unsendable(field: str, why: str) -> RefusedError:
    detail = f"The frame cannot be sent: {field} {why}."
    return RefusedError("invalid_request", detail, field)


def _bytes_of(picture: object, field: str) -> bytes:
    if isinstance(picture, bytes):
        return picture
    try:
        view = memoryview(picture)  # type: ignore[arg-type]
    except TypeError:
        view = None
    # Bytes in a row, such as an encoder leaves in an array; rows of pixels are no file.
    if view is None or view.ndim != 1 or view.itemsize != 1:
        detail = (
            f"The picture must be the bytes of its file, JPEG, PNG, BMP or TIFF, not {_kind_of(picture, view)}."
            " Read the file, or encode the pixels."
        )
        raise RefusedError("invalid_request", detail, field)
    return view.tobytes()


def _kind_of(picture: object, view: memoryview | None) -> str:
    shape = f" of shape {view.shape}" if view is not None else ""
    return f"{type(picture).__name__}{shape}"
