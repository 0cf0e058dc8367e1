"""A released model file: an ONNX graph that carries its manifest, its sha256 listed beside it.

The graph takes "images", uint8 [N, 1, height, width] with N free, and gives "boxes_xyxy", float32
[N, A, 4] in input pixels, and "scores", float32 [N, A, C] in 0..1. Normalisation and box decoding
are inside, NMS is outside.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import BinaryIO

from flawspec.errors import HashMismatch, MissingArtifact, NotAnArtifact
from flawspec.manifest import ArtifactManifest
from flawspec.protobuf import BYTES, VARINT, walk_fields

METADATA_KEY = "flawline.manifest"
"""Where in an ONNX model's metadata the manifest stands, as JSON."""
INPUT_NAME = "images"
BOXES_NAME = "boxes_xyxy"
SCORES_NAME = "scores"
SUMS_NAME = "SHA256SUMS"

# Field numbers of ONNX's ModelProto and StringStringEntryProto.
_IR_VERSION, _GRAPH, _METADATA_PROPS = 1, 7, 14
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
# A real model has some dozens of top-level fields; metadata is text. What goes beyond is no
# artifact.
_MAX_FIELDS = 20_000
_MAX_METADATA_BYTES = 4_000_000
_READ_BYTES = 1 << 20


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of the ONNX file at `path`, read without loading its graph.

    Raises MissingArtifact when it cannot be opened, NotAnArtifact when it is no ONNX file.
    """
    try:
        with Path(path).open("rb") as stream:
            return _model_metadata(stream, os.fstat(stream.fileno()).st_size)
    except OSError as error:
        raise _missing(path, error) from error
    except ValueError as error:
        raise NotAnArtifact(f"{path} is not an ONNX file, or it is damaged.") from error


def read_manifest(path: str | Path) -> ArtifactManifest:
    """The manifest in the ONNX file at `path`.

    Raises MissingArtifact, NotAnArtifact (also for an ONNX file without a manifest),
    UnknownContract or InvalidManifest.
    """
    text = read_metadata(path).get(METADATA_KEY)
    if text is None:
        raise NotAnArtifact(
            f"{path} is ONNX without a Flawline manifest; make it with `mobilemamba export`."
        )
    return ArtifactManifest.from_json(text)


def sha256_file(path: str | Path) -> str:
    """Lower-case hex digest of a file. Raises MissingArtifact when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as stream:
            while block := stream.read(_READ_BYTES):
                digest.update(block)
    except OSError as error:
        raise _missing(path, error) from error
    return digest.hexdigest()


def listed_sha256(path: str | Path) -> str | None:
    """What the SHA256SUMS (coreutils format) beside the file says of it; None when not listed.

    A link is followed first: the list lies beside the file it points to. Then the link's own folder
    is asked.
    """
    for place in (Path(path).resolve(), Path(path)):
        try:
            lines = place.with_name(SUMS_NAME).read_text("utf-8-sig", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            digest, _, name = line.partition(" ")
            if name[:1] in (" ", "*") and name[1:] == place.name:
                return digest.lower()
    return None


def verify(path: str | Path, expected_sha256: str | None) -> str:
    """The file's sha256, compared with `expected_sha256` or, without one, with the list beside it.

    Raises MissingArtifact, or HashMismatch when they differ. A file that nobody vouches for passes.
    """
    actual = sha256_file(path)
    expected = expected_sha256 or listed_sha256(path)
    if expected is not None and expected.lower() != actual:
        raise HashMismatch(
            f"{path} has sha256 {actual}, but {expected.lower()} was expected: changed or cut "
            "short. Fetch it again, or correct the expected hash."
        )
    return actual


def _missing(path: str | Path, error: OSError) -> MissingArtifact:
    return MissingArtifact(
        f"The artifact {path} cannot be read: {error.strerror or error}. "
        "Give the path of an .onnx file that `mobilemamba export` wrote."
    )


def _model_metadata(stream: BinaryIO, size: int) -> dict[str, str]:
    metadata: dict[str, str] = {}
    seen: set[tuple[int, int]] = set()
    room = _MAX_METADATA_BYTES
    for number, wire_type, length in walk_fields(stream, size, _MAX_FIELDS):
        seen.add((number, wire_type))
        if (number, wire_type) == (_METADATA_PROPS, BYTES):
            room -= length
            if room < 0:
                raise ValueError("too much metadata")
            key, value = _entry(stream.read(length))
            metadata[key] = value
    # Almost any short run of bytes is some protobuf message; every ONNX model has these two.
    if not {(_IR_VERSION, VARINT), (_GRAPH, BYTES)} <= seen:
        raise ValueError("no ONNX model")
    return metadata


def _entry(payload: bytes) -> tuple[str, str]:
    texts = {_ENTRY_KEY: "", _ENTRY_VALUE: ""}
    stream = io.BytesIO(payload)
    for number, wire_type, length in walk_fields(stream, len(payload), _MAX_FIELDS):
        if wire_type == BYTES and number in texts:
            texts[number] = stream.read(length).decode("utf-8")
    return texts[_ENTRY_KEY], texts[_ENTRY_VALUE]
