"""The FLM training step in PyTorch: what Fluxion's `flmStep` computes with projected states, operation by operation as PyTorch has it.

The network is that of src/models/networks/dit.ts, the noise that of src/models/flow/noise-root.ts, the loss that of
src/models/language/flm.ts, the update that of src/models/training/state.ts. Parameters have the names of Fluxion's weights.
Sizes are in sizes.json; a test holds them to Fluxion's. Consumed by steps.py.

Logits [batch, length, vocab] are written down, as is usual in PyTorch; Fluxion streams those of large vocabularies, with the same values.
"""

import json
import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZES = json.loads((Path(__file__).parent / "sizes.json").read_text())
ATTENTION_CAP: float = SIZES["cap"]["attention"]
OUTPUT_CAP: float = SIZES["cap"]["output"]
TIME_FEATURES = 256
NOISE_ITERATIONS = 24
NOISE_RIDGE = 1e-6


def cap(x: Tensor, most: float) -> Tensor:
    return most * torch.tanh(x / most)


def gram(table: Tensor) -> Tensor:
    """EᵀE [width, width] with a ridge, for a table E [vocab, width]."""
    product = table.mT @ table
    return product + NOISE_RIDGE * torch.linalg.vector_norm(product) * torch.eye(
        product.shape[0], dtype=product.dtype, device=product.device
    )


