"""What a run should be told of its data before hours are spent on it, though it may go on."""

from __future__ import annotations

from collections.abc import Sequence

from flawspec.labels import LabelSet
from flawspec.letterbox import Letterbox
from mobilemamba.annotations import printable
from mobilemamba.config import InputConfig
from mobilemamba.dataset import Sample, spread_over
from mobilemamba.head import REACH_PX
from mobilemamba.pictures import OnDisk
from mobilemamba.trained_on import pictures_sha256

MOST_NAMED = 5
LOOKED_AT = 32  # for their light: pictures of one camera are alike
DECODED = 4  # of these, where pixels are not kept
LEAST_BRIGHTNESS = 0.05  # of full scale: darker frames are black to the service, by its default


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
    return (
        *_said(_trained_on_too(training, val)),
        *cautions_of_fold(training, labels),
        *_said(_unmeasured(training, val, labels)),
        *cautions_of_pictures((*training, *val), settings),
    )


def cautions_of_fold(training: Sequence[Sample], labels: LabelSet) -> tuple[str, ...]:
    """What differs from one fold of a cross-validation to the next: nothing is exported from it."""
    return _said(_untaught(training, labels))


def cautions_of_pictures(samples: Sequence[Sample], settings: InputConfig) -> tuple[str, ...]:
    """What is the same however pictures are shared out; see `cautions`."""
    return _said(_too_dark(samples), _beyond_reach(samples, settings))


def _said(*sentences: str) -> tuple[str, ...]:
    return tuple(sentence for sentence in sentences if sentence)


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


def _shown(samples: Sequence[Sample], labels: LabelSet) -> set[str]:
    return {labels.name_of(int(i)) for sample in samples for i in sample.class_ids}


def _untaught(training: Sequence[Sample], labels: LabelSet) -> str:
    taught = _shown(training, labels)
    untaught = [name for name in labels.names if name not in taught]
    if not untaught:
        return ""
    return (
        f"caution: no training picture has a flaw of the class {' or '.join(untaught)}, so none will be found; "
        "give pictures that have, or take the class out of the annotations"
    )


def _unmeasured(training: Sequence[Sample], val: Sequence[Sample], labels: LabelSet) -> str:
    only_taught = _shown(training, labels) - _shown(val, labels)
    unmeasured = [name for name in labels.names if name in only_taught]
    if not unmeasured:
        return ""
    return (
        f"caution: no validation picture has a flaw of the class {' or '.join(unmeasured)}, so there will be no "
        "figure of it, and `export` has nothing to choose its threshold by; give pictures that have, or share out "
        "anew with `mobilemamba split`"
    )


def _too_dark(samples: Sequence[Sample]) -> str:
    chosen = spread_over(tuple(samples), LOOKED_AT)
    kept = [s for s in chosen if not isinstance(s.pixels, OnDisk)]
    # a large one takes seconds to decode
    decoded = spread_over(tuple(s for s in chosen if isinstance(s.pixels, OnDisk)), DECODED)
    looked_at = [*kept, *decoded]
    dark = [s for s in looked_at if s.grey.mean() < LEAST_BRIGHTNESS * 255]
    if not dark:
        return ""
    return (
        f"caution: {len(dark)} of {len(looked_at)} pictures that were looked at are nearly black ({_named(dark)}), as "
        "those of a camera of 12 bits are whose values are stored as 16; the service gives no verdict on such frames. "
        "Scale them (12 bits: times 16) or save 8 bits, here and at the line; or lower FLAWLINE_MIN_BRIGHTNESS where "
        "that is their light, as in a dark field"
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
