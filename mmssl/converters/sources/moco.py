"""facebookresearch/moco, v1 and v2: two encoders with projectors, and a queue whose columns are features."""

from mmssl.converters.source import BACKBONE, Source

SOURCE = Source(
    aliases=('mocov1', 'mocov2'),
    patterns=(
        (r'encoder_q\.fc\.(weight|bias)', r'neck.layers.0.\1'),  # v1: one linear layer
        (r'encoder_k\.fc\.(weight|bias)', r'teacher.neck.layers.0.\1'),
        (r'encoder_q\.fc\.(\d+\.\w+)', r'neck.layers.\1'),  # v2: two
        (r'encoder_k\.fc\.(\d+\.\w+)', r'teacher.neck.layers.\1'),
        (rf'encoder_q\.({BACKBONE})', r'backbone.\1'),
        (rf'encoder_k\.({BACKBONE})', r'teacher.backbone.\1'),
        (r'queue', 'queue.features'),
        (r'queue_ptr', 'queue.pointer'),
    ),
    reshape={
        'queue.features': lambda queue: queue.mT.contiguous(),  # (D, Q) -> (Q, D)
        'queue.pointer': lambda pointer: pointer.reshape(()),
    },
)
