from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from flawspec.artifact import (
    METADATA_KEY,
    listed_sha256,
    read_manifest,
    read_metadata,
    sha256_file,
    verify,
)
from flawspec.errors import (
    HashMismatch,
    InvalidManifest,
    MissingArtifact,
    NotAnArtifact,
    UnknownContract,
)
from flawspec.manifest import ArtifactManifest

HASH = "0123456789abcdef" * 4
MANIFEST = (
    '{"box_encoding": "xyxy-input-px", "contract_version": 1, "created_at": "2026-01-31T12:00:00Z", '
    '"input_channels": 1, "input_height_px": 64, "input_width_px": 64, "labels": ["scratch"], '
    '"license_note": "none", "metrics": {}, "metrics_split": "val", "model_name": "tiny", '
    '"model_version": "1", "nms_iou_threshold": 0.5, "normalisation_mean": 0.0, '
    '"normalisation_std": 1.0, "pad_value": 0, "score_thresholds": [0.5], "stride_multiple": 32, '
    f'"train_config_sha256": "{HASH}", "training_data": []}}'
)


def varint(value: int) -> bytes:
    coded = b""
    while value > 0x7F:
        coded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return coded + bytes([value])


def field(number: int, payload: bytes | int) -> bytes:
    """A protobuf field: a number becomes a varint, bytes become a length-delimited field."""
    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def entry(key: str, value: str) -> bytes:
    return field(14, field(1, key.encode()) + field(2, value.encode()))


GRAPH = field(7, b"\x0a\x03abc" * 1000)
MODEL = field(1, 8) + field(2, b"by hand") + GRAPH + field(8, field(2, 17))


def written(folder: Path, data: bytes, name: str = "model.onnx") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_metadata_of_a_model_coded_by_hand(tmp_path: Path) -> None:
    fixed = varint(30 << 3 | 1) + bytes(8) + varint(31 << 3 | 5) + bytes(4)
    data = entry("first", "1") + MODEL + fixed + entry("größe", "ü" * 300) + entry("", "")
    assert read_metadata(written(tmp_path, data)) == {"first": "1", "größe": "ü" * 300, "": ""}


def test_an_entry_may_lack_a_part_or_hold_unknown_ones(tmp_path: Path) -> None:
    odd = field(14, field(1, b"key only") + field(9, 5) + field(9, b"?"))
    assert read_metadata(written(tmp_path, MODEL + odd)) == {"key only": ""}


def test_metadata_of_a_model_made_by_onnx(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the onnx package comes with the training extra")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "identity",
        [helper.make_tensor_value_info("x", kind, [1])],
        [helper.make_tensor_value_info("y", kind, [1])],
        [helper.make_tensor("weights", kind, [1000], [0.5] * 1000)],
    )
    model = helper.make_model(graph, producer_name="test")
    helper.set_model_props(model, {METADATA_KEY: MANIFEST, "other": "text"})
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    assert read_metadata(path) == {METADATA_KEY: MANIFEST, "other": "text"}
    assert read_manifest(path) == ArtifactManifest.from_json(MANIFEST)


def test_a_big_graph_is_sought_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 3 << 30  # a sparse file: it takes no room, and reading it would take minutes
    head = field(1, 8) + varint(7 << 3 | 2) + varint(size)
    path = written(tmp_path, head)
    with path.open("r+b") as stream:
        stream.seek(len(head) + size)
        stream.write(entry("behind", "the graph"))
    assert read_metadata(path) == {"behind": "the graph"}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"This is a text, not a model.\n" * 100, id="text"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(1000), id="png"),
        pytest.param(bytes(10_000), id="zeros"),
        pytest.param(b"\xff" * 10_000, id="ones"),
        pytest.param(MODEL[:-1], id="cut short"),
        pytest.param(MODEL[: len(MODEL) // 2], id="cut in the graph"),
        pytest.param(MODEL + b"\x80", id="cut in a key"),
        pytest.param(MODEL + varint(14 << 3 | 3), id="a group"),
        pytest.param(MODEL + b"\x80" * 11, id="a number without end"),
        pytest.param(MODEL + varint(1 << 33), id="a field number too high"),
        pytest.param(MODEL + field(14, b"\xff\xff"), id="a damaged entry"),
        pytest.param(MODEL + field(14, field(1, b"\xff\xfe")), id="a key that is not utf-8"),
        pytest.param(field(1, 8), id="no graph"),
        pytest.param(GRAPH, id="no version"),
        pytest.param(MODEL + field(9, 0) * 20_001, id="too many fields"),
        pytest.param(MODEL + entry("k", "v" * 1_500_000) * 3, id="too much metadata"),
    ],
)
def test_what_is_no_onnx_model_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(NotAnArtifact, match=r"model\.onnx is not an ONNX file"):
        read_metadata(written(tmp_path, data))


