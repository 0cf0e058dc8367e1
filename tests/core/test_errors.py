from __future__ import annotations

import pytest

from flawline.core import errors
from flawline.core.model_errors import UnknownModel


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (errors.InvalidRequest("line", "line must be short."), "invalid_request", "line must"),
        (errors.UnknownRecipe("x", ["default"]), "unknown_recipe", "known recipes: default"),
        (errors.BadPicture("corrupt_picture", "It is cut short."), "corrupt_picture", "cut short"),
        (errors.QueueFull(2.5), "queue_full", "in 2.5 s"),
        (errors.BackfillFull(2.5), "backfill_full", "in 2.5 s"),
        (errors.Unauthenticated(token_given=False), "unauthenticated", "A token is needed"),
        (errors.NotReady("draining", 2.0), "not_ready", "draining"),
    ],
)
def test_every_error_has_a_code_and_a_sentence(
    error: errors.InspectionError, code: str, words: str
) -> None:
    assert error.code == code
    assert words in str(error)


def test_a_long_name_is_not_echoed_whole() -> None:
    error = errors.UnknownRecipe("x" * 100_000, ("default",))
    assert len(str(error)) < 200
    assert len(error.name) < 100


def test_a_model_that_lies_in_two_places_is_named_once() -> None:
    said = str(UnknownModel("pit", None, ["tiny 1", "tiny 2", "tiny 2"]))
    assert said.endswith("there are: tiny 1, tiny 2.")
