from __future__ import annotations

import pytest

from flawline.application.request_room import RequestRoom
from flawline.core.errors import QueueFull


def test_room_is_given_back_whatever_happens() -> None:
    room = RequestRoom(10)
    with pytest.raises(RuntimeError), room.reserved(6):
        raise RuntimeError
    with room.reserved(4), room.reserved(6), pytest.raises(QueueFull), room.reserved(1):
        pass
    with room.reserved(10):
        pass


def test_a_request_may_take_more_than_it_said_as_long_as_there_is_room() -> None:
    room = RequestRoom(10)
    with room.reserved(0) as first, room.reserved(4) as second:
        first.reach(5)
        first.reach(3)  # it has that
        second.reach(5)
        with pytest.raises(QueueFull):
            first.reach(6)
    with room.reserved(0) as alone:
        alone.reach(11)
        with pytest.raises(QueueFull), room.reserved(1):
            pass
    with room.reserved(10):
        pass


def test_a_request_larger_than_all_is_let_in_alone() -> None:
    room = RequestRoom(10)
    with room.reserved(1), pytest.raises(QueueFull), room.reserved(11):
        pass
    with room.reserved(11), pytest.raises(QueueFull), room.reserved(1):
        pass
