"""Which blur does the frame check call, and does it ever call a sharp picture? On real pictures, and on drawn ones.

python benchmarks/blur.py --data FOLDER takes each data set there (a folder of folders of pictures) as one line, or
drawn steel without --data. For each of --rounds shuffles, a line learns its base line from its first frames as the
service does; then the sharp rest is shown (shuffled, and in the order of the files' names, which is class after
class), and the blurred rest. Printed: how many sharp frames were called at all (black, flat, blurred, ...:
absolutely, or beside the line); which share of blurred frames is called absolutely, and beside the line each on its
own; and after how many blurred frames in a row (the most of all rounds) all that follow are called, and which share
of them is (the least).
Blur is that of the optics (Gaussian, disk of defocus, motion); after it come the sensor's noise (grey levels) and
rounding, or JPEG once more. Exits with 1 when a sharp frame was called.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flawline.core.camera import Camera
from flawline.core.quality import FrameLimits, FrameQuality, measure
from flawline.core.values import Reason
from flawline.samples.generator import generate_frame
from flawline.settings import FlawlineSettings
from flawspec.decoding import DecodeLimits, decode_grey

DRAWN = 600
LEARN = 500
LEAST = 40
NOTHING = Reason("", "")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
Grey = NDArray[np.uint8]


def gaussian(sigma_px: float) -> NDArray[np.float64]:
    reach = np.arange(-int(np.ceil(4 * sigma_px)), int(np.ceil(4 * sigma_px)) + 1)
    row = np.exp(-(reach**2) / (2 * sigma_px**2))
    return np.outer(row, row) / row.sum() ** 2


def disk(radius_px: float, finer: int = 8) -> NDArray[np.float64]:
    reach = int(np.ceil(radius_px)) + 1
    side = 2 * reach + 1
    at = (np.arange(side * finer) + 0.5) / finer - side / 2
    inside = (at[:, None] ** 2 + at[None, :] ** 2 <= radius_px**2).astype(float)
    kernel = inside.reshape(side, finer, side, finer).mean(axis=(1, 3))
    return kernel / kernel.sum()


def motion(length_px: int, upright: bool) -> NDArray[np.float64]:
    kernel = np.zeros((length_px, length_px))
    kernel[:, length_px // 2] = 1 / length_px
    return kernel if upright else kernel.T


@dataclass(frozen=True)
class Blur:
    """Of the optics, then noise of the sensor, then perhaps a JPEG file (quality 90)."""

    name: str
    kernel: NDArray[np.float64]
    noise: float = 0.0
    jpeg: bool = False

    def of(self, grey: Grey, rng: np.random.Generator) -> Grey:
        """The frame as the camera would have sent it, uint8 [H, W]."""
        levels = convolved(grey, self.kernel) + rng.normal(0.0, self.noise, grey.shape)
        blurred = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        if not self.jpeg:
            return blurred
        file = io.BytesIO()
        Image.fromarray(blurred).save(file, "JPEG", quality=90)
        return decode_grey(file.getvalue(), DecodeLimits())


def convolved(grey: Grey, kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """By Fourier transform, mirrored at the edges, so that edges are as blurred as the rest."""
    reach = kernel.shape[0] // 2
    padded = np.pad(grey.astype(np.float64), reach, mode="symmetric")
    spectrum = np.fft.rfft2(padded) * np.fft.rfft2(kernel, padded.shape)
    full = np.fft.irfft2(spectrum, padded.shape)
    return full[2 * reach : 2 * reach + grey.shape[0], 2 * reach : 2 * reach + grey.shape[1]]


def blurs() -> Iterator[Blur]:
    for sigma_px in (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0):
        yield Blur(f"Gauss {sigma_px:g}", gaussian(sigma_px))
    yield Blur("Gauss 2, noise 1", gaussian(2.0), noise=1.0)
    yield Blur("Gauss 2, noise 2", gaussian(2.0), noise=2.0)
    yield Blur("Gauss 2, JPEG", gaussian(2.0), jpeg=True)
    for radius_px in (2.0, 3.0, 4.0):
        yield Blur(f"disk {radius_px:g}", disk(radius_px))
    yield Blur("disk 4, noise 1", disk(4.0), noise=1.0)
    yield Blur("motion 7 across", motion(7, upright=False))
    yield Blur("motion 7 upright", motion(7, upright=True))


def lines(data: Path | None) -> Iterator[tuple[str, list[Grey]]]:
    """Each line with its frames."""
    if data is None:
        yield "drawn steel", [generate_frame(seed).grey for seed in range(DRAWN)]
        return
    for folder in sorted({file.parent for file in data.rglob("*") if file.suffix in SUFFIXES}):
        files = sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES)
        frames = [decode_grey(file.read_bytes(), DecodeLimits()) for file in files]
        yield str(folder.relative_to(data)), frames


def called(camera: Camera, limits: FrameLimits, qualities: list[FrameQuality]) -> list[str]:
    """Why each frame is called, in this order; "" where it is not."""
    codes = []
    for quality in qualities:
        fault = limits.fault(quality)
        beside = camera.look(quality, (1, 1), trusted=fault is None)
        codes.append((fault or beside or NOTHING).code)
    return codes


@dataclass
class Shown:
    """A line that learned its base line, as it judges single frames, and as it judges them in a row."""

    single: Camera
    in_a_row: Camera
    rest: list[int]

    def shares(
        self, limits: FrameLimits, qualities: dict[int, FrameQuality]
    ) -> tuple[float, int, float]:
        """Called on their own (blurred, or flat); after how many in a row the mean calls; share called from then on."""
        rest = [qualities[i] for i in self.rest if i in qualities]
        alone = [code != "" for code in called(deepcopy(self.single), limits, rest)]
        camera = deepcopy(self.in_a_row)
        for number, quality in enumerate(rest, 1):
            called(camera, limits, [quality])
            if camera.soft:
                later = called(camera, limits, rest[number:])
                return float(np.mean(alone)), number, sum(map(bool, later)) / max(len(later), 1)
        return float(np.mean(alone)), -1, 0.0


def learned(
    sharp: list[FrameQuality], order: list[int], settings: FlawlineSettings
) -> tuple[Shown, int]:
    """A line after its first frames, and how many sharp ones it called until the last."""
    learn, limits = min(LEARN, len(order) // 2), settings.single_frame_limits
    options = replace(settings.line_options.camera, learn=learn)
    single, in_a_row = Camera(replace(options, soft_below=0.0)), Camera(options)
    first, rest = [sharp[i] for i in order[:learn]], order[learn:]
    wrong = sum(map(bool, called(in_a_row, limits, first)))
    called(single, limits, first)
    for sequence in (rest, sorted(rest)):  # as shuffled; and class after class, as files are named
        wrong += sum(map(bool, called(deepcopy(in_a_row), limits, [sharp[i] for i in sequence])))
    return Shown(single, in_a_row, rest), wrong


def show(name: str, frames: list[Grey], rounds: int, most: int, seed: int) -> int:
    """Print the table of one line; how many sharp frames were called."""
    settings, rng = FlawlineSettings(), np.random.default_rng(seed)
    limits, sharp = settings.single_frame_limits, [measure(frame) for frame in frames]
    absolutely = sum(limits.fault(quality) is not None for quality in sharp)
    enough = rounds if len(frames) >= LEAST else 0
    orders = [rng.permutation(len(frames)).tolist() for _ in range(enough)]
    shown = [learned(sharp, order, settings) for order in orders]
    wrong = sum(times for _, times in shown)
    print(f"{name}: {len(frames)} frames, {enough} base lines of {min(LEARN, len(frames) // 2)}")
    print(f"  sharp ones called: absolutely {absolutely}, on the line {wrong}")
    picked = rng.permutation(len(frames))[:most].tolist()
    for blur in blurs():
        qualities = {i: measure(blur.of(frames[i], rng)) for i in picked}
        faults = [limits.fault(quality) or NOTHING for quality in qualities.values()]
        share = sum(fault.code != "" for fault in faults) / len(faults)
        text = f"  {blur.name:17} absolutely {share:6.1%}"
        if shown:
            alone, after, then = zip(*(s.shares(limits, qualities) for s, _ in shown), strict=True)
            frame = "never" if min(after) < 0 else f"{max(after):3d}"
            text += f", each frame {np.mean(alone):6.1%} (least {min(alone):6.1%})"
            text += f", lasting: from frame {frame} on {min(then):6.1%}"
        print(text, flush=True)
    return absolutely + wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", type=Path, help="folder of folders of pictures; without: drawn")
    parser.add_argument("--rounds", type=int, default=5, help="shuffles of each line")
    parser.add_argument(
        "--blurred", type=int, default=300, help="frames that are blurred, of each line"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the shuffles and of the noise")
    options = parser.parse_args()
    wrong = pictures = 0
    for name, frames in lines(options.data):
        wrong += show(name, frames, options.rounds, options.blurred, options.seed)
        pictures += len(frames)
    print(f"{pictures} pictures; sharp ones called: {wrong}")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
