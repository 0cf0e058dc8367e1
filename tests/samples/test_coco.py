"""A written set: loadable, consistent, repeatable, whole or not there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flawline.samples import coco
from flawline.samples.coco import generate_nth_frame, write_coco
from flawline.samples.errors import FrameSizeError, SampleError, SampleSetError
from flawline.samples.families.catalogue import CLASS_NAMES


def test_set_is_consistent(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    written = write_coco(
        tmp_path / "set", 6, seed=4, clean_share=0.4, progress=lambda *at: calls.append(at)
    )
    document = json.loads(written.annotations_path.read_text())
    assert calls == [(done, 6) for done in range(1, 7)]
    assert document["categories"] == [{"id": i, "name": n} for i, n in enumerate(CLASS_NAMES)]
    assert [image["id"] for image in document["images"]] == list(range(1, 7))
    assert len({note["id"] for note in document["annotations"]}) == written.boxes
    assert {note["image_id"] for note in document["annotations"]} <= set(range(1, 7))
    shown = {note["image_id"] for note in document["annotations"]}
    assert written.clean_pictures == 6 - len(shown) > 0
    assert written.pictures == len(list(written.images_path.iterdir())) == 6
    for note in document["annotations"]:
        x, y, width, height = note["bbox"]
        assert 0 <= x < x + width <= 200
        assert 0 <= y < y + height <= 200
        assert note["area"] == width * height
        assert note["category_id"] in range(6)
        assert note["iscrowd"] == 0


def test_info_says_where_the_pictures_come_from(tmp_path: Path) -> None:
    written = write_coco(tmp_path, 1, seed=11)
    info = json.loads(written.annotations_path.read_text())["info"]
    assert "generated" in info["description"]
    assert (info["generator"], info["seed"]) == ("flawline.samples", 11)
    assert info["version"]


def test_pictures_are_the_frames(tmp_path: Path) -> None:
    written = write_coco(tmp_path, 3, seed=2, width_px=96, height_px=80, clean_share=0.0)
    document = json.loads(written.annotations_path.read_text())
    for index, image in enumerate(document["images"]):
        frame = generate_nth_frame(2, index, 96, 80, 0.0)
        with Image.open(written.images_path / image["file_name"]) as picture:
            assert picture.mode == "L"
            assert np.array_equal(np.asarray(picture), frame.grey)
        boxes = [n["bbox"] for n in document["annotations"] if n["image_id"] == image["id"]]
        assert boxes == frame.boxes_xywh.tolist()


@pytest.mark.parametrize(("share", "clean"), [(0.0, 0), (1.0, 4)])
def test_clean_share(tmp_path: Path, share: float, clean: int) -> None:
    assert write_coco(tmp_path, 4, seed=1, clean_share=share).clean_pictures == clean


def test_an_earlier_set_is_replaced(tmp_path: Path) -> None:
    write_coco(tmp_path, 4, seed=1)
    foreign = tmp_path / "images" / "mine.png"
    foreign.write_bytes(b"kept")
    written = write_coco(tmp_path, 2, seed=9)
    names = sorted(path.name for path in written.images_path.iterdir())
    assert names == ["mine.png", "steel_000000.png", "steel_000001.png"]


@pytest.mark.parametrize("content", ["{}", "not json", '{"info": {}}', '{"info": []}'])
def test_foreign_annotations_are_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "annotations.json").write_text(content)
    with pytest.raises(SampleSetError, match="left alone"):
        write_coco(tmp_path, 1)
    assert (tmp_path / "annotations.json").read_text() == content


def test_an_interrupted_set_has_no_annotations(tmp_path: Path) -> None:
    write_coco(tmp_path, 3, seed=1)

    def stop(done: int, count: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_coco(tmp_path, 3, seed=2, progress=stop)
    assert not (tmp_path / "annotations.json").exists()


@pytest.mark.parametrize(
    ("count", "seed", "share", "message"),
    [
        (0, 0, 0.1, "0 frames"),
        (coco.MAX_COUNT + 1, 0, 0.1, "100001 frames"),
        (1, -1, 0.1, "seed"),
        (1, 0, 1.5, "share"),
        (1, 0, float("nan"), "share"),
    ],
)
def test_bad_requests(tmp_path: Path, count: int, seed: int, share: float, message: str) -> None:
    with pytest.raises(SampleError, match=message):
        write_coco(tmp_path / "set", count, seed=seed, clean_share=share)
    assert not (tmp_path / "set").exists()


def test_bad_frame_size_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(FrameSizeError):
        write_coco(tmp_path / "set", 1, width_px=5000)
    assert not (tmp_path / "set").exists()


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SampleSetError, match="choose a folder"):
        write_coco(tmp_path / "file" / "set", 1)


def test_a_failing_write_leaves_no_part_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SampleSetError, match="No space left"):
        write_coco(tmp_path, 1)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []
