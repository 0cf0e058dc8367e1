from __future__ import annotations

import struct

import pytest

from flawspec.tiff_header import read_tiff_header

SHORT, LONG, TEXT, RATIONAL = 3, 4, 2, 5


def directory(order: str, *entries: tuple[int, int, int, bytes]) -> bytes:
    magic = b"II*\0" if order == "<" else b"MM\0*"
    rows = b"".join(struct.pack(order + "HHI", *head) + value for *head, value in entries)
    return magic + struct.pack(order + "IH", 8, len(entries)) + rows + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("start", [0, 6])
def test_single_integers_are_read_and_lists_measured(order: str, start: int) -> None:
    data = bytes(start) + directory(
        order,
        (256, LONG, 1, struct.pack(order + "I", 70_000)),
        (274, SHORT, 1, struct.pack(order + "HH", 6, 9)),
        (258, SHORT, 3, bytes(4)),
        (270, TEXT, 100_000, bytes(4)),  # one object, however long
        (282, RATIONAL, 1, bytes(4)),
    )
    header = read_tiff_header(data, start)
    assert header.firsts == {256: 70_000, 274: 6}
    assert header.longest_list == 3


def test_an_empty_directory() -> None:
    assert read_tiff_header(directory("<")).firsts == {}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"II*",
        b"II+\0\x08\0\0\0",
        b"II*\0\x08",
        b"II*\0\x08\0\0\0",
        b"II*\0\xff\xff\xff\xff\0\0",
        directory("<", (256, LONG, 1, bytes(4)))[:-5],
    ],
)
def test_damage_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="TIFF header"):
        read_tiff_header(data)
