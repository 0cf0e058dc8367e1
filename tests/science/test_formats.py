"""Three formats, one door: the same pictures and boxes come out of each."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from mobilemamba_command import run
from PIL import Image

from flawspec.labels import LabelSet
from mobilemamba.annotations import DatasetError, upright
from mobilemamba.config import load_config
from mobilemamba.dataset import Dataset, load_dataset, read_annotations
from mobilemamba.trained_on import TrainedOn

OBJECT = (
    "<object><name>{name}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
    "<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
)


def entries(folder: Path) -> list[tuple[str, str, list[int]]]:
    content = json.loads((folder / "annotations.json").read_text())
    names = {c["id"]: c["name"] for c in content["categories"]}
    return [
        (image["file_name"], names[a["category_id"]], a["bbox"])
        for image, a in zip(content["images"], content["annotations"], strict=True)
    ]


def as_voc(folder: Path) -> Path:
    out = folder / "voc"
    out.mkdir()
    for file_name, name, (x, y, w, h) in entries(folder):
        found = OBJECT.format(name=name, x0=x, y0=y, x1=x + w, y1=y + h)
        size = "<size><width>96</width><height>96</height></size>"
        text = f"<annotation><filename>{file_name}</filename>{size}{found}</annotation>"
        (out / f"{Path(file_name).stem}.xml").write_text(text)
    return out


def as_yolo(folder: Path) -> Path:
    out = folder / "yolo"
    out.mkdir()
    (folder / "classes.txt").write_text("dark\nbright\n")
    for file_name, name, (x, y, w, h) in entries(folder):
        numbers = ((x + w / 2) / 96, (y + h / 2) / 96, w / 96, h / 96)
        line = f"{('dark', 'bright').index(name)} " + " ".join(f"{v:.8f}" for v in numbers)
        (out / f"{Path(file_name).stem}.txt").write_text(line + "\n")
    return out


def by_name(dataset: Dataset) -> dict[str, list[tuple[str, list[float]]]]:
    return {
        s.name: [
            (dataset.labels.name_of(int(c)), [round(v, 2) for v in box])
            for c, box in zip(s.class_ids, s.boxes_xyxy.tolist(), strict=True)
        ]
        for s in dataset.samples
    }


@pytest.mark.parametrize("convert", [as_voc, as_yolo])
def test_every_format_says_the_same(coco_folder, convert) -> None:
    folder = coco_folder(count=4)
    expected = load_dataset(folder / "annotations.json", folder / "images")
    found = load_dataset(convert(folder), folder / "images", labels=expected.labels)
    assert by_name(found) == by_name(expected)
    assert found.labels == expected.labels
    assert len(found.sha256) == 64


def test_voc_may_lack_a_class_but_not_bring_another(coco_folder) -> None:
    folder = coco_folder(count=2)
    voc = as_voc(folder)
    labels = LabelSet(("bright", "dark", "dent"))
    assert load_dataset(voc, folder / "images", labels).labels == labels
    with pytest.raises(DatasetError, match="its classes are bright, dark; expected dark, dent"):
        load_dataset(voc, folder / "images", LabelSet(("dark", "dent")))


@pytest.mark.parametrize("form", ["coco", "voc"])
def test_a_box_that_was_turned_in_cvat_is_learned_as_the_upright_one_around_it(
    coco_folder, form: str
) -> None:
    folder = coco_folder(count=5)
    path = folder / "annotations.json"
    content = json.loads(path.read_text())
    angles = [90.0, 30, 0.0, "left", 45]
    for entry, angle in zip(content["annotations"], angles, strict=True):
        entry |= {"bbox": [40, 20, 20, 40], "attributes": {"occluded": False, "rotation": angle}}
    content["annotations"][4]["bbox"][2] = 0
    path.write_text(json.dumps(content))
    if form == "voc":
        path = as_voc(folder)
        for number, angle in enumerate(angles):
            file, pair = path / f"{number}.xml", f"<name>rotation</name><value>{angle}</value>"
            added = f"<attributes><attribute>{pair}</attribute></attributes></object>"
            file.write_text(file.read_text().replace("</object>", added))
    with pytest.raises(DatasetError, match="has no area") as caught:
        load_dataset(path, folder / "images")
    assert len(caught.value.faults) == 1, "turned, it would seem to have some"
    found = read_annotations(path, folder / "images").pictures[:4]
    boxes = [picture.boxes[0] for picture in found]
    lying, leaning, *as_given = (upright(box.xywh, box.degrees) for box in boxes)
    assert lying == pytest.approx((30, 30, 40, 20))
    assert leaning == pytest.approx((31.340, 17.679, 37.321, 44.641), abs=1e-3)
    assert as_given == [(40, 20, 20, 40)] * 2


def scratch(folder: Path, form: str, bbox: list[float], angle: object, **more: object) -> Path:
    """One picture of 500x400 with one box of CVAT's."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    Image.new("L", (500, 400), 90).save(folder / "images" / "0.png")
    if form == "coco":
        entry = {"id": 1, "image_id": 1, "category_id": 1, "bbox": bbox, **more}
        entry |= {"attributes": {"rotation": angle}}
        image = {"id": 1, "file_name": "0.png", "width": 500, "height": 400}
        names = [{"id": 1, "name": "scratch"}]
        path = folder / "annotations.json"
        content = {"images": [image], "annotations": [entry], "categories": names}
        path.write_text(json.dumps(content))
        return path
    x, y, width, height = bbox
    found = OBJECT.format(name="scratch", x0=x, y0=y, x1=x + width, y1=y + height)
    pair = f"<attribute><name>rotation</name><value>{angle}</value></attribute>"
    found = found.replace("</object>", f"<attributes>{pair}</attributes></object>")
    (folder / "voc").mkdir(exist_ok=True)
    (folder / "voc" / "0.xml").write_text(f"<annotation>{found}</annotation>")
    return folder / "voc"


