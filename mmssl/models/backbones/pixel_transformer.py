"""A transformer over the colours of pixels, as in iGPT."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from mmssl.models.backbones.vision_transformer import resolve_arch
from mmssl.models.layers.layer_order import OrderedLayers
from mmssl.models.targets.color_words import ColorWords
from mmssl.registry import BACKBONES
from mmssl.utils.arguments import check_choices

ARCHS = {
    'igpt-small': dict(embed_dim=512, depth=24, num_heads=8),
    'igpt-medium': dict(embed_dim=1024, depth=36, num_heads=8),
    'igpt-large': dict(embed_dim=1536, depth=48, num_heads=16),
}

Past = dict[nn.Module, tuple[Tensor, Tensor]]


class PixelAttention(nn.Module):
    """Multi-head attention without biases.

    Args:
        dim: Width D.
        num_heads: Number of heads.
        causal: Whether a position sees only itself and the positions before it.
    """

    def __init__(self, dim: int, num_heads: int, causal: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.causal = causal
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.proj = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        """Returns (N, L, D) for tokens (N, L, D); with ``past`` they follow the tokens whose keys it holds."""
        query, key, value = self.qkv(x).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        is_first = past is None or self not in past
        if past is not None:
            if self in past:
                key, value = (torch.cat([old, new], dim=2) for old, new in zip(past[self], (key, value)))
            past[self] = key, value
        # One token that follows others sees all of them.
        x = scaled_dot_product_attention(query, key, value, is_causal=self.causal and is_first)
        return self.proj(x.transpose(1, 2).flatten(2))


class PixelMLP(nn.Module):
    """Two linear layers without biases around ``x sigmoid(1.702 x)``; ``hidden`` is the width between them."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden, bias=False)
        self.fc2 = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (N, L, D) for tokens (N, L, D)."""
        x = self.fc1(x)
        return self.fc2(x * (1.702 * x).sigmoid())


class PixelBlock(nn.Module):
    """A block with norms before attention and MLP, see ``PixelAttention`` and ``PixelMLP``."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float, causal: bool) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(dim, eps=1e-5)
        self.attn = PixelAttention(dim, num_heads, causal)
        self.norm2 = nn.RMSNorm(dim, eps=1e-5)
        self.mlp = PixelMLP(dim, int(dim * mlp_ratio))

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        """Returns (N, L, D) for tokens (N, L, D); for ``past`` see ``PixelAttention``."""
        x = x + self.attn(self.norm1(x), past)
        return x + self.mlp(self.norm2(x))


