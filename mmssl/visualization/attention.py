"""Where a backbone looks: responses of convolutional networks, attention of vision transformers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from timm.models.vision_transformer import Attention
from torch import Tensor, nn
from torch.nn import functional as F

from mmssl.evaluation.extract import evaluating
from mmssl.models.backbones.timm_backbone import TimmBackbone
from mmssl.models.layers.pooling import to_vector
from mmssl.utils.errors import UserError
from mmssl.visualization.image_grid import image_grid

CNN_KINDS = ('response', 'similarity')
VIT_KINDS = ('heads', 'rollout')


def attention_maps(
    backbone: nn.Module, images: Tensor, kinds: Sequence[str] = (), reference: Tensor | None = None
) -> dict[str, Tensor]:
    """Draws the maps that are defined for ``backbone``, one image at a time and in evaluation mode.

    Args:
        backbone: A convolutional network, or a vision transformer of timm's blocks.
        images: (N, 3, H, W), normalised.
        kinds: Of ``CNN_KINDS`` or ``VIT_KINDS``; none stands for all that the backbone has.
        reference: (1, 3, H, W), the image whose embedding ``'similarity'`` compares with; None is each image itself.

    Returns:
        Title -> (N, h, w), not negative: ``'response'`` and ``'similarity'``, or ``'head 1'`` and so on and
        ``'rollout'``.

    Raises:
        UserError: A kind does not fit the backbone, or a patch grid does not fit the images.
    """
    is_transformer = any(isinstance(module, Attention) for module in backbone.modules())
    offered = VIT_KINDS if is_transformer else CNN_KINDS
    if not set(kinds) <= set(offered):
        architecture = 'vision transformer' if is_transformer else 'network without the attention blocks of timm'
        raise UserError(
            f'{type(backbone).__name__} is a {architecture}: the kinds of map are {" and ".join(offered)}, '
            f'got {", ".join(kinds)}'
        )
    if reference is not None and 'similarity' not in (kinds or offered):
        raise UserError("a reference image is compared with by the kind 'similarity', of convolutional networks, alone")
    draw = partial(_vit_maps if is_transformer else _cnn_maps, backbone, kinds=kinds or offered, reference=reference)
    with evaluating(backbone):
        maps = [draw(image) for image in images.split(1)]
    return {title: torch.cat([of_image[title] for of_image in maps]) for title in maps[0]}


def _cnn_maps(backbone: nn.Module, images: Tensor, kinds: Sequence[str], reference: Tensor | None) -> dict[str, Tensor]:
    last_map, embed = split_at_last_map(backbone)
    with torch.no_grad():
        features = last_map(images)
        compared = embed(features if reference is None else last_map(reference))
    maps = dict(response=channel_mean, similarity=partial(similarity_cam, embed=embed, reference=compared))
    return {kind: maps[kind](features) for kind in kinds}


def split_at_last_map(
    backbone: nn.Module,
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """Cuts ``backbone`` in two: images to the map (N, C, h, w) of the last stage, and that map to the embedding (N, D).

    The functions raise ``UserError`` where there is no such map.
    """
    pooled = isinstance(backbone, TimmBackbone) and backbone.out_indices is None

    def last_map(images: Tensor) -> Tensor:
        features = backbone.model.forward_features(images) if pooled else backbone(images)
        features = features[-1] if isinstance(features, tuple) else features
        if features.ndim != 4 or pooled and getattr(backbone.model, 'output_fmt', 'NCHW') != 'NCHW':
            raise UserError(
                f'{type(backbone).__name__} returns no map (N, C, h, w) but {tuple(features.shape)}: it has neither '
                'the responses of a convolutional network nor the attention of a vision transformer to show'
            )
        return features

    return last_map, partial(backbone.model.forward_head, pre_logits=True) if pooled else to_vector


def channel_mean(features: Tensor) -> Tensor:
    """Mean absolute response over channels: M_p = mean_c |A_cp|.

    After a ReLU, where a ResNet's stages end, that is the mean.

    Args:
        features: A, (N, C, h, w).

    Returns:
        (N, h, w).
    """
    return features.abs().mean(1)


def similarity_cam(features: Tensor, embed: Callable[[Tensor], Tensor], reference: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al., 2017, arXiv:1610.02391, Eq. 1-2) with a similarity of embeddings as the score.

    s = <f(A), r / |r|>, a_c = mean_p ds/dA_cp, M_p = max(0, sum_c a_c A_cp), p being positions.

    The score is the cosine similarity without the division by |f(A)|: an image compared with itself is at the maximum
    of the cosine, where the gradient is zero. For an embedding that is the mean over positions, M_p is A_p's component
    along r, divided by the number of positions.

    Args:
        features: A, (N, C, h, w).
        embed: f, maps features to (N, D).
        reference: r, (N, D) or (1, D).

    Returns:
        (N, h, w).
    """
    features = features.detach().requires_grad_()
    with torch.enable_grad():
        score = (embed(features) * F.normalize(reference)).sum()
        (gradient,) = torch.autograd.grad(score, features)
    weights = gradient.mean((2, 3), keepdim=True)
    return (weights * features.detach()).sum(1).clamp(min=0)


