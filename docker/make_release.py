"""Writes down what belongs to a release, under its one version: service/flawline/release.json.

    python docker/make_release.py [--check | --gather FOLDER]

The version stands in service/flawline/__init__.py, where pyproject.toml reads it, and nowhere else by hand: this
writes it wherever another file needs it. A release is that version: it names the images, the protos and the
exact artifacts. --check says what is out of date. --gather puts what is published beside the built package in
FOLDER, with SHA256SUMS.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "service" / "flawline" / "release.json"
ARTIFACTS = ROOT / "models" / "artifacts"
# Where an image is named, or names itself: what stands before the version, and after it.
STAMPS = {
    "docker/Dockerfile": r"(?m)^(ARG VERSION=)\S+()$",
    "k8s/base/kustomization.yaml": r"(?m)^( *newTag: )\S+()$",
    "k8s/components/gpu/kustomization.yaml": r"(?m)^( *newTag: )\S+(-cuda)$",
    "k8s/overlays/edge/node/kustomization.yaml": r"(?m)^( *newTag: )\S+(-edge)$",
}


def package_version() -> str:
    text = (ROOT / "service" / "flawline" / "__init__.py").read_text("utf-8")
    return re.findall(r'^__version__ = "(\d+\.\d+\.\d+)"$', text, re.MULTILINE)[0]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def release_text(version: str) -> str:
    """release.json: images by target, protos by their path in proto/, artifacts as models/artifacts holds them."""
    packaged = {path.name for path in (ROOT / "service/flawline/artifacts").glob("*.onnx")}
    artifacts = []
    for path in sorted(ARTIFACTS.glob("*.onnx")):
        # a released file is called NAME-VERSION.onnx after its manifest (tests/architecture)
        name, _, model_version = path.stem.rpartition("-")
        artifacts.append(
            {
                "name": name,
                "version": model_version,
                "sha256": sha256(path),
                "packaged": path.name in packaged,
            }
        )
    protos = sorted((ROOT / "proto").rglob("*.proto"))
    release = {
        "version": version,
        "images": {
            "serving": f"flawline:{version}",
            **{target: f"flawline:{version}-{target}" for target in ("cuda", "edge", "train")},
        },
        "protos": {
            path.relative_to(ROOT / "proto").as_posix(): {"sha256": sha256(path)} for path in protos
        },
        "artifacts": artifacts,
    }
    return json.dumps(release, indent=2) + "\n"


def texts(version: str) -> dict[Path, str]:
    """What each file that depends on the version has to say."""
    made = {TARGET: release_text(version)}
    for name, pattern in STAMPS.items():
        path = ROOT / name
        stamped, count = re.subn(pattern, rf"\g<1>{version}\g<2>", path.read_text("utf-8"))
        if count != 1:
            raise SystemExit(
                f"{name} should name its version once, by {pattern}; it does {count} times"
            )
        made[path] = stamped
    return made


def gather(folder: Path, version: str) -> None:
    """Beside the built package: artifacts with their cards, protos, release.json, and the hashes of all of it."""
    built = sorted(path.name for path in folder.iterdir())
    expected = [f"flawline-{version}-py3-none-any.whl", f"flawline-{version}.tar.gz"]
    if built != expected:
        raise SystemExit(f"{folder} should hold {' and '.join(expected)} alone, not {built}")
    for path in (*ARTIFACTS.glob("*.onnx"), *ARTIFACTS.glob("*.md"), TARGET):
        shutil.copyfile(path, folder / path.name)
    with tarfile.open(folder / f"flawline-protos-{version}.tar.gz", "w:gz") as archive:
        for path in sorted((ROOT / "proto").rglob("*.proto")):
            archive.add(path, path.relative_to(ROOT / "proto"))
    sums = "".join(f"{sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir()))
    (folder / "SHA256SUMS").write_text(sums, "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail where something is out of date"
    )
    parser.add_argument(
        "--gather", type=Path, metavar="FOLDER", help="put what is published beside the package"
    )
    arguments = parser.parse_args()
    version = package_version()
    stale = {path: text for path, text in texts(version).items() if _read(path) != text}
    if (arguments.check or arguments.gather) and stale:
        names = ", ".join(path.relative_to(ROOT).as_posix() for path in stale)
        sys.exit(
            f"{names}: not as release {version} is; run python docker/make_release.py and commit"
        )
    for path, text in stale.items():
        path.write_text(text, "utf-8")
    if arguments.gather:
        gather(arguments.gather, version)


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


if __name__ == "__main__":
    main()