@pytest.mark.parametrize("form", ["coco", "voc"])
def test_of_a_turned_box_over_the_edge_the_part_in_the_picture_is_learned(
    tmp_path: Path, form: str
) -> None:
    path = scratch(tmp_path, form, [150, 42, 200, 16], 30)  # its axis ends at y = 0
    (sample,) = load_dataset(path, tmp_path / "images").samples
    assert sample.boxes_xyxy.tolist() == [pytest.approx([159.397, 0, 340.603, 106.928], abs=1e-2)]
    path = scratch(tmp_path, form, [150, -142, 200, 16], 30)
    shown = r"box \[150, -142, 200, 16\] turned by 30 degrees shares no area with its picture"
    with pytest.raises(DatasetError, match=shown):
        load_dataset(path, tmp_path / "images")


def test_only_the_bbox_without_an_outline_was_left_as_it_was_before_it_was_turned(
    tmp_path: Path,
) -> None:
    outline = [[150, 100, 350, 100, 350, 116]]
    for angle, segmentation, height in ((90, outline, 16), (90, [], 200), ("90", [], 200)):
        path = scratch(tmp_path, "coco", [150, 100, 200, 16], angle, segmentation=segmentation)
        ((_, top, _, bottom),) = load_dataset(path, tmp_path / "images").samples[0].boxes_xyxy
        assert bottom - top == pytest.approx(height)


def test_voc_faults_are_reported_at_once(coco_folder) -> None:
    folder = coco_folder(count=5)
    voc = as_voc(folder)
    (voc / "0.xml").write_text("<annotation>")
    (voc / "1.xml").write_text(
        '<!DOCTYPE a [<!ENTITY b "c">]><annotation><filename>1.png</filename></annotation>'
    )
    (voc / "2.xml").write_text("<annotation><object><name>dark</name></object></annotation>")
    (folder / "images" / "2.png").unlink()
    bad = OBJECT.format(name="dark", x0="left", y0=1, x1=2, y1=3)
    (voc / "3.xml").write_text(f"<annotation><filename>3.png</filename>{bad}</annotation>")
    with pytest.raises(DatasetError) as caught:
        load_dataset(voc, folder / "images", LabelSet(("dark", "bright")))
    text = str(caught.value)
    for part in (
        "0.xml: no element found",
        "1.xml: ",
        "2.xml, object 1 lacks name or bndbox",
        "3.xml, object 1: bndbox must hold the numbers xmin, ymin, xmax, ymax",
        "2.jpg cannot be read",
    ):
        assert part in text


