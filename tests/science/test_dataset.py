from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flawspec.labels import LabelSet
from mobilemamba.annotations import DatasetError
from mobilemamba.dataset import Sample, load_clean, load_dataset, spread_over


def edit(folder: Path, change) -> Path:
    path = folder / "annotations.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def test_pictures_boxes_and_labels_are_read(coco_folder) -> None:
    folder = coco_folder(count=3)
    found = load_dataset(folder / "annotations.json", folder / "images")
    assert found.labels == LabelSet(("dark", "bright"))
    assert [s.name for s in found.samples] == ["0.png", "1.png", "2.png"]
    content = json.loads((folder / "annotations.json").read_text())
    x, y, width, height = content["annotations"][1]["bbox"]
    assert found.samples[1].boxes_xyxy.tolist() == [[x, y, x + width, y + height]]
    assert found.samples[1].class_ids.tolist() == [1]
    assert found.samples[1].grey.shape == (96, 96)
    assert len(found.sha256) == 64


def test_classes_can_be_put_in_an_artifact_s_order(coco_folder) -> None:
    folder = coco_folder(count=2)
    labels = LabelSet(("bright", "dark"))
    found = load_dataset(folder / "annotations.json", folder / "images", labels)
    assert [s.class_ids.tolist() for s in found.samples] == [[1], [0]]
    with pytest.raises(DatasetError, match="its classes are dark, bright; expected scratch"):
        load_dataset(folder / "annotations.json", folder / "images", LabelSet(("scratch",)))


def test_each_crowd_region_is_a_fault_and_a_clean_picture_is_fine(coco_folder) -> None:
    folder = coco_folder(count=3)
    path = edit(folder, lambda c: [a.update(iscrowd=1) for a in c["annotations"][:2]])
    with pytest.raises(DatasetError) as caught:
        load_dataset(path, folder / "images")
    marked = "is marked iscrowd, a region of flaws that are not told apart: set iscrowd to 0"
    assert len(caught.value.faults) == 2
    for number, fault in enumerate(caught.value.faults, start=1):
        assert fault.startswith(f"annotation {number} {marked}")
    path = edit(folder, lambda c: [a.update(iscrowd=0) for a in c["annotations"]])
    path = edit(folder, lambda c: c["annotations"].pop(0))
    found = load_dataset(path, folder / "images")
    assert [len(s.class_ids) for s in found.samples] == [0, 1, 1]


def test_every_fault_is_reported_at_once(coco_folder) -> None:
    folder = coco_folder(count=8)

    def spoil(content) -> None:
        entries = content["annotations"]
        entries[0]["bbox"] = [10, 10, 0, 5]
        entries[1]["bbox"] = [90, 10, 50, 5]
        entries[2]["category_id"] = 9
        entries[3]["image_id"] = 77
        entries[4]["id"] = 6
        entries[6]["bbox"] = [1, 2, "x"]
        content["images"][7]["width"] = 5
        content["images"].append({"id": 9, "file_name": "no.png", "width": 9, "height": 9})

    path = edit(folder, spoil)
    (folder / "images" / "2.png").write_bytes(b"not a picture")
    with pytest.raises(DatasetError) as caught:
        load_dataset(path, folder / "images")
    text = str(caught.value)
    for part in (
        "box [10, 10, 0, 5] has no area",
        "box [90, 10, 50, 5] lies outside its 96x96 picture",
        "annotation 3 has the unknown category id 9",
        "annotation 4 belongs to the unknown image id 77",
        "annotation id 6 is given twice",
        "annotation 7: bbox must be four numbers",
        "7.png is 96x96, not 5x96",
        "no.png cannot be read",
        "2.png: ",
    ):
        assert part in text
    assert len(caught.value.faults) == 9


