"""facebookresearch/moco-v3: two encoders with projectors, and a predictor; residual networks and transformers."""

from mmssl.converters.source import BACKBONE, Source

SOURCE = Source(
    num_heads={384: 12},
    patterns=(
        (r'base_encoder\.(?:fc|head)\.(\d+\.\w+)', r'neck.layers.\1'),
        (r'momentum_encoder\.(?:fc|head)\.(\d+\.\w+)', r'teacher.neck.layers.\1'),
        (r'predictor\.(\d+\.\w+)', r'head.predictor.layers.\1'),
        (rf'base_encoder\.({BACKBONE})', r'backbone.\1'),
        (rf'momentum_encoder\.({BACKBONE})', r'teacher.backbone.\1'),
    ),
)
