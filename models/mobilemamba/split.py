"""Group-aware splits: what shows the same surface stays on one side, classes are shared out evenly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flawspec.boxes import xyxy_to_xywh
from flawspec.labels import LabelSet
from mobilemamba.annotations import DatasetError, printable
from mobilemamba.dataset import Dataset, Sample
from mobilemamba.duplicates import Overlap, find_overlaps, groups_of
from mobilemamba.watching import Watch, unwatched

# On NEU-DET most true pairs have 0.9 and more, strangers below 0.3; scratches that happen to align reach 0.7.
LEAST_CORRELATION = 0.8
FOUND_FILE = "groups.json"
SAME_BOX_PX = 0.01  # what writing boxes anew may round off


@dataclass(frozen=True)
class Groups:
    """What was found in all pictures together.

    Attributes:
        samples: of all data sets, in order.
        sources: for each sample, which data set it came from.
        members: positions in `samples`, one tuple a group; most have one member.
        overlaps: the pairs that made them.
    """

    samples: tuple[Sample, ...]
    sources: tuple[int, ...]
    members: tuple[tuple[int, ...], ...]
    overlaps: tuple[Overlap, ...]

    @property
    def shared(self) -> tuple[tuple[int, ...], ...]:
        """Groups of more than one."""
        return tuple(m for m in self.members if len(m) > 1)

    @property
    def crossing(self) -> tuple[tuple[int, ...], ...]:
        """Groups with members of more than one data set."""
        return tuple(m for m in self.members if len({self.sources[i] for i in m}) > 1)


def find_groups(datasets: Sequence[Dataset], watch: Watch = unwatched) -> Groups:
    """Compare every picture of all data sets with every other."""
    samples = tuple(sample for dataset in datasets for sample in dataset.samples)
    sources = tuple(i for i, dataset in enumerate(datasets) for _ in dataset.samples)
    overlaps = find_overlaps([s.pixels for s in samples], LEAST_CORRELATION, watch)
    return Groups(samples, sources, groups_of(len(samples), overlaps), overlaps)


def listed_once(datasets: Sequence[Dataset], images: Path, files: Sequence[Path]) -> list[int]:
    """Which samples of all data sets together to keep, so that each picture file is there once: the first of it.

    Args:
        datasets: of one folder of pictures.
        images: that folder.
        files: the annotations of each data set, for messages.

    Raises:
        DatasetError: several samples of one picture file have other boxes or classes, or a name cannot stand in
            JSON; with all faults.
    """
    kept: list[int] = []
    firsts: dict[Path, tuple[Sample, Path]] = {}
    faults = [
        f"the name of picture {printable(s.name)} is not UTF-8, so that no COCO file can hold it: rename the picture"
        for data in datasets
        for s in data.samples
        if printable(s.name) != s.name
    ]
    listed = ((s, file) for data, file in zip(datasets, files, strict=True) for s in data.samples)
    for place, (sample, file) in enumerate(listed):
        first, first_file = firsts.setdefault((images / sample.name).resolve(), (sample, file))
        if first is sample:
            kept.append(place)
        elif not _same_boxes(first, sample):
            faults.append(
                f"picture {sample.name} has {len(sample.class_ids)} box(es) in {file}, other than the "
                f"{len(first.class_ids)} in {first_file}: correct one of the two, or take the picture out of it"
            )
    if faults:
        raise DatasetError(images, faults)
    return kept


def _same_boxes(one: Sample, other: Sample) -> bool:
    """In any order."""
    if len(one.class_ids) != len(other.class_ids):
        return False
    first, second = (
        table[np.lexsort(table.T[::-1])]
        for table in (np.column_stack((s.class_ids, s.boxes_xyxy)) for s in (one, other))
    )
    return bool((np.abs(first - second) <= SAME_BOX_PX).all())


def only(groups: Groups, kept: Sequence[int]) -> Groups:
    """The groups of some of the samples, those at `kept`, which are counted anew."""
    place = {old: new for new, old in enumerate(kept)}
    members = (tuple(place[i] for i in group if i in place) for group in groups.members)
    return Groups(
        tuple(groups.samples[i] for i in kept),
        tuple(groups.sources[i] for i in kept),
        tuple(group for group in members if group),
        tuple(
            replace(o, first=place[o.first], second=place[o.second])
            for o in groups.overlaps
            if o.first in place and o.second in place
        ),
    )


def share_out(groups: Groups, classes: int, shares: Sequence[float], seed: int) -> list[list[int]]:
    """Positions of samples for each share: whole groups, pictures and boxes of each class near their shares.

    The largest groups come first, each goes where most of what it holds is still wanted (iterative
    stratification, Sechidis et al. 2011, for groups).
    """
    counts = np.array([_counts(groups.samples[i], classes) for i in range(len(groups.samples))])
    totals = np.maximum(counts.sum(axis=0), 1)
    wanted = np.outer(shares, counts.sum(axis=0))
    order = np.random.default_rng(seed).permutation(len(groups.members))
    parts: list[list[int]] = [[] for _ in shares]
    for place in sorted(order, key=lambda p: -len(groups.members[p])):
        members = list(groups.members[place])
        held = counts[members].sum(axis=0)
        need = (wanted / totals**2 * held).sum(axis=1)
        chosen = int(need.argmax())
        wanted[chosen] -= held
        parts[chosen] += members
    return [sorted(part) for part in parts]


def _counts(sample: Sample, classes: int) -> NDArray[np.float64]:
    """Boxes of each class, then 1 for the picture and 1 if it has none."""
    boxes = np.bincount(sample.class_ids, minlength=classes).astype(np.float64)
    return np.array([*boxes, 1.0, float(len(sample.class_ids) == 0)])


def coco_document(samples: Sequence[Sample], labels: LabelSet) -> dict[str, object]:
    """Samples as COCO; ids are counted anew from 1."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for image_id, sample in enumerate(samples, start=1):
        height, width = sample.shape
        images.append({"id": image_id, "file_name": sample.name, "width": width, "height": height})
        for box, class_id in zip(xyxy_to_xywh(sample.boxes_xyxy), sample.class_ids, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(class_id) + 1,
                    "bbox": [round(float(v), 3) for v in box],
                    "area": round(float(box[2] * box[3]), 3),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": i, "name": name} for i, name in enumerate(labels.names, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def found_document(groups: Groups) -> dict[str, object]:
    """The groups of more than one picture, and the overlaps that made them, for JSON."""
    names = [s.name for s in groups.samples]
    return {
        "least_correlation": LEAST_CORRELATION,
        "groups": [[names[i] for i in members] for members in groups.shared],
        "overlaps": [
            asdict(o)
            | {"first": names[o.first], "second": names[o.second], "shift_xy": list(o.shift_xy)}
            for o in groups.overlaps
        ],
    }
