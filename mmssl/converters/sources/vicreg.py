"""facebookresearch/vicreg: backbone and projector; backbone files have names without prefix."""

from mmssl.converters.source import BACKBONE, Source

SOURCE = Source(
    patterns=(
        (r'projector\.(\d+\.\w+)', r'neck.layers.\1'),
        (rf'(?:backbone\.)?({BACKBONE})', r'backbone.\1'),
    ),
)
