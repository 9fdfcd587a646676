"""Any model of timm as a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import timm
import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.checkpoints.adaptation import adapt_on_load
from mmssl.models.layers.layer_order import OrderedLayers
from mmssl.models.layers.patches import hide_patches
from mmssl.models.layers.relative_positions import num_relative_positions, resize_relative_table, square_grid
from mmssl.registry import BACKBONES


@BACKBONES.register_module()
class TimmBackbone(OrderedLayers, BaseModule):
    """A timm model without its classifier, in the attribute ``model``: parameters have timm's names after ``model.``.

    With ``out_indices`` timm leaves out layers and gives others new names, such as ``stages_0`` for ``stages.0``. A
    checkpoint of the same model without ``out_indices`` is renamed when it is loaded, and what was left out is ignored.

    Args:
        name: Name of a model in ``timm.list_models()``.
        out_indices: Feature levels whose maps are returned; None returns the pooled vector instead.
        pool: Whether the pooled vector is returned; False returns a tuple with the last map, after the final norm. The
            parameters have the same names in both cases.
        pretrained: Whether to load timm's published weights, which are downloaded.
        init_cfg: MMEngine's initialisation config.
        **kwargs: Arguments of ``timm.create_model``, such as ``img_size`` or ``drop_path_rate``.

    Raises:
        ValueError: timm has no model of this name.
    """

    options_go_to = timm.create_model

    def __init__(
        self,
        name: str,
        out_indices: Sequence[int] | None = None,
        pool: bool = True,
        pretrained: bool = False,
        init_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(init_cfg)
        if not timm.is_model(name):
            close = get_close_matches(name, timm.list_models(), n=3)
            raise ValueError(f'timm {timm.__version__} has no model {name!r}; similar names: {close}')
        self.out_indices = None if out_indices is None else tuple(out_indices)
        self.pool = pool
        self._options = name, kwargs
        self.model: Any
        if self.out_indices is None:
            self.model = timm.create_model(name, pretrained=pretrained, num_classes=0, **kwargs)
            self.feature_dim = self.model.num_features
        else:
            self.model = timm.create_model(
                name, pretrained=pretrained, features_only=True, out_indices=self.out_indices, **kwargs
            )
            self.feature_dim = self.model.feature_info.channels()[-1]
            adapt_on_load(self, _rename_for_maps)
        self.is_pretrained = pretrained  # ``in_channels`` then adapts the first layer instead of a new one
        # Some timm models have a method init_weights(); MMEngine would call it and overwrite pretrained weights.
        self.model.is_init = True
        adapt_on_load(self, _resize_loaded_tables)

    @property
    def patch_embed(self) -> Any:
        """The layer that embeds the patches of an image.

        Raises:
            ValueError: The model has no ``patch_embed``.
        """
        model = getattr(self.model, 'model', self.model)  # timm wraps models that return maps
        if not hasattr(model, 'patch_embed'):
            raise ValueError(f'{type(model).__name__} of timm has no patch_embed, so no patches can be hidden')
        return model.patch_embed

    @property
    def embed_dim(self) -> int:
        """Width of an embedded patch, and of a mask token."""
        return self.patch_embed.proj.out_channels

    def forward(
        self, images: Tensor, mask: Tensor | None = None, mask_token: Tensor | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        """Returns the pooled vector (N, D), or maps (N, C_i, H_i, W_i): one per entry of ``out_indices``, or the last
        one.

        Args:
            images: (N, 3, H, W), normalised.
            mask: (N, L) bool, True = hidden: ``mask_token`` replaces the embedded patch, after the norm of the patch
                embedding and before positions are added. For models with a ``patch_embed``, such as Swin. None hides
                none.
            mask_token: (1, 1, ``embed_dim``), needed with ``mask``.
        """
        if mask is None:
            return self._encode(images)
        hook = self.patch_embed.register_forward_hook(lambda module, args, x: _hide(x, mask, mask_token))
        try:
            return self._encode(images)
        finally:
            hook.remove()

    @cached_property
    def whole_names(self) -> dict[str, str | None]:
        """Name in the whole model -> name in this one; None for what ``out_indices`` leaves out."""
        name, options = self._options
        with torch.device('meta'):
            whole, own = timm.create_model(name, **options).state_dict(), self.state_dict()
        places = {key: (f'model.{key}', f'model.model.{key}', f'model.{key.replace(".", "_", 1)}') for key in whole}
        return {f'model.{key}': next((place for place in places[key] if place in own), None) for key in whole}

    def ordered_blocks(self) -> Sequence[nn.Module]:
        """Returns the elements of lists called ``blocks``, or of the stages ``layer1`` ... of a residual network."""
        found: dict[str, nn.Module] = {}
        for name, module in self.named_modules():
            parent = name.split('.')[-2:-1]
            is_stage = parent == ['blocks'] or parent and parent[0][:-1] == 'layer' and parent[0][-1].isdigit()
            if is_stage and name.rpartition('.')[2].isdigit() and not name.startswith(tuple(f'{n}.' for n in found)):
                found[name] = module
        return list(found.values())

    def _encode(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        if self.out_indices is not None:
            maps = self.model(images)
            is_channels_last = getattr(self.model, 'output_fmt', None) == 'NHWC'  # as those of Swin
            return tuple(level.permute(0, 3, 1, 2).contiguous() if is_channels_last else level for level in maps)
        if self.pool:
            return self.model(images)
        return tuple(self.model.forward_intermediates(images, indices=1, norm=True, intermediates_only=True))


def _rename_for_maps(module: TimmBackbone, state_dict: dict, prefix: str, *args: object) -> None:
    """Gives the tensors of the whole model the names of a model with ``out_indices``."""
    names = [key.removeprefix(prefix) for key in state_dict if key.startswith(f'{prefix}model.')]
    own = module.state_dict()
    for name in [name for name in names if name not in own and name in module.whole_names]:
        place, tensor = module.whole_names[name], state_dict.pop(f'{prefix}{name}')
        if place is not None:
            state_dict[f'{prefix}{place}'] = tensor


def _hide(x: Tensor, mask: Tensor, mask_token: Tensor | None) -> Tensor:
    """Replaces hidden patches of ``x``, (N, L, D) or (N, rows, columns, D), with the mask token."""
    return hide_patches(x.flatten(1, -2), mask, mask_token).view(x.shape)


def _resize_loaded_tables(module: TimmBackbone, state_dict: dict, prefix: str, *args: object) -> None:
    """Resizes tables of relative positions in a checkpoint, for square windows, to the windows of this model."""
    for name, part in module.named_modules():
        key = f'{prefix}{name}.relative_position_bias_table'
        own = getattr(part, 'relative_position_bias_table', None)
        if key not in state_dict or own is None or own.ndim != 2 or len(state_dict[key]) == len(own):
            continue
        window = (part.window_size[0], part.window_size[1])
        extra = len(own) - num_relative_positions(window)  # rows of a class token
        state_dict[key] = resize_relative_table(state_dict[key], square_grid(state_dict[key], extra), window)
