"""A pulse on a clock that is set by hand."""

from __future__ import annotations

from fakes import ManualClock

from flawline.application.pulse import Pulse


def test_a_loop_that_stands_too_long_has_no_pulse() -> None:
    clock = ManualClock()
    pulse = Pulse(clock, limit_s=15.0)
    clock.advance(15.0)
    assert pulse.beats()
    clock.advance(0.1)
    assert not pulse.beats()
    pulse.beat()
    assert pulse.beats()