def test_metadata_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    path = written(tmp_path, MODEL + varint(14 << 3 | 2) + varint(2**40))
    with pytest.raises(NotAnArtifact):
        read_metadata(path)


def test_a_manifest_is_found_in_its_place(tmp_path: Path) -> None:
    manifest = read_manifest(written(tmp_path, MODEL + entry(METADATA_KEY, MANIFEST)))
    assert manifest.model_name == "tiny"
    assert manifest.to_json() == MANIFEST


def test_a_model_of_somebody_else_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(NotAnArtifact, match="mobilemamba export"):
        read_manifest(written(tmp_path, MODEL))


def test_what_is_wrong_with_a_manifest_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownContract):
        read_manifest(written(tmp_path, MODEL + entry(METADATA_KEY, '{"contract_version": 7}')))
    with pytest.raises(InvalidManifest):
        read_manifest(written(tmp_path, MODEL + entry(METADATA_KEY, "{}")))


@pytest.mark.parametrize(
    "use", [read_metadata, read_manifest, sha256_file, lambda p: verify(p, None)]
)
@pytest.mark.parametrize("name", ["absent.onnx", "."])
def test_what_cannot_be_read_is_missing(tmp_path: Path, use, name: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(MissingArtifact, match="cannot be read: "):
        use(tmp_path / name)


def test_a_file_that_vanishes_while_read_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(stream: BinaryIO, size: int) -> None:
        raise OSError("no text from the system")

    monkeypatch.setattr("flawspec.artifact._model_metadata", broken)
    with pytest.raises(MissingArtifact, match="no text from the system"):
        read_metadata(written(tmp_path, MODEL))


@pytest.mark.parametrize("size", [0, 1, (1 << 20) + 1])
def test_sha256_of_a_file(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    assert sha256_file(str(written(tmp_path, data))) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("lines", "listed"),
    [
        (f"{HASH}  model.onnx\n", HASH),
        (f"{HASH} *model.onnx\n", HASH),
        (f"{HASH.upper()}  model.onnx", HASH),
        (f"{'f' * 64}  other.onnx\n\n# a remark\n{HASH}  model.onnx\n", HASH),
        (f"{HASH}  old model.onnx\n{HASH}  model.onnx.bak\n", None),
        (f"{HASH} model.onnx\n", None),  # coreutils writes two characters
        ("", None),
    ],
)
def test_the_list_beside_a_file(tmp_path: Path, lines: str, listed: str | None) -> None:
    path = written(tmp_path, MODEL)
    (tmp_path / "SHA256SUMS").write_text(lines)
    assert listed_sha256(path) == listed


def test_no_list_beside_a_file(tmp_path: Path) -> None:
    assert listed_sha256(written(tmp_path, MODEL)) is None


def test_a_link_is_vouched_for_where_it_points_to(tmp_path: Path) -> None:
    released, mounted = tmp_path / "released", tmp_path / "mounted"
    released.mkdir()
    mounted.mkdir()
    path = written(released, MODEL, "nano-1.onnx")
    link = mounted / "default.onnx"
    link.symlink_to(path)
    assert listed_sha256(link) is None
    (mounted / "SHA256SUMS").write_text(f"{'a' * 64}  default.onnx\n")
    assert listed_sha256(link) == "a" * 64
    (released / "SHA256SUMS").write_text(f"{HASH}  nano-1.onnx\n")
    assert listed_sha256(link) == HASH


def test_verify_returns_the_hash_when_it_is_right(tmp_path: Path) -> None:
    path = written(tmp_path, MODEL)
    right = hashlib.sha256(MODEL).hexdigest()
    assert verify(path, None) == right  # nobody says otherwise
    assert verify(path, right.upper()) == right
    (tmp_path / "SHA256SUMS").write_text(f"{right}  model.onnx\n")
    assert verify(path, None) == right


def test_verify_refuses_another_file(tmp_path: Path) -> None:
    path = written(tmp_path, MODEL)
    with pytest.raises(HashMismatch, match=f"but {HASH} was expected"):
        verify(path, HASH)
    (tmp_path / "SHA256SUMS").write_text("cut short  model.onnx\n" + f"{HASH}  model.onnx\n")
    with pytest.raises(HashMismatch, match="Fetch it again"):
        verify(path, None)


def test_an_expected_hash_outranks_the_list(tmp_path: Path) -> None:
    path = written(tmp_path, MODEL)
    (tmp_path / "SHA256SUMS").write_text(f"{HASH}  model.onnx\n")
    right = hashlib.sha256(MODEL).hexdigest()
    assert verify(path, right) == right
