"""Gaussian diffusion whose model predicts the clean vector, as in `corpus train`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .configuration import ModelConfiguration


class Diffusion(nn.Module):
    """Noises targets for training, and draws samples."""

    def __init__(self, configuration: ModelConfiguration) -> None:
        super().__init__()
        c = configuration
        betas = torch.linspace(c.first_beta, c.last_beta, c.diffusion_steps, dtype=torch.float64)
        #: The share of the clean vector's variance that is left after each step.
        self.register_buffer("kept", torch.cumprod(1 - betas, 0), persistent=False)

    def noised(self, target: Tensor, step: Tensor, noise: Tensor) -> Tensor:
        kept = self.kept[step][:, None]
        return kept.sqrt().float() * target + (1 - kept).sqrt().float() * noise

    def loss(self, model: nn.Module, batch: dict[str, Tensor], step: Tensor, noise: Tensor) -> Tensor:
        """The mean squared error of the predicted clean targets."""
        noised = self.noised(batch["target"], step, noise)
        predicted = model(noised, step, batch["start"], batch["start_metric"], batch["target_metric"])
        return nn.functional.mse_loss(predicted, batch["target"])

    @torch.no_grad()
    def sample(
        self, model: nn.Module, start: Tensor, start_metric: Tensor, target_metric: Tensor,
        steps: int | None = None, sampler: str = "ddim", noise: Tensor | None = None,
    ) -> Tensor:
        """Samples of the target parameters: (B, P), scaled. `ddpm` is the diffusion's own noisy way back."""
        count = steps or len(self.kept)
        last = len(self.kept) - 1
        places = [round(i * last / (count - 1)) if count > 1 else last for i in range(count)]
        x = torch.randn_like(start) if noise is None else noise
        for i in reversed(range(count)):
            now = self.kept[places[i]].item()
            before = self.kept[places[i - 1]].item() if i else 1.0
            step = torch.full((len(start),), places[i], device=start.device)
            clean = model(x, step, start, start_metric, target_metric)
            if sampler == "ddim":
                ratio = ((1 - before) / (1 - now)) ** 0.5
                x = (before**0.5 - ratio * now**0.5) * clean + ratio * x
            else:
                beta = 1 - now / before
                x = before**0.5 * beta / (1 - now) * clean + (now / before) ** 0.5 * (1 - before) / (1 - now) * x
                if i:
                    x = x + beta**0.5 * torch.randn_like(x)
        return x
