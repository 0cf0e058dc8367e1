"""Bound to cores as long as others leave them alone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flawline.adapters.onnx_engine.binding import CoreBinding, seconds_of_others

ALLOWED = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
pytestmark = pytest.mark.skipif(not ALLOWED, reason="this system does not bind threads to cores")


class Machine:
    """Its clock, and what other processes have computed."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.others_s: float | None = 5000.0

    def let_pass(self, seconds: float, busy_cores: float) -> None:
        self.now_s += seconds
        if self.others_s is not None:
            self.others_s += seconds * busy_cores

    def binding(self) -> CoreBinding:
        return CoreBinding(ALLOWED, lambda: self.others_s, lambda: self.now_s)


@contextmanager
def joined(binding: CoreBinding) -> Iterator[Callable[[], set[int]]]:
    """A thread that joined as the first; tells where it may run."""
    told, over, place = threading.Event(), threading.Event(), []

    def work() -> None:
        binding.join(0)
        place.append(threading.get_native_id())
        told.set()
        over.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    told.wait(30)
    try:
        yield lambda: os.sched_getaffinity(place[0])
    finally:
        over.set()
        thread.join()


def test_they_are_let_go_while_others_compute_and_bound_again_after_a_while() -> None:
    machine = Machine()
    binding = machine.binding()
    with joined(binding) as cores:
        assert cores() == {ALLOWED[0]}
        seen = []
        # A busy second among calm ones does not count, nor a calm one among busy ones.
        for busy in [0.1, 1.0, 0.5, 1.0, 1.0, 0.2, 0.2, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]:
            machine.let_pass(1.0, busy)
            binding.look()
            assert cores() == (set(ALLOWED) if binding.given_up else {ALLOWED[0]})
            seen.append(binding.given_up)
    assert seen == [False] * 4 + [True] * 8 + [False] * 2


def test_what_was_while_this_process_was_stopped_is_no_reason() -> None:
    machine = Machine()
    binding = machine.binding()
    machine.let_pass(60.0, busy_cores=99.0)
    binding.look()
    assert not binding.given_up
    for _ in range(2):
        assert not binding.given_up
        machine.let_pass(1.0, busy_cores=99.0)
        binding.look()
    assert binding.given_up


def test_it_looks_by_itself_until_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flawline.adapters.onnx_engine.binding._LOOK_EVERY_S", 0.01)
    machine = Machine()
    binding = machine.binding()
    binding.start()
    for _ in range(1000):
        machine.let_pass(0.5, busy_cores=99.0)
        if binding.given_up:
            break
        time.sleep(0.01)
    assert binding.given_up
    binding.close()
    binding._watch.join(10)
    assert not binding._watch.is_alive()


def test_of_many_cores_others_may_have_some() -> None:
    many = CoreBinding(range(16), lambda: 0.0)
    assert many._crowded == pytest.approx(6.6)
    assert CoreBinding(range(2), lambda: 0.0)._crowded == pytest.approx(0.6)


def test_where_nothing_is_said_of_others_they_stay_bound() -> None:
    machine = Machine()
    machine.others_s = None
    binding = machine.binding()
    with joined(binding) as cores:
        for _ in range(3):
            machine.let_pass(1.0, busy_cores=99.0)
            binding.look()
        assert cores() == {ALLOWED[0]}


def test_without_cores_there_is_nothing_to_look_at() -> None:
    machine = Machine()
    binding = CoreBinding((), lambda: pytest.fail("it was asked"), lambda: machine.now_s)
    machine.let_pass(2.0, busy_cores=2.0)
    with joined(binding) as cores:
        binding.start()
        assert cores() == set(ALLOWED)
    assert not binding._watch.is_alive()


def test_what_other_processes_compute_is_told_from_our_own() -> None:
    before_s, began_s = seconds_of_others(ALLOWED), time.monotonic()
    assert before_s is not None
    code = "import time\nwhile time.process_time() < 1.0: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    after_s = seconds_of_others(ALLOWED)
    assert after_s is not None
    # Others may compute beside it, on all cores.
    most_s = (time.monotonic() - began_s) * len(ALLOWED) + 0.1
    assert 0.7 < after_s - before_s < most_s


def test_cores_that_are_not_ours_do_not_count(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text(
        "cpu  900 0 900 50 0 0 0 0 0 0\ncpu0 1000 1 20 7 0 3 6 0 0 0\ncpu1 9999 0 0 0 0 0 0 0 0 0\nintr 1\n"
    )
    ticks = os.sysconf("SC_CLK_TCK")
    assert seconds_of_others([0], stat) == pytest.approx(1030 / ticks - time.process_time(), abs=1)


@pytest.mark.parametrize(
    "text", ["", "cpu0 1 2\n", "cpu0 a b c d e f g h\n", "cpu9 1 2 3 4 5 6 7\n"]
)
def test_a_system_that_says_something_else(tmp_path: Path, text: str) -> None:
    stat = tmp_path / "stat"
    stat.write_text(text)
    assert seconds_of_others([0], stat) is None
    assert seconds_of_others([0], tmp_path / "none") is None
