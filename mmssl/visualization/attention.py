"""Maps of where a backbone looks: responses of convolutional networks, attention of vision transformers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

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
    backbone: Any, images: Tensor, kinds: Sequence[str] = (), reference: Tensor | None = None
) -> dict[str, Tensor]:
    """Computes maps of where ``backbone`` looks, one image at a time and in evaluation mode.

    Args:
        backbone: Convolutional network, or vision transformer built from timm's ``Attention``.
        images: (N, 3, H, W), normalised.
        kinds: Kinds of map, from ``CNN_KINDS`` for a convolutional network or ``VIT_KINDS`` for a vision transformer;
            empty computes all of them.
        reference: (1, 3, H, W), normalised, the image with whose embedding the kind ``'similarity'`` compares; None
            compares each image with itself.

    Returns:
        Title -> map (N, h, w) >= 0. The titles are ``'response'`` and ``'similarity'`` for a convolutional network,
        ``'head 1'``, ``'head 2'``, ... and ``'rollout'`` for a vision transformer.

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
        raise UserError("only the kind 'similarity' of convolutional networks uses a reference image")
    draw_maps: Callable[..., dict[str, Tensor]] = _vit_maps if is_transformer else _cnn_maps
    draw = partial(draw_maps, backbone, kinds=kinds or offered, reference=reference)
    with evaluating(backbone):
        maps = [draw(image) for image in images.split(1)]
    return {title: torch.cat([of_image[title] for of_image in maps]) for title in maps[0]}


def _cnn_maps(backbone: Any, images: Tensor, kinds: Sequence[str], reference: Tensor | None) -> dict[str, Tensor]:
    last_map, embed = split_at_last_map(backbone)
    with torch.no_grad():
        features = last_map(images)
        compared = embed(features if reference is None else last_map(reference))
    maps: dict[str, Callable[[Tensor], Tensor]] = dict(
        response=channel_mean, similarity=partial(similarity_cam, embed=embed, reference=compared)
    )
    return {kind: maps[kind](features) for kind in kinds}


