"""Westlake-AI/openmixup, A2MIM with a residual network: backbone with the mask token, and decoder."""

from torch import Tensor

from mmssl.converters.source import RESNET, Source

SOURCE = Source(
    patterns=(
        (r'backbone\.mask_token', 'mask_token.token'),
        (r'backbone\.mask_gamma', 'mask_token.gamma'),
        (r'neck\.decoder_pred\.0\.(\w+)', r'neck.layers.0.\1'),
        (rf'backbone\.({RESNET})', r'backbone.\1'),
    ),
    reshape={f'mask_token.{name}': Tensor.flatten for name in ('token', 'gamma')},
)
