"""Recognition of a backbone and its config by the names and shapes of its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mmssl.converters.architectures import convnets, transformers
from mmssl.converters.source import ADDER_RESNET, HIVIT, RESNET, SCALED_VIT, SWIN, VIT, Tensors
from mmssl.converters.sources.beit import BEIT

_PLAIN = r'stem\.[01]\.\w+|fc\.(fc|bn)[67]\.\w+'  # Sobel and fully connected layers
_NAMES = {
    'MAE': rf'backbone\.{VIT}|neck\.(mask_token|pos_embed|(embed|norm|predict)\.\w+|blocks\.\d+\.\S+)',
    'AdderResNet': ADDER_RESNET,
    'AdderVGG': r'stem\.(conv|bn)\.\w+|stages\.(0\.0|[12]\.[12])\.(conv\.adder|bn\.\w+)',
    'LeNet5BN': r'stem\.(conv|bn)\.\w+|stages\.([01]\.1|2\.0)\.(conv\.adder|bn\.\w+)',
    'ResNet': RESNET,
    'VisionTransformer': SCALED_VIT,
    'BEiTViT': BEIT,
    'CAEViT': rf'pos_embed|{BEIT}',
    'CAPIViT': (
        r'reg_token|patch_embed\.proj\.\w+'
        r'|blocks\.\d+\.((norm[12]|attn\.(q|k|v|proj)|mlp\.fc[12])\.weight|attn\.frequencies)'
    ),
    'ConvViT': (
        r'pos_embed|(norm|project|fuse\.[01])\.\w+|embeds\.[012]\.(proj|norm)\.\w+'
        r'|stages\.[01]\.\d+\.(norm[12]|conv[12]|attn|mlp\.fc[12])\.\w+'
        r'|blocks\.\d+\.(norm[12]|attn\.(qkv|proj)|mlp\.fc[12])\.\w+'
    ),
    'HiViT': rf'{HIVIT}|blocks\.\d+\.(mlp\.(w[123]|ffn_ln)\.\w+|attn\.([qv]_bias|[qkv]_proj\.weight))',  # Fast-iTPN
    'Swin': rf'model\.{SWIN}',
    'TimmBackbone': r'model\..+',
    'WideResNet': r'(stem\.(conv|bn)|stages\.\d\.(\d+\.(act[12]\.bn|conv[12]|shortcut)|bn))\.\w+',
    'PreActResNet': r'stem\.conv\.weight|stages\.\d\.\d+\.(bn[123]\.\w+|(conv[123]|shortcut)\.weight)',
    # The names of AlexNet (one convolution per stage) and of NIN (no biases) also match VGG16, so the order matters.
    'AlexNet': rf'stages\.\d\.0\.(conv|bn)\.\w+|{_PLAIN}',
    'NIN': r'stages\.\d\.\d\.(conv\.weight|bn\.\w+)',
    'VGG16': rf'stages\.\d\.\d\.(conv|bn)\.\w+|{_PLAIN}',
}
_STEMS = (
    'conv1.weight',
    'patch_embed.proj.weight',
    'patch_embed.proj.0.weight',
    'model.patch_embed.proj.weight',
    'stem.conv.weight',
)


def kind(tensors: Tensors) -> str | None:
    """Returns the kind of backbone to which tensors belong by their names; None if the names match no kind.

    The kind is the name of the class, but ``'Swin'`` for a ``TimmBackbone`` with a Swin transformer, and ``'MAE'`` for
    the tensors of a whole masked autoencoder.
    """
    for backbone, pattern in _NAMES.items():
        if all(re.fullmatch(pattern, name) for name in tensors):
            is_patch_vit = backbone == 'VisionTransformer' and 'cls_token' not in tensors
            return 'PatchViT' if is_patch_vit else backbone
    return None


def describe(tensors: Tensors, num_heads: int | None = None, known: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the config of a backbone, as far as it follows from the tensors.

    Args:
        tensors: All tensors of the backbone, by the backbone's own names.
        num_heads: Number of attention heads of a transformer, which does not follow from the tensors; None uses the
            number in ``known``, else the number of the usual transformer of this width and depth.
        known: Config with which the backbone was trained, if the checkpoint has it.

    Returns:
        ``known``, updated with ``type`` and the arguments that follow from the tensors, which the functions of
        ``converters/architectures`` name; for a Swin transformer ``known`` wins.

    Raises:
        UserError: Tensors of the backbone are missing, or the number of heads is needed and not known.
    """
    described = _describe(tensors, num_heads, dict(known or {}))
    stem = next((tensor for name, tensor in tensors.items() if tensor.ndim == 4 and name in _STEMS), None)
    if stem is not None and stem.shape[1] != 3:
        described['in_channels'] = stem.shape[1]
    return described


def _describe(tensors: Tensors, num_heads: int | None, known: dict[str, Any]) -> dict[str, Any]:
    match kind(tensors):
        case 'AdderResNet':
            return known | convnets.adder_resnet(tensors)
        case 'AdderVGG':
            return known | convnets.adder_vgg(tensors)
        case 'LeNet5BN':
            return known | convnets.lenet(tensors)
        case 'ResNet' if known.get('type') == 'AdderResNet':  # built with adder=False, for comparison
            return known
        case 'ResNet':
            return known | convnets.resnet(tensors)
        case 'AlexNet':
            return known | convnets.alexnet(tensors, known)
        case 'VGG16':
            return known | convnets.vgg16(tensors, known)
        case 'NIN':
            return known | convnets.nin(tensors)
        case 'WideResNet':
            return known | convnets.wide_resnet(tensors)
        case 'PreActResNet':
            return known | convnets.preact_resnet(tensors)
        case 'VisionTransformer' | 'PatchViT':
            return known | transformers.vision_transformer(tensors, num_heads, known)
        case 'MAE':
            return known | transformers.masked_autoencoder(tensors, num_heads, known)
        case 'BEiTViT':
            return known | transformers.beit(tensors)
        case 'CAEViT':
            return known | transformers.cae(tensors, num_heads, known)
        case 'CAPIViT':
            return known | transformers.capi(tensors)
        case 'ConvViT':
            return known | transformers.conv_vit(tensors, num_heads, known)
        case 'HiViT':
            return known | transformers.hivit(tensors)
        case 'Swin':
            return transformers.swin(tensors) | known
    return known
