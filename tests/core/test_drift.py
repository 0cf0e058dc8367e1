from __future__ import annotations

import numpy as np
import pytest

from flawline.core.drift import Drift, DriftOptions

OPTIONS = DriftOptions(learn=500, min_change=0.1, relative=True)
RNG = np.random.default_rng


def learned(values: np.ndarray, options: DriftOptions = OPTIONS) -> Drift:
    drift = Drift(options)
    for value in values[: options.learn]:
        drift.add(float(value))
    assert drift.learned == 1
    return drift


def raises_on(drift: Drift, values: np.ndarray) -> int | None:
    """At which of the values the alarm is raised."""
    for number, value in enumerate(values):
        drift.add(float(value))
        if drift.raised:
            return number
    return None


def test_nothing_is_compared_before_the_base_line_is_there() -> None:
    drift = Drift(OPTIONS)
    for number in range(499):
        drift.add(0.5 + number)
        assert not drift.raised
    assert drift.learned == pytest.approx(499 / 500)
    assert drift.figures.value is not None
    assert drift.figures.baseline is None
    assert drift.figures.deviation is None


SKEWED = RNG(5).random(11_000) < 0.04  # such frames look quite different
STEADY = {
    "normal": RNG(0).normal(0.5, 0.02, 11_000),
    "wide": RNG(1).normal(0.5, 0.15, 11_000),
    "still": np.full(11_000, 0.5),
    "skewed": np.where(SKEWED, 0.9, RNG(2).normal(0.5, 0.01, 11_000)),
    "two looks": np.where(RNG(3).random(11_000) < 0.5, 0.3, 0.6) + RNG(4).normal(0, 0.01, 11_000),
    "long tails": 0.5 + 0.01 * RNG(6).standard_t(1.5, 11_000),
}


@pytest.mark.parametrize("name", STEADY)
def test_ten_thousand_steady_values_raise_nothing(name: str) -> None:
    values = STEADY[name]
    assert raises_on(learned(values), values[500:]) is None


@pytest.mark.parametrize("name", STEADY)
def test_what_changes_for_good_is_told(name: str) -> None:
    values = STEADY[name]
    drift = learned(values)
    assert raises_on(drift, values[500:] + 0.4) is not None
    assert (drift.figures.deviation or 0) >= 1


def test_one_odd_value_raises_nothing_and_moves_no_base_line() -> None:
    values = STEADY["normal"].copy()
    values[100:104] = 50.0
    drift = learned(values)
    assert drift.baseline == pytest.approx(0.5, abs=0.01)
    assert raises_on(drift, np.array([50.0, 0.5, -50.0, 0.5])) is None


def test_a_change_too_small_to_matter_raises_nothing() -> None:
    assert raises_on(learned(STEADY["still"]), np.full(5000, 0.54)) is None


def test_an_alarm_is_over_when_the_mean_is_well_within_its_limits() -> None:
    drift = learned(STEADY["still"])
    assert raises_on(drift, np.full(200, 0.4)) is not None
    states = []
    for _ in range(200):
        drift.add(0.5)
        states.append(drift.raised)
    assert states[0]
    assert not states[-1]
    assert sorted(states, reverse=True) == states  # no flicker on the way


def test_a_change_of_the_absolute_needs_no_base_line_to_be_a_share_of() -> None:
    options = DriftOptions(learn=50, min_change=0.05)
    drift = learned(np.zeros(50), options)
    assert raises_on(drift, np.full(500, 0.04)) is None
    assert raises_on(drift, np.full(500, 0.2)) is not None
