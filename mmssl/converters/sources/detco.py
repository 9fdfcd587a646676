"""shuuchen/DetCo.pytorch (unofficial): two encoders with projectors of every stage, and eight queues in one tensor."""

from __future__ import annotations

from torch import Tensor

from mmssl.converters.source import RESNET, Source, Tensors


def _queues(tensors: Tensors) -> dict[str, Tensor]:
    """Takes the queues (2 * stages, D, Q), global then local, apart; every queue gets the pointer."""
    queue = tensors.get('queue')
    if queue is None or queue.ndim != 3:
        return dict(tensors)
    parts = {name: tensor for name, tensor in tensors.items() if name not in ('queue', 'queue_ptr')}
    stages = len(queue) // 2
    for kind, rows in (('global', queue[:stages]), ('local', queue[stages:])):
        for stage, features in enumerate(rows):
            parts[f'queue.{kind}.{stage}'] = features.T.contiguous()  # (D, Q) -> (Q, D)
            if 'queue_ptr' in tensors:
                parts[f'queue_ptr.{kind}.{stage}'] = tensors['queue_ptr'].reshape(())
    return parts


SOURCE = Source(
    patterns=(
        *(
            pair
            for official, owner in (('encoder_q', ''), ('encoder_k', 'teacher.'))
            for pair in (
                (rf'{official}\.({RESNET})', rf'{owner}backbone.\1'),
                (rf'{official}\.global_mlps\.(\d)\.mlp\.(\d\.\w+)', rf'{owner}neck.whole.stages.\1.layers.\2'),
                (rf'{official}\.local_mlps\.(\d)\.mlp\.(\d\.\w+)', rf'{owner}neck.patches.stages.\1.layers.\2'),
                (rf'{official}\.layers\..+', None),  # the stages once more
            )
        ),
        (r'queue|queue_ptr', None),  # which ``prepare`` takes apart into the next two
        (r'queue\.(global|local)\.(\d)', r'\1_queues.\2.features'),
        (r'queue_ptr\.(global|local)\.(\d)', r'\1_queues.\2.pointer'),
    ),
    prepare=_queues,
)
