from __future__ import annotations

import pytest

from flawline.core.batching import BatchPolicy, Cut, halves


@pytest.mark.parametrize(
    ("deadlines_s", "cut"),
    [
        pytest.param([], Cut((), ()), id="nothing waits"),
        pytest.param([9.0], Cut((0,), ()), id="a lone picture does not wait"),
        pytest.param(
            [9.0, 9.0, 9.0], Cut((0, 1, 2), (), "full"), id="equal deadlines keep their order"
        ),
        pytest.param([9.0, 7.0, 8.0], Cut((1, 2, 0), (), "full"), id="earliest deadline first"),
        pytest.param(
            [9.0, 6.0, 8.0, 7.0], Cut((1, 3, 2), (), "full"), id="the latest waits when too many"
        ),
        pytest.param([5.0, 9.0, 4.0], Cut((1,), (0, 2)), id="those too late are named"),
    ],
)
def test_cut(deadlines_s: list[float], cut: Cut) -> None:
    assert BatchPolicy(max_batch=3).cut(deadlines_s, now_s=5.0) == cut


def test_what_cannot_be_ready_in_time_is_too_late() -> None:
    policy = BatchPolicy(max_batch=3)
    assert policy.cut([5.5, 9.0, 5.2, 4.0], now_s=5.0, run_s=0.5) == Cut((1,), (0, 2, 3))
    assert policy.cut([5.1, 5.2], now_s=5.0, run_s=0.5) == Cut((), (0, 1))


@pytest.mark.parametrize(
    ("waiting", "runs", "because"),
    [
        (1, 1, "idle"),
        (2, 1, "idle"),
        (5, 2, "idle"),
        (6, 2, "idle"),
        (7, 3, "full"),
        (20, 3, "full"),
    ],
)
def test_batches_side_by_side_share_out_what_waits(waiting: int, runs: int, because: str) -> None:
    cut = BatchPolicy(max_batch=8, parallel=3).cut([9.0] * waiting, now_s=5.0)
    assert cut == Cut(tuple(range(runs)), (), because)


@pytest.mark.parametrize(
    ("deadlines_s", "prepare_s", "cut"),
    [
        pytest.param([9.0, 9.0], [0.1, 0.1], Cut((0, 1), (), "idle"), id="time for both"),
        pytest.param(
            [5.7, 5.85], [0.1, 0.3], Cut((0,), (), "deadline"), id="it would wait too long"
        ),
        pytest.param(
            [5.7, 5.85, 5.9], [0.1, 0.3, 0.05], Cut((0, 2), (), "deadline"), id="a short one fits"
        ),
        pytest.param(
            [5.7, 9.0], [0.3, 0.1], Cut((1,), (0,), "idle"), id="too large for its deadline"
        ),
        pytest.param([5.6] * 4, [0.01] * 4, Cut((0, 1, 2), (), "full"), id="full all the same"),
    ],
)
def test_what_takes_long_to_prepare_costs_nobody_his_deadline(
    deadlines_s: list[float], prepare_s: list[float], cut: Cut
) -> None:
    policy = BatchPolicy(max_batch=3)
    assert policy.cut(deadlines_s, now_s=5.0, run_s=0.5, prepare_s=prepare_s) == cut


@pytest.mark.parametrize(
    ("rows", "cut"),
    [
        pytest.param([1, 3, 1, 1], Cut((0, 1, 2, 3), ()), id="together they fit"),
        pytest.param([1, 5, 5, 1], Cut((0, 1, 3), (), "full"), id="a smaller one fits in"),
        pytest.param([5, 3, 1], Cut((0, 1), (), "full"), id="no row is left"),
        pytest.param([40, 1, 1], Cut((0,), (), "full"), id="too large for any batch: alone"),
        pytest.param([1, 40, 1], Cut((0, 2), (), "full"), id="the large one waits for its turn"),
    ],
)
def test_a_frame_in_tiles_takes_as_many_rows(rows: list[int], cut: Cut) -> None:
    policy = BatchPolicy(max_batch=8)
    assert policy.cut([9.0] * len(rows), now_s=5.0, rows=rows) == cut


@pytest.mark.parametrize("size", [2, 3, 7, 8])
def test_halves_cover_the_batch_and_none_is_empty(size: int) -> None:
    first, second = halves(range(3, 3 + size))
    assert [*first, *second] == list(range(3, 3 + size))
    assert first
    assert second
