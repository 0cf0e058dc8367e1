"""`make bench`, at its smallest: whether it measures at all, never how fast anything is."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra `train`)")

ROOT = Path(__file__).parents[2]
PATHS = [str(ROOT / part) for part in ("benchmarks", "service", "models")]


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "serving", *words],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(PATHS)},
        capture_output=True,
        text=True,
        check=False,
    )


def smallest() -> list[str]:
    """The words of the smallest run that docs/performance.md shows."""
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    (arguments,) = re.findall(r'^make bench ARGS="(--only load [^"]*)"$', page, re.MULTILINE)
    return shlex.split(arguments)


@pytest.mark.timeout(240)
def test_the_smallest_run_has_real_answers_alone_and_goes_on_where_it_was(tmp_path: Path) -> None:
    words = [
        *smallest(),
        "--flawline-deadline-ms",
        "20000",
        "--quiet-cores",
        "64",
        "--out",
        tmp_path,
    ]
    done = bench(*map(str, words))
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert results["unavailable"] == {}
    rows = {row["contender"]: row for row in results["load"]}
    assert set(rows) == {"limit/batch-1", "flawline/rest"}
    for row in rows.values():
        assert row["failures"] == {}
        assert row["figures"]["frames_per_s"]["median"] > 0
        assert set(row["ratios_to_limit"]) >= {"frames_per_s", "p50_ms", "p99_ms", "cpu_ms_a_frame"}
    assert rows["limit/batch-1"]["ratios_to_limit"]["frames_per_s"]["median"] == 1
    assert "| flawline/rest |" in (tmp_path / "table.md").read_text("utf-8")
    assert (tmp_path / "200x200.svg").read_text("utf-8").startswith("<?xml")

    measured = (tmp_path / "rows.jsonl").read_text("utf-8")
    again = bench(*map(str, words))
    assert again.returncode == 0, again.stdout + again.stderr
    assert (tmp_path / "rows.jsonl").read_text("utf-8") == measured

    other = bench(*map(str, words), "--seconds", "2")
    assert other.returncode == 1
    assert "--fresh" in other.stderr


def test_a_contender_that_there_is_not_is_named(tmp_path: Path) -> None:
    done = bench("--contenders", "nobody", "--out", str(tmp_path))
    assert done.returncode == 1
    assert "'nobody' names no contender; there are limit/batch-1, " in done.stderr


def test_make_runs_what_is_tested_here() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "PYTHONPATH=benchmarks:service:models $(BIN)/python -m serving $(ARGS)" in makefile


@pytest.mark.timeout(240)
def test_the_generator_asks_by_every_transport_and_large_pictures_wait_for_windows(
    tmp_path: Path,
) -> None:
    """Eight pictures of this kind, and some alone, are larger than the first window of an HTTP/2 connection."""
    words = ["--only", "proof", "--contenders", "limit", "--kinds", "640x640", "--repeats", "1"]
    words += ["--seconds", "1", "--warm", "0.2", "--cache", str(tmp_path), "--out", str(tmp_path)]
    done = bench(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "results.json").read_text("utf-8"))["proof"]
    by = {row["by"]: row for row in rows if row["by"] != "wrk"}  # wrk is not everywhere
    assert set(by) == {"rest", "grpc", "stream"}
    for row in by.values():
        assert row["answers"] > 0
        assert row["failures"] == {}
    sizes = [p.stat().st_size for p in (tmp_path / "pictures" / "640x640").glob("picture-*")]
    assert max(sizes) > 65_535


@pytest.mark.timeout(240)
def test_start_and_memory_are_measured_by_themselves(tmp_path: Path) -> None:
    words = ["--only", "start", "rss", "--contenders", "flawline/rest", "--kinds", "200x200"]
    words += ["--repeats", "1", "--frames-scale", "0.0004", "--out", str(tmp_path)]
    done = bench(*words, "--flawline-deadline-ms", "20000")
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    (start,) = results["start"]
    assert start["server"] == "flawline"
    assert start["ready_s"] > 0
    assert [row["frames"] for row in results["rss"]] == list(range(2, 26, 2))
    assert all(row["rss_mb"] >= row["pss_mb"] > 0 for row in results["rss"])
