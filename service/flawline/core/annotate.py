"""Draws what was found onto the frame: pixels and detections in, pixels out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from flawline.core.values import Box, Detection, Verdict

# Letters must be readable on the smallest frame and not drown the largest.
_LEAST_LONG_SIDE_PX = 640
_LEAST_WIDTH_PX = 400
_LEAST_LETTER_PX = 15
_LETTERS_ACROSS = 44

_Rgb = tuple[int, int, int]
_Extent = tuple[float, float, float, float]
_BLACK: _Rgb = (0, 0, 0)
_WHITE: _Rgb = (255, 255, 255)
_MARGIN: _Rgb = (32, 32, 32)
_VERDICT_COLOURS: dict[Verdict, _Rgb] = {
    Verdict.OK: (0, 110, 70),
    Verdict.NOT_OK: (176, 24, 24),
    Verdict.NOT_DECIDABLE: (150, 90, 0),
    Verdict.UNDEFINED: (80, 80, 80),
}
# Okabe and Ito's: told apart with every kind of colour vision; without black, which grey steel has.
_CLASS_COLOURS: tuple[_Rgb, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (0, 114, 178),
)


@dataclass(frozen=True, slots=True)
class _Sheet:
    """What is drawn on. `scale` sheet pixels lie along one frame pixel, below a banner."""

    draw: ImageDraw.ImageDraw
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont
    scale: int
    width_px: int
    height_px: int
    banner_px: int
    stroke_px: int

    def extent_of(self, box: Box) -> _Extent:
        """The box in sheet pixels, never thinner than its own outline."""
        least = 2 * self.stroke_px
        left, top = box.x_min * self.scale, box.y_min * self.scale + self.banner_px
        right = max(left + least, box.x_max * self.scale - 1)
        bottom = max(top + least, box.y_max * self.scale - 1 + self.banner_px)
        return left, top, right, bottom


def annotate(
    grey: NDArray[np.uint8],
    detections: Sequence[Detection],
    verdict: Verdict,
    labels: Sequence[str],
) -> NDArray[np.uint8]:
    """The frame with a banner that says the verdict, and a box, class and score for each flaw.

    grey: uint8 [H, W], the upright frame. labels: all classes of the model; a class has the same
    colour on every picture. Returns RGB, uint8 [H', W', 3]: the frame enlarged by a whole factor if
    it is small, below the banner, on a sheet wide enough for the letters.
    """
    height_px, width_px = grey.shape
    scale = max(1, math.ceil(_LEAST_LONG_SIDE_PX / max(height_px, width_px)))
    frame = Image.fromarray(grey).resize(
        (width_px * scale, height_px * scale), Image.Resampling.BICUBIC
    )
    letter_px = max(
        _LEAST_LETTER_PX, round(math.sqrt(frame.width * frame.height)) // _LETTERS_ACROSS
    )
    banner_px = 2 * letter_px
    image = Image.new("RGB", (max(frame.width, _LEAST_WIDTH_PX), frame.height + banner_px), _MARGIN)
    image.paste(frame, (0, banner_px))
    sheet = _Sheet(
        draw=ImageDraw.Draw(image),
        font=ImageFont.load_default(letter_px),
        scale=scale,
        width_px=image.width,
        height_px=image.height,
        banner_px=banner_px,
        stroke_px=max(2, letter_px // 7),
    )
    _draw_banner(sheet, verdict, len(detections))
    _draw_boxes(sheet, detections, labels)
    _draw_captions(sheet, detections, labels)
    return np.asarray(image)


def _draw_banner(sheet: _Sheet, verdict: Verdict, count: int) -> None:
    flaws = "no flaw" if count == 0 else f"{count} flaw{'' if count == 1 else 's'}"
    text = verdict.value if verdict is Verdict.UNDEFINED else f"{verdict.value}   {flaws}"
    band = (0, 0, sheet.width_px, sheet.banner_px - 1)
    sheet.draw.rectangle(band, fill=_VERDICT_COLOURS[verdict])
    middle = sheet.banner_px / 2
    sheet.draw.text((middle / 2, middle), text, fill=_WHITE, font=sheet.font, anchor="lm")


def _draw_boxes(sheet: _Sheet, detections: Sequence[Detection], labels: Sequence[str]) -> None:
    """Worst flaw on top. A dark rim keeps each outline visible on bright steel."""
    for detection in sorted(detections, key=lambda found: found.score):
        left, top, right, bottom = sheet.extent_of(detection.box)
        rim = (left - 1, top - 1, right + 1, bottom + 1)
        sheet.draw.rectangle(rim, outline=_BLACK, width=sheet.stroke_px + 2)
        colour = _colour_of(detection.label, labels)
        sheet.draw.rectangle((left, top, right, bottom), outline=colour, width=sheet.stroke_px)


def _draw_captions(sheet: _Sheet, detections: Sequence[Detection], labels: Sequence[str]) -> None:
    """Best score first: it gets the best place."""
    taken: list[_Extent] = []
    for detection in sorted(detections, key=lambda found: -found.score):
        text = f"{detection.label} {detection.score:.2f}"
        place = _place_caption(sheet, text, detection.box, taken)
        taken.append(place)
        colour = _colour_of(detection.label, labels)
        sheet.draw.rectangle(place, fill=colour)
        centre = ((place[0] + place[2]) / 2, (place[1] + place[3]) / 2)
        ink = _BLACK if _luma(colour) > 110 else _WHITE
        sheet.draw.text(centre, text, fill=ink, font=sheet.font, anchor="mm")


def _place_caption(sheet: _Sheet, text: str, box: Box, taken: Sequence[_Extent]) -> _Extent:
    """Above the box, else below, else inside; the first that covers no other caption, else above."""
    left, top, right, bottom = sheet.extent_of(box)
    pad = sheet.stroke_px + 1
    width = sheet.draw.textlength(text, font=sheet.font) + 2 * pad
    height = sheet.banner_px * 0.6 + pad
    wishes = [
        (left, top - height),
        (left, bottom),
        (left, top),
        (right - width, bottom - height),
        (right - width, top - height),
        (right, top),
    ]
    places = [_kept_inside(sheet, x, y, width, height) for x, y in wishes]
    free = [place for place in places if not any(_overlap(place, other) for other in taken)]
    return (free or places)[0]


def _kept_inside(sheet: _Sheet, x: float, y: float, width: float, height: float) -> _Extent:
    x = max(0.0, min(x, sheet.width_px - width - 1))
    y = max(float(sheet.banner_px), min(y, sheet.height_px - height - 1))
    return x, y, x + width, y + height


def _overlap(one: _Extent, other: _Extent) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _colour_of(label: str, labels: Sequence[str]) -> _Rgb:
    place = labels.index(label) if label in labels else len(labels)
    return _CLASS_COLOURS[place % len(_CLASS_COLOURS)]


def _luma(colour: _Rgb) -> float:
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
