"""What the generator says when it cannot do what it was asked."""

from __future__ import annotations


class SampleError(ValueError):
    """A request the generator refuses; the message is a sentence for the person who asked."""

    @property
    def sentence(self) -> str:
        """The message with a capital and a full stop; a path that it begins with stays as it is."""
        text = str(self)
        first_word = text.partition(" ")[0]
        is_path = any(mark in first_word for mark in "./\\")
        return f"{text if is_path else text[:1].upper() + text[1:]}."


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
