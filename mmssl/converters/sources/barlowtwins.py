"""facebookresearch/barlowtwins: backbone, projector with a final norm; backbone files have names without prefix."""

from mmssl.converters.source import BACKBONE, Source

SOURCE = Source(
    patterns=(
        (r'projector\.(\d+\.\w+)', r'neck.layers.\1'),
        (r'bn\.(\w+)', r'neck.layers.7.\1'),  # after the three linear layers
        (rf'(?:backbone\.)?({BACKBONE})', r'backbone.\1'),
    ),
)
