"""OpenSelfSup's and mmselfsup's relative location: ResNet, neck of two patches and classifier."""

from __future__ import annotations

from torch import Tensor

from mmssl.converters.source import RESNET, Source, Tensors


def _pair_neck(tensors: Tensors) -> dict[str, Tensor]:
    """Gives a linear neck without batch norm, which is NPID's, a name that no pattern knows."""
    if any(name.startswith('neck.bn.') for name in tensors):
        return dict(tensors)
    return {f'linear_{name}' if name.startswith('neck.fc.') else name: tensor for name, tensor in tensors.items()}


SOURCE = Source(
    patterns=(
        (rf'backbone\.({RESNET})', r'backbone.\1'),
        (r'neck\.(fc|bn)\.(\w+)', r'neck.joint.0.\1.\2'),
        (r'head\.fc_cls\.(\w+)', r'head.fc.\1'),
    ),
    prepare=_pair_neck,
)
