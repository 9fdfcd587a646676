"""Tete-Xiao/ReSim: two encoders with a projector and a pyramid, and a queue whose columns are features."""

from __future__ import annotations

from torch import Tensor

from mmssl.converters.source import RESNET, Source, Tensors


def _with_pyramid(tensors: Tensors) -> dict[str, Tensor]:
    """Makes the projectors of a file without pyramid unknown: it is a file of MoCo, whose names are a part of these."""
    if any('.fpn_' in name for name in tensors):
        return dict(tensors)
    return {f'{name} (without pyramid)' if '.fc.' in name else name: tensor for name, tensor in tensors.items()}


SOURCE = Source(
    patterns=(
        *(
            pair
            for official, owner in (('encoder_q', ''), ('encoder_k', 'teacher.'))
            for pair in (
                (rf'{official}\.({RESNET})', rf'{owner}backbone.\1'),
                (rf'{official}\.fc\.(\d+\.\w+)', rf'{owner}neck.projector.layers.\1'),
                (rf'{official}\.fpn_(lateral|output)(\d)\.(weight|bias)', rf'{owner}neck.pyramid.\1s.\2.0.\3'),
                (rf'{official}\.fpn_(lateral|output)(\d)\.([01]\.\w+)', rf'{owner}neck.pyramid.\1s.\2.\3'),
            )
        ),
        (r'queue', 'queue.features'),
        (r'queue_ptr', 'queue.pointer'),
    ),
    reshape={
        'queue.features': lambda queue: queue.mT.contiguous(),  # (D, Q) -> (Q, D)
        'queue.pointer': lambda pointer: pointer.reshape(()),
    },
    prepare=_with_pyramid,
)