def split_at_last_map(
    backbone: Any,
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """Splits ``backbone`` at the feature map of its last stage.

    Returns:
        A function from images (N, 3, H, W) to that map (N, C, h, w), and a function from the map to the embedding
        (N, D). The first raises a ``UserError`` if the backbone returns no such map.
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
    """Mean absolute response over channels: M_p = mean_c |A_cp| at position p.

    The stages of a ResNet end with a ReLU, so there it equals the mean response.

    Args:
        features: Feature map A, (N, C, h, w).

    Returns:
        (N, h, w).
    """
    return features.abs().mean(1)


def similarity_cam(features: Tensor, embed: Callable[[Tensor], Tensor], reference: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al., 2017, arXiv:1610.02391, Eq. 1-2) with a similarity of embeddings as the score.

    s = <f(A), r / |r|>, a_c = mean_p ds/dA_cp, M_p = max(0, sum_c a_c A_cp) at position p.

    The score is the cosine similarity without the division by |f(A)|, because the cosine of an image with itself is at
    its maximum, where the gradient is zero. If the embedding is the mean over positions, M_p is the component of A_p
    along r, divided by the number of positions.

    Args:
        features: Feature map A, (N, C, h, w).
        embed: Function f from a feature map to embeddings (N, D).
        reference: Embeddings r to compare with, (N, D) or (1, D).

    Returns:
        (N, h, w).
    """
    features = features.detach().requires_grad_()
    with torch.enable_grad():
        score = (embed(features) * F.normalize(reference)).sum()
        (gradient,) = torch.autograd.grad(score, features)
    weights = gradient.mean((2, 3), keepdim=True)
    return (weights * features.detach()).sum(1).clamp(min=0)


def _vit_maps(backbone: Any, images: Tensor, kinds: Sequence[str], reference: Tensor | None) -> dict[str, Tensor]:
    network = getattr(backbone, 'model', backbone)
    num_prefix = getattr(network, 'num_prefix_tokens', 1)  # the class token and register tokens precede the patches
    if getattr(network, 'cls_token', None) is None:
        raise UserError(f'{type(network).__name__} has no class token, and the maps show the attention of that token')
    grid = patch_grid(network.patch_embed, images.shape[-2:])
    weights = attention_weights(backbone, images)
    maps = {}
    if 'heads' in kinds:
        rows = weights[-1][:, :, 0, num_prefix:]
        maps = {f'head {number}': row.unflatten(-1, grid) for number, row in enumerate(rows.unbind(1), 1)}
    if 'rollout' in kinds:
        maps['rollout'] = attention_rollout(weights)[:, 0, num_prefix:].unflatten(-1, grid)
    return maps


def patch_grid(patch_embed: Any, size: Sequence[int]) -> tuple[int, int]:
    """Returns (rows, columns) of the patches of an image of ``size`` (height, width)."""
    if getattr(patch_embed, 'strict_img_size', False) and tuple(size) != tuple(patch_embed.img_size):
        raise UserError(f'the network only takes images of {patch_embed.img_size} pixels, got {tuple(size)}')
    patch = getattr(patch_embed, 'patch_size', (16, 16))  # a convolutional stem has no such attribute
    if any(side % cell for side, cell in zip(size, patch)):
        raise UserError(f'the sides of images must be multiples of the patches of {patch} pixels, got {tuple(size)}')
    return patch_embed.dynamic_feat_size(size)


@torch.no_grad()
def attention_weights(backbone: Any, images: Tensor) -> list[Tensor]:
    """Attention weights softmax(q k^T / sqrt(d)) of every block, first to last, from one forward pass.

    timm computes attention with ``scaled_dot_product_attention``, which returns no weights. Forward hooks on ``q_norm``
    and ``k_norm`` (an identity in networks that do not normalise queries and keys) read the queries and keys instead,
    and the forward pass of the network does not change.

    Args:
        backbone: Vision transformer built from timm's ``Attention``.
        images: (N, 3, H, W), normalised.

    Returns:
        One (N, heads, T, T) per block for T tokens; rows sum to one.
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
    """Attention rollout (Abnar and Zuidema, 2020, arXiv:2005.00928, Sec. 3): attention through all blocks together.

    R = B_L ... B_1 with B_i = (mean over heads of A_i + I) / 2. The identity I stands for the residual connection.

    Args:
        weights: Attention weights A_i, one (N, heads, T, T) per block, first to last.

    Returns:
        R (N, T, T); row 0 holds the share of every input token in the class token. Rows sum to one.
    """
    rolled = torch.eye(weights[0].shape[-1], device=weights[0].device)
    for weight in weights:
        rolled = (weight.mean(1) @ rolled + rolled) / 2
    return rolled


def overlay(images: Tensor, maps: Tensor, opacity: float = 0.55) -> Tensor:
    """Draws maps as colours over grey images; each map runs from blue at its minimum to red at its maximum.

    Args:
        images: uint8 (N, 3, H, W).
        maps: (N, h, w), resized to the images with bilinear interpolation.
        opacity: Opacity of the colours in [0, 1].

    Returns:
        float32 (N, 3, H, W) in [0, 1].
    """
    low, high = maps.flatten(1).aminmax(dim=1)
    heat = (maps - low[:, None, None]) / (high - low).clamp(min=1e-12)[:, None, None]
    heat = F.interpolate(heat[:, None].float(), images.shape[-2:], mode='bilinear')[:, 0]
    colours = torch.from_numpy(colormaps['turbo'](heat.cpu().numpy())[..., :3]).permute(0, 3, 1, 2).float()
    grey = images.cpu().float().mean(1, keepdim=True) / 255  # colours of the image would mix with those of the map
    return (1 - opacity) * grey + opacity * colours


def attention_figure(images: Tensor, maps: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """Draws one row per image: the image, then the maps of each backbone over the image.

    Args:
        images: uint8 (N, 3, H, W).
        maps: Name of a backbone (may be empty) -> its maps as ``attention_maps`` returns them.
    """
    columns, titles, gaps = [images.cpu() / 255], ['image'], []
    for name, of_backbone in maps.items():
        gaps.append(len(columns))
        columns += [overlay(images, values) for values in of_backbone.values()]
        labels = list(of_backbone)
        titles += [f'{name}\n{labels[0]}'.lstrip(), *labels[1:]]
    return image_grid(torch.stack(columns, 1), titles, gaps=gaps, side=2.0 if len(columns) <= 8 else 1.4)
