from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tiny_artifact import write_tiny_artifact

from flawline.adapters.memory_queue import MemoryQueue
from flawline.bootstrap.cores import cores_for, usable_cores
from flawline.bootstrap.parts import Base
from flawline.settings import FlawlineSettings


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        pytest.param("200000 100000", 2, id="two"),
        pytest.param("50000 100000", 1, id="half a core is one thread's"),
        pytest.param("350000 100000", 4, id="three and a half"),
        pytest.param("1600000 100000", 8, id="more than there are"),
        pytest.param("max 100000", 8, id="no quota"),
        pytest.param(None, 8, id="no such file"),
    ],
)
def test_a_container_uses_what_it_is_given(
    quota: str | None, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota + "\n")
    assert usable_cores(tmp_path, tmp_path / "no file") == cores


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        pytest.param("0::/", {"cpu/cpu.cfs_quota_us": "200000"}, 2, id="v1"),
        pytest.param("0::/", {"cpu/cpu.cfs_quota_us": "-1"}, 8, id="v1 without"),
        pytest.param(
            "4:cpu,cpuacct:/docker/0a\n2:memory:/m",
            {"cpu/docker/0a/cpu.cfs_quota_us": "300000", "m/cpu.max": "100000 100000"},
            3,
            id="v1 of the host",
        ),
        pytest.param(
            "4:cpuset:/a\n0::/system.slice/flawline.service",
            {
                "system.slice/flawline.service/cpu.max": "max 100000",
                "system.slice/cpu.max": "250000 50000",
                "a/cpu.max": "100000 100000",
            },
            5,
            id="a unit's slice",
        ),
        pytest.param(
            "0::/system.slice/flawline.service\n",
            {
                "system.slice/flawline.service/cpu.max": "150000 50000",
                "system.slice/cpu.max": "600000 100000",
            },
            3,
            id="a unit",
        ),
        pytest.param("0::/../../other\nnonsense", {"cpu.max": "400000 100000"}, 4, id="without"),
    ],
)
def test_the_least_quota_of_all_cgroups_above_counts(
    own: str,
    files: dict[str, str],
    cores: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for name, text in files.items():
        file = tmp_path / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
        if file.name == "cpu.cfs_quota_us":
            file.with_name("cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "own").write_text(own)
    assert usable_cores(tmp_path / "cgroup", tmp_path / "own") == cores


@pytest.mark.parametrize(
    ("threads", "quota", "cores"),
    [
        pytest.param(3, "max 100000", (1, 4, 6), id="one each"),
        pytest.param(2, "max 100000", (), id="fewer threads than cores"),
        pytest.param(4, "max 100000", (), id="more threads than cores"),
        pytest.param(3, "300000 100000", (1, 4, 6), id="a quota of all of them"),
        pytest.param(3, "200000 100000", (), id="a quota of fewer"),
        pytest.param(2, "200000 100000", (), id="as many as the quota"),
    ],
)
def test_threads_are_bound_where_each_has_a_core(
    threads: int,
    quota: str,
    cores: tuple[int, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {6, 1, 4}, raising=False)
    (tmp_path / "cpu.max").write_text(quota)
    assert cores_for(threads, tmp_path, tmp_path / "no file") == cores


@pytest.mark.parametrize(
    ("settings", "bound"),
    [
        pytest.param({}, True, id="as it comes"),
        pytest.param({"engine_threads": 3}, True, id="as many as told"),
        pytest.param({"engine_pinned": False}, False, id="switched off"),
        pytest.param({"engine_threads": 3, "engine_parallel": 1}, False, id="all for one batch"),
        pytest.param({"engine_threads": 6}, False, id="more than cores"),
        pytest.param({"max_batch": 2}, False, id="fewer batches than threads"),
        pytest.param({"engine_device": "cuda", "engine_parallel": 3}, False, id="a GPU computes"),
    ],
)
def test_an_engine_is_bound_to_cores(
    settings: dict[str, Any], bound: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flawline.bootstrap.parts.usable_cores", lambda: 3)
    monkeypatch.setattr("flawline.bootstrap.parts.cores_for", lambda n: (0, 1, 2) if n == 3 else ())
    base = Base.of(FlawlineSettings(artifact=write_tiny_artifact(tmp_path), **settings))
    assert base._engine_cores == ((0, 1, 2) if bound else ())
    base.pools.close()


@pytest.mark.parametrize(
    ("cores", "settings", "threads"),
    [
        pytest.param(2, {}, 2, id="all of few"),
        pytest.param(6, {}, 4, id="no more than four"),
        pytest.param(6, {"engine_lone_threads": 6}, 6, id="as told"),
        pytest.param(2, {"engine_lone_threads": 6}, 2, id="none that are not there"),
        pytest.param(2, {"engine_lone_threads": 1}, 1, id="switched off"),
        pytest.param(2, {"engine_pinned": False}, 1, id="not bound"),
        pytest.param(2, {"engine_pinned": False, "engine_lone_threads": 2}, 2, id="told anyway"),
        pytest.param(1, {}, 1, id="one core"),
    ],
)
def test_what_a_lone_picture_is_computed_with(
    cores: int,
    settings: dict[str, Any],
    threads: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flawline.bootstrap.parts.usable_cores", lambda: cores)
    monkeypatch.setattr("flawline.bootstrap.parts.cores_for", lambda n: tuple(range(n)))
    base = Base.of(FlawlineSettings(artifact=write_tiny_artifact(tmp_path), **settings))
    assert base.engine_lone_threads == threads
    base.pools.close()


@pytest.mark.parametrize(
    ("settings", "parallel"),
    [
        pytest.param({"engine_threads": 3}, 3, id="one a thread"),
        pytest.param({"engine_threads": 3, "engine_parallel": 1}, 1, id="all threads for one"),
        pytest.param({"engine_threads": 2, "engine_parallel": 6}, 2, id="none without a thread"),
        pytest.param({"engine_threads": 4, "max_batch": 2}, 2, id="none without a picture"),
        pytest.param({"engine_threads": 4, "engine_device": "cuda"}, 1, id="a GPU has one queue"),
        pytest.param(
            {"engine_threads": 1, "engine_device": "auto", "engine_parallel": 2}, 2, id="as told"
        ),
    ],
)
def test_how_many_batches_run_side_by_side(
    settings: dict[str, Any], parallel: int, tmp_path: Path
) -> None:
    base = Base.of(FlawlineSettings(artifact=write_tiny_artifact(tmp_path), **settings))
    assert base.engine_parallel == parallel
    base.pools.close()


@pytest.mark.parametrize(
    ("cores", "settings", "batches", "spreads"),
    [
        pytest.param(4, {}, 5, False, id="one a core and one more"),
        pytest.param(1, {}, 2, False, id="on one core too"),
        pytest.param(4, {"max_batch": 2}, 3, True, id="no more computed than pictures"),
        pytest.param(4, {"engine_threads": 3}, 4, True, id="one more than threads"),
        pytest.param(4, {"engine_parallel": 1}, 2, True, id="one has all threads"),
        pytest.param(4, {"engine_parallel": 1, "decode_threads": 1}, 2, False, id="alone"),
        pytest.param(4, {"engine_device": "cuda"}, 2, True, id="one is prepared beside"),
        pytest.param(4, {"engine_device": "cuda", "max_batch": 1}, 2, True, id="one picture"),
    ],
)
def test_how_many_batches_an_engine_has_and_who_decodes_them(
    cores: int,
    settings: dict[str, Any],
    batches: int,
    spreads: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flawline.bootstrap.parts.usable_cores", lambda: cores)
    base = Base.of(FlawlineSettings(artifact=write_tiny_artifact(tmp_path), **settings))
    assert base.batches == batches
    (worker,) = base.workers(MemoryQueue(1, base.clock), [base.engine()])
    assert len(worker._batches) == batches
    assert (worker._spread is base.pools.prepare) == spreads
    base.pools.close()
