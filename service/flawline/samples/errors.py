"""What the generator says when it cannot do what it was asked."""

from __future__ import annotations


class SampleError(ValueError):
    """A request the generator refuses; the message is a sentence for the person who asked."""


class FrameSizeError(SampleError):
    """The frame is smaller or larger than the generator draws."""


class SeedError(SampleError):
    """The seed is negative."""


class UnknownFlawError(SampleError):
    """A flaw was asked for by a name that is no class of the generator."""


class NoRoomError(SampleError):
    """More flaws were asked for than fit into the frame side by side."""


class SampleSetError(SampleError):
    """A set of frames cannot be made as asked: its count, its share or its folder is wrong."""
