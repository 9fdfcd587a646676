"""facebookresearch/simsiam: one encoder with its projector, and a predictor."""

from mmssl.converters.source import BACKBONE, Source

SOURCE = Source(
    patterns=(
        (r'encoder\.fc\.(\d+\.\w+)', r'neck.layers.\1'),
        (r'predictor\.(\d+\.\w+)', r'head.predictor.layers.\1'),
        (rf'encoder\.({BACKBONE})', r'backbone.\1'),
    ),
)
