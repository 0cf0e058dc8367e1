from __future__ import annotations

from flawline.core.joining import joined
from flawline.core.values import Box, Detection
from flawspec.detections import MAX_DETECTIONS


def scratch(score: float, *sides: float) -> Detection:
    return Detection("scratch", score, Box(*sides))


def test_without_tiles_or_without_flaws_there_is_nothing() -> None:
    assert joined([]) == ()
    assert joined([[], []]) == ()


def test_what_two_tiles_show_of_one_flaw_is_one_detection_around_both() -> None:
    # The left tile ends at x = 100 and shows but a part of it.
    found = joined([[scratch(0.9, 80, 10, 100, 20)], [scratch(0.7, 85, 10, 130, 21)]])
    assert found == (scratch(0.9, 80, 10, 130, 21),)


def test_flaws_of_one_tile_stay_apart_and_so_do_those_of_two_classes() -> None:
    near = [scratch(0.9, 0, 0, 10, 10), scratch(0.8, 2, 2, 8, 8)]
    pit = Detection("pit", 0.7, Box(0, 0, 10, 10))
    assert joined([near, [pit]]) == (*near, pit)


def test_two_flaws_that_hardly_overlap_stay_two() -> None:
    left, right = scratch(0.6, 0, 0, 10, 10), scratch(0.8, 6, 0, 16, 10)
    assert joined([[left], [right]]) == (right, left)


def test_a_chain_of_parts_does_not_grow_beyond_what_overlaps_its_best() -> None:
    parts = [[scratch(0.9 - n / 10, 10 * n, 0, 10 * n + 16, 10)] for n in range(3)]
    # The second shares 6 of 16 px with the first: too little. No box reaches over all three.
    assert joined(parts) == tuple(part for (part,) in parts)


def test_a_flaw_where_four_tiles_meet_is_one_detection() -> None:
    # Two of the parts hardly overlap the best one; all lie in what is made of it and of the whole.
    top, left = scratch(0.9, 190, 190, 225, 200), scratch(0.8, 190, 190, 200, 225)
    whole, corner = scratch(0.7, 190, 190, 225, 225), scratch(0.5, 190, 190, 200, 200)
    for tiles in ([[corner], [top], [left], [whole]], [[whole], [left], [top], [corner]]):
        assert joined(tiles) == (scratch(0.9, 190, 190, 225, 225),)


def test_no_more_are_told_than_of_a_whole_frame() -> None:
    tiles = [
        [scratch(0.5 + (n + 60 * row) / 1000, 20 * n, 50 * row, 20 * n + 9, 50 * row + 9)]
        for row in range(2)
        for n in range(60)
    ]
    found = joined(tiles)
    assert len(found) == MAX_DETECTIONS
    assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)
    assert found[0].score == 0.5 + 119 / 1000
