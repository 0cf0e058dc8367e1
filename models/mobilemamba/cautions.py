"""What a run should be told of its data before hours are spent on it, though it may go on."""

from __future__ import annotations

from collections.abc import Sequence

from flawspec.labels import LabelSet
from flawspec.letterbox import Letterbox
from mobilemamba.annotations import printable
from mobilemamba.config import InputConfig
from mobilemamba.dataset import Sample, spread_over
from mobilemamba.head import REACH_PX
from mobilemamba.trained_on import pictures_sha256

MOST_NAMED = 5
LOOKED_AT = 32  # for their light: pictures of one camera are alike, and those that are not kept have to be decoded
LEAST_BRIGHTNESS = (
    0.05  # of full scale: below it the service calls a frame black, by its own default
)


def cautions(
    training: Sequence[Sample], val: Sequence[Sample], labels: LabelSet, settings: InputConfig
) -> tuple[str, ...]:
    """Sentences, none where there is nothing to say.

    Args:
        training: all pictures of all training sets.
        val: those of the validation set.
        labels: of both.
        settings: of the network's input.

    Raises:
        DatasetError: see `pictures.OnDisk.decoded`.
    """
    found = (
        _trained_on_too(training, val),
        *_lacking(training, val, labels),
        _too_dark((*training, *val)),
        _beyond_reach((*training, *val), settings),
    )
    return tuple(sentence for sentence in found if sentence)


def trained_on_too(training: Sequence[Sample], val: Sequence[Sample]) -> list[Sample]:
    """Those of `val` that are trained on as well, by their pixels: whatever file, name or folder they are read from."""
    learned = frozenset(pictures_sha256(training))
    return [s for s, own in zip(val, pictures_sha256(val), strict=True) if own in learned]


def _trained_on_too(training: Sequence[Sample], val: Sequence[Sample]) -> str:
    seen = trained_on_too(training, val)
    if not seen:
        return ""
    return (
        f"caution: {len(seen)} of {len(val)} validation pictures are trained on as well ({_named(seen)}), so figures "
        "on them promise nothing for new pictures; take them out of one of the sets, or share out anew with "
        "`mobilemamba split`"
    )


def _lacking(training: Sequence[Sample], val: Sequence[Sample], labels: LabelSet) -> list[str]:
    taught, measured = (
        {labels.name_of(int(i)) for sample in samples for i in sample.class_ids}
        for samples in (training, val)
    )
    found = []
    if untaught := [name for name in labels.names if name not in taught]:
        found.append(
            f"caution: no training picture has a flaw of the class {' or '.join(untaught)}, so none will be found; "
            "give pictures that have, or take the class out of the annotations"
        )
    if unmeasured := [name for name in labels.names if name in taught - measured]:
        found.append(
            f"caution: no validation picture has a flaw of the class {' or '.join(unmeasured)}, so there will be no "
            "figure of it, and `export` has nothing to choose its threshold by; give pictures that have, or share out "
            "anew with `mobilemamba split`"
        )
    return found


def _too_dark(samples: tuple[Sample, ...]) -> str:
    looked_at = spread_over(samples, LOOKED_AT)
    dark = [s for s in looked_at if s.grey.mean() < LEAST_BRIGHTNESS * 255]
    if not dark:
        return ""
    return (
        f"caution: {len(dark)} of {len(looked_at)} pictures that were looked at are nearly black ({_named(dark)}), as "
        "those of a camera of 12 bits are whose values are stored as 16; the service gives no verdict on such frames. "
        "Scale them (12 bits: times 16) or save 8 bits, here and at the line"
    )


def _beyond_reach(samples: Sequence[Sample], settings: InputConfig) -> str:
    boxes = sum(len(s.boxes_xyxy) for s in samples)
    reaching = [(s, n) for s in samples if (n := _too_long(s, settings))]
    if not reaching:
        return ""
    return (
        f"caution: {sum(n for _, n in reaching)} of {boxes} boxes are longer than {REACH_PX} px in the input of "
        f"{settings.width_px}x{settings.height_px} ({_named([s for s, _ in reaching])}); the network frames no more "
        "than that, so of such flaws only a part is found, or nothing. Lower input.width_px and input.height_px"
    )


def _too_long(sample: Sample, settings: InputConfig) -> int:
    rows, columns = sample.shape
    letterbox = Letterbox.fit(columns, rows, settings.width_px, settings.height_px)
    boxes = letterbox.to_input(sample.boxes_xyxy)
    return int((boxes[:, 2:] - boxes[:, :2] > REACH_PX).any(axis=1).sum())


def _named(samples: Sequence[Sample]) -> str:
    names = [printable(s.name) for s in samples[:MOST_NAMED]]
    return ", ".join(names) + (", ..." if len(samples) > MOST_NAMED else "")
