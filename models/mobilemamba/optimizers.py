"""Which optimiser moves which parameters of a run: one or two of them, used as one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from mobilemamba.detector import Detector
from mobilemamba.muon import Muon

OPTIMIZERS = ("adamw", "muon")
ADAMW_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Optimizers:
    """Optimisers of parameters that are apart, and the parameters of all, in order."""

    parts: tuple[Optimizer, ...]

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Of every part; a parameter's place here is its number in a checkpoint."""
        return [p for part in self.parts for p in _of(part)]

    def step(self, rate: float) -> None:
        """Take a step at the learning rate `rate`, and forget the gradients."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()
            part.zero_grad(set_to_none=True)

    def moments(self) -> dict[int, dict[str, Tensor]]:
        """What is kept of each parameter that was moved yet, by the parameter's place."""
        moments: dict[int, dict[str, Tensor]] = {}
        first = 0
        for part in self.parts:
            held = part.state_dict()["state"]
            moments |= {first + index: dict(of_one) for index, of_one in held.items()}
            first += len(_of(part))
        return moments

    def moment_names(self) -> list[tuple[str, ...]]:
        """Names of what is kept, for each parameter."""
        return [_moment_names(part) for part in self.parts for _ in _of(part)]

    def restore(self, moments: dict[int, dict[str, Tensor]]) -> None:
        """Put back what `moments` gave."""
        first = 0
        for part in self.parts:
            count = len(_of(part))
            own = {i - first: moments[i] for i in range(first, first + count) if i in moments}
            groups = part.state_dict()["param_groups"]
            part.load_state_dict({"state": own, "param_groups": groups})
            first += count


def optimizers_for(
    network: Detector, objective: nn.Module, kind: str, rate: float, weight_decay: float
) -> Optimizers:
    """Of all parameters of both.

    Args:
        network: the detector.
        objective: its loss, which may learn a projection.
        kind: "adamw" for everything by AdamW, "muon" for Muon on kernels that mix channels.
        rate: the learning rate.
        weight_decay: of kernels; norms, biases and other vectors have none.
    """
    parameters = [*network.parameters(), *objective.parameters()]
    matrices = _mixing_kernels(network, objective) if kind == "muon" else []
    taken = {id(p) for p in matrices}
    others = [p for p in parameters if id(p) not in taken]
    groups = [
        {"params": [p for p in others if _is_kernel(p)], "weight_decay": weight_decay},
        {"params": [p for p in others if not _is_kernel(p)], "weight_decay": 0.0},
    ]
    adamw = AdamW(groups, lr=rate)
    return Optimizers((adamw, Muon(matrices, rate, weight_decay)) if matrices else (adamw,))


def _of(part: Optimizer) -> list[nn.Parameter]:
    return [p for group in part.param_groups for p in group["params"]]


def _moment_names(part: Optimizer) -> tuple[str, ...]:
    return part.MOMENTS if isinstance(part, Muon) else ADAMW_MOMENTS


def _is_kernel(parameter: nn.Parameter) -> bool:
    return parameter.ndim == 4 and parameter.shape[0] > 1  # a `ChannelScale` is [1, C, 1, 1]


def _mixing_kernels(network: Detector, objective: nn.Module) -> list[nn.Parameter]:
    """Those that mix channels, which a depthwise kernel [C, 1, k, k] does not, and do not say an answer."""
    answers = network.head.last_layers()
    layers = [m for m in (*network.modules(), *objective.modules()) if m not in answers]
    kernels = [m.weight for m in layers if isinstance(m, nn.Conv2d | nn.Linear)]
    return [kernel for kernel in kernels if min(kernel.shape[:2]) > 1]
