from __future__ import annotations

import pytest

from flawline.application.simulation import Event, Scenario, play
from flawline.core.line_figures import Alarm
from flawline.settings import FlawlineSettings

SETTINGS = FlawlineSettings()
LEARN = SETTINGS.baseline_frames


def events(scenario: Scenario, seed: int = 0) -> list[Event]:
    return list(play(scenario, SETTINGS.line_options, SETTINGS.single_frame_limits, seed))


def raised(found: list[Event]) -> set[Alarm]:
    return {event.change.alarm for event in found if event.change.raised}


def test_ten_thousand_frames_of_steady_noise_raise_nothing() -> None:
    assert events(Scenario("steady", 10_000, 60.0, defect_rate=0.02)) == []


def test_a_light_that_loses_a_hundredth_a_minute_raises_camera_alone() -> None:
    found = events(Scenario("fading", LEARN + 1200, 60.0, defect_rate=0.02, fade=0.01))
    assert raised(found) == {Alarm.CAMERA}
    assert found[0].change.because.startswith("brightness is")
    minutes = (found[0].frame - LEARN) / 60
    assert 8 < minutes < 15  # a tenth of the light is gone


@pytest.mark.parametrize("seed", [0, 5, 9])
def test_a_lens_that_loses_focus_raises_camera_alone(seed: int) -> None:
    scenario = Scenario("losing-focus", LEARN + 3000, 60.0, defect_rate=0.02, blur_px=0.04)
    found = events(scenario, seed)
    assert raised(found) == {Alarm.CAMERA}
    assert "sharpness is" in found[0].change.because.lower()
    minutes = (found[0].frame - LEARN) / 60
    assert minutes * scenario.blur_px < 1.5  # px


def test_a_rising_true_defect_rate_raises_defect_rate_alone() -> None:
    found = events(Scenario("rising", 6_000, 60.0, defect_rate=0.02, rise=0.001))
    assert raised(found) == {Alarm.DEFECT_RATE}
    assert "rose" in found[0].change.because


def test_the_same_seed_gives_the_same_events() -> None:
    scenario = Scenario("fading", LEARN + 900, 60.0, defect_rate=0.02, fade=0.02)
    assert events(scenario, seed=4) == events(scenario, seed=4) != []


@pytest.mark.parametrize("seed", range(1, 4))
def test_steady_is_steady_whatever_the_seed(seed: int) -> None:
    assert events(Scenario("steady", 3_000, 60.0, defect_rate=0.1), seed) == []
