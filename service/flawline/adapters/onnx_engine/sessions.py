"""Sessions of ONNX Runtime for one artifact."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence

import onnxruntime

from flawline.adapters.onnx_engine.devices import Provider

_ERRORS_ONLY = 3


def shared_session(
    content: bytes, threads: int, providers: Sequence[Provider]
) -> onnxruntime.InferenceSession:
    """For several calls at a time, each on the thread that calls and together on `threads` - 1 more."""
    # Idle threads that spin take the cores from those that decode the next batch.
    options = _options(threads, spins=False)
    return onnxruntime.InferenceSession(content, options, providers=providers)


def lone_session(
    content: bytes, threads: int, providers: Sequence[Provider], cores: Sequence[int]
) -> onnxruntime.InferenceSession:
    """For one call at a time, on `threads`.

    A step of the network is over sooner than a thread wakes up, so they spin, until the call ends.
    cores: the threads are bound to them from the second one on; the first is for the one that calls. Where the system
    put both on one core, they would wait for each other. Empty for unbound.
    """
    options = _options(threads, spins=True)
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if cores:
        # counted from 1 there
        bound = ";".join(str(core + 1) for core in cores[1:threads])
        options.add_session_config_entry("session.intra_op_thread_affinities", bound)
    return onnxruntime.InferenceSession(content, options, providers=providers)


def give_memory_back() -> None:
    """To the system, what freed sessions took.

    The C library would keep it, for each of the threads that asked: a process grew with each change of models.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
        if trim is not None:
            trim(0)


def _options(threads: int, *, spins: bool) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spins)))
    return options
