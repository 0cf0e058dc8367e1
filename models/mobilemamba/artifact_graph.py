"""The graph of an artifact as something to look weights up in."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

PREFIX = "detector."  # where `ArtifactNetwork` keeps the network


class ArtifactGraph:
    """Initialisers by name, nodes by what they read."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._initialisers = {i.name: i for i in graph.initializer}
        self._consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._consumers.setdefault(name, []).append(node)

    def __contains__(self, name: str) -> bool:
        return name in self._initialisers

    def value(self, name: str) -> Tensor:
        """The initialiser as a tensor of its own."""
        array: NDArray[np.float32] = numpy_helper.to_array(self._initialisers[name])
        return torch.from_numpy(array.copy())

    def only_reader(self, name: str, kind: str) -> onnx.NodeProto:
        """The one node of a kind that reads `name`."""
        found = [node for node in self._consumers.get(name, []) if node.op_type == kind]
        if len(found) != 1:
            raise ValueError(f"{len(found)} nodes {kind} read {name}; one was expected")
        return found[0]

    def bias_beside(self, kernel: str) -> Tensor:
        """The bias of the convolution with this kernel; the exporter leaves out one of zeros."""
        conv = self.only_reader(kernel, "Conv")
        if len(conv.input) > 2:
            return self.value(conv.input[2])
        return torch.zeros(self._initialisers[kernel].dims[0])

    def constant_met(self, name: str, kind: str, elements: int) -> tuple[Tensor, onnx.NodeProto]:
        """The nearest constant of so many elements that a node `kind` downstream of `name` reads, and that node."""
        front, seen = [name], {name}
        while front:
            readers = [node for value in front for node in self._consumers.get(value, [])]
            for node in readers:
                constants = [i for i in node.input if i in self]
                if node.op_type == kind and len(constants) == 1:
                    value = self.value(constants[0])
                    if value.numel() == elements:
                        return value.flatten(), node
            front = [o for node in readers for o in node.output if o not in seen]
            seen.update(front)
        raise ValueError(f"no {kind} with {elements} constants follows {name}")
