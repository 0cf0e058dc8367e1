from __future__ import annotations

import numpy as np
import pytest

from flawline.core.annotate import annotate
from flawline.core.values import Box, Detection, Verdict

LABELS = ("scratches", "patches")


def grey(height_px: int, width_px: int, level: int = 120) -> np.ndarray:
    return np.full((height_px, width_px), level, dtype=np.uint8)


def found(label: str, *corners: float, score: float = 0.5) -> Detection:
    return Detection(label, score, Box(*corners))


@pytest.mark.parametrize(
    ("height_px", "width_px"),
    [(16, 16), (200, 200), (100, 1600), (1600, 20), (1024, 2048)],
)
@pytest.mark.parametrize("verdict", list(Verdict))
def test_sheet_holds_the_whole_frame_below_a_banner(
    height_px: int, width_px: int, verdict: Verdict
) -> None:
    sheet = annotate(grey(height_px, width_px), (), verdict, LABELS)
    assert sheet.dtype == np.uint8
    assert sheet.shape[2] == 3
    assert max(sheet.shape[:2]) >= 640
    scale = max(1, -(-640 // max(height_px, width_px)))
    banner_px = sheet.shape[0] - height_px * scale
    assert banner_px >= 30
    frame = sheet[banner_px:, : width_px * scale]
    assert (frame == 120).all()  # no pixel of the frame is covered
    assert not (sheet[:banner_px] == 120).all()


def test_letters_grow_with_the_frame() -> None:
    banners = [annotate(grey(s, s), (), Verdict.OK, LABELS).shape[0] - s for s in (640, 2560)]
    assert banners[1] > 2 * banners[0]


def test_the_input_stays_as_it_is_and_may_be_read_only() -> None:
    frame = grey(64, 64)
    frame.setflags(write=False)
    annotate(frame, [found("scratches", 1, 1, 30, 30)], Verdict.NOT_OK, LABELS)
    assert (frame == 120).all()


def test_box_is_drawn_where_the_flaw_is_and_its_inside_stays_visible() -> None:
    bare = annotate(grey(700, 700), (), Verdict.NOT_OK, LABELS)
    drawn = annotate(
        grey(700, 700), [found("scratches", 300, 400, 500, 600)], Verdict.NOT_OK, LABELS
    )
    top = bare.shape[0] - 700
    changed = (bare != drawn).any(axis=2)[top:]
    rows, columns = np.nonzero(changed)
    assert 340 < rows.min() < 400  # the caption sits above the box
    assert rows.max() == 600
    assert (columns.min(), columns.max()) == (299, 500)
    assert not changed[410:590, 310:490].any()


def test_a_class_has_the_same_colour_on_every_picture() -> None:
    def colours(*labels: str) -> list[tuple[int, ...]]:
        boxes = [
            found(label, 100, 100 + 200 * i, 200, 200 + 200 * i) for i, label in enumerate(labels)
        ]
        sheet = annotate(grey(700, 700), boxes, Verdict.NOT_OK, LABELS)
        top = sheet.shape[0] - 700
        return [tuple(sheet[top + 150 + 200 * i, 101]) for i in range(len(labels))]

    scratches, patches, unknown = colours("scratches", "patches", "unheard-of")
    assert len({scratches, patches, unknown}) == 3
    assert colours("patches", "scratches") == [patches, scratches]


def test_crowded_and_odd_boxes_are_drawn_too() -> None:
    crowd = [found(LABELS[i % 2], 10, 10, 60, 60, score=i / 20) for i in range(20)]
    nothing = found("patches", 64, 64, 64, 64)  # no area, in the last corner
    everything = found("scratches", 0, 0, 64, 64)
    sheet = annotate(grey(64, 64), [*crowd, nothing, everything], Verdict.NOT_OK, LABELS)
    assert sheet.shape[1] == 640