def matrix_root(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The square root of a positive definite matrix and its inverse, by the coupled Newton–Schulz iteration."""
    norm = torch.linalg.vector_norm(matrix)
    eye = torch.eye(matrix.shape[0], dtype=matrix.dtype, device=matrix.device)
    a, b = matrix / norm, eye
    for _ in range(NOISE_ITERATIONS):
        step = 0.5 * (3 * eye - b @ a)
        a, b = a @ step, step @ b
    scale = norm.sqrt()
    return a * scale, b / scale


class ProjectedNoise(torch.autograd.Function):
    """z·(EᵀE)^½, whose derivative in E is the expected one of noise that is drawn on the vocabulary: E·S⁻¹·zᵀ·ḡ."""

    @staticmethod
    def forward(ctx, table: Tensor, normals: Tensor) -> Tensor:
        root, inverse = matrix_root(gram(table))
        ctx.save_for_backward(table, normals, inverse)
        return normals @ root

    @staticmethod
    def backward(ctx, gradient: Tensor):
        table, normals, inverse = ctx.saved_tensors
        return table @ (inverse @ (normals.flatten(0, -2).mT @ gradient.flatten(0, -2))), None


def linear_pair(**sizes: tuple[int, int, bool]) -> nn.ModuleDict:
    return nn.ModuleDict({name: nn.Linear(i, o, bias=bias) for name, (i, o, bias) in sizes.items()})


def zeroed(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """An adaLN-zero block: bidirectional attention with rotary positions and capped scores, then a perceptron."""

    def __init__(self, width: int, heads: int, conditioning: int):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, bias=False)
        self.attention = linear_pair(qkv=(width, 3 * width, False), out=(width, width, False))
        self.norm2 = nn.LayerNorm(width, bias=False)
        self.mlp = linear_pair(up=(width, 4 * width, True), down=(4 * width, width, True))
        self.modulation = zeroed(conditioning, 6 * width)

    def attend(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, width = x.shape
        heads = self.attention["qkv"](x).view(batch, length, 3, self.heads, -1)
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)
        q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        # Written out: `scaled_dot_product_attention` has no cap on the scores.
        scores = cap(q @ k.mT / math.sqrt(q.shape[-1]), ATTENTION_CAP)
        mixed = scores.softmax(-1).to(v.dtype) @ v
        return self.attention["out"](mixed.transpose(1, 2).reshape(batch, length, width))

    def forward(self, x: Tensor, condition: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(condition)[:, None].chunk(6, -1)
        x = x + gate1 * self.attend(self.norm1(x) * (1 + scale1) + shift1, cos, sin)
        hidden = F.gelu(self.mlp["up"](self.norm2(x) * (1 + scale2) + shift2), approximate="tanh")
        return x + gate2 * self.mlp["down"](hidden)


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x [batch, heads, length, depth], coordinate i together with i + depth/2."""
    a, b = x.chunk(2, -1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Flm(nn.Module):
    """(tokens [batch, length], normals, tau [batch], t [batch]) -> the FLM loss, in nats per token."""

    def __init__(self, *, vocab: int, length: int, width: int, depth: int, heads: int, conditioning: int):
        super().__init__()
        bound = 1 / math.sqrt(width)
        self.embedding = nn.Parameter(torch.empty(vocab, width).uniform_(-bound, bound))
        self.time = linear_pair(
            hidden=(TIME_FEATURES, conditioning, True), out=(conditioning, conditioning, True)
        )
        self.blocks = nn.ModuleList(Block(width, heads, conditioning) for _ in range(depth))
        self.head = nn.ModuleDict(
            {
                "norm": nn.LayerNorm(width, bias=False),
                "modulation": zeroed(conditioning, 2 * width),
                "linear": zeroed(width, vocab),
            }
        )
        # Constants, computed in doubles.
        half = width // heads // 2
        steps = torch.arange(half, dtype=torch.float64)
        angles = torch.arange(length, dtype=torch.float64)[:, None] * 10_000.0 ** (-steps / half)
        features = torch.arange(TIME_FEATURES // 2, dtype=torch.float64)
        frequencies = 10_000.0 ** (-features / (TIME_FEATURES // 2))
        dtype = torch.get_default_dtype()
        for name, value in (("cos", angles.cos()), ("sin", angles.sin()), ("frequencies", frequencies)):
            self.register_buffer(name, value.to(dtype), persistent=False)

    def noise(self, normals: Tensor) -> Tensor:
        """Noise [batch, length, width] of covariance EᵀE. Of a vocabulary up to the width, normals are [batch, length, vocab]."""
        # The root converges in full precision alone, so autocast leaves it.
        with torch.autocast(normals.device.type, enabled=False):
            vocab, width = self.embedding.shape
            if vocab <= width:
                return normals @ self.embedding
            return ProjectedNoise.apply(self.embedding, normals)

    def forward(self, tokens: Tensor, normals: Tensor, tau: Tensor, t: Tensor) -> Tensor:
        t = t[:, None, None]
        x = (1 - t) * self.noise(normals) + t * F.embedding(tokens, self.embedding)
        angles = tau[:, None] * self.frequencies
        features = torch.cat([angles.cos(), angles.sin()], -1)
        condition = F.silu(self.time["out"](F.silu(self.time["hidden"](features))))
        for block in self.blocks:
            x = block(x, condition, self.cos, self.sin)
        shift, scale = self.head["modulation"](condition)[:, None].chunk(2, -1)
        logits = self.head["linear"](self.head["norm"](x) * (1 + scale) + shift)
        capped = cap(logits.float() if logits.dtype == torch.bfloat16 else logits, OUTPUT_CAP)
        return F.cross_entropy(capped.flatten(0, 1), tokens.flatten())


class Training:
    """A network with its AdamW and its moving average. `loss` may be another, compiled form of the network."""

    def __init__(self, network: Flm):
        update = SIZES["update"]
        self.network = network
        self.loss = network
        self.clip: float = update["clip"]
        self.decay: float = update["emaDecay"]
        self.parameters = list(network.parameters())
        self.ema = [p.detach().clone() for p in self.parameters]
        self.updates = 0
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=update["learningRate"],
            betas=(update["beta1"], update["beta2"]),
            eps=1e-8,
            weight_decay=update["weightDecay"],
            fused=True,
        )

    def step(
        self, tokens: Tensor, normals: Tensor, tau: Tensor, t: Tensor, autocast: torch.dtype | None = None
    ) -> tuple[Tensor, Tensor]:
        """One step: loss, gradient, clipping, AdamW, moving average. Returns the loss and the gradient's norm, on the device."""
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(tokens.device.type, dtype=autocast, enabled=autocast is not None):
            loss = self.loss(tokens, normals, tau, t)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimizer.step()
        self.updates += 1
        with torch.no_grad():
            rate = max(9 / (self.updates + 10), 1 - self.decay)
            torch._foreach_lerp_(self.ema, [p.detach() for p in self.parameters], rate)
        return loss.detach(), norm
