"""The vision transformer of CAPI."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from timm.layers import PatchEmbed
from torch import Tensor, nn

from mmssl.models.backbones.vision_transformer import resolve_arch
from mmssl.models.layers.coordinates import edge_coordinates, grid_coordinates
from mmssl.models.layers.initialization import xavier_uniform_linear
from mmssl.models.layers.layer_order import OrderedLayers
from mmssl.models.layers.loading import skip_on_load
from mmssl.models.layers.patches import embed_visible, select_patches
from mmssl.models.layers.rotary_block import NORM_EPS, RotaryBlock
from mmssl.registry import BACKBONES
from mmssl.utils.arguments import check_block_indices, check_choices


@BACKBONES.register_module()
class CAPIViT(OrderedLayers, BaseModule):
    """Vision transformer with rotary positions and registers, without biases (Darcet et al., 2025, arXiv:2502.08769).

    The positions of patches are fractions of the image, so images of every size and shape pass without a table, and
    their padding at the bottom and on the right counts as image. Registers stand on the edge of the box around the
    visible patches. Norms are root-mean-square norms, the last one without weight.

    Args:
        arch: Architecture, see ``VisionTransformer``, without its options; the width of a head must be a multiple of 4.
        patch_size: Side of a patch in pixels.
        registers: Number R of registers, a multiple of 4.
        output: Output: ``'mean'``, the mean of the patch tokens; ``'tokens'``, all tokens, registers first; ``'maps'``,
            the feature maps of ``out_indices``. The final norm is applied to all of them.
        out_indices: Blocks whose outputs are the maps, for ``output='maps'`` only. Blocks after the last of them are
            not built, and their tensors in a checkpoint are ignored.
        drop_path_rate: Stochastic depth probability of every block, see ``BatchSubsetBlock``.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: An argument has another value than those above.
    """

    edge: Tensor

    def __init__(
        self,
        arch: str | dict = 'large',
        patch_size: int = 14,
        registers: int = 16,
        output: str = 'mean',
        out_indices: Sequence[int] = (-1,),
        drop_path_rate: float = 0.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choices(output=(output, ('mean', 'tokens', 'maps')))
        dim, depth, num_heads, mlp_ratio = resolve_arch(arch)
        check_block_indices(out_indices, depth)
        self.embed_dim = self.feature_dim = dim
        self.patch_size, self.output = patch_size, output
        self.num_prefix_tokens = registers
        self.out_indices = tuple(sorted(index % depth for index in out_indices))
        num_blocks = max(self.out_indices) + 1 if output == 'maps' else depth
        self.patch_embed = PatchEmbed(None, patch_size, embed_dim=dim, strict_img_size=False, dynamic_img_pad=True)
        self.reg_token = nn.Parameter(nn.init.normal_(torch.empty(1, registers, dim), std=0.02))
        self.register_buffer('edge', edge_coordinates(registers), persistent=False)
        self.blocks = nn.ModuleList(
            RotaryBlock(dim, num_heads, mlp_ratio, drop_path=drop_path_rate) for _ in range(num_blocks)
        )
        self.norm = nn.RMSNorm(dim, eps=NORM_EPS, elementwise_affine=False)
        skip_on_load(self, *(f'blocks.{index}.' for index in range(num_blocks, depth)))
        self.apply(xavier_uniform_linear)
        nn.init.xavier_uniform_(self.patch_embed.proj.weight.detach().flatten(1))

    def forward(self, images: Tensor, keep: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        """Encodes all patches of images, or only the visible patches.

        Args:
            images: (N, 3, H, W), normalised.
            keep: (N, K) int64, positions of the visible patches; None encodes all L patches.

        Returns:
            (N, D) for ``'mean'``, (N, R + K, D) for ``'tokens'``, and for ``'maps'`` one (N, D, rows, columns) per
            entry of ``out_indices``.

        Raises:
            ValueError: ``keep`` is given with ``output='maps'``.
        """
        if keep is not None and self.output == 'maps':
            raise ValueError("keep drops patches, so there are no whole maps: choose another output than 'maps'")
        is_whole = images.shape[-2] % self.patch_size == images.shape[-1] % self.patch_size == 0
        if keep is None:
            x = self.patch_embed(images)  # (N, L, D)
        elif is_whole:
            x = embed_visible(self.patch_embed.proj, images, keep)  # (N, K, D)
        else:
            x = select_patches(self.patch_embed(images), keep)
        places = self.places(images, keep)
        x = torch.cat([self.reg_token.expand(x.shape[0], -1, -1), x], dim=1)  # full precision between the blocks
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x, places)
            if self.output == 'maps' and index in self.out_indices:
                maps.append(self._map(self.norm(x), images))
        if self.output == 'maps':
            return tuple(maps)
        x = self.norm(x)
        return x if self.output == 'tokens' else x[:, self.num_prefix_tokens :].mean(dim=1)

    def places(self, images: Tensor, keep: Tensor | None = None) -> Tensor:
        """Returns rows and columns in [0, 1] of all tokens, (N, R + K, 2); the arguments are those of ``forward``."""
        patches = self.patch_places(images, keep)
        low, high = patches.amin(dim=1, keepdim=True), patches.amax(dim=1, keepdim=True)
        return torch.cat([low + self.edge.to(patches.dtype) * (high - low), patches], dim=1)

    def patch_places(self, images: Tensor, positions: Tensor | None = None) -> Tensor:
        """Returns rows and columns in [0, 1], (N, P, 2), of the patches at ``positions`` (N, P) int64, all if None."""
        places = grid_coordinates(self._grid(images), self.reg_token).expand(images.shape[0], -1, -1)
        return places if positions is None else select_patches(places, positions)

    def ordered_blocks(self) -> Sequence[nn.Module]:
        """Returns the transformer blocks."""
        return list(self.blocks)

    def _grid(self, images: Tensor) -> tuple[int, int]:
        height, width = images.shape[-2:]
        return self.patch_embed.dynamic_feat_size((height, width))

    def _map(self, x: Tensor, images: Tensor) -> Tensor:
        tokens = x[:, self.num_prefix_tokens :]
        return tokens.transpose(1, 2).unflatten(2, self._grid(images))
