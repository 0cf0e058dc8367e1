"""The shape of the tree, and what a release would hold."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_MODULE = 300


def modules() -> list[Path]:
    found = [p for top in ("service", "models") for p in (ROOT / top).rglob("*.py")]
    return [p for p in found if not p.match("flawline/rpc/*/*.py")]


@pytest.mark.parametrize("folder", ["service", "models", "proto", "docker", "k8s", "tests"])
def test_folders_that_are_no_packages(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()


def test_no_module_outgrows_one_idea() -> None:
    lengths = {p: len(p.read_text("utf-8").splitlines()) for p in modules()}
    assert len(lengths) > 50
    assert {str(p): n for p, n in lengths.items() if n > LONGEST_MODULE} == {}


def test_tests_that_share_a_name_would_hide_one_another() -> None:
    """The support folder is on the path: its modules must not shadow a package."""
    names = {p.stem for p in (ROOT / "tests" / "support").glob("*.py")}
    assert names & (set(sys.stdlib_module_names) | {"flawline", "flawspec", "mobilemamba"}) == set()


@pytest.mark.timeout(120)
def test_the_wheel_holds_the_packages_and_one_artifact(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("flawline-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        artifacts = [n for n in names if n.endswith(".onnx")]
        assert len(artifacts) == 1
        assert archive.getinfo(artifacts[0]).file_size > 1_000_000, "the file itself, not a link"
    tops = {n.partition("/")[0] for n in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {
        "flawline",
        "flawspec",
        "mobilemamba",
    }
    for name in (
        "flawline/py.typed",
        "flawline/artifacts/SHA256SUMS",
        "flawline/release.json",
        "flawline/rpc/v1/inspection_pb2.py",
        "flawspec/py.typed",
        "mobilemamba/detector.py",
    ):
        assert name in names
