"""The network inside a released artifact, as one that can be trained on.

An artifact holds no batch norms after its convolutions: the exporter folds them in. Parameters keep their names in
the graph, so kernels are found by name, and what a norm had become by its convolution's bias. Artifacts made before
there was `folding` hold the step biases and decay rates of the scans as constants computed ahead, which are found by
walking the graph; of newer ones `folding.reading` turns back what was folded.
The result is compared with the artifact before anything is made of it.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError
from torch import Tensor, nn

from flawspec.manifest import ArtifactManifest
from mobilemamba.artifact_graph import PREFIX, ArtifactGraph
from mobilemamba.blocks import AxialScan
from mobilemamba.checkpoint import CheckpointError
from mobilemamba.detector import Detector
from mobilemamba.export import ExportError, check_parity, textured_pictures
from mobilemamba.folding.convolutions import KernelBias
from mobilemamba.folding.reading import read_folded
from mobilemamba.layers import ConvNorm
from mobilemamba.wrapper import ArtifactNetwork

KERNEL_NORM = 3**-0.5  # of an output channel in PyTorch's default initialisation, whatever its size
PARITY_PICTURES = 8


def load_artifact(path: Path, manifest: ArtifactManifest, network: Detector) -> None:
    """Put an artifact's weights into `network`, which then says the same in evaluation mode.

    Kernels before a norm are rescaled to the length of freshly made ones, the norm makes up for it, so
    that a step of the optimiser is as large for them as it was in the artifact's own training.

    Args:
        path: the file.
        manifest: what it says about itself.
        network: of the artifact's size and number of classes.

    Raises:
        CheckpointError: it holds another network, or one that cannot be told from its graph.
    """
    try:
        content = path.read_bytes()
        graph = ArtifactGraph(onnx.ModelProto.FromString(content).graph)
        network.load_state_dict(_state(graph, network, manifest.normalisation_std))
        served = ArtifactNetwork(
            network.eval(), manifest.normalisation_mean, manifest.normalisation_std
        )
        size = (manifest.input_height_px, manifest.input_width_px)
        check_parity(served, content, textured_pictures(PARITY_PICTURES, *size, seed=0))
    except (DecodeError, KeyError, RuntimeError, ValueError, ExportError) as error:
        raise CheckpointError(
            f"{path} does not hold the network that model.size, model.scan and model.wavelet describe, or was exported "
            f"by another release: {str(error).splitlines()[0]}"
        ) from error


@torch.no_grad()
def recalibrate(network: nn.Module, pictures: Tensor, batch_size: int = 16) -> None:
    """Set the statistics of every batch norm to those of `pictures`, scale and shift so that nothing else changes.

    Evaluation gives what it gave; training, which normalises by each batch, then starts from nearly the same.

    Args:
        network: with batch norms; its mode is left as it was.
        pictures: what `network` takes, float [N, 1, H, W]; different ones, some dozens.
        batch_size: pictures at a time.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    sums = {norm: torch.zeros(3, norm.num_features, dtype=torch.float64) for norm in norms}

    def collect(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].double()
        count = torch.full_like(x[0, :, 0, 0], x.numel() / x.shape[1])
        sums[norm] += torch.stack((x.sum((0, 2, 3)), x.square().sum((0, 2, 3)), count)).cpu()  # type: ignore[index]

    hooks = [norm.register_forward_pre_hook(collect) for norm in norms]
    was_training = network.training
    network.eval()
    for start in range(0, len(pictures), batch_size):
        network(pictures[start : start + batch_size])
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    for norm, (total, squares, count) in sums.items():
        mean = total / count
        _set_statistics(norm, mean, (squares / count - mean.square()).clamp(min=0))


def _set_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()  # type: ignore[union-attr]
    offset = norm.bias.double() - norm.running_mean.double() * factor  # type: ignore[union-attr]
    norm.running_mean.copy_(mean)  # type: ignore[union-attr]
    norm.running_var.copy_(variance)  # type: ignore[union-attr]
    norm.weight.copy_(factor * (variance + norm.eps).sqrt())
    norm.bias.copy_(offset + mean * factor)


def _state(graph: ArtifactGraph, network: Detector, std: float) -> dict[str, Tensor]:
    """A whole state dict for `network`.

    The exporter keeps one of several equal tensors under one name. Biases are therefore found beside their
    kernels; a factor or a statistic that has no name of its own was never trained, and is as it was made.
    """
    state = {
        name: graph.value(PREFIX + name) if PREFIX + name in graph else value.clone()
        for name, value in network.state_dict().items()
    }
    kernels, folded_state = read_folded(graph, network, std)
    for name, module in network.named_modules():
        if isinstance(module, ConvNorm) and f"{PREFIX}{name}.1.weight" not in graph:
            weight_name = f"{PREFIX}{name}.0.weight"
            found = kernels.get(name) or (graph.value(weight_name), graph.bias_beside(weight_name))
            state |= _unfolded(name, module, found)
        elif isinstance(module, nn.Conv2d) and module.bias is not None:
            state[f"{name}.bias"] = graph.bias_beside(f"{PREFIX}{name}.weight")
        elif isinstance(module, AxialScan) and f"{name}.step_bias" not in folded_state:
            state |= _scan_constants(graph, name, module)
    return state | folded_state


def _unfolded(name: str, module: ConvNorm, found: KernelBias) -> dict[str, Tensor]:
    """Kernel and norm of one convolution whose norm was folded; the norm's statistics are those of no picture."""
    kernel, shift = found
    length = kernel.flatten(1).norm(dim=1)
    # a channel that a norm has silenced stays as it is
    factor = torch.where(length > 1e-6, KERNEL_NORM / length.clamp(min=1e-6), 1.0)
    norm = module[1]
    assert isinstance(norm, nn.BatchNorm2d)  # noqa: S101 - for the type checker
    return {
        f"{name}.0.weight": kernel * factor[:, None, None, None],
        f"{name}.1.weight": 1 / factor,
        f"{name}.1.bias": shift,
        f"{name}.1.running_mean": torch.zeros_like(shift),
        f"{name}.1.running_var": torch.full_like(shift, 1 - norm.eps),
    }


def _scan_constants(graph: ArtifactGraph, name: str, module: AxialScan) -> dict[str, Tensor]:
    """Step biases and decay logs: the steps of rows and columns are outputs 1 and 4 of the projection's split."""
    conv = graph.only_reader(f"{PREFIX}{name}.project.weight", "Conv")
    steps = graph.only_reader(conv.output[0], "Split").output
    biases, decays = [], []
    for output in (steps[1], steps[4]):
        bias, node = graph.constant_met(output, "Add", module.heads)
        rate, _ = graph.constant_met(node.output[0], "Mul", module.heads)
        biases.append(bias)
        decays.append((-rate).log())
    return {
        f"{name}.step_bias": torch.stack(biases),
        f"{name}.row_decay_log": decays[0],
        f"{name}.column_decay_log": decays[1],
    }
