from __future__ import annotations

from dataclasses import replace

from rig import LINE_OPTIONS

from flawline.core.line import Line
from flawline.core.line_figures import Alarm, LineState
from flawline.core.quality import FrameQuality
from flawline.core.values import Box, Detection

USUAL = FrameQuality(brightness=0.5, contrast=0.1, sharpness=0.4, saturated=0.0)
DARKER = replace(USUAL, brightness=0.35)
SIZE_PX = (64, 64)


def scratch(score: float, label: str = "scratch") -> tuple[Detection, ...]:
    return (Detection(label, score, Box(0, 0, 9, 9)), Detection(label, 0.1, Box(0, 0, 9, 9)))


def play(line: Line, frames: int, quality: FrameQuality = USUAL, every: int = 10) -> None:
    """Frames of that quality, each `every`-th one with a scratch."""
    for number in range(frames):
        line.look(quality, SIZE_PX, trusted=True)
        found = scratch(0.8) if number % every == 0 else ()
        line.decided("ab", bool(found), found)


def line() -> Line:
    return Line(LINE_OPTIONS, lambda _: ["scratch", "pit"])


def test_it_learns_then_is_steady() -> None:
    new = line()
    play(new, 19)
    assert new.state is LineState.LEARNING
    play(new, 500)
    assert new.changes() == []
    assert new.state is LineState.STEADY
    assert new.figures("press-1", 0.0).learned == 1


def test_darker_frames_say_that_the_camera_changed() -> None:
    old = line()
    play(old, 100)
    play(old, 100, DARKER)
    (change,) = old.changes()
    assert (change.alarm, change.raised) == (Alarm.CAMERA, True)
    assert "brightness" in change.because
    assert old.state is LineState.CAMERA_CHANGED
    assert old.changes() == []  # told once


def test_more_defects_under_the_same_camera_say_that_the_steel_changed() -> None:
    old = line()
    play(old, 100)
    play(old, 100, every=1)
    (change,) = old.changes()
    assert (change.alarm, change.raised) == (Alarm.DEFECT_RATE, True)
    assert change.because.startswith("the defect rate rose")
    assert old.state is LineState.STEEL_CHANGED


def test_more_defects_under_a_changed_camera_say_nothing_of_the_steel() -> None:
    old = line()
    play(old, 100)
    play(old, 100, DARKER, every=1)
    assert {change.alarm for change in old.changes()} == {Alarm.CAMERA, Alarm.DEFECT_RATE}
    assert old.state is LineState.CAMERA_CHANGED


def test_scores_that_fall_are_told_by_class() -> None:
    old = line()
    for score in (0.8, 0.5):
        for _ in range(100):
            old.decided("ab", True, scratch(score))
    (change,) = old.changes()
    assert change.alarm is Alarm.SCORE_DRIFT
    assert change.because == "scores of scratch are 0.502, base line 0.800"
    figures = old.figures("press-1", 0.0)
    assert figures.scores["pit"].value is None


def test_an_alarm_that_is_over_is_told() -> None:
    old = line()
    play(old, 100)
    play(old, 100, DARKER)
    old.changes()
    play(old, 100)
    (change,) = old.changes()
    assert (change.alarm, change.raised) == (Alarm.CAMERA, False)
    assert old.state is LineState.STEADY


def test_another_model_has_another_rate() -> None:
    old = line()
    play(old, 100)
    for _ in range(100):
        old.decided("cd", True, scratch(0.3))
    assert old.changes() == []
    assert old.figures("press-1", 0.0).defect_rate.baseline == 1


def test_the_scores_of_another_models_classes_are_followed() -> None:
    of_model = {"ab": ["scratch", "pit"], "cd": ["dent", "pit"]}
    old = Line(LINE_OPTIONS, lambda model: of_model.get(model, ()))
    play(old, 100)
    for score in (0.8, 0.4):
        for _ in range(100):
            old.decided("cd", True, scratch(score, "dent"))
    assert set(old.figures("press-1", 0.0).scores) == {"dent", "pit"}
    (change,) = old.changes()
    assert (change.alarm, change.raised) == (Alarm.SCORE_DRIFT, True)
    assert change.because.startswith("scores of dent are")


def test_classes_nobody_knows_take_no_memory() -> None:
    old = line()
    for number in range(10_000):
        old.decided("ab", True, scratch(0.5, f"made-up-{number}"))
    assert set(old.figures("press-1", 0.0).scores) == {"scratch", "pit"}
