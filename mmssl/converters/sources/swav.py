"""facebookresearch/swav: torchvision's network, a projector and prototypes."""

from mmssl.converters.source import RESNET, Source

SOURCE = Source(
    patterns=(
        (r'projection_head\.(\d+\.\w+)', r'neck.layers.\1'),
        (r'prototypes\.weight', 'head.prototypes.weight'),
        (rf'({RESNET})', r'backbone.\1'),
    ),
)
