from __future__ import annotations

import pytest
from tiny_artifact import tiny_manifest

from flawline.core.errors import UnknownRecipe
from flawline.core.recipe import Recipe, RecipeBook, default_recipe
from flawline.core.tiling import Tiling
from flawline.core.values import RecipeRef


def test_the_default_recipe_is_what_the_artifact_suggests() -> None:
    recipe = default_recipe(tiny_manifest(score_thresholds=(0.3, 0.6), model_version="4"))
    assert recipe.ref == RecipeRef("default", "4")
    assert recipe.score_thresholds == {"scratch": 0.3, "pit": 0.6}
    assert recipe.min_box_side_px == 0


def test_min_score_replaces_every_threshold_and_says_so_in_the_version() -> None:
    recipe = Recipe("default", "4", {"scratch": 0.3, "pit": 0.6})
    assert recipe.with_min_score(None) is recipe
    altered = recipe.with_min_score(0.0)
    assert altered.score_thresholds == {"scratch": 0.0, "pit": 0.0}
    assert altered.ref == RecipeRef("default", "4+min_score")


def test_tiles_are_said_in_the_version_too() -> None:
    recipe = Recipe("default", "4", {"scratch": 0.3, "pit": 0.6})
    assert recipe.with_tiling(None) is recipe
    cut = recipe.with_tiling(Tiling(400, 128, 0.2))
    assert cut.ref == RecipeRef("default", "4+tiles-400x128-0.2")
    assert cut.with_min_score(0.1).ref.version == "4+tiles-400x128-0.2+min_score"


def test_a_book_finds_by_name() -> None:
    default, strict = Recipe("default", "1", {}), Recipe("strict", "1", {})
    book = RecipeBook((default, strict))
    assert book.names == ("default", "strict")
    assert book.find(None) is default
    assert book.find("strict") is strict
    with pytest.raises(UnknownRecipe, match="'lax'; known recipes: default, strict") as caught:
        book.find("lax")
    assert (caught.value.name, caught.value.known) == ("lax", ("default", "strict"))
    with pytest.raises(UnknownRecipe):
        book.find("")


def test_a_book_without_a_default_is_refused() -> None:
    with pytest.raises(ValueError, match="default"):
        RecipeBook((Recipe("strict", "1", {}),))
