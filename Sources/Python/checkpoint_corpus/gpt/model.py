"""G.pt: a transformer over parameter vectors (reference-system.md, section 6), the same as `corpus train`'s.

The names of its state dictionary are those of the tensors in `model.safetensors`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .configuration import ModelConfiguration, chunks


class ScalarEmbedding(nn.Module):
    """[sin(f x), cos(f x), x] with frequencies f from 1 to 2^14: (...) -> (..., 2 frequencies + 1)."""

    def __init__(self, frequencies: int) -> None:
        super().__init__()
        # Made in float64, so that they are the same everywhere; x f may be millions, and its sine needs every bit.
        values = 2.0 ** (14 * torch.arange(frequencies, dtype=torch.float64) / max(1, frequencies - 1))
        self.register_buffer("frequencies", values.float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            angles = (x.float()[..., None] * self.frequencies.float()).double()
            return torch.cat([angles.sin().float(), angles.cos().float(), x.float()[..., None]], -1)


class Block(nn.Module):
    """Attention and an inner layer of four times the width, each after a normalisation and beside the residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.expansion = nn.Linear(width, 4 * width)
        self.contraction = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, tokens, 3, self.heads, width // self.heads)
        attended = functional.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4))
        x = x + self.projection(attended.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.contraction(functional.gelu(self.expansion(self.norm2(x))))


class GPT(nn.Module):
    """Predicts the clean target parameters out of noised ones, the start, and the metrics that are wanted."""

    def __init__(self, configuration: ModelConfiguration, shapes: list[tuple[int, ...]]) -> None:
        """shapes: those of the architecture's tensors, in their order."""
        super().__init__()
        self.configuration = configuration
        self.lengths = [len(chunk) for chunk in chunks(shapes, configuration.chunk)]
        width = configuration.width
        scalar = 2 * configuration.frequencies + 1
        self.scalars = ScalarEmbedding(configuration.frequencies)
        self.encoders = nn.ModuleList(
            nn.Linear(length, width, bias=False) for length in 2 * self.lengths + 4 * [scalar]
        )
        self.encoder_norm = nn.LayerNorm(width)
        self.positions = nn.Parameter(torch.zeros(len(self.encoders), width))
        self.blocks = nn.ModuleList(Block(width, configuration.heads) for _ in range(configuration.layers))
        self.final_norm = nn.LayerNorm(width)
        self.decoders = nn.ModuleList(nn.Linear(width, length, bias=False) for length in self.lengths)
        self.apply(self._initialize)
        for decoder in self.decoders:
            nn.init.zeros_(decoder.weight)

    @staticmethod
    def _initialize(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(
        self, noised: Tensor, step: Tensor, start: Tensor, start_metric: Tensor, target_metric: Tensor
    ) -> Tensor:
        """noised, start: (B, P), scaled; the rest: (B). Returns (B, P)."""
        c = self.configuration
        metrics = torch.stack([target_metric - start_metric, target_metric, start_metric], 1) * c.metric_scale
        scalars = self.scalars(torch.cat([step[:, None].float() * c.step_scale, metrics], 1)).to(noised.dtype)
        sources = [*noised.split(self.lengths, 1), *start.split(self.lengths, 1), *scalars.unbind(1)]
        x = torch.stack([encoder(source) for encoder, source in zip(self.encoders, sources)], 1)
        x = self.encoder_norm(x) + self.positions
        for block in self.blocks:
            x = block(x)
        x = self.final_norm(x[:, : len(self.decoders)])
        return start + torch.cat([decode(x[:, i]) for i, decode in enumerate(self.decoders)], 1)

    def groups(self, weight_decay: float) -> list[dict]:
        """What an optimizer takes: only the weights of linear layers decay."""
        linear = {id(module.weight) for module in self.modules() if isinstance(module, nn.Linear)}
        decaying = [p for p in self.parameters() if id(p) in linear]
        others = [p for p in self.parameters() if id(p) not in linear]
        return [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
