"""WXinlong/DenseCL: two encoders with two projectors each, and two queues whose columns are features."""

from mmssl.converters.source import RESNET, Source

SOURCE = Source(
    patterns=(
        *(
            pair
            for official, owner in (('encoder_q', ''), ('encoder_k', 'teacher.'))
            for pair in (
                (rf'{official}\.0\.({RESNET})', rf'{owner}backbone.\1'),
                (rf'{official}\.1\.mlp\.(\d+\.\w+)', rf'{owner}neck.global_layers.\1'),
                (rf'{official}\.1\.mlp2\.(\d+\.\w+)', rf'{owner}neck.dense_layers.\1'),
            )
        ),
        (rf'backbone\.{RESNET}', None),  # the query encoder's backbone once more
        (r'queue', 'queue.features'),
        (r'queue_ptr', 'queue.pointer'),
        (r'queue2', 'dense_queue.features'),
        (r'queue2_ptr', 'dense_queue.pointer'),
    ),
    reshape={
        'queue.features': lambda queue: queue.mT.contiguous(),  # (D, Q) -> (Q, D)
        'queue.pointer': lambda pointer: pointer.reshape(()),
        'dense_queue.features': lambda queue: queue.mT.contiguous(),
        'dense_queue.pointer': lambda pointer: pointer.reshape(()),
    },
)