def _vit_maps(backbone: nn.Module, images: Tensor, kinds: Sequence[str], reference: None) -> dict[str, Tensor]:
    network = getattr(backbone, 'model', backbone)
    num_prefix = getattr(network, 'num_prefix_tokens', 1)  # class token and registers
    if getattr(network, 'cls_token', None) is None:
        raise UserError(f'{type(network).__name__} has no class token whose attention could be shown')
    grid = _patch_grid(network.patch_embed, images.shape[-2:])
    weights = attention_weights(backbone, images)
    maps = {}
    if 'heads' in kinds:
        rows = weights[-1][:, :, 0, num_prefix:]
        maps = {f'head {number}': row.unflatten(-1, grid) for number, row in enumerate(rows.unbind(1), 1)}
    if 'rollout' in kinds:
        maps['rollout'] = attention_rollout(weights)[:, 0, num_prefix:].unflatten(-1, grid)
    return maps


def _patch_grid(patch_embed: nn.Module, size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the patches of an image of ``size`` (height, width)."""
    if getattr(patch_embed, 'strict_img_size', False) and tuple(size) != tuple(patch_embed.img_size):
        raise UserError(f'the network takes images of {patch_embed.img_size} pixels alone, got {tuple(size)}')
    patch = getattr(patch_embed, 'patch_size', (16, 16))  # a convolutional stem has no such attribute
    if any(side % cell for side, cell in zip(size, patch)):
        raise UserError(f'the sides of images must be multiples of the patches of {patch} pixels, got {tuple(size)}')
    return patch_embed.dynamic_feat_size(size)


@torch.no_grad()
def attention_weights(backbone: nn.Module, images: Tensor) -> list[Tensor]:
    """Attention weights softmax(q k^T / sqrt(d)) of every block, first to last, in one pass over the images.

    timm computes attention by one fused operation that returns no weights. The modules behind which queries and keys
    are ready, ``q_norm`` and ``k_norm`` (an identity where a network does not normalise them), are listened to instead,
    so the pass itself is that of the network.

    Args:
        backbone: A vision transformer of timm's blocks.
        images: (N, 3, H, W), normalised.

    Returns:
        One (N, heads, T, T) per block, T tokens; rows sum to one.
    """
    layers = [module for module in backbone.modules() if isinstance(module, Attention)]
    seen: dict[nn.Module, Tensor] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen[module] = output

    handles = [part.register_forward_hook(note) for layer in layers for part in (layer.q_norm, layer.k_norm)]
    try:
        backbone(images)
    finally:
        for handle in handles:
            handle.remove()
    return [(seen[layer.q_norm] * layer.scale @ seen[layer.k_norm].mT).softmax(-1) for layer in layers]


def attention_rollout(weights: Sequence[Tensor]) -> Tensor:
    """Attention rollout (Abnar and Zuidema, 2020, arXiv:2005.00928, Sec. 3): how far tokens flow through all blocks.

    The product R = B_L ... B_1 of B_i = (mean over heads of A_i + I) / 2, the identity being the residual path.

    Args:
        weights: A_i, one (N, heads, T, T) per block, first to last.

    Returns:
        (N, T, T); row 0 says what the class token is made of. Rows sum to one.
    """
    rolled = torch.eye(weights[0].shape[-1], device=weights[0].device)
    for weight in weights:
        rolled = (weight.mean(1) @ rolled + rolled) / 2
    return rolled


def overlay(images: Tensor, maps: Tensor, opacity: float = 0.55) -> Tensor:
    """Lays maps as colours over grey images, each from blue at its least to red at its greatest value.

    Args:
        images: uint8 (N, 3, H, W).
        maps: (N, h, w); resized to the images, bilinear.
        opacity: Of the colours, in [0, 1].

    Returns:
        float32 (N, 3, H, W) in [0, 1].
    """
    low, high = maps.flatten(1).aminmax(dim=1)
    heat = (maps - low[:, None, None]) / (high - low).clamp(min=1e-12)[:, None, None]
    heat = F.interpolate(heat[:, None].float(), images.shape[-2:], mode='bilinear')[:, 0]
    colours = torch.from_numpy(colormaps['turbo'](heat.cpu().numpy())[..., :3]).permute(0, 3, 1, 2).float()
    grey = images.cpu().float().mean(1, keepdim=True) / 255  # colours of an image would be taken for those of its map
    return (1 - opacity) * grey + opacity * colours


def attention_figure(images: Tensor, maps: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """Draws images in rows: the image, then for each backbone its maps over it, backbones side by side.

    Args:
        images: uint8 (N, 3, H, W).
        maps: Name of the backbone, '' for none -> what ``attention_maps`` returns.
    """
    columns, titles, gaps = [images.cpu() / 255], ['image'], []
    for name, of_backbone in maps.items():
        gaps.append(len(columns))
        columns += [overlay(images, values) for values in of_backbone.values()]
        labels = list(of_backbone)
        titles += [f'{name}\n{labels[0]}'.lstrip(), *labels[1:]]
    return image_grid(torch.stack(columns, 1), titles, gaps=gaps, side=2.0 if len(columns) <= 8 else 1.4)
