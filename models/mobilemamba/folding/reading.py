"""What was folded, turned back: weights of the plain network from the graph of an artifact.

What is read computes the same, but where two factors were multiplied one of them is as it was made: the wavelet
branch's scale, the norm after a scan. Where two convolutions became one, that one is the first, and the second
passes its channels on.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mobilemamba.artifact_graph import PREFIX, ArtifactGraph
from mobilemamba.blocks import AxialScan, Mrffi
from mobilemamba.detector import Detector
from mobilemamba.folding import phases
from mobilemamba.folding.convolutions import KernelBias
from mobilemamba.folding.network import input_scale
from mobilemamba.folding.scan import folded_order
from mobilemamba.folding.stem import is_residual_depthwise, with_centre
from mobilemamba.layers import ConvNorm
from mobilemamba.neck import Neck


def read_folded(
    graph: ArtifactGraph, network: Detector, std: float
) -> tuple[dict[str, KernelBias], dict[str, Tensor]]:
    """Everything in the graph that `folding` has made of a network of this architecture.

    Args:
        graph: of an artifact, of one without anything folded too.
        network: says what there should be.
        std: of the artifact's normalisation.

    Returns:
        Kernel and bias by the name of the `ConvNorm` that they are, and all else by its name in the state dict.

    Raises:
        ValueError: `network` lacks a part of what was folded, or the graph one of what `network` has.
    """
    kernels: dict[str, KernelBias] = {}
    state: dict[str, Tensor] = {}
    for name, module in network.named_modules():
        if isinstance(module, Mrffi) and f"{PREFIX}{name}.phases.places.0.weight" in graph:
            _read_mixer(graph, name, module, kernels, state)
        elif is_residual_depthwise(module) and f"{PREFIX}{name}.weight" in graph:
            kernel, bias = _convolution(graph, name)
            kernels[f"{name}.branch"] = with_centre(kernel, -1.0), bias
    if f"{PREFIX}neck.down3.0.first.weight" in graph:
        _read_neck(graph, network.neck, kernels)
    for position, layer in enumerate(network.backbone.stem):
        name = f"backbone.stem.{position}"
        if isinstance(layer, ConvNorm) and f"{PREFIX}{name}.weight" in graph:
            outputs, inputs = layer[0].weight.shape[:2]  # type: ignore[union-attr]
            kernel, bias = _convolution(graph, name)
            scale = 1.0 if position else input_scale(std)
            kernels[name] = kernel[:outputs, :inputs] / scale, bias[:outputs]
    return kernels, state


def _read_neck(graph: ArtifactGraph, neck: Neck, kernels: dict[str, KernelBias]) -> None:
    laterals = {"down3": "laterals.0", "down4": "laterals.1"}
    for name in ("down3", "down4", "up4", "up5"):
        first, bias = _convolution(graph, f"neck.{name}.0.first")
        second = graph.value(f"{PREFIX}neck.{name}.0.second.weight")
        if name in laterals:
            kernels[f"neck.{laterals[name]}"] = first, torch.zeros_like(bias)
            first = torch.eye(neck.channels)[:, :, None, None]
        kernels[f"neck.{name}.0"] = torch.cat((first, second), dim=1), bias


def _convolution(graph: ArtifactGraph, name: str) -> KernelBias:
    return graph.value(f"{PREFIX}{name}.weight"), graph.bias_beside(f"{PREFIX}{name}.weight")


def _read_mixer(
    graph: ArtifactGraph,
    name: str,
    mixer: Mrffi,
    kernels: dict[str, KernelBias],
    state: dict[str, Tensor],
) -> None:
    scan, wavelet = mixer.scan, mixer.wavelet
    if not isinstance(scan, AxialScan) or wavelet is None:  # only mixers with both are folded
        raise ValueError(f"{name} has a scan and a wavelet branch there")
    wide, near, _ = mixer.channel_counts
    places = [_convolution(graph, f"{name}.phases.places.{i}") for i in range(len(phases.PLACES))]
    bias = places[0][1]
    mix, local = phases.unfolded(
        torch.stack([kernel for kernel, _ in places]),
        mixer.channel_counts,
        mixer.local[0].weight.shape[-1],  # type: ignore[union-attr]
    )
    kernels[f"{name}.local"] = local, bias[wide : wide + near]
    factor = wavelet.scale.factor.detach()
    state[f"{name}.wavelet.scale.factor"] = factor.clone()
    state[f"{name}.wavelet.mix.weight"] = mix / factor.view(-1, 1, 1, 1)
    state |= _read_scan(graph, f"{name}.scan", scan, bias[:wide])


def _read_scan(
    graph: ArtifactGraph, name: str, scan: AxialScan, shift: Tensor
) -> dict[str, Tensor]:
    kernel, bias = _convolution(graph, f"{name}.project")
    back = folded_order(scan).argsort()
    # untrained ones are equal in several blocks and lie under the name of one: found by where they are used
    conv = graph.only_reader(f"{PREFIX}{name}.project.weight", "Conv")
    values, steps, *_ = graph.only_reader(conv.output[0], "Split").output
    skip, _ = graph.constant_met(values, "Mul", scan.channels)
    step_bias, node = graph.constant_met(steps, "Add", 2 * scan.heads)
    rate, _ = graph.constant_met(node.output[0], "Mul", 2 * scan.heads)
    row_decay_log, column_decay_log = (-rate).log().split(scan.heads)
    return {
        f"{name}.project.weight": kernel[back][:, : scan.channels],
        f"{name}.project.bias": bias[back],
        f"{name}.step_bias": step_bias.reshape(2, -1),
        f"{name}.row_decay_log": row_decay_log,
        f"{name}.column_decay_log": column_decay_log,
        f"{name}.skip.factor": skip.view(1, -1, 1, 1),
        f"{name}.norm.weight": torch.ones_like(shift),
        f"{name}.norm.bias": shift,
        f"{name}.norm.running_mean": torch.zeros_like(shift),
        f"{name}.norm.running_var": torch.full_like(shift, 1 - scan.norm.eps),
    }
