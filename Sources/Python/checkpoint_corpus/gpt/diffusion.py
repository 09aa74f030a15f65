"""Gaussian diffusion whose model predicts x0, the clean vector, as in `corpus train`."""

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
        #: (diffusion steps): alpha bar, the part of x0's variance that is left at each timestep.
        self.register_buffer("kept", torch.cumprod(1 - betas, 0), persistent=False)

    def noised(self, target: Tensor, step: Tensor, noise: Tensor) -> Tensor:
        """xT (B, P) of x0 (B, P), the target, at timesteps (B), with standard normal noise (B, P)."""
        alpha_bar = self.kept[step][:, None]  # (B, 1)
        return alpha_bar.sqrt().float() * target + (1 - alpha_bar).sqrt().float() * noise

    def loss(self, model: nn.Module, batch: dict[str, Tensor], step: Tensor, noise: Tensor) -> Tensor:
        """The mean squared error of the predicted x0."""
        xt = self.noised(batch["target"], step, noise)  # (B, P)
        x0 = model(xt, step, batch["start"], batch["start_metric"], batch["target_metric"])  # (B, P)
        return nn.functional.mse_loss(x0, batch["target"])

    @torch.no_grad()
    def sample(
        self, model: nn.Module, start: Tensor, start_metric: Tensor, target_metric: Tensor,
        steps: int | None = None, sampler: str = "ddim", noise: Tensor | None = None,
    ) -> Tensor:
        """Samples of the target parameters: (B, P), scaled. `ddpm` is the diffusion's own noisy way back."""
        count = steps or len(self.kept)
        last = len(self.kept) - 1
        timesteps = [round(i * last / (count - 1)) if count > 1 else last for i in range(count)]
        xt = torch.randn_like(start) if noise is None else noise
        for i in reversed(range(count)):
            now = self.kept[timesteps[i]].item()
            before = self.kept[timesteps[i - 1]].item() if i else 1.0
            step = torch.full((len(start),), timesteps[i], device=start.device)
            x0 = model(xt, step, start, start_metric, target_metric)
            if sampler == "ddim":
                ratio = ((1 - before) / (1 - now)) ** 0.5
                xt = (before**0.5 - ratio * now**0.5) * x0 + ratio * xt
            else:
                beta = 1 - now / before
                xt = before**0.5 * beta / (1 - now) * x0 + (now / before) ** 0.5 * (1 - before) / (1 - now) * xt
                if i:
                    xt = xt + beta**0.5 * torch.randn_like(xt)
        return xt
