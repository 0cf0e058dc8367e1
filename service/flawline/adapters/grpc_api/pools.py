"""Reflection over several descriptor pools: a protocol whose names others bring too has its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf.descriptor_pool import Default, DescriptorPool

T = TypeVar("T")


class GrpcService(Protocol):
    """A further service on the same port. descriptors: where its messages are described."""

    @property
    def name(self) -> str:
        """Its full name."""
        ...

    @property
    def descriptors(self) -> DescriptorPool:
        """The pool with its messages."""
        ...

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve it there."""
        ...


class DescriptorPools:
    """What grpc_reflection asks of a pool, answered by the first of several that knows.

    Each raises KeyError when none does.
    """

    def __init__(self, services: Sequence[GrpcService]) -> None:
        self._pools = (Default(), *(service.descriptors for service in services))

    def FindFileByName(self, name: str) -> Any:  # noqa: N802 - the library's names
        """A file by the path it was imported by."""
        return self._first(lambda pool: pool.FindFileByName(name))

    def FindFileContainingSymbol(self, symbol: str) -> Any:  # noqa: N802
        """The file that declares a message, an enum or a service."""
        return self._first(lambda pool: pool.FindFileContainingSymbol(symbol))

    def FindMessageTypeByName(self, name: str) -> Any:  # noqa: N802
        """A message by its full name."""
        return self._first(lambda pool: pool.FindMessageTypeByName(name))

    def FindExtensionByNumber(self, message: Any, number: int) -> Any:  # noqa: N802
        """An extension of a message."""
        return message.file.pool.FindExtensionByNumber(message, number)

    def FindAllExtensions(self, message: Any) -> Any:  # noqa: N802
        """All extensions of a message."""
        return message.file.pool.FindAllExtensions(message)

    def _first(self, find: Callable[[DescriptorPool], T]) -> T:
        *others, last = self._pools
        for pool in others:
            with suppress(KeyError):
                return find(pool)
        return find(last)
