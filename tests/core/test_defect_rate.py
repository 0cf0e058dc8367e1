from __future__ import annotations

import numpy as np
import pytest

from flawline.core.defect_rate import DefectRate, wilson_interval
from flawline.core.line_options import DefectRateOptions

OPTIONS = DefectRateOptions(learn=1000, window=200, false_alarm_frames=1e6)


def trials(rate: float, count: int, seed: int) -> list[bool]:
    return [bool(hit) for hit in np.random.default_rng(seed).random(count) < rate]


def raises_on(chart: DefectRate, outcomes: list[bool]) -> int | None:
    for number, not_ok in enumerate(outcomes):
        chart.add(not_ok)
        if chart.raised:
            return number
    return None


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.02, 0.1, 0.5, 1.0])
def test_ten_thousand_steady_frames_raise_nothing(rate: float) -> None:
    for seed in range(5):
        assert raises_on(DefectRate(OPTIONS), trials(rate, 11_000, seed)) is None


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.05), (0.02, 0.08), (0.1, 0.3), (0.3, 0.6)])
def test_a_rise_is_told(before: float, after: float) -> None:
    chart = DefectRate(OPTIONS)
    assert raises_on(chart, trials(before, 1000, 1)) is None
    assert raises_on(chart, trials(after, 2000, 2)) is not None
    assert chart.figures.deviation == 1


@pytest.mark.parametrize(("before", "after"), [(0.1, 0.0), (0.5, 0.1), (1.0, 0.5)])
def test_a_fall_is_told_too(before: float, after: float) -> None:
    chart = DefectRate(OPTIONS)
    assert raises_on(chart, trials(before, 1000, 1)) is None
    assert raises_on(chart, trials(after, 2000, 2)) is not None
    assert chart.figures.deviation == -1


def test_an_alarm_ends_when_the_rate_is_what_it_was() -> None:
    chart = DefectRate(OPTIONS)
    raises_on(chart, trials(0.1, 1000, 1))
    assert raises_on(chart, trials(0.5, 1000, 2)) is not None
    for not_ok in trials(0.1, 1000, 3):
        chart.add(not_ok)
    assert not chart.raised


def test_the_chart_shows_the_last_window_between_three_sigma_limits() -> None:
    chart = DefectRate(DefectRateOptions(learn=100, window=50, false_alarm_frames=1e6))
    for number in range(49):
        chart.add(number % 10 == 0)
        assert chart.figures.rate is None
    for number in range(49, 100):
        chart.add(number % 10 == 0)
    figures = chart.figures
    assert figures.baseline == pytest.approx(0.1)
    assert figures.rate == pytest.approx(0.1)
    assert figures.upper_limit == pytest.approx(0.1 + 3 * (0.09 / 50) ** 0.5)
    assert figures.lower_limit == 0  # not below
    for _ in range(25):
        chart.add(True)
    figures = chart.figures
    assert figures.rate == pytest.approx((25 + 2) / 50, abs=0.02)
    assert figures.baseline == pytest.approx(0.1)  # it does not follow


@pytest.mark.parametrize(
    ("hits", "trials_", "low", "high"), [(0, 20, 0.0, 0.1611), (5, 20, 0.1119, 0.4687)]
)
def test_wilson_interval(hits: int, trials_: int, low: float, high: float) -> None:
    # Newcombe, "Two-sided confidence intervals for the single proportion", Stat. Med. 17, 1998.
    assert wilson_interval(hits, trials_) == pytest.approx((low, high), abs=2e-4)
