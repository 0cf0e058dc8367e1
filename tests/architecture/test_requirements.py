"""The locked requirements of the images hold what the project asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
ANOTHER_BUILD = {"cuda": {"onnxruntime"}, "train": {"torch"}, "serving": set()}


def asked_for(table: str) -> list[Requirement]:
    (listed,) = re.findall(rf"^{table} = \[(.*?)\]$", PROJECT, re.DOTALL | re.MULTILINE)
    without_comments = re.sub(r"^ *#.*$", "", listed, flags=re.MULTILINE)
    return [Requirement(text) for text in re.findall(r'"([^"]+)"', without_comments)]


def locked(page: str) -> dict[str, list[Version]]:
    text = (ROOT / "docker" / "requirements" / f"{page}.txt").read_text("utf-8")
    found: dict[str, list[Version]] = {}
    for name, version in re.findall(r"^([a-z0-9.-]+)(?:\[.*?\])?==(\S+)", text, re.MULTILINE):
        found.setdefault(name, []).append(Version(version))
    return found


@pytest.mark.parametrize("page", ["serving", "cuda", "train"])
def test_every_requirement_is_locked_within_its_bounds(page: str) -> None:
    wanted = asked_for("dependencies") + asked_for("train" if page == "train" else "otel")
    have = locked(page)
    for requirement in wanted:
        if requirement.name in ANOTHER_BUILD[page]:
            assert requirement.name not in have
            continue
        versions = have.get(requirement.name.lower().replace("_", "-"), [])
        assert versions, f"{page}.txt lacks {requirement}: run docker/requirements/lock"
        assert all(requirement.specifier.contains(version) for version in versions), requirement


@pytest.mark.parametrize("page", ["serving", "cuda", "train", "build"])
def test_locked_requirements_have_hashes_and_name_no_index(page: str) -> None:
    text = (ROOT / "docker" / "requirements" / f"{page}.txt").read_text("utf-8")
    assert "://" not in text
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in block, block


def test_only_training_brings_torch_and_only_cuda_brings_the_gpu() -> None:
    assert not {"torch", "triton", "onnxruntime-gpu"} & set(locked("serving"))
    assert "onnxruntime-gpu" in locked("cuda")
    assert not any(name.startswith("nvidia") for name in (*locked("serving"), *locked("train")))
