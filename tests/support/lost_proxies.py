"""Proxies in the environment through which nothing ever comes."""

from __future__ import annotations

import pytest
from redis_process import free_port


def set_lost_proxies(patching: pytest.MonkeyPatch) -> None:
    """In both spellings: each library reads others. And no exception, not for loopback either."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    for name in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"):
        patching.setenv(name, nowhere)
        patching.setenv(name.upper(), nowhere)
    for name in ("no_proxy", "no_grpc_proxy"):
        patching.delenv(name, raising=False)
        patching.delenv(name.upper(), raising=False)
