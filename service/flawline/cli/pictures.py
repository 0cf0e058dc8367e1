"""Which files to inspect, and what the annotated copy of each is called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class PictureFile:
    """One file. `copy` is where its annotated picture goes, relative to the folder for those."""

    path: Path
    copy: Path


def collect_pictures(paths: Sequence[Path], without: Path | None = None) -> list[PictureFile]:
    """Files as named, whatever their suffix, and all pictures in and below folders, by name.

    A file that is reached twice is taken once. Everything in the folder `without` is left out:
    earlier annotated pictures are none to inspect.
    """
    excluded = without.resolve() if without is not None else None
    found: dict[Path, PictureFile] = {}
    copies: set[Path] = set()
    for root in paths:
        for path in _files_of(root, excluded):
            real = path.resolve()
            if real not in found:
                relative = path.relative_to(root) if root.is_dir() else Path(path.name)
                copy = _free_name(relative, copies)
                copies.add(copy)
                found[real] = PictureFile(path, copy)
    return list(found.values())


def _files_of(root: Path, excluded: Path | None) -> Iterator[Path]:
    if not root.is_dir():
        yield root
        return
    for path in sorted(root.rglob("*")):
        hidden = excluded is not None and path.resolve().is_relative_to(excluded)
        if path.suffix.lower() in SUFFIXES and path.is_file() and not hidden:
            yield path


def _free_name(relative: Path, copies: set[Path]) -> Path:
    """`a/b.jpg` gives `a/b.png`; where that is taken (by `a/b.bmp`, say) `a/b-2.png`."""
    name, number = relative.with_suffix(".png"), 2
    while name in copies:
        name = relative.with_name(f"{relative.stem}-{number}.png")
        number += 1
    return name
