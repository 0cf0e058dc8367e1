"""PyTorch against ONNX Runtime; needs the extra `train`."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    import torch

    torch.set_num_threads(1)


def pytest_report_header() -> str | None:
    if importlib.util.find_spec("torch") is None:
        return "tests/parity: left out, torch is not installed (extra `train`)"
    return None
