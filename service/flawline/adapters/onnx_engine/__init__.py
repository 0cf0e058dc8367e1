"""ONNX Runtime as InferenceEngine; the only package that imports it.

From 1.29 on its Linux wheels report models and sessions to their maker unless they are told not to. Only the
environment, and only before the first import, keeps them from all of it, from writing an id of this device too:
hence this one setting at import.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from flawline.adapters.onnx_engine.binding import CoreBinding
from flawline.adapters.onnx_engine.company import Company
from flawline.adapters.onnx_engine.devices import Device, Devices, DeviceUnavailable
from flawline.adapters.onnx_engine.engine import OnnxEngine
from flawline.adapters.onnx_engine.graph_check import GraphMismatch

__all__ = [
    "Company",
    "CoreBinding",
    "Device",
    "DeviceUnavailable",
    "Devices",
    "GraphMismatch",
    "OnnxEngine",
]