@BACKBONES.register_module()
class PixelTransformer(OrderedLayers):
    """Transformer like GPT-2 over the colours of a small image (Chen et al., 2020, *Generative Pretraining from
    Pixels*).

    Each pixel becomes the index of the nearest of C colours, and the image a sequence in row-major order. With
    ``causal``, the sequence is shifted by one position behind a learned start vector, so that the output at a position
    depends on the pixels before it; otherwise every position sees all pixels. Norms have neither mean nor bias, and no
    layer has a bias. Images of another size than ``img_size`` are reduced by averaging areas.

    Args:
        arch: ``'igpt-small'``, ``'igpt-medium'``, ``'igpt-large'``, or a dict as in ``VisionTransformer``.
        img_size: Side of the image in pixels; the sequence has ``img_size ** 2`` positions.
        num_colors: Number C of colours.
        causal: Whether a position sees only the pixels before it.
        output: ``'mean'``, the mean over positions, or ``'tokens'``.
        feature_block: Number of blocks before the features of ``forward``, which are the input of the next block after
            its first norm; None runs all blocks and the final norm. It is for frozen features: the middle of the
            network represents images best, and blocks behind it get no gradient in fine-tuning.
        mean: Mean of red, green and blue, on the scale 0-255, that the preprocessor has subtracted.
        std: Standard deviation of red, green and blue, on the scale 0-255, by which the preprocessor has divided.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: An argument has another value than those above.
    """

    undecayed = {'pos_embed', 'start_token'}
    num_prefix_tokens = 0

    def __init__(
        self,
        arch: str | dict = 'igpt-small',
        img_size: int = 32,
        num_colors: int = 512,
        causal: bool = True,
        output: str = 'mean',
        feature_block: int | None = None,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choices(output=(output, ('mean', 'tokens')))
        dim, depth, num_heads, mlp_ratio = resolve_arch(ARCHS.get(arch, arch) if isinstance(arch, str) else arch)
        if feature_block is not None and not 0 < feature_block < depth:
            raise ValueError(f'feature_block must lie in 1 to {depth - 1}, or be None, got {feature_block}')
        self.embed_dim = self.feature_dim = dim
        self.img_size, self.causal, self.output, self.feature_block = img_size, causal, output, feature_block
        self.colors = ColorWords(num_colors, mean, std)
        self.color_embed = nn.Embedding(num_colors, dim)
        self.pos_embed = nn.Parameter(torch.empty(1, img_size**2, dim))
        self.start_token = nn.Parameter(torch.empty(1, 1, dim)) if causal else None
        self.blocks = nn.ModuleList(PixelBlock(dim, num_heads, mlp_ratio, causal) for _ in range(depth))
        self.norm = nn.RMSNorm(dim, eps=1e-5)
        self._init_parameters(dim, depth)

    def forward(self, images: Tensor, words: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Encodes images.

        Args:
            images: (N, 3, H, W), normalised.
            words: (N, L) int64, the colours of ``images``, for a prediction of colours.
            mask: (N, L) bool, see ``encode``; with ``words`` alone.

        Returns:
            Features (N, D) for ``'mean'``, (N, L, D) for ``'tokens'``; with ``words`` the tokens of ``encode``.
        """
        if words is not None:
            return self.encode(words, mask)
        tokens = self.encode(self.words(images), num_blocks=self.feature_block)
        return tokens.mean(dim=1) if self.output == 'mean' else tokens

    @torch.no_grad()
    def words(self, images: Tensor) -> Tensor:
        """Returns the colours (N, L) int64, L = ``img_size ** 2``, of normalised images (N, 3, H, W)."""
        if images.shape[-2:] != (self.img_size, self.img_size):
            images = interpolate(images, (self.img_size, self.img_size), mode='area')
        return self.colors(images)

    def encode(
        self,
        words: Tensor,
        mask: Tensor | None = None,
        num_blocks: int | None = None,
        past: Past | None = None,
        start: int = 0,
    ) -> Tensor:
        """Encodes sequences of colours.

        Args:
            words: (N, L) int64, colours; with ``past`` those before position ``start + 1``, of which the ones from
                ``start`` on are encoded.
            mask: (N, L) bool, True = hidden: the embedding of these positions is 0; None hides none.
            num_blocks: Number of blocks to run, see ``feature_block``; None runs all.
            past: Keys and values of the positions before ``start``, by layer, to which those of this call are added.
            start: First position that is encoded.

        Returns:
            (N, L - start, D); with ``causal`` the output at a position does not depend on the colour there.
        """
        x = self.color_embed(words)
        if mask is not None:
            x = x.masked_fill(mask.unsqueeze(-1), 0)
        if self.start_token is not None:
            x = torch.cat([self.start_token.to(x.dtype).expand(x.shape[0], -1, -1), x[:, :-1]], dim=1)
        x = (x + self.pos_embed[:, : x.shape[1]])[:, start:]
        for block in self.blocks[:num_blocks]:
            x = block(x, past)
        return self.norm(x) if num_blocks is None else self.blocks[num_blocks].get_submodule('norm1')(x)

    def ordered_blocks(self) -> Sequence[nn.Module]:
        """Returns the transformer blocks."""
        return list(self.blocks)

    def _init_parameters(self, dim: int, depth: int) -> None:
        """Sets the official initial values."""
        nn.init.normal_(self.color_embed.weight, std=0.02)
        nn.init.normal_(self.pos_embed, std=0.01)
        if self.start_token is not None:
            nn.init.normal_(self.start_token, std=0.02)
        for name, parameter in self.blocks.named_parameters():
            if parameter.ndim > 1:
                std = {'qkv': dim**-0.5, 'proj': (dim * depth) ** -0.5}.get(name.split('.')[-2], 0.02)
                nn.init.normal_(parameter, std=std)
