"""What listens where a Flawline is looked for, and is none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def stranger(answer: bytes) -> Iterator[int]:
    """Its port. It says this to the first who comes, whatever he asks."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def answering() -> None:
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(10_000)
                    connection.sendall(answer)

        thread = threading.Thread(target=answering)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()
