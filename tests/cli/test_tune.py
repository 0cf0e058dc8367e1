from __future__ import annotations

import errno
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from command_line import run
from pictures import numbered
from server_process import flawline_environment

from flawline.cli.fault import Fault
from flawline.cli.tuning.axes import TUNED, as_set, axes
from flawline.cli.tuning.env_file import check_writable, write_settings
from flawline.cli.tuning.trial_server import serving
from flawline.core.tuning import Candidate
from flawline.settings import FlawlineSettings

# So short that on a busy machine nothing may be left for some of the axes; the tuner says which.
SHORT = ("--quick", "--seconds", "10", "--size", "64x64")
NEVER, ALWAYS = ("--p99-ms", "0.1"), ("--p99-ms", "60000")


@pytest.mark.timeout(300)
def test_what_it_writes_is_what_the_service_reads(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "flawline.env"
    file.write_text("# ours\nFLAWLINE_LINES=press-1\nFLAWLINE_MAX_BATCH=3\n")
    monkeypatch.setenv("FLAWLINE_DEADLINE_MS", "20000")
    done = run("tune", "--rate", "5", *ALWAYS, *SHORT, "--write", file)
    assert done.exit_code == 0, done.output
    assert "Tried: the choice" in done.stdout
    assert f"{file} was changed:" in done.stdout
    assert "(was 3)" in done.stdout or "FLAWLINE_MAX_BATCH=3 (as before)" in done.stdout
    assert f"set -a; . {file}; set +a; flawline serve" in done.stdout
    lines = file.read_text().splitlines()
    assert lines[:2] == ["# ours", "FLAWLINE_LINES=press-1"]
    written = dict(line.split("=") for line in lines[1:])
    assert set(written) == {"FLAWLINE_LINES", *(f"FLAWLINE_{name.upper()}" for name in TUNED)}
    for name, value in written.items():
        monkeypatch.setenv(name, value)
    checked = run("check")
    assert checked.exit_code == 0, checked.output
    assert "lines press-1" in checked.stdout


@pytest.mark.timeout(300)
def test_an_objective_that_nothing_keeps(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAWLINE_DEADLINE_MS", "20000")
    done = run("tune", "--rate", "5", *NEVER, *SHORT, "--write", tmp_path / "new.env")
    assert done.exit_code == 1, done.output
    assert "None keeps a p99 of 0.1 ms; nearest is engine_threads=" in done.stdout
    assert "Nothing is written." in done.stdout
    assert not (tmp_path / "new.env").exists()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_no_server_behind(
    artifact: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "flawline", "tune", *SHORT, "--artifact", str(artifact)),
            *("--write", str(tmp_path / "new.env")),
        ],
        env=flawline_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    children = _children(process.pid)
    process.send_signal(stop)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Interrupted: nothing was chosen, and nothing written." in stdout
    assert not (tmp_path / "new.env").exists()
    assert all(not Path(f"/proc/{child}").exists() for child in children)


def _children(pid: int) -> list[str]:
    """Those that it has started, once there are some."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    for _ in range(600):
        if listed.exists() and (children := listed.read_text().split()):
            return children
        time.sleep(0.05)
    raise AssertionError("no server was started within half a minute")


@pytest.mark.timeout(120)
async def test_one_picture_that_is_sent_again_and_again_is_inspected_each_time(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAWLINE_LINES", "default")
    async with (
        serving(Candidate(()), {"artifact": str(artifact)}) as address,
        httpx.AsyncClient(timeout=40, params={"deadline_ms": 30_000}) as client,
    ):
        url = f"http://{address.host}:{address.port}/v1/inspections"
        asked = [await client.post(url, content=numbered(20)) for _ in range(4)]
    assert [answer.json()["verdict"] for answer in asked] == ["NotOK"] * 4


@pytest.mark.timeout(120)
def test_a_service_that_does_not_start_is_told_in_its_own_words(
    artifact: Path, tmp_path: Path
) -> None:
    artifact.write_bytes(artifact.read_bytes() + b"\0")
    done = run("tune", *SHORT)
    assert done.exit_code == 2
    assert "does not start as it is set" in done.stderr
    assert "sha256" in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--write", "."], "is a folder; name a file"),
        (["--write", "nowhere/new.env"], "There is no folder"),
        (["--size", "big"], "is no size"),
        (["--p99-ms", "0"], "--p99-ms"),
        (["--seconds", "1"], "--seconds"),
    ],
)
def test_wrong_usage_is_told_before_any_minute_is_spent(
    artifact: Path, arguments: list[str], says: str
) -> None:
    done = run("tune", *arguments)
    assert done.exit_code == 2
    assert says in done.output


def test_no_pictures(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    done = run("tune", tmp_path / "none")
    assert done.exit_code == 2
    assert "There is no picture in" in done.output


@pytest.mark.parametrize("cores", [1, 2, 3, 6, 64])
def test_every_candidate_is_a_setting_that_may_be(cores: int) -> None:
    tried = axes(cores)
    for axis in tried:
        for change in axis.changes:
            assert set(change) <= set(TUNED)
            FlawlineSettings(**change)
    engine = [(c["engine_threads"], c["engine_parallel"]) for c in tried[0].changes]
    assert engine[0] == (0, 0)  # all cores, and a batch on each
    assert len(set(engine)) == len(engine)
    assert max(threads for threads, _ in engine) < cores
    assert max(parallel for _, parallel in engine) < cores
    for pair in ((1, 0), (0, 1)):
        assert (pair in engine) == (cores > 1)


def test_what_is_in_force_now_comes_first() -> None:
    now = as_set(FlawlineSettings(max_batch=5))
    assert [name for name, _ in now.values] == list(TUNED)
    assert dict(now.values)["max_batch"] == 5
    for axis in axes(2):
        candidates = axis.candidates(now)
        assert candidates[0] == now
        assert len(set(candidates)) == len(candidates)


def test_a_change_with_several_settings_is_one_candidate() -> None:
    now = Candidate((("engine_threads", 0), ("max_batch", 8)))
    changed = now.but({"engine_threads": 1, "max_batch": 1})
    assert changed.values == (("engine_threads", 1), ("max_batch", 1))


def test_lines_of_others_stay_and_the_last_of_ours_is_said(tmp_path: Path) -> None:
    file = tmp_path / "flawline.env"
    file.write_text(
        "A=1\n#FLAWLINE_MAX_BATCH=9\nexport FLAWLINE_MAX_BATCH='2'\nFLAWLINE_MAX_BATCH=4"
    )
    file.chmod(0o640)
    changes = write_settings(file, {"FLAWLINE_MAX_BATCH": "8", "FLAWLINE_ENGINE_THREADS": "1"})
    assert file.read_text() == (
        "A=1\n#FLAWLINE_MAX_BATCH=9\nexport FLAWLINE_MAX_BATCH=8\nFLAWLINE_MAX_BATCH=8\n"
        "FLAWLINE_ENGINE_THREADS=1\n"
    )
    assert list(map(str, changes)) == [
        "FLAWLINE_MAX_BATCH=8 (was 4)",
        "FLAWLINE_ENGINE_THREADS=1 (new)",
    ]
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["flawline.env"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.env").write_text("")
    (tmp_path / "link.env").symlink_to(tmp_path / "real.env")
    write_settings(tmp_path / "link.env", {"FLAWLINE_MAX_BATCH": "8"})
    assert (tmp_path / "link.env").is_symlink()
    assert (tmp_path / "real.env").read_text() == "FLAWLINE_MAX_BATCH=8\n"


def test_a_file_that_is_no_text_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "picture"
    file.write_bytes(b"\xff\xd8\xff")
    with pytest.raises(Fault, match="it is no text"):
        write_settings(file, {"FLAWLINE_MAX_BATCH": "8"})
    assert file.read_bytes() == b"\xff\xd8\xff"


def test_line_ends_and_odd_characters_of_others_stay(tmp_path: Path) -> None:
    file = tmp_path / "flawline.env"
    file.write_bytes(b"A=1\x0c2\r\nFLAWLINE_MAX_BATCH=4\r\nB=\xe2\x80\xa8\r\n")
    changes = write_settings(file, {"FLAWLINE_MAX_BATCH": "8"})
    assert file.read_bytes() == b"A=1\x0c2\r\nFLAWLINE_MAX_BATCH=8\r\nB=\xe2\x80\xa8\r\n"
    assert list(map(str, changes)) == ["FLAWLINE_MAX_BATCH=8 (was 4)"]


def test_a_file_with_secrets_is_never_open_to_others_and_nothing_half_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "flawline.env"
    file.write_text("FLAWLINE_QUEUE=redis://:secret@host\n")
    file.chmod(0o600)
    modes = []

    def full(self: Path, target: Path) -> Path:
        modes.append(self.stat().st_mode & 0o777)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(Fault, match=r"No space left on device\. .*FLAWLINE_MAX_BATCH=8"):
        write_settings(file, {"FLAWLINE_MAX_BATCH": "8"})
    assert modes == [0o600]
    assert [path.name for path in tmp_path.iterdir()] == ["flawline.env"]


def test_a_file_that_is_no_text_is_found_before_anything_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "picture"
    file.write_bytes(b"\xff\xd8\xff")
    with pytest.raises(Fault, match="it is no text"):
        check_writable(file)
