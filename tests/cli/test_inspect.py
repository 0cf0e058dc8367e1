from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

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


@pytest.mark.parametrize("asks", [["inspect"], ["bench", "http://127.0.0.1:1"], ["tune"]])
def test_a_pipe_or_a_device_is_not_waited_for(asks: list[str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", Path("/dev/zero")):
        done = subprocess.run(
            [sys.executable, "-m", "flawline", *asks, path],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 2
        assert f"{path} is neither a file nor a folder" in done.stderr


def test_a_folder_whose_pictures_are_all_in_out_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    result = run("inspect", tmp_path, "--out", tmp_path)
    assert result.exit_code == 2
    assert "where --out puts annotated pictures" in result.stderr


@pytest.mark.usefixtures("artifact")
@pytest.mark.parametrize("limit", ["1", "2"])
def test_a_limit_on_one_line_of_the_server_costs_no_picture(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setenv("FLAWLINE_LINE_CAPACITY", limit)
    assert run("inspect", pictures).exit_code == 0


@pytest.mark.usefixtures("artifact")
def test_a_small_queue_costs_no_picture_whatever_a_line_may_have(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAWLINE_QUEUE_CAPACITY", "2")
    monkeypatch.setenv("FLAWLINE_MAX_FRAMES", "1")
    monkeypatch.setenv("FLAWLINE_LINE_CAPACITY", "100")
    assert run("inspect", pictures).exit_code == 0


@pytest.mark.usefixtures("artifact")
def test_copies_of_one_picture_hang_no_camera_where_a_server_watches_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAWLINE_LINES", "default")
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(numbered(20))
    answers = json_lines(run("inspect", "--json", tmp_path).stdout)
    assert [answer["verdict"] for answer in answers] == ["NotOK"] * 4


def test_a_folder_that_cannot_be_read_is_named(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "deeper":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    result = run("inspect", pictures)
    assert result.exit_code == 2
    assert f"{pictures / 'deeper'} cannot be read: Permission denied." in result.output


@pytest.mark.usefixtures("artifact")
def test_a_link_that_leads_to_itself_is_no_picture(pictures: Path, tmp_path: Path) -> None:
    for name in ("b.txt", "b.png"):
        (pictures / name).symlink_to(pictures / name)
    assert run("inspect", pictures, "--out", tmp_path / "out").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "--min-score", "nan", "."),
        ("bench", "http://127.0.0.1:1", "--rate", "nan"),
        ("bench", "http://127.0.0.1:1", "--max-p99-ms", "nan"),
        ("simulate", "--defect-rate", "nan"),
        ("tune", "--p99-ms", "nan", "."),
        ("simulate", "steady", "--seed", "-1"),
        ("bench", "http://[::1:8080"),
        ("bench", "http://127.0.0.1:1", "--line", "\udcff"),
    ],
)
def test_what_is_no_number_or_no_text_is_refused(words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert "fault of ours" not in result.output
    assert "nan" in result.output or "seed" in result.output or words[0] == "bench"


def test_a_file_name_that_is_no_text_does_not_end_the_run(pictures: Path, artifact: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(pictures) + b"/odd\xff.png"))
    odd.write_bytes((pictures / "a.png").read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "flawline", "inspect", odd, pictures / "clean.bmp"],
        env=os.environ | {"PYTHONIOENCODING": "utf-8", "FLAWLINE_ARTIFACT": str(artifact)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "odd\\udcff.png" in done.stdout
    assert "clean.bmp" in done.stdout


def test_ctrl_c_says_that_not_all_were_inspected(
    pictures: Path, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(coroutine: Coroutine[Any, Any, None]) -> None:
        coroutine.close()
        raise KeyboardInterrupt

    monkeypatch.setattr("flawline.cli.inspect.run", interrupted)
    result = run("inspect", pictures)
    assert result.exit_code == 130
    assert "Interrupted" in result.output
