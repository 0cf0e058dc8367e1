"""Pixels of a data set's pictures: kept in memory as far as there is room, else decoded each time they are asked for.

What is kept is what was read first, not what was used last: an epoch reads every picture once, in an order of its own,
and of such reading no other choice would keep more.
"""

from __future__ import annotations

import hashlib
import os
import weakref
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flawspec.cgroups import CGROUPS, OWN, limiting_folders
from flawspec.decoding import DecodeLimits, decode_grey
from flawspec.errors import PictureError
from flawspec.limits import HIGHEST_MAX_PIXELS
from mobilemamba.annotations import DatasetError

# The most that a service can be set to take, in place of what it takes by default.
LIMITS = DecodeLimits(max_bytes=1_000_000_000, max_pixels=HIGHEST_MAX_PIXELS)
PICTURE_DIGITS = 16  # 64 bits: two of a million pictures agree by chance once in 10^7 times


def decoded(path: Path) -> NDArray[np.uint8]:
    """uint8 [H, W]. Raises DatasetError: the picture cannot be read or decoded."""
    try:
        return decode_grey(path.read_bytes(), LIMITS)
    except OSError as error:
        fault = f"picture {path} cannot be read: {error.strerror}"
    except PictureError as error:
        fault = f"picture {path}: {error}"
    raise DatasetError(path.parent, [fault])


def picture_sha256(grey: NDArray[np.uint8]) -> str:
    """The first digits of a digest of one picture's size and pixels: enough to know it again among others."""
    digest = hashlib.sha256(f"{grey.shape}".encode())
    digest.update(np.ascontiguousarray(grey))
    return digest.hexdigest()[:PICTURE_DIGITS]


@dataclass(frozen=True)
class OnDisk:
    """Pixels that are not kept: `shape` (H, W), `crc32` and `sha256` are those when the picture was first read.

    sha256: its `picture_sha256`; it takes too long to hold each picture to it whenever it is decoded.
    """

    path: Path
    shape: tuple[int, int]
    crc32: int
    sha256: str

    def decoded(self) -> NDArray[np.uint8]:
        """Anew. Raises DatasetError: the picture is gone, or another by now, in which its boxes may lie elsewhere."""
        grey = decoded(self.path)
        if (grey.shape, zlib.crc32(grey)) != (self.shape, self.crc32):
            fault = (
                f"picture {self.path} was changed since this command read it first: begin anew, and leave the pictures "
                "as they are meanwhile"
            )
            raise DatasetError(self.path.parent, [fault])
        return grey


Pixels = NDArray[np.uint8] | OnDisk


def grey_of(pixels: Pixels) -> NDArray[np.uint8]:
    """Those that are kept, others decoded. Raises DatasetError, see `OnDisk.decoded`."""
    return pixels.decoded() if isinstance(pixels, OnDisk) else pixels


def sha256_of(pixels: Pixels) -> str:
    """The `picture_sha256`, without decoding."""
    return pixels.sha256 if isinstance(pixels, OnDisk) else picture_sha256(pixels)


class Room:
    """So many bytes of pixels, of all data sets together, are kept; of sets that are gone they are free again."""

    def __init__(self, limit_bytes: int) -> None:
        self._free_bytes = limit_bytes

    def hold(self, path: Path, grey: NDArray[np.uint8]) -> Pixels:
        """`grey`, decoded from `path`, itself, or where it has no room a note of where it came from."""
        if grey.nbytes > self._free_bytes:
            rows, columns = grey.shape
            return OnDisk(path, (rows, columns), zlib.crc32(grey), picture_sha256(grey))
        self._free_bytes -= grey.nbytes
        weakref.finalize(grey, self._give_back, grey.nbytes).atexit = False
        return grey

    def _give_back(self, size_bytes: int) -> None:
        self._free_bytes += size_bytes


def usable_memory_bytes(cgroups: Path = CGROUPS, own: Path = OWN) -> int:
    """The machine's memory, or what its container or unit may have of it. cgroups, own: see `limiting_folders`."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for folder in limiting_folders("memory", cgroups, own):
        for name in ("memory.max", "memory.limit_in_bytes"):  # cgroup v2's and v1's
            with suppress(OSError, ValueError):  # no such file, or "max"
                limits.append(int((folder / name).read_text()))
    return min(limits)


@lru_cache(maxsize=1)
def room() -> Room:
    """That of this process, begun when it is first asked for: half of the memory; the other half is for the network."""
    return Room(usable_memory_bytes() // 2)
