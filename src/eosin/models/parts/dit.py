"""A transformer over genes: one token per gene, the condition enters by adaptive layer norms (adaLN-Zero).

The parts that Stem (Zhu et al., ICLR 2025) and FLAG share; the design is that of DiT (Peebles and Xie, 2023):

    token_g = MLP(x_g) + E_g                              a learned vector for each gene; no positions
    block:    h <- h + a_1 * Attention(s_1 * LN(h) + b_1)   the six a, s, b are linear in SiLU(condition)
              h <- h + a_2 * MLP(s_2 * LN(h) + b_2)         and start at 0: an untrained block changes nothing
    answer:   Linear(s * LN(h) + b)                       starts at 0

Spots are independent rows here; whatever they share must be in the condition.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from eosin.errors import EosinError

N_WAVES = 256


class TimeEmbedding(nn.Module):
    """Noise levels t [b] (any real numbers, published models use 0 to 999) -> [b width]."""

    frequencies: Tensor

    def __init__(self, width: int, n_waves: int = N_WAVES):
        super().__init__()
        half = n_waves // 2
        waves = torch.exp(-math.log(10_000) * torch.arange(half) / half)
        self.register_buffer("frequencies", waves, persistent=False)
        self.mlp = nn.Sequential(nn.Linear(n_waves, width), nn.SiLU(), nn.Linear(width, width))
        start_small(self.mlp)

    def forward(self, t: Tensor) -> Tensor:
        """[b] -> [b width]."""
        phase = t[:, None].to(self.frequencies.dtype) * self.frequencies
        return self.mlp(torch.cat([phase.cos(), phase.sin()], -1))


def start_small(mlp: nn.Sequential) -> None:
    """Normal(0, 0.02) weights and no offsets, as DiT starts what makes its condition."""
    for layer in mlp:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)


def start_by_xavier(module: nn.Module) -> None:
    """Xavier-uniform weights and no offsets in every linear map of a module."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


class Block(nn.Module):
    """Attention over genes and a feed-forward map, both modulated."""

    def __init__(self, width: int, n_heads: int, mlp_ratio: float, dropout: float):
        super().__init__()
        self.n_heads = n_heads
        hidden = int(width * mlp_ratio)
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.qkv, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, width))
        self.modulate = nn.Linear(width, 6 * width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, modulation: Tensor) -> Tensor:
        """`tokens` [k b g width], `modulation` [b 6*width] of the spots, shared by the k draws."""
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = modulation[:, None].chunk(6, -1)
        attended = self._attend(torch.addcmul(shift_1, self.norm(tokens), 1 + scale_1))
        tokens = torch.addcmul(tokens, gate_1, self.dropout(attended))
        changed = self.mlp(torch.addcmul(shift_2, self.norm(tokens), 1 + scale_2))
        return torch.addcmul(tokens, gate_2, self.dropout(changed))

    def _attend(self, tokens: Tensor) -> Tensor:
        flat = tokens.flatten(0, 1)
        q, k, v = self.qkv(flat).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2)
        return self.join(mixed).view_as(tokens)


class GeneDiT(nn.Module):
    """Noisy expression of a spot's genes and its condition -> one or several numbers per gene.

    Parameters
    ----------
    n_genes
        Genes, in the panel's order; the network is equivariant to a permutation of genes and their embeddings.
    width, depth, n_heads, mlp_ratio
        Size; the defaults are Stem's.
    out_channels
        Numbers per gene: 1 (noise) or 2 (noise and a share of variance).
    tap
        Also return the tokens after this many blocks, 1 to `depth`.
    dropout
        Of what each block adds; 0 in the publications.
    """

    def __init__(
        self,
        n_genes: int,
        width: int = 384,
        depth: int = 12,
        n_heads: int = 6,
        mlp_ratio: float = 4.0,
        out_channels: int = 1,
        tap: int | None = None,
        *,
        dropout: float = 0.0,
    ):
        super().__init__()
        if width % n_heads:
            raise EosinError(f"width {width} cannot be split among {n_heads} heads", fix="choose n_heads to divide it")
        if tap is not None and not 1 <= tap <= depth:
            raise EosinError(f"there is no block {tap} among {depth}", fix=f"choose one of 1 to {depth}")
        self.n_genes, self.width, self.tap = n_genes, width, tap
        self.value = nn.Sequential(nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width))
        # as in both releases; N(0, 1) would hide the token's value, whose embedding starts much smaller
        self.gene = nn.Parameter(torch.empty(n_genes, width).uniform_(-(width**-0.5), width**-0.5))
        self.blocks = nn.ModuleList(Block(width, n_heads, mlp_ratio, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.modulate = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, out_channels)
        self._start()

    def _start(self) -> None:
        start_by_xavier(self)
        for layer in (*(block.modulate for block in self.blocks), self.modulate, self.out):
            nn.init.zeros_(layer.weight)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """`x` [b g] or [k b g], `condition` [b width] -> [.. b g out_channels], and the tapped tokens if asked for.

        With k draws of every spot the condition's part is computed once for all of them.
        """
        return self.apply_modulations(x, self.modulations(condition))

    def modulations(self, condition: Tensor) -> list[Tensor]:
        """All that depends on the condition [b width] only: one tensor per block and one for the end."""
        active = silu(condition)
        return [block.modulate(active) for block in self.blocks] + [self.modulate(active)]

    def apply_modulations(self, x: Tensor, modulations: list[Tensor]) -> Tensor | tuple[Tensor, Tensor]:
        """`forward` from what `modulations` gave."""
        lead = x.shape[:-1]
        tokens = self.value(x.reshape(-1, *x.shape[-2:])[..., None]) + self.gene
        tapped = None
        for number, (block, modulation) in enumerate(zip(self.blocks, modulations), start=1):
            tokens = block(tokens, modulation)
            if number == self.tap:
                tapped = tokens.reshape(*lead, self.n_genes, self.width)
        shift, scale = modulations[-1][:, None].chunk(2, -1)
        answer = self.out(torch.addcmul(shift, self.norm(tokens), 1 + scale))
        answer = answer.reshape(*lead, self.n_genes, -1)
        return answer if tapped is None else (answer, tapped)