def test_a_picture_that_its_exif_turns_is_told_apart_from_one_of_another_size(coco_folder) -> None:
    folder = coco_folder(count=1)
    exif = Image.Exif()
    exif[0x112] = 6
    Image.new("L", (96, 48), 90).save(folder / "images" / "0.png", exif=exif)
    path = edit(folder, lambda content: content["images"][0].update(height=48))
    with pytest.raises(DatasetError, match=r"is 48x96, not 96x48; if its EXIF orientation turns"):
        load_dataset(path, folder / "images")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "the top level is not an object"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"images": [], "annotations": [], "categories": []}', '"images" is empty'),
        ('{"images": [{"id": 1}], "annotations": []}', "images[0] lacks file_name, width, height"),
        (
            '{"images": [{"id": 1, "file_name": "a", "width": 1, "height": 1}], "annotations": [],'
            ' "categories": [{"id": 0, "name": "a"}, {"id": 0, "name": "b"}]}',
            "category id 0 is given twice",
        ),
    ],
)
def test_what_is_no_coco_file_says_why(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(DatasetError) as caught:
        load_dataset(path, tmp_path)
    assert message in str(caught.value)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none.json has 1 fault\(s\):\n  - cannot be read"):
        load_dataset(tmp_path / "none.json", tmp_path)


def test_a_missing_picture_that_has_a_box_is_one_fault(coco_folder, tmp_path: Path) -> None:
    folder = coco_folder(count=3)
    (folder / "images" / "1.png").unlink()
    with pytest.raises(DatasetError) as caught:
        load_dataset(folder / "annotations.json", folder / "images")
    assert len(caught.value.faults) == 1
    assert "1.png cannot be read" in caught.value.faults[0]
    with pytest.raises(DatasetError) as caught:
        load_dataset(folder / "annotations.json", tmp_path / "nowhere")
    assert len(caught.value.faults) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["images"][0].update(id=[1]),
        lambda c: c["images"][0].update(id="1"),
        lambda c: c["images"][0].update(file_name=5),
        lambda c: c["images"][0].update(file_name="0\0.png"),
        lambda c: c["images"][0].update(file_name="\ud800.png"),
        lambda c: c["images"][0].update(width=None),
        lambda c: c["categories"][0].update(name=7),
        lambda c: c["categories"][0].update(id={}),
        lambda c: c["annotations"][0].update(image_id=[]),
        lambda c: c["annotations"][0].update(category_id={}),
        lambda c: c["annotations"][0].update(id={}),
        lambda c: c["annotations"][0].update(bbox={}),
        lambda c: c["annotations"][0].update(bbox=[1, 2, 10**400, 4]),
        lambda c: c["annotations"][0].update(bbox=[1, 2, float("nan"), 4]),
    ],
)
def test_values_of_odd_types_are_faults_and_no_crash(coco_folder, change) -> None:
    folder = coco_folder(count=2)
    path = edit(folder, change)
    if json.loads(path.read_text())["annotations"][0]["id"] == {}:
        load_dataset(path, folder / "images")  # an annotation's own id is only compared
        return
    with pytest.raises(DatasetError):
        load_dataset(path, folder / "images")


def test_long_fault_lists_are_cut_but_counted(coco_folder) -> None:
    folder = coco_folder(count=24)
    path = edit(folder, lambda c: [a.update(bbox=[0, 0, -1, 1]) for a in c["annotations"]])
    with pytest.raises(DatasetError, match=r"\.\.\. and 4 more"):
        load_dataset(path, folder / "images")


def test_boxes_are_clipped_to_the_picture(coco_folder) -> None:
    folder = coco_folder(count=2)
    path = edit(folder, lambda c: c["annotations"][0].update(bbox=[-0.5, 50, 40, 46.5]))
    boxes = load_dataset(path, folder / "images").samples[0].boxes_xyxy
    assert boxes.dtype == np.float32
    assert boxes.tolist() == [[0, 50, 39.5, 96]]


