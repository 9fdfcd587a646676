"""facebookresearch/swav, DeepCluster-v2: torchvision's network and a projector; centroids are not converted."""

from mmssl.converters.source import RESNET, Source

SOURCE = Source(
    patterns=(
        (r'projection_head\.(\d+\.\w+)', r'neck.layers.\1'),
        (r'prototypes\.prototypes\d\.weight', None),
        (rf'({RESNET})', r'backbone.\1'),
    ),
)
