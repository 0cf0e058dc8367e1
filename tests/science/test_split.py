"""Pictures of one place are found, and stay on one side of a split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mobilemamba_command import run as run_command
from PIL import Image, ImageFilter
from torch import Tensor

from flawspec.labels import LabelSet
from mobilemamba import duplicates
from mobilemamba.cli import main
from mobilemamba.dataset import Dataset, Sample, load_dataset
from mobilemamba.duplicates import find_overlaps, groups_of
from mobilemamba.split import Groups, find_groups, share_out

SIDE = 96


def surface(seed: int, height: int = 240, width: int = 240) -> np.ndarray:
    """Rolled steel without a repeat: streaks, grain and spots."""
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(0, 256, (height, width), dtype=np.uint8))
    grain = np.asarray(noise.filter(ImageFilter.GaussianBlur(1.5)), dtype=np.float32)
    streaks = rng.normal(0, 4, (1, width)) + np.linspace(0, 40, height)[:, None]
    return (60 + grain + streaks).clip(0, 255).astype(np.uint8)


def cut(picture: np.ndarray, x: int, y: int) -> np.ndarray:
    return picture[y : y + SIDE, x : x + SIDE]


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """0, 1, 2: one place shifted step by step, 2 brighter; 3, 4: a copy with noise; 5 to 14: strangers."""
    one, two = surface(1), surface(2)
    noise = np.random.default_rng(3).normal(0, 3, (SIDE, SIDE))
    brighter = (cut(one, 90, 30) * 0.8 + 50).astype(np.uint8)
    copy = (cut(two, 10, 10) + noise).clip(0, 255).astype(np.uint8)
    strangers = [cut(surface(seed), 0, 0) for seed in range(10, 20)]
    return [cut(one, 10, 10), cut(one, 47, 25), brighter, cut(two, 10, 10), copy, *strangers]


def test_shifted_cut_outs_and_noisy_copies_are_found_and_strangers_are_not(pictures) -> None:
    overlaps = find_overlaps(pictures, 0.6)
    pairs = {(o.first, o.second): o for o in overlaps}
    assert {(0, 1), (1, 2), (3, 4)} <= set(pairs) <= {(0, 1), (1, 2), (0, 2), (3, 4)}
    assert pairs[0, 1].shift_xy == (37, 15)
    assert pairs[1, 2].shift_xy == (43, 5)
    assert pairs[3, 4].shift_xy == (0, 0)
    assert pairs[3, 4].share == 1
    groups = groups_of(len(pictures), overlaps)
    assert groups[:2] == ((0, 1, 2), (3, 4))
    assert all(len(members) == 1 for members in groups[2:])


def test_pictures_of_several_sizes_and_blank_ones() -> None:
    wide = surface(5, 64, 200)
    strip = wide[:, 40:140]
    blank = np.full((64, 100), 90, np.uint8)
    (overlap,) = find_overlaps([wide, surface(6, 64, 100), strip, blank], 0.6)
    assert (overlap.first, overlap.second, overlap.shift_xy) == (0, 2, (40, 0))
    assert overlap.share == 1
    (same,) = find_overlaps([blank, surface(6, 64, 100), blank.copy()], 0.6)
    assert (same.first, same.second) == (0, 2)


def test_few_pairs_of_strips_are_compared_at_full_size(monkeypatch) -> None:
    """A copy of a strip has few pixels for its length, and its noise peaks are the higher."""
    long = surface(7, 128, 520)
    strips = [surface(seed, 128, 400) for seed in range(20, 44)]
    compared: list[tuple[int, int]] = []

    def counted(first: int, second: int, *structures: Tensor) -> duplicates.Overlap | None:
        compared.append((first, second))
        return best_overlap(first, second, *structures)

    best_overlap = duplicates._best_overlap
    monkeypatch.setattr(duplicates, "_best_overlap", counted)
    (overlap,) = find_overlaps([long[:, :400], *strips, long[:, 120:]], 0.8)
    assert (overlap.first, overlap.second, overlap.shift_xy) == (0, 25, (120, 0))
    assert len(compared) <= 5  # of 325


def test_what_small_pictures_share_is_found_beside_a_large_one() -> None:
    small = [cut(surface(1), 10, 10), cut(surface(1), 47, 25)]
    (overlap,) = find_overlaps([small[0], surface(3, 900, 900), small[1]], 0.6)
    assert (overlap.first, overlap.second, overlap.shift_xy) == (0, 2, (37, 15))
    whole = surface(4, 400, 400)
    (within,) = find_overlaps([cut(whole, 200, 100), whole, surface(5, 300, 300)], 0.6)
    assert (within.first, within.second) == (0, 1)
    assert find_overlaps([], 0.6) == find_overlaps(small[:1], 0.6) == ()


def test_whole_groups_are_shared_out_and_classes_with_them() -> None:
    rng = np.random.default_rng(0)
    samples = tuple(
        Sample(
            str(i), i, np.zeros((2, 2), np.uint8), np.zeros((1, 4), np.float32), np.array([i % 3])
        )
        for i in range(300)
    )
    edges = np.sort(rng.choice(np.arange(1, 300), 99, replace=False))
    members = tuple(tuple(part.tolist()) for part in np.split(np.arange(300), edges))
    groups = Groups(samples, (0,) * 300, members, ())
    parts = share_out(groups, 3, (0.7, 0.1, 0.2), seed=1)
    assert sorted(i for part in parts for i in part) == list(range(300))
    for group in members:
        assert sum(bool(set(group) & set(part)) for part in parts) == 1
    for share, part in zip((0.7, 0.1, 0.2), parts, strict=True):
        assert len(part) / 300 == pytest.approx(share, abs=0.03)
        by_class = np.bincount([i % 3 for i in part], minlength=3)
        assert by_class / 100 == pytest.approx([share] * 3, abs=0.05)
    assert parts == share_out(groups, 3, (0.7, 0.1, 0.2), seed=1)
    nothing = share_out(groups, 3, (1.0, 0.0, 0.0), seed=1)
    assert [len(part) for part in nothing] == [300, 0, 0]


def test_groups_that_cross_given_sets_are_named(pictures) -> None:
    def dataset(places: list[int]) -> Dataset:
        none = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
        samples = tuple(Sample(str(i), i, pictures[i], *none) for i in places)
        return Dataset(LabelSet(("pit",)), samples, "")

    groups = find_groups([dataset([0, 3, 5]), dataset([1, 4, 6]), dataset([7])])
    assert groups.crossing == ((0, 3), (1, 4))


def test_the_command_writes_coco_files_that_load(
    pictures, tmp_path: Path, monkeypatch, capsys
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    entries, boxes = [], []
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(images / f"{i}.png")
        entries.append({"id": 7 * i, "file_name": f"{i}.png", "width": SIDE, "height": SIDE})
        boxes.append({"id": i, "image_id": 7 * i, "category_id": 4, "bbox": [i, 2, 30, 20.5]})
    content = {"images": entries, "annotations": boxes, "categories": [{"id": 4, "name": "pit"}]}
    source = tmp_path / "all.json"
    source.write_text(json.dumps(content))

    def run(*arguments: object) -> int:
        monkeypatch.setattr("sys.argv", ["mobilemamba", "split", *map(str, arguments)])
        try:
            main()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    out = tmp_path / "splits"
    assert run(source, "--images", images, "--out", out, "--shares", 0.6, 0.2, 0.2) == 0
    said = capsys.readouterr().out
    assert "15 pictures; 5 of them share their place with others, in 2 groups (largest: 3)" in said
    sets = [load_dataset(out / f"{part}.json", images) for part in ("train", "val", "test")]
    sides = {s.name: part for part, found in enumerate(sets) for s in found.samples}
    assert len(sides) == 15
    assert sides["0.png"] == sides["1.png"] == sides["2.png"]
    assert sides["3.png"] == sides["4.png"]
    boxes_of = {s.name: s.boxes_xyxy.tolist() for found in sets for s in found.samples}
    assert boxes_of["6.png"] == [[6, 2, 36, 22.5]]
    found = json.loads((out / "groups.json").read_text())
    assert found["groups"] == [["0.png", "1.png", "2.png"], ["3.png", "4.png"]]

    assert run(out / "train.json", out / "val.json", "--images", images) == 0
    assert "0 groups lie in more than one of the 2 files" in capsys.readouterr().out
    for shares in ((0.6, 0.2, 0.1), (0.6, 0.4, "nan")):
        assert run(source, "--images", images, "--shares", *shares) == 2
        assert "do not add up to 1" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["train.json", "groups.json"])
def test_a_split_overwrites_nothing(
    coco_folder, part: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    folder = coco_folder(count=4)
    given = (folder / "annotations.json").rename(folder / part)
    content = given.read_bytes()
    command = ["split", str(given), "--images", str(folder / "images"), "--out", str(folder)]
    monkeypatch.setattr("sys.argv", ["mobilemamba", *command])
    monkeypatch.setattr("mobilemamba.commands.data.load_dataset", lambda *_: pytest.fail("read"))
    with pytest.raises(SystemExit, match="2"):
        main()
    error = capsys.readouterr().err
    assert f"{given} exists already and would be overwritten; give another folder" in error
    assert given.read_bytes() == content
    assert {p.name for p in folder.iterdir()} == {part, "images"}


def two_files(folder: Path, change_box: bool) -> tuple[Path, Path]:
    """All pictures, and once more the first two of them, under another spelling and boxes in another order."""
    whole = folder / "annotations.json"
    content = json.loads(whole.read_text())
    content["annotations"].append(content["annotations"][0] | {"id": 99, "bbox": [1, 2, 3, 4]})
    whole.write_text(json.dumps(content))
    content["images"] = content["images"][:2]
    content["images"][1]["file_name"] = "./1.png"
    content["annotations"] = [content["annotations"][i] for i in (-1, 1, 0)]
    if change_box:
        content["annotations"][1]["bbox"][0] += 1
    again = folder / "again.json"
    again.write_text(json.dumps(content))
    return whole, again


def test_a_picture_that_two_files_list_is_written_once(
    coco_folder, tmp_path: Path, monkeypatch, capsys
) -> None:
    folder, out = coco_folder(count=6), tmp_path / "splits"
    both, images = two_files(folder, change_box=False), folder / "images"
    shares = ("--shares", 0.4, 0.3, 0.3)
    assert run_command(monkeypatch, "split", *both, "--images", images, "--out", out, *shares) == 0
    said = capsys.readouterr().out
    assert "2 groups lie in more than one of the 2 files" in said
    assert "2 pictures are listed again and are written once" in said
    sets = [load_dataset(out / f"{part}.json", images) for part in ("train", "val", "test")]
    names = [s.name for found in sets for s in found.samples]
    assert sorted(names) == [f"{i}.png" for i in range(6)]
    assert sum(len(s.class_ids) for found in sets for s in found.samples) == 7
    assert json.loads((out / "groups.json").read_text())["groups"] == []


def test_a_picture_with_other_boxes_in_another_file_is_a_fault(
    coco_folder, tmp_path: Path, monkeypatch, capsys
) -> None:
    folder, out = coco_folder(count=6), tmp_path / "splits"
    whole, again = two_files(folder, change_box=True)
    command = ("split", whole, again, "--images", folder / "images")
    assert run_command(monkeypatch, *command, "--out", out) == 2
    error = capsys.readouterr().err
    assert f"picture ./1.png has 1 box(es) in {again}, other than the 1 in {whole}" in error
    assert "has 1 fault(s)" in error
    assert not out.exists()
    assert run_command(monkeypatch, *command) == 0  # what crosses them is said all the same


def test_a_part_without_pictures_gets_no_file(
    coco_folder, tmp_path: Path, monkeypatch, capsys
) -> None:
    folder, out = coco_folder(count=4), tmp_path / "splits"
    command = ("split", folder / "annotations.json", "--images", folder / "images")
    given = ("--out", out, "--shares", 0.99, 0.01, 0)
    assert run_command(monkeypatch, *command, *given) == 0
    assert {p.name for p in out.iterdir()} == {"train.json", "groups.json"}
    said = capsys.readouterr().out
    assert (
        f"{out}/val.json is not written: no picture was left for its share of 0.01, since those of one place stay "
        "together and each class is shared out evenly; give" in said
    )
    assert f"{out}/test.json is not written: its share is 0\n" in said
    assert len(load_dataset(out / "train.json", folder / "images").samples) == 4
