"""A recipe says what counts as a defect on a product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from flawline.core.errors import UnknownRecipe
from flawline.core.tiling import Tiling
from flawline.core.values import RecipeRef
from flawspec.manifest import ArtifactManifest

DEFAULT_RECIPE = "default"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What counts as a defect.

    score_thresholds: for each class the lowest score that counts, 0..1.
    min_box_side_px: boxes whose shorter side is less, in frame pixels, do not count; 0 lets all
    count.
    """

    name: str
    version: str
    score_thresholds: Mapping[str, float]
    min_box_side_px: float = 0.0

    @property
    def ref(self) -> RecipeRef:
        """The short form that answers carry."""
        return RecipeRef(self.name, self.version)

    def with_min_score(self, min_score: float | None) -> Recipe:
        """The same recipe with one threshold for all classes; its version then says so."""
        if min_score is None:
            return self
        thresholds = dict.fromkeys(self.score_thresholds, min_score)
        return replace(self, version=f"{self.version}+min_score", score_thresholds=thresholds)

    def with_tiling(self, tiling: Tiling | None) -> Recipe:
        """The same recipe for frames that are cut, which may lead to another verdict; its version then says so."""
        if tiling is None:
            return self
        return replace(self, version=f"{self.version}+tiles-{tiling}")


def default_recipe(manifest: ArtifactManifest) -> Recipe:
    """The thresholds that the artifact suggests, hence under the version of the model."""
    thresholds = dict(zip(manifest.labels.names, manifest.score_thresholds, strict=True))
    return Recipe(DEFAULT_RECIPE, manifest.model_version, thresholds)


class RecipeBook:
    """The recipes known, by name; the default one is always among them."""

    def __init__(self, recipes: tuple[Recipe, ...]) -> None:
        self._by_name = {recipe.name: recipe for recipe in recipes}
        if DEFAULT_RECIPE not in self._by_name:
            raise ValueError(f"a recipe book needs a recipe named {DEFAULT_RECIPE!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order given."""
        return tuple(self._by_name)

    def find(self, name: str | None) -> Recipe:
        """The recipe of that name, the default one for None. Raises UnknownRecipe."""
        wanted = DEFAULT_RECIPE if name is None else name
        try:
            return self._by_name[wanted]
        except KeyError:
            raise UnknownRecipe(wanted, self.names) from None
