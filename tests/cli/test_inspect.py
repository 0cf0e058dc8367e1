from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run
from pictures import clean, numbered
from PIL import Image


def json_lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.usefixtures("artifact")
def test_json_lines_are_answers_with_their_path(pictures: Path) -> None:
    result = run("inspect", "--json", pictures)
    assert result.exit_code == 0
    answers = json_lines(result.stdout)
    assert [Path(answer["path"]).relative_to(pictures) for answer in answers] == [
        *(Path("a.png"), Path("clean.bmp"), Path("deeper/b.png"))
    ]
    assert [answer["verdict"] for answer in answers] == ["NotOK", "OK", "NotOK"]
    first = answers[0]
    assert list(first)[:3] == ["path", "inspection_id", "verdict"]
    assert first["detections"][0]["class"] == "scratch"
    assert first["frame"]["width"] == 64


@pytest.mark.usefixtures("artifact")
def test_text_shows_a_line_each_and_a_summary(pictures: Path) -> None:
    result = run("inspect", pictures)
    assert result.exit_code == 0
    assert f"NotOK        {pictures / 'a.png'}  scratch 0.55" in result.stdout
    assert f"OK           {pictures / 'clean.bmp'}" in result.stdout
    summary = result.stdout.split("Summary")[1]
    assert "scratch" in summary
    assert "NotOK" in summary


@pytest.mark.usefixtures("artifact")
def test_failed_pictures_say_why_and_the_others_are_inspected(
    pictures: Path, bad_pictures: Path
) -> None:
    result = run("inspect", "--json", bad_pictures, pictures / "a.png")
    assert result.exit_code == 1
    answers = {Path(answer["path"]).name: answer for answer in json_lines(result.stdout)}
    assert answers["a.png"]["verdict"] == "NotOK"
    assert answers["cut.png"]["error"]["code"] == "corrupt_picture"
    assert answers["empty.png"]["error"]["code"] == "empty_picture"
    assert answers["text.jpg"]["error"]["code"] == "not_a_picture"
    assert all(answers[name]["error"]["detail"] for name in ("cut.png", "empty.png", "text.jpg"))

    text = run("inspect", bad_pictures)
    assert text.exit_code == 1
    assert "failed       " in text.stdout


@pytest.mark.usefixtures("artifact")
def test_a_folder_in_place_of_a_file_is_no_picture(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    (odd / "folder.png").mkdir(parents=True)
    result = run("inspect", odd)
    assert result.exit_code == 2
    assert "There is no picture in" in result.stderr


@pytest.mark.usefixtures("artifact")
def test_too_large_a_file_is_refused(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAWLINE_MAX_BODY_BYTES", "1000")
    (tmp_path / "large.png").write_bytes(numbered(1) + bytes(2000))
    result = run("inspect", "--json", tmp_path / "large.png")
    assert result.exit_code == 1
    assert json_lines(result.stdout)[0]["error"]["code"] == "too_many_bytes"


@pytest.mark.usefixtures("artifact")
def test_min_score_replaces_the_thresholds(pictures: Path) -> None:
    (answer,) = json_lines(
        run("inspect", "--json", "--min-score", "0.9", pictures / "a.png").stdout
    )
    assert (answer["verdict"], answer["detections"]) == ("OK", [])


@pytest.mark.usefixtures("artifact")
def test_annotated_pictures_keep_folders_and_names_apart(pictures: Path, tmp_path: Path) -> None:
    (pictures / "a.jpg").write_bytes(clean(picture_format="JPEG"))
    out = tmp_path / "out"
    result = run("inspect", pictures, "--out", out)
    assert result.exit_code == 0
    assert f"Annotated pictures are in {out}" in result.stdout
    written = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))
    assert written == ["a-2.png", "a.png", "clean.png", "deeper/b.png"]
    with Image.open(out / "a.png") as picture:
        assert (picture.mode, picture.width) == ("RGB", 640)


@pytest.mark.usefixtures("artifact")
def test_a_file_named_twice_is_inspected_once_and_annotated_ones_never(pictures: Path) -> None:
    out = pictures / "inspected"
    first = run("inspect", "--json", pictures, pictures / "a.png", "--out", out)
    again = run("inspect", "--json", pictures, "--out", out)
    assert len(json_lines(first.stdout)) == len(json_lines(again.stdout)) == 3


@pytest.mark.usefixtures("artifact")
def test_an_original_is_never_overwritten(pictures: Path) -> None:
    picture = pictures / "a.png"
    before = picture.read_bytes()
    for out in (pictures, pictures / "deeper" / ".."):
        result = run("inspect", picture, "--out", out)
        assert result.exit_code == 2
        assert f"would overwrite the picture {out / 'a.png'}" in result.stderr
    assert picture.read_bytes() == before


def test_an_out_folder_that_cannot_be_written_is_named(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = run("inspect", pictures, "--out", tmp_path / "file" / "out")
    assert result.exit_code == 2
    assert "Choose a folder you may write to." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.png"], "nowhere.png"),
        ([], "PATH..."),
        ([".", "--min-score", "2"], "min-score"),
        ([".", "--min-score", "high"], "min-score"),
    ],
)
def test_wrong_usage_is_named(arguments: list[str], says: str) -> None:
    result = run("inspect", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_folder_whose_pictures_are_all_in_out_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    result = run("inspect", tmp_path, "--out", tmp_path)
    assert result.exit_code == 2
    assert "where --out puts annotated pictures" in result.stderr
