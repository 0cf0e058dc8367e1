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


def test_a_request_larger_than_all_is_let_in_alone() -> None:
    room = RequestRoom(10)
    with room.reserved(1), pytest.raises(QueueFull), room.reserved(11):
        pass
    with room.reserved(11), pytest.raises(QueueFull), room.reserved(1):
        pass
