"""What a run is trained and measured on, as its checkpoints keep it: a folder's name does not tell what lies in it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mobilemamba.annotations import name_bytes
from mobilemamba.config import RunConfig
from mobilemamba.dataset import Dataset, Sample
from mobilemamba.pictures import sha256_of
from mobilemamba.watching import Watch, unwatched, watched

DIGITS_SHOWN = 12


@dataclass(frozen=True)
class SetDigest:
    """One data set.

    Attributes:
        name, split: as the configuration calls it.
        pictures: how many.
        sha256: of every picture's name, pixels, boxes and classes, in their order.
        annotations_sha256: of the files they were read from, empty for a part of several. Not compared: annotations
            that say the same in other words are the same data.
    """

    name: str
    split: str
    pictures: int
    sha256: str
    annotations_sha256: str = field(compare=False)

    def digests(self) -> frozenset[str]:
        """Each by which the set may be known again."""
        return frozenset({self.sha256, self.annotations_sha256} - {""})

    def __str__(self) -> str:
        return (
            f"{self.name} {self.split} ({self.pictures} pictures, {self.sha256[:DIGITS_SHOWN]}...)"
        )


@dataclass(frozen=True)
class TrainedOn:
    """Class names in the network's order, and every set: those of training in order, then the validation set."""

    labels: tuple[str, ...]
    sets: tuple[SetDigest, ...]

    @classmethod
    def of(cls, config: RunConfig, sets: Sequence[Dataset], watch: Watch = unwatched) -> TrainedOn:
        """Of `sets` as `config` names them."""
        entries = (*config.train, config.val)
        return cls(
            sets[0].labels.names,
            tuple(
                SetDigest(
                    entry.name,
                    entry.split,
                    len(data.samples),
                    _samples_sha256(
                        data.samples, f"taking the digest of {entry.name} {entry.split}", watch
                    ),
                    data.sha256,
                )
                for entry, data in zip(entries, sets, strict=True)
            ),
        )

    @classmethod
    def from_json(cls, content: dict[str, object]) -> TrainedOn:
        """From what `dataclasses.asdict` made, by way of JSON.

        Raises:
            KeyError, TypeError: it is something else.
        """
        labels, sets = content["labels"], content["sets"]
        if not isinstance(labels, list) or not isinstance(sets, list):
            raise TypeError("labels and sets must be lists")
        return cls(tuple(map(str, labels)), tuple(SetDigest(**entry) for entry in sets))

    def differences(self, now: TrainedOn) -> list[str]:
        """What `now` has otherwise, a phrase each; empty where both are the same."""
        found = []
        if self.labels != now.labels:
            found.append(f"classes {', '.join(self.labels)}, not {', '.join(now.labels)}")
        if len(self.sets) != len(now.sets):
            found.append(f"{len(self.sets)} data sets, not {len(now.sets)}")
        pairs = zip(self.sets, now.sets, strict=False)
        return found + [f"{then}, not {today}" for then, today in pairs if then != today]


def pictures_sha256(samples: Sequence[Sample]) -> tuple[str, ...]:
    """The `pictures.picture_sha256` of each sample; none is decoded again."""
    return tuple(sha256_of(s.pixels) for s in samples)


def places_once(samples: Sequence[Sample], digests: Sequence[str]) -> list[int]:
    """Where each picture stands, in order, those with copies once: the first that has flaws, or else the first.

    digests: `pictures_sha256` of the samples. By a copy without its flaws, what is found on a picture would be false.
    """
    chosen: dict[str, int] = {}
    for place, (sample, digest) in enumerate(zip(samples, digests, strict=True)):
        before = chosen.setdefault(digest, place)
        if len(sample.class_ids) and not len(samples[before].class_ids):
            chosen[digest] = place
    return sorted(chosen.values())


def further_of(samples: Sequence[Sample], known: Sequence[Sample]) -> tuple[Sample, ...]:
    """Those of `samples` that are no copies, by their pixels, of `known` or of one before them."""
    seen = set(pictures_sha256(known))
    found = []
    for sample, digest in zip(samples, pictures_sha256(samples), strict=True):
        if digest not in seen:
            found.append(sample)
        seen.add(digest)
    return tuple(found)


def _samples_sha256(samples: Sequence[Sample], work: str, watch: Watch) -> str:
    digest = hashlib.sha256()
    for sample in watched(samples, len(samples), work, watch):
        head = f"{sample.name}\n{sample.shape} {len(sample.class_ids)}\n"
        digest.update(name_bytes(head))
        for array in (sample.grey, sample.boxes_xyxy, sample.class_ids):
            digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()
