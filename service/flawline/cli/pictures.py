"""Which files to inspect, and what the annotated copy of each is called."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from flawline.cli.fault import Fault

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class PictureFile:
    """One file. `copy` is where its annotated picture goes, relative to the folder for those."""

    path: Path
    copy: Path


def collect_pictures(paths: Sequence[Path], without: Path | None = None) -> list[PictureFile]:
    """Files as named, whatever their suffix, and all pictures in and below folders, by name.

    A file that is reached twice is taken once. Everything in the folder `without` is left out:
    earlier annotated pictures are none to inspect. Raises Fault for a folder that cannot be read,
    and for what is neither a file nor a folder.
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
    if root.is_file():
        yield root
        return
    if not root.is_dir():  # a pipe or a device: reading it may never come to an end
        raise Fault(f"{root} is neither a file nor a folder; write the picture to a file first.")
    inside = (
        Path(folder, name) for folder, _, names in os.walk(root, onerror=_refuse) for name in names
    )
    for path in sorted(path for path in inside if path.suffix.lower() in SUFFIXES):
        try:
            is_file = path.is_file()
        except OSError as error:
            _refuse(error)
        hidden = excluded is not None and is_file and path.resolve().is_relative_to(excluded)
        if is_file and not hidden:
            yield path


def _refuse(error: OSError) -> NoReturn:
    """A folder that cannot be looked into may hold pictures: to leave them out would look like all were inspected."""
    raise Fault(f"{error.filename} cannot be read: {error.strerror}.") from error


def _free_name(relative: Path, copies: set[Path]) -> Path:
    """`a/b.jpg` gives `a/b.png`; where that is taken (by `a/b.bmp`, say) `a/b-2.png`."""
    name, number = relative.with_suffix(".png"), 2
    while name in copies:
        name = relative.with_name(f"{relative.stem}-{number}.png")
        number += 1
    return name
