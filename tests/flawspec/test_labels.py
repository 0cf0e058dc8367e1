from __future__ import annotations

import pytest

from flawspec.labels import LabelSet


def test_ids_are_places() -> None:
    labels = LabelSet(("crazing", "rolled-in_scale", "0-day"))
    assert len(labels) == 3
    assert [labels.id_of(name) for name in labels.names] == [0, 1, 2]
    assert [labels.name_of(i) for i in range(3)] == list(labels.names)


@pytest.mark.parametrize("class_id", [-1, 2, 99])
def test_an_id_outside_has_no_name(class_id: int) -> None:
    with pytest.raises(IndexError, match=r"outside 0\.\.1"):
        LabelSet(("a", "b")).name_of(class_id)


def test_an_unknown_name_has_no_id() -> None:
    with pytest.raises(KeyError, match="rust"):
        LabelSet(("a", "b")).id_of("rust")


@pytest.mark.parametrize(
    "name", ["", "Rust", "two words", "_a", "-a", "é", "a\n", "a" * 65, 'quote"', "a.b"]
)
def test_names_that_would_break_a_metric_label_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must be 1 to 64"):
        LabelSet(("fine", name))


def test_every_fault_is_named() -> None:
    with pytest.raises(ValueError, match=r"'A' must.*'B' must.*'c' stands"):
        LabelSet(("A", "B", "c", "c"))


def test_there_must_be_one() -> None:
    with pytest.raises(ValueError, match="at least one"):
        LabelSet(())
