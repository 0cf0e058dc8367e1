"""ONNX Runtime as InferenceEngine; the only package that imports it."""

from flawline.adapters.onnx_engine.devices import Device, Devices, DeviceUnavailable
from flawline.adapters.onnx_engine.engine import GraphMismatch, OnnxEngine

__all__ = ["Device", "DeviceUnavailable", "Devices", "GraphMismatch", "OnnxEngine"]
