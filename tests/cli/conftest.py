from __future__ import annotations

import os
from pathlib import Path

import pytest
from pictures import clean, numbered, truncated
from tiny_artifact import write_tiny_artifact


@pytest.fixture
def artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny artifact, and no other setting in the environment."""
    for name in os.environ:
        if name.startswith("FLAWLINE_"):
            monkeypatch.delenv(name)
    folder = tmp_path / "artifact"
    folder.mkdir()
    path = write_tiny_artifact(folder)
    monkeypatch.setenv("FLAWLINE_ARTIFACT", str(path))
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two NotOK pictures, one of them in a folder below, one clean, and a file that is none."""
    folder = tmp_path / "pictures"
    (folder / "deeper").mkdir(parents=True)
    (folder / "a.png").write_bytes(numbered(0))
    (folder / "deeper" / "b.png").write_bytes(numbered(5))
    (folder / "clean.bmp").write_bytes(clean(picture_format="BMP"))
    (folder / "readme.txt").write_text("no picture")
    return folder


@pytest.fixture
def bad_pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "cut.png").write_bytes(truncated())
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("Dear reader")
    return folder
