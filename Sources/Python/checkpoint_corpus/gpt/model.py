"""G.pt: a transformer over parameter vectors (Schemas/reference.md, section 6), the same as `corpus train`'s.

The names of its state dictionary are those of the tensors in `model.safetensors`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .configuration import ModelConfiguration
from .tokens import Layers, chain, chunks, units


class ScalarEmbedding(nn.Module):
    """[sin(f x), cos(f x), x] with frequencies f from 1 to 2^octaves: (...) -> (..., 2 frequencies + 1)."""

    def __init__(self, frequencies: int, octaves: float) -> None:
        super().__init__()
        # Made in float64, so that they are the same everywhere; x f may be millions, and its sine needs every bit.
        values = 2.0 ** (octaves * torch.arange(frequencies, dtype=torch.float64) / max(1, frequencies - 1))
        self.register_buffer("frequencies", values.float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            angles = (x.float()[..., None] * self.frequencies.float()).double()
            return torch.cat([angles.sin().float(), angles.cos().float(), x.float()[..., None]], -1)


class Block(nn.Module):
    """A transformer block: (B, T, d) -> (B, T, d). Its layers are named as their tensors in model files."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.expansion = nn.Linear(width, 4 * width)
        self.contraction = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, links: Tensor | None) -> Tensor:
        """links: (B, 1, T, T), how much of another token's values each gets beside what it attends to."""
        x = x + self.attn(self.norm1(x), links)
        return x + self.mlp(self.norm2(x))

    def attn(self, x: Tensor, links: Tensor | None) -> Tensor:
        batch, tokens, width = x.shape
        heads = (batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = self.qkv(x).view(heads).permute(2, 0, 3, 1, 4)  # (B, heads, T, d / heads) each
        y = functional.scaled_dot_product_attention(q, k, v)  # (B, heads, T, d / heads)
        if links is not None:
            y = y + links.to(v.dtype) @ v
        return self.projection(y.transpose(1, 2).reshape(batch, tokens, width))

    def mlp(self, x: Tensor) -> Tensor:
        return self.contraction(functional.gelu(self.expansion(x)))


class GPT(nn.Module):
    """Predicts x0, the clean target parameters, out of the noised ones, xT, the start, and the metrics that are wanted."""

    def __init__(self, configuration: ModelConfiguration, shapes: list[tuple[int, ...]], layers: Layers | None = None
    ) -> None:
        """shapes: those of the architecture's tensors, in their order; layers: its hidden layers, where units are tokens."""
        super().__init__()
        self.configuration = configuration
        if configuration.tokens == "units":
            self.tokens = units(layers or chain(shapes), configuration.chunk)
        else:
            self.tokens = chunks(shapes, configuration.chunk)
        order = torch.tensor(self.tokens.order)
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("inverse_order", order.argsort(), persistent=False)
        width = configuration.width
        scalar = 2 * configuration.frequencies + 1
        lengths = [length for _, length in self.tokens.kinds]
        self.scalars = ScalarEmbedding(configuration.frequencies, configuration.octaves)
        self.encoders = nn.ModuleList(nn.Linear(length, width, bias=False) for length in 2 * lengths + 4 * [scalar])
        self.encoder_norm = nn.LayerNorm(width)
        if configuration.tokens == "units":
            # A unit's target and start are one token, and no unit of a layer comes before another.
            rows = [kind for kind, (count, _) in enumerate(self.tokens.kinds) for _ in range(count)]
            rows += range(len(lengths), len(lengths) + 4)
        else:
            rows = list(range(2 * self.tokens.count + 4))
        self.register_buffer("position_of", torch.tensor(rows), persistent=False)
        self.positions = nn.Parameter(torch.zeros(max(rows) + 1, width))
        self.blocks = nn.ModuleList(Block(width, configuration.heads) for _ in range(configuration.layers))
        self.final_norm = nn.LayerNorm(width)
        self.decoders = nn.ModuleList(nn.Linear(width, length, bias=False) for length in lengths)
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
        """noised, start: (B, P), scaled; the rest: (B). Returns (B, P).

        T tokens of d floats: the C of the noised target, those of the start where they are apart, and 4 scalars.
        """
        c = self.configuration
        metrics = torch.stack([target_metric - start_metric, target_metric, start_metric], 1) * c.metric_scale  # (B, 3)
        scalars = self.scalars(torch.cat([step[:, None].float() * c.step_scale, metrics], 1))  # (B, 4, 2 frequencies + 1)
        kinds = len(self.tokens.kinds)
        target = self._encode(noised, self.encoders[:kinds])  # (B, C, d)
        origin = self._encode(start, self.encoders[kinds:-4])  # (B, C, d)
        networks = [target + origin] if c.tokens == "units" else [target, origin]
        prompt = [encode(x)[:, None] for encode, x in zip(self.encoders[-4:], scalars.to(noised.dtype).unbind(1))]
        x = self.encoder_norm(torch.cat(networks + prompt, 1)) + self.positions[self.position_of]  # (B, T, d)
        links = self._links(start)  # (B, 1, T, T)
        for block in self.blocks:
            x = block(x, links)  # (B, T, d)
        return start + self._decode(self.final_norm(x[:, : self.tokens.count]))  # (B, P)

    def _links(self, start: Tensor) -> Tensor | None:
        """The weights of the start between the units that two tokens stand for: (B, 1, T, T)."""
        if not self.tokens.links:
            return None
        tokens = len(self.position_of)
        links = start.new_zeros(len(start), 1, tokens, tokens)
        for link in self.tokens.links:
            weights = start[:, link.location].unflatten(1, link.shape).sum(-1)
            links[:, 0, link.outputs, link.inputs] = weights
            links[:, 0, link.inputs, link.outputs] = weights.transpose(1, 2)
        return links

    def _encode(self, vectors: Tensor, encoders: nn.ModuleList) -> Tensor:
        """(B, P) -> (B, C, d)."""
        parts = vectors[:, self.order].split([count * length for count, length in self.tokens.kinds], 1)
        kinds = zip(encoders, parts, self.tokens.kinds)
        return torch.cat([encode(part.unflatten(1, kind)) for encode, part, kind in kinds], 1)

    def _decode(self, x: Tensor) -> Tensor:
        """(B, C, d) -> (B, P)."""
        parts = x.split([count for count, _ in self.tokens.kinds], 1)
        vectors = torch.cat([decode(part).flatten(1) for decode, part in zip(self.decoders, parts)], 1)
        return vectors[:, self.inverse_order]

    def groups(self, weight_decay: float) -> list[dict]:
        """What an optimizer takes: only the weights of linear layers decay."""
        linear = {id(module.weight) for module in self.modules() if isinstance(module, nn.Linear)}
        decaying = [p for p in self.parameters() if id(p) in linear]
        others = [p for p in self.parameters() if id(p) not in linear]
        return [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