@pytest.mark.parametrize("spelling", ["1.png", "./1.png", ".//1.png"])
def test_a_picture_that_two_voc_files_name_is_a_fault(coco_folder, spelling: str) -> None:
    folder = coco_folder(count=2)
    voc = as_voc(folder)
    (voc / "1-copy.xml").write_text(f"<annotation><filename>{spelling}</filename></annotation>")
    with pytest.raises(DatasetError) as caught:
        load_dataset(voc, folder / "images")
    (fault,) = caught.value.faults
    assert fault.startswith(
        "1-copy.xml and 1.xml both name the picture 1.png: put all of its boxes"
    )


def test_yolo_faults_are_reported_at_once(coco_folder) -> None:
    folder = coco_folder(count=4)
    yolo = as_yolo(folder)
    (yolo / "0.txt").write_text("0 0.5 0.5 0.2\n\n9 0.5 0.5 0.2 0.2\n0 0.5 0.5 3 0.2\n")
    (yolo / "stray.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    with pytest.raises(DatasetError) as caught:
        load_dataset(yolo, folder / "images")
    text = str(caught.value)
    for part in (
        "0.txt, line 1 must be: class x_centre y_centre width height",
        "0.txt, line 3 has the unknown class 9",
        "0.txt, line 4: box",
        "stray.txt belongs to no picture",
    ):
        assert part in text
    assert len(caught.value.faults) == 4
    for name, labels in (("Dark", None), ("dark", LabelSet(("dark", "dent")))):
        (yolo / "classes.txt").write_text(f"{name}\nbright\n")
        with pytest.raises(DatasetError, match=r"(?s)(Dark|expected dark).*0\.txt, line 1 must be"):
            load_dataset(yolo, folder / "images", labels)


def test_a_yolo_picture_without_a_file_is_clean(coco_folder) -> None:
    folder = coco_folder(count=3)
    yolo = as_yolo(folder)
    (yolo / "1.txt").unlink()
    found = by_name(load_dataset(yolo, folder / "images"))
    assert found["1.png"] == []
    assert len(found["0.png"]) == 1


def as_yolo_parts(folder: Path) -> tuple[Path, Path]:
    """labels/train of the first four pictures, labels/val of the others, over one folder of pictures."""
    parts = folder / "labels" / "train", folder / "labels" / "val"
    whole = as_yolo(folder)
    for part in parts:
        part.mkdir(parents=True)
    (folder / "classes.txt").rename(folder / "labels" / "classes.txt")
    for path in whole.glob("*.txt"):
        path.rename(parts[int(path.stem) >= 4] / path.name)
    whole.rmdir()
    return parts


def test_a_yolo_picture_belongs_to_the_folder_that_holds_its_file(coco_folder) -> None:
    folder = coco_folder(count=6)
    train, val = as_yolo_parts(folder)
    (val / "5.txt").write_text("")
    found = [by_name(load_dataset(part, folder / "images")) for part in (train, val)]
    assert [list(part) for part in found] == [
        ["0.png", "1.png", "2.png", "3.png"],
        ["4.png", "5.png"],
    ]
    assert found[1]["5.png"] == []
    (val / "5.txt").unlink()
    (train / "1.txt").unlink()
    for part in train, val:
        with pytest.raises(DatasetError) as caught:
            load_dataset(part, folder / "images")
        assert [fault.split(" ")[0] for fault in caught.value.faults] == ["1.png", "5.png"]
        assert "give it an empty 1.txt in the folder that it belongs to" in str(caught.value)
    for path in train.glob("*.txt"):
        path.unlink()
    (train / "classes.txt").write_text("dark\nbright\n")
    for number in range(6):
        (val / f"{number}.txt").write_text("")
    with pytest.raises(
        DatasetError, match=f"holds no text file of a picture in .*; they lie in {val}"
    ):
        load_dataset(train, folder / "images")


def test_a_clean_yolo_picture_is_refused_where_its_file_may_be_of_another_part(coco_folder) -> None:
    """Parts with pictures of their own, numbered alike."""
    folder = coco_folder(count=4)
    yolo = as_yolo(folder)
    shutil.copytree(folder / "images", folder / "val_images")
    (folder / "val_labels").mkdir()
    for number in (2, 3):
        (yolo / f"{number}.txt").rename(folder / "val_labels" / f"{number}.txt")
    with pytest.raises(DatasetError) as caught:
        load_dataset(yolo, folder / "images")
    assert [fault.split(" ")[0] for fault in caught.value.faults] == ["2.png", "3.png"]


def test_a_clean_yolo_picture_is_not_left_out_for_predictions_beside(coco_folder) -> None:
    folder = coco_folder(count=3)
    yolo = as_yolo(folder)
    (yolo / "1.txt").rename(folder / "kept.txt")
    shutil.copytree(yolo, folder / "predictions")
    (folder / "kept.txt").rename(folder / "predictions" / "1.txt")
    with pytest.raises(
        DatasetError, match=r"1\.png has no text file in .*predictions too: give it"
    ):
        load_dataset(yolo, folder / "images")
    (yolo / "1.txt").write_text("")
    assert by_name(load_dataset(yolo, folder / "images"))["1.png"] == []


def test_yolo_parts_with_pictures_of_their_own_may_share_names(coco_folder) -> None:
    folder = coco_folder(count=6)
    train, val = as_yolo_parts(folder)
    for number in (4, 5):
        (val / f"{number}.txt").rename(val / f"{number - 4}.txt")
    (train / "1.txt").unlink()
    whole = (folder / "images").rename(folder / "all")
    shutil.copytree(whole, folder / "images" / "train")
    (folder / "images" / "val").mkdir()
    for number in (4, 5):
        (folder / "images" / "train" / f"{number}.png").rename(
            folder / "images" / "val" / f"{number - 4}.png"
        )
    found = by_name(load_dataset(train, folder / "images" / "train"))
    assert list(found) == ["0.png", "1.png", "2.png", "3.png"]
    assert found["1.png"] == []


def test_split_takes_each_picture_of_two_yolo_folders_once(
    coco_folder, tmp_path: Path, monkeypatch, capsys
) -> None:
    folder = coco_folder(count=6)
    parts = as_yolo_parts(folder)
    out = tmp_path / "splits"
    assert run(monkeypatch, "split", *parts, "--images", folder / "images", "--out", out) == 0
    assert capsys.readouterr().out.startswith("6 pictures;")
    (out / "groups.json").unlink()
    written = [json.loads(path.read_text()) for path in out.iterdir()]
    assert sorted(image["file_name"] for part in written for image in part["images"]) == [
        f"{number}.png" for number in range(6)
    ]
    assert sum(len(part["annotations"]) for part in written) == 6


def test_folders_that_hold_no_data_set(coco_folder, tmp_path: Path) -> None:
    folder = coco_folder(count=2)
    with pytest.raises(DatasetError, match=r"is a folder without \.xml"):
        load_dataset(folder / "images", folder / "images")
    with pytest.raises(DatasetError, match=r"COCO is given by its file: .*annotations\.json$"):
        load_dataset(folder, folder / "images")
    labelme = tmp_path / "labelme"
    labelme.mkdir()
    for number in range(9):
        (labelme / f"{number}.json").write_text('{"version": "5.4.1", "shapes": []}')
    (labelme / "9.json").write_text("{")
    with pytest.raises(DatasetError, match=r"or \.txt \(YOLO\) files$"):
        load_dataset(labelme, folder / "images")
    for number in range(9):
        (labelme / f"{number}.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(DatasetError, match=r"its file: \S+/0\.json or .*/4\.json or \.\.\.$"):
        load_dataset(labelme, folder / "images")
    yolo = as_yolo(folder)
    (folder / "classes.txt").unlink()
    with pytest.raises(DatasetError, match=rf"no classes\.txt in it or in {folder}: put one"):
        load_dataset(yolo, folder / "images")
    (folder / "classes.txt").write_text("dark\n")
    with pytest.raises(DatasetError, match="there are no pictures in"):
        load_dataset(yolo, tmp_path / "none")
    (tmp_path / "a.xml").write_text("<annotation/>")
    with pytest.raises(DatasetError, match="no box was found"):
        load_dataset(tmp_path, folder / "images")
    (tmp_path / "a.xml").write_text("<annotation><filename>1.png</filename></annotation>")
    assert by_name(load_dataset(tmp_path, folder / "images", LabelSet(("a",)))) == {"1.png": []}
    (tmp_path / "a.xml").write_text("<annotations><image name='1.png'/></annotations>")
    with pytest.raises(DatasetError, match=r"a\.xml is no Pascal VOC: it holds <annotations>"):
        load_dataset(tmp_path, folder / "images", LabelSet(("a",)))


def test_a_voc_file_of_an_unknown_encoding_is_a_fault(coco_folder) -> None:
    folder = coco_folder(count=2)
    path = as_voc(folder) / "0.xml"
    path.write_text('<?xml version="1.0" encoding="foo"?>' + path.read_text())
    with pytest.raises(DatasetError, match=r"0\.xml: unknown encoding: foo"):
        load_dataset(path.parent, folder / "images")


def not_utf8(path: Path) -> Path:
    """A file's name ends in a byte of Latin-1, as an archive from elsewhere unpacks it."""
    try:
        return path.rename(path.with_stem(os.fsdecode(os.fsencode(path.stem) + b"\xe9")))
    except OSError:
        pytest.skip("this file system takes no such names")


def test_names_that_are_not_utf8_are_read(
    coco_folder, config_file, tmp_path: Path, monkeypatch, capsys
) -> None:
    folder = coco_folder(count=3)
    voc, yolo, images = as_voc(folder), as_yolo(folder), folder / "images"
    not_utf8(voc / "1.xml")
    assert len(load_dataset(voc, images).samples) == 3
    name = not_utf8(images / "1.png").name
    not_utf8(yolo / "1.txt")
    found = load_dataset(yolo, images)
    assert len(by_name(found)[name]) == 1
    clean = load_dataset(None, images, found.labels)
    assert name in by_name(clean)
    digests = TrainedOn.of(load_config(config_file()), [found, clean]).sets
    assert digests[0].sha256 != digests[1].sha256

    out = tmp_path / "out"
    assert run(monkeypatch, "split", yolo, "--images", images, "--out", out) == 2
    error = capsys.readouterr().err
    assert "the name of picture 1\N{REPLACEMENT CHARACTER}.png is not UTF-8" in error
    assert not out.exists()
    assert run(monkeypatch, "split", yolo, "--images", images) == 0


@pytest.mark.parametrize("convert", [as_voc, as_yolo])
def test_suffixes_may_be_in_capitals(coco_folder, convert) -> None:
    folder = coco_folder(count=3)
    annotations = convert(folder)
    expected = load_dataset(annotations, folder / "images")
    for path in sorted(annotations.iterdir())[1:]:
        path.rename(path.with_suffix(path.suffix.upper()))
    if convert is as_yolo:
        (folder / "classes.txt").rename(folder / "Classes.TXT")
    assert by_name(load_dataset(annotations, folder / "images")) == by_name(expected)


def test_two_yolo_files_of_one_picture_are_a_fault(coco_folder) -> None:
    folder = coco_folder(count=2)
    yolo = as_yolo(folder)
    (yolo / "1.TXT").write_text("")
    if len(list(yolo.iterdir())) == 2:
        pytest.skip("this file system does not tell capitals apart")
    with pytest.raises(
        DatasetError, match=r"1\.TXT and 1\.txt are of one picture: put all"
    ) as caught:
        load_dataset(yolo, folder / "images")
    assert len(caught.value.faults) == 1


def test_a_yolo_file_of_two_pictures_is_a_fault(coco_folder) -> None:
    folder = coco_folder()
    yolo, images = as_yolo(folder), folder / "images"
    shutil.copy(images / "0.png", images / "0.BMP")
    with pytest.raises(DatasetError) as caught:
        load_dataset(yolo, images)
    (fault,) = caught.value.faults
    assert "0.txt may be of 0.BMP or 0.png: give each a name and a text file of its own" in fault


def test_a_folder_of_two_kinds_of_annotations_is_a_fault(coco_folder) -> None:
    folder = coco_folder(count=3)
    voc, yolo = as_voc(folder), as_yolo(folder)
    shutil.copy(folder / "classes.txt", voc)
    (voc / "notes.txt").write_text("taken on line 3")
    assert len(load_dataset(voc, folder / "images").samples) == 3
    shutil.copy(yolo / "1.txt", voc / "1.TXT")
    with pytest.raises(DatasetError) as caught:
        load_dataset(voc, folder / "images")
    (fault,) = caught.value.faults
    assert fault.startswith(
        "holds annotations of two kinds, 0.xml (Pascal VOC) and 1.TXT (YOLO): put those of one kind"
    )


def test_text_files_may_begin_with_a_byte_order_mark_as_windows_editors_write_it(
    coco_folder,
) -> None:
    folder = coco_folder(count=4)
    yolo = as_yolo(folder)
    plain = load_dataset(yolo, folder / "images")
    for path in (folder / "classes.txt", yolo / "0.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    marked = load_dataset(yolo, folder / "images")
    assert marked.labels == plain.labels
    assert by_name(marked) == by_name(plain)


def test_voc_files_may_be_laid_out_in_lines_and_a_wrong_size_is_named(coco_folder) -> None:
    folder = coco_folder(count=2)
    voc = as_voc(folder)
    plain = load_dataset(voc, folder / "images")
    first = voc / "0.xml"
    text = first.read_text().replace("<name>dark</name>", "<name>\n  dark\n</name>")
    first.write_text(text)
    assert by_name(load_dataset(voc, folder / "images")) == by_name(plain)
    for size in ("96.0", ""):
        first.write_text(text.replace("<width>96</width>", f"<width>{size}</width>"))
        with pytest.raises(DatasetError, match=r"0.xml: size must hold the whole numbers width"):
            load_dataset(voc, folder / "images")


@pytest.mark.parametrize("said", ["", "<filename/>", "<filename>{0}</filename>"])
def test_a_voc_file_without_its_pictures_suffix_is_of_the_one_called_alike(
    coco_folder, said: str
) -> None:
    folder = coco_folder(count=3)
    voc = as_voc(folder)
    plain = load_dataset(voc, folder / "images")
    for path in voc.glob("*.xml"):
        whole = f"<filename>{path.stem}.png</filename>"
        text = path.read_text()
        assert whole in text
        path.write_text(text.replace(whole, said.format(path.stem)))
    assert by_name(load_dataset(voc, folder / "images")) == by_name(plain)
    shutil.copy(folder / "images" / "1.png", folder / "images" / "1.bmp")
    with pytest.raises(DatasetError, match=r"1\.xml may be of 1\.bmp or 1\.png: say in <filename>"):
        load_dataset(voc, folder / "images")


@pytest.mark.parametrize("listed", ["dark\n\nbright\n", "\n \ndark\nbright\n"])
def test_a_blank_line_among_the_classes_of_yolo_is_a_fault(coco_folder, listed: str) -> None:
    folder = coco_folder(count=3)
    yolo = as_yolo(folder)
    plain = load_dataset(yolo, folder / "images")
    (folder / "classes.txt").write_text("dark\nbright\n\n \n")
    assert by_name(load_dataset(yolo, folder / "images")) == by_name(plain)
    (folder / "classes.txt").write_text(listed)
    with pytest.raises(
        DatasetError, match=r"line [12] of .*classes\.txt is blank: a class's number"
    ):
        load_dataset(yolo, folder / "images")


def test_classes_above_a_yolo_folder_are_found_from_within_it(coco_folder, monkeypatch) -> None:
    folder = coco_folder(count=3)
    yolo = as_yolo(folder)
    plain = load_dataset(yolo, folder / "images")
    monkeypatch.chdir(yolo)
    assert by_name(load_dataset(Path(), Path("../images"))) == by_name(plain)
    moved = folder / "store" / "of" / "labels"
    moved.parent.mkdir(parents=True)
    yolo.rename(moved)
    yolo.symlink_to(moved)
    assert by_name(load_dataset(yolo, folder / "images")) == by_name(plain)


def test_yolo_files_in_a_folder_within_are_not_left_out(coco_folder) -> None:
    folder = coco_folder(count=3)
    yolo = as_yolo(folder)
    (yolo / "val").mkdir()
    shutil.copy(yolo / "1.txt", yolo / "val")
    assert len(load_dataset(yolo, folder / "images").samples) == 3, "a copy"
    (yolo / "1.txt").unlink()
    with pytest.raises(DatasetError, match=r"lie in .*val, so that these would be taken for clean"):
        load_dataset(yolo, folder / "images")
