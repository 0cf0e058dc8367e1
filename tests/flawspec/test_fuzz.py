"""Whatever happens to the bytes on their way, the only errors that leave this package are its own."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flawspec.artifact import read_manifest
from flawspec.decoding import DecodeLimits, decode_grey, probe
from flawspec.errors import ArtifactError, PictureError

ROUNDS = 250
LIMITS = DecodeLimits(max_pixels=1_000_000)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to a dozen changes: bytes set, a run removed or doubled, the end cut off."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 12)):
        at = rng.randrange(len(changed))
        length = rng.randint(1, 8)
        kind = rng.random()
        if kind < 0.7:
            # Half of the time in the header, where a byte says most.
            at = rng.randrange(min(len(changed), 200)) if rng.random() < 0.5 else at
            changed[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind < 0.8:
            del changed[at : at + length]
        elif kind < 0.9:
            changed[at:at] = changed[at : at + length]
        elif len(changed) > 40:
            del changed[rng.randrange(40, len(changed)) :]
    return bytes(changed)


def encoded(array: np.ndarray[Any, Any], kind: str, mode: str = "", **options: Any) -> bytes:
    image = Image.fromarray(array)
    stream = io.BytesIO()
    (image.convert(mode) if mode else image).save(stream, kind, **options)
    return stream.getvalue()


GREY = np.random.default_rng(0).integers(0, 256, (24, 40), dtype=np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)
DEEP = GREY.astype(np.uint16) * 201
EXIF = Image.Exif()
EXIF[0x0112] = 6
EXIF[0x010F] = "a camera"

PICTURES = {
    "jpeg": encoded(COLOUR, "JPEG", exif=EXIF),
    "progressive jpeg": encoded(GREY, "JPEG", progressive=True),
    "png": encoded(COLOUR, "PNG", exif=EXIF),
    "palette png": encoded(COLOUR, "PNG", "P"),
    "deep png": encoded(DEEP, "PNG"),
    "bmp": encoded(COLOUR, "BMP"),
    "palette bmp": encoded(COLOUR, "BMP", "P"),
    "tiff": encoded(COLOUR, "TIFF", exif=EXIF),
    "deep tiff": encoded(DEEP, "TIFF"),
    "lzw tiff": encoded(GREY, "TIFF", compression="tiff_lzw"),
    "jpeg tiff": encoded(COLOUR, "TIFF", compression="jpeg"),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("look", [probe, decode_grey])
def test_damaged_pictures(name: str, look: Callable[[bytes, DecodeLimits], object]) -> None:
    def refused(data: bytes) -> bool:
        try:
            look(data, LIMITS)
        except PictureError:
            return True
        return False

    rng = random.Random(f"{name} {look.__name__}")
    outcomes = [refused(mutated(PICTURES[name], rng)) for _ in range(ROUNDS)]
    assert any(outcomes)  # the changes do reach what is looked at


@pytest.mark.parametrize("name", PICTURES)
def test_what_decodes_has_the_size_its_header_promised(name: str) -> None:
    rng = random.Random(name)
    for _ in range(ROUNDS // 2):
        data = mutated(PICTURES[name], rng)
        try:
            decoded = decode_grey(data, LIMITS)
        except PictureError:
            continue
        header = probe(data, LIMITS)
        assert decoded.shape == (header.height_px, header.width_px)
        assert decoded.dtype == np.uint8


def test_damaged_artifacts(tmp_path: Path) -> None:
    def field(number: int, payload: bytes) -> bytes:
        return bytes([number << 3 | 2, len(payload)]) + payload

    text = b'{"contract_version": 1, "labels": ["a"], "metrics": {"x": 1}}'
    manifest = field(14, field(1, b"flawline.manifest") + field(2, text))
    model = b"\x08\x08" + field(7, bytes(range(100))) + manifest + field(14, field(1, b"other"))
    rng, path = random.Random(0), tmp_path / "model.onnx"
    for _ in range(4 * ROUNDS):
        path.write_bytes(mutated(model, rng))
        with pytest.raises(ArtifactError):  # sound bytes are refused too: the manifest is not whole
            read_manifest(path)


def test_random_bytes(tmp_path: Path) -> None:
    rng, path = random.Random(0), tmp_path / "model.onnx"
    starts = [
        b"",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"BM",
        b"II*\0\x08\0\0\0",
        b"MM\0*\0\0\0\x08",
    ]
    for i in range(ROUNDS):
        data = starts[i % len(starts)] + rng.randbytes(rng.randint(1, 600))
        with pytest.raises(PictureError):
            decode_grey(data, LIMITS)
        path.write_bytes(data)
        with pytest.raises(ArtifactError):
            read_manifest(path)
