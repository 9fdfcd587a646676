"""The vision transformer of CAE."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmssl.checkpoints.adaptation import adapt_on_load
from mmssl.models.backbones.beit_vit import BEiTViT
from mmssl.models.layers.initialization import xavier_uniform_linear
from mmssl.models.layers.loaded_positions import resample_loaded_positions
from mmssl.models.layers.patches import select_patches
from mmssl.models.layers.positions import antialiased_positions, sincos_positions
from mmssl.registry import BACKBONES
from mmssl.utils.arguments import check_choices


@BACKBONES.register_module()
class CAEViT(BEiTViT):
    """BEiT's transformer with fixed sine-cosine positions, rows first (Chen et al., 2022, arXiv:2202.03026).

    In pre-training it encodes visible patches only and has no relative positions; fine-tuning adds a table per block,
    which keeps its initial values when a checkpoint without tables is loaded. Sine-cosine positions are resampled,
    antialiased, for images or checkpoints of another size.

    Args:
        arch: Architecture, see ``VisionTransformer``; a dict has no ``registers``, ``ffn`` or ``layer_scale``.
        relative_table: Table of relative positions: ``'none'`` or ``'per-block'``.
        init: Initialisation: ``'xavier'``, Xavier uniform (the official base model); ``'beit'``, that of ``BEiTViT``
            (large).
        **options: Other arguments of ``BEiTViT``.

    Raises:
        ValueError: An argument has another value than those above.
    """

    num_prefix_positions = 1

    def __init__(
        self, arch: str | dict = 'base', *, relative_table: str = 'none', init: str = 'xavier', **options: Any
    ) -> None:
        check_choices(relative_table=(relative_table, ('none', 'per-block')), init=(init, ('xavier', 'beit')))
        super().__init__(arch, relative_table=relative_table, **options)
        table = sincos_positions(self.grid_size, self.embed_dim, 'row', torch.float32)
        self.pos_embed = nn.Parameter(table, requires_grad=False)
        adapt_on_load(self, resample_loaded_positions)
        adapt_on_load(self, _keep_new_tables)
        if init == 'xavier':
            self.apply(xavier_uniform_linear)

    def forward(  # type: ignore[override]
        self, images: Tensor, keep: Tensor | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        """Encodes all patches of images or only the visible patches.

        Args:
            images: (N, 3, H, W), normalised.
            keep: (N, K) int64, positions of the visible patches; None encodes all L patches.

        Returns:
            See ``BEiTViT``; with ``keep`` the tokens are (N, 1 + K, D).

        Raises:
            ValueError: ``keep`` is given, but there are relative positions, or the output is ``'maps'``.
        """
        has_tables = getattr(self.blocks[0].attn, 'relative_position_bias_table', None) is not None
        if keep is not None and (self.output == 'maps' or has_tables):
            raise ValueError("visible patches alone need relative_table='none' and another output than 'maps'")
        height, width = images.shape[-2:]
        rows, columns = self.patch_embed.dynamic_feat_size((height, width))
        positions = antialiased_positions(self.pos_embed, (rows, columns), self.grid_size)
        x = self.patch_embed(images) + positions[:, 1:]  # (N, L, D)
        if keep is not None:
            x = select_patches(x, keep)
        first = self.cls_token + positions[:, :1]
        return self._encode(torch.cat([first.to(x.dtype).expand(x.shape[0], -1, -1), x], dim=1), (rows, columns))


def _keep_new_tables(module: CAEViT, state_dict: dict, prefix: str, *args: object) -> None:
    """Keeps the tables of ``module`` that a checkpoint of pre-training lacks."""
    for name, own in module.named_parameters():
        if name.endswith('.relative_position_bias_table'):
            state_dict.setdefault(prefix + name, own.detach())
