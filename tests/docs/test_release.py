"""A release is one version: what it names, and what is published under it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from server_process import run_flawline

import flawline
from flawspec.artifact import sha256_file

ROOT = Path(__file__).parents[2]
MAKE = ROOT / "docker" / "make_release.py"
RELEASE = json.loads((ROOT / "service" / "flawline" / "release.json").read_text("utf-8"))


def test_there_is_one_version() -> None:
    """That files are made anew from it, tests/docs/test_shipping.py asks of make_release.py itself."""
    version = flawline.__version__
    assert RELEASE["version"] == version
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert 'dynamic = ["version"]' in project
    assert 'path = "service/flawline/__init__.py"' in project
    tags = [
        tag
        for path in (ROOT / "k8s").rglob("kustomization.yaml")
        for tag in re.findall(r"name: flawline\S*\n.*\n +newTag: (\S+)", path.read_text("utf-8"))
    ]
    named = {name.partition(":")[2] for name in RELEASE["images"].values()}
    assert len(tags) == 3
    assert set(tags) <= named


def test_images_are_published_under_the_names_in_the_release() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/images.yml").read_text("utf-8"))
    built = workflow["jobs"]["build"]["strategy"]["matrix"]["include"]
    assert {
        entry["target"]: f"flawline:{flawline.__version__}{entry['suffix']}" for entry in built
    } == RELEASE["images"]
    both = {entry["target"] for entry in built if entry["platforms"] == "linux/amd64,linux/arm64"}
    assert both == {"serving", "edge"}  # beside a line stand industrial PCs as well as boards


def test_images_of_a_fork_are_built_without_secrets_and_not_published() -> None:
    text = (ROOT / ".github/workflows/images.yml").read_text("utf-8")
    job = yaml.safe_load(text)["jobs"]["build"]
    steps = {str(step.get("uses", "")).partition("@")[0]: step for step in job["steps"]}
    build = steps["docker/build-push-action"]
    # Without secrets an expression of one is empty, or what stands behind the `||`.
    assert job["env"]["REGISTRY"] == "${{ secrets.IMAGE_REGISTRY || 'localhost' }}"
    assert build["with"]["tags"].startswith("${{ env.REGISTRY }}/")
    assert build["if"] == "inputs.push || matrix.target != 'train' || env.TORCH_INDEX != ''"
    assert steps["docker/login-action"]["if"] == "inputs.push"
    assert build["with"]["push"] == "${{ inputs.push || false }}"
    in_steps = re.findall(r"secrets\.\w+", text.partition("steps:")[2])
    assert in_steps == ["secrets.GITHUB_TOKEN"], "which a fork has as well"


def test_the_artifacts_are_exactly_those_of_the_folder_and_one_is_packaged() -> None:
    folder = ROOT / "models" / "artifacts"
    named = {f"{a['name']}-{a['version']}.onnx": a for a in RELEASE["artifacts"]}
    assert set(named) == {path.name for path in folder.glob("*.onnx")}
    for name, entry in named.items():
        assert entry["sha256"] == sha256_file(folder / name)
    packaged = [name for name, entry in named.items() if entry["packaged"]]
    assert packaged == [path.name for path in (ROOT / "service/flawline/artifacts").glob("*.onnx")]


def test_an_answer_is_traced_to_its_release_by_the_hash_in_it() -> None:
    said = run_flawline("version")
    assert said.returncode == 0, said.stderr
    first, *artifacts = said.stdout.splitlines()
    assert first.startswith(f"flawline  {flawline.__version__}  machine ")
    assert [line.split()[2] for line in artifacts] == [a["sha256"] for a in RELEASE["artifacts"]]
    document = json.loads(run_flawline("version", "--json").stdout)
    assert document.pop("runs_on").keys() == {"machine", "python", "onnxruntime"}
    assert document == RELEASE


@pytest.mark.timeout(120)
def test_what_is_published(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    gather = [sys.executable, MAKE, "--gather", tmp_path]
    subprocess.run(gather, cwd=ROOT, check=True)
    version = flawline.__version__
    lines = (tmp_path / "SHA256SUMS").read_text("utf-8").splitlines()
    sums = {line[66:]: line[:64] for line in lines}
    there = {path.name for path in tmp_path.iterdir()}
    assert there - {"SHA256SUMS"} == set(sums)
    for name, digest in sums.items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    assert {f"{a['name']}-{a['version']}.onnx" for a in RELEASE["artifacts"]} < there
    with tarfile.open(tmp_path / f"flawline-protos-{version}.tar.gz") as archive:
        assert set(archive.getnames()) == set(RELEASE["protos"])
    again = subprocess.run(gather, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode != 0
    assert "alone" in again.stderr


def test_a_number_set_in_one_place_is_written_everywhere(tmp_path: Path) -> None:
    """A copy of what make_release.py reads: the next version, and nothing else done by hand."""
    for name in (
        "docker",
        "k8s",
        "proto",
        "models/artifacts",
        "service/flawline/artifacts",
    ):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    package = tmp_path / "service" / "flawline"
    (package / "__init__.py").write_text('__version__ = "7.8.9"\n', "utf-8")
    command = [sys.executable, tmp_path / "docker" / "make_release.py"]
    stale = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False)
    assert stale.returncode != 0
    assert "docker/Dockerfile, k8s/base/kustomization.yaml" in stale.stderr
    subprocess.run(command, check=True)
    subprocess.run([*command, "--check"], check=True)
    assert json.loads((package / "release.json").read_text("utf-8"))["version"] == "7.8.9"
    assert "newTag: 7.8.9\n" in (tmp_path / "k8s/base/kustomization.yaml").read_text("utf-8")
    redis = (tmp_path / "k8s/components/redis/kustomization.yaml").read_text("utf-8")
    assert redis == (ROOT / "k8s/components/redis/kustomization.yaml").read_text("utf-8")