def test_a_folder_of_clean_pictures(coco_folder, tmp_path: Path) -> None:
    folder = coco_folder(count=3) / "images"
    samples = load_clean(folder)
    assert [s.name for s in samples] == ["0.png", "1.png", "2.png"]
    assert all(s.boxes_xyxy.shape == (0, 4) and s.grey.shape == (96, 96) for s in samples)
    (folder / "notes.txt").write_text("hello")
    (folder / "3.png").write_bytes(b"")
    with pytest.raises(DatasetError) as caught:
        load_clean(folder)
    assert len(caught.value.faults) == 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds no pictures"):
        load_clean(tmp_path / "empty")
    with pytest.raises(DatasetError, match="cannot be read"):
        load_clean(tmp_path / "none")


def test_clean_pictures_as_a_training_set(coco_folder) -> None:
    folder = coco_folder(count=3)
    labels = LabelSet(("dark", "bright"))
    found = load_dataset(None, folder / "images", labels)
    assert [len(s.class_ids) for s in found.samples] == [0, 0, 0]
    assert found.labels == labels
    (folder / "images" / "0.png").rename(folder / "images" / "9.png")
    assert load_dataset(None, folder / "images", labels).sha256 != found.sha256
    with pytest.raises(DatasetError, match="clean pictures cannot come first"):
        load_dataset(None, folder / "images")


def test_a_box_that_clipping_leaves_without_area_is_a_fault(coco_folder) -> None:
    folder = coco_folder(count=1)
    path = edit(folder, lambda c: c["annotations"][0].update(bbox=[-1, 10, 0.9, 5]))
    with pytest.raises(DatasetError, match=r"box \[-1, 10, 0.9, 5\] shares no area with its pict"):
        load_dataset(path, folder / "images")


def test_one_picture_under_two_ids_is_a_fault(coco_folder) -> None:
    folder = coco_folder(count=2)
    path = edit(folder, lambda c: c["images"].append(c["images"][0] | {"id": 9}))
    with pytest.raises(DatasetError, match=r"image file_name '0\.png' is given twice"):
        load_dataset(path, folder / "images")


def test_one_picture_under_two_spellings_is_a_fault(coco_folder) -> None:
    folder = coco_folder(count=2)
    path = edit(
        folder, lambda c: c["images"].append(c["images"][0] | {"id": 9, "file_name": "./0.png"})
    )
    with pytest.raises(DatasetError, match=r"image file_name './0\.png' and '0\.png' are one pict"):
        load_dataset(path, folder / "images")


def test_a_picture_may_have_more_bytes_than_the_service_takes_by_default(tmp_path: Path) -> None:
    grey = np.arange(4500 * 4500, dtype=np.uint8).reshape(4500, 4500)
    Image.fromarray(grey).save(tmp_path / "large.bmp")
    assert (tmp_path / "large.bmp").stat().st_size > 20_000_000
    (sample,) = load_clean(tmp_path)
    assert np.array_equal(sample.grey, grey)


def test_a_picture_of_too_many_pixels_is_a_fault(tmp_path: Path) -> None:
    Image.new("1", (10_000, 9_000)).save(tmp_path / "huge.png")
    with pytest.raises(DatasetError, match="10000 x 9000 pixels, 90000000 in all, more than the"):
        load_clean(tmp_path)


@pytest.mark.parametrize(("there", "count"), [(99, 50), (180, 96), (96, 96), (5, 50), (1500, 96)])
def test_a_choice_of_pictures_is_spread_over_the_whole_set(there: int, count: int) -> None:
    """Of a set in order of its classes no class may be left out."""
    none = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    samples = tuple(Sample(f"{i}", i, np.zeros((16, 16), np.uint8), *none) for i in range(there))
    chosen = [s.image_id for s in spread_over(samples, count)]
    assert len(chosen) == len(set(chosen)) == min(there, count)
    gap = -(-there // len(chosen))
    assert chosen[0] == 0
    assert chosen[-1] >= there - gap
    assert max(b - a for a, b in itertools.pairwise(chosen)) <= gap
