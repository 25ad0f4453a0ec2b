"""Adam (Kingma and Ba 2015) for SAEs.

In: an SAE with gradients in `grad`. Out: its parameters and moments after a step, with what decoder rows of unit norm
need around it. `RowAdam` is for the CPU, in one pass over the weights; `FusedAdam` is PyTorch's own, on any device.
"""

from typing import TYPE_CHECKING

import torch

from coact.sae.kernels import descend_rows
from coact.training import set_learning_rate

if TYPE_CHECKING:
    from coact.sae.architectures import Architecture

BETAS = (0.9, 0.999)


class RowAdam:
    """Adam (Kingma and Ba 2015) for an SAE on the CPU, with what unit decoder rows need, in one pass over the weights.

    A step is `project_gradients`, `torch.optim.Adam`'s step and `normalize_decoder`, to the rounding of float32.

    Args:
        sae: the SAE, all of whose parameters are float32 on the CPU.
        betas: decay of the means and of the squares.
        epsilon: added to the root of the squares.
    """

    def __init__(self, sae: "Architecture", betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8) -> None:
        self.betas, self.epsilon, self.steps = betas, epsilon, 0
        self._sae = sae
        self._moments = {name: torch.zeros(2, *self._rows(name, value).shape) for name, value in sae.named_parameters()}

    def _rows(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """A parameter, or what has its shape, as a row per feature; what is no matrix as one row. Not a copy."""
        if tensor.dim() < 2:
            return tensor.detach().view(1, -1)
        return tensor.detach().T if self._sae.FEATURE_AXIS.get(name) == 1 else tensor.detach()

    @torch.no_grad()
    def step(self, rate: float, factor: float = 1.0) -> None:
        """Descend the gradients in `grad`; parameters without one stay.

        Args:
            rate: learning rate.
            factor: what the gradients are multiplied by first (to clip them).
        """
        self.steps += 1
        corrections = tuple(1 - beta**self.steps for beta in self.betas)
        for name, parameter in self._sae.named_parameters():
            if parameter.grad is not None:
                descend_rows(
                    self._rows(name, parameter).numpy(),
                    self._rows(name, parameter.grad).contiguous().numpy(),
                    *self._moments[name].numpy(),
                    factor,
                    rate,
                    self.betas,
                    corrections,
                    self.epsilon,
                    name == "W_dec" and self._sae.decoder_norm == "unit",
                )
        self._sae.bound_parameters()

    def reset_features(self, which: torch.Tensor) -> None:
        """Forget the moments of features (n,) int64."""
        for name in self._sae.FEATURE_AXIS:
            moments = self._moments[name]
            if self._sae.get_parameter(name).dim() < 2:
                moments[:, 0, which] = 0
            else:
                moments[:, which] = 0

    def state(self) -> dict[str, torch.Tensor]:
        """Steps, and both moments of every parameter, (2, rows, n) float32; not copied."""
        return {"steps": torch.tensor(self.steps), **self._moments}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from what `state` gave."""
        self.steps = int(state["steps"])
        for name, moments in self._moments.items():
            moments.copy_(state[name])


class FusedAdam:
    """Adam by PyTorch's fused loops, on any device, and what decoder rows need around its step.

    Fused loops go through the memory of a parameter, its gradient and its moments side by side, so all have the strides
    of the parameter. `coact.sae.descent.RowAdam` has the same methods.
    """

    def __init__(self, sae: "Architecture") -> None:
        self._sae = sae
        self._adam = torch.optim.Adam(sae.parameters(), betas=BETAS, fused=True)

    def step(self, rate: float, factor: float = 1.0) -> None:
        """Descend the gradients times `factor` at a learning rate, across decoder rows where these keep unit norm."""
        for parameter in self._sae.parameters():
            if factor != 1 and parameter.grad is not None:
                parameter.grad.mul_(factor)
        self._sae.project_gradients()
        set_learning_rate(self._adam, rate)
        self._adam.step()
        self._sae.normalize_decoder()

    def reset_features(self, which: torch.Tensor) -> None:
        """Forget the moments of features (n,) int64."""
        for name, axis in self._sae.FEATURE_AXIS.items():
            for key, moments in self._adam.state[self._sae.get_parameter(name)].items():
                if key != "step":
                    moments.index_fill_(axis, which, 0)

    def state(self) -> dict[str, torch.Tensor]:
        """Steps and moments, by "<parameter>.<name>"."""
        return {
            f"{name}.{key}": value
            for name, parameter in self._sae.named_parameters()
            for key, value in self._adam.state[parameter].items()
        }

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from what `state` gave."""
        for name, value in state.items():
            owner, _, key = name.rpartition(".")
            parameter = self._sae.get_parameter(owner)
            room = torch.empty_like(value if key == "step" else parameter, device=parameter.device)
            self._adam.state[parameter][key] = room.copy_(value)
