"""OpenSelfSup's and mmselfsup's NPID: ResNet, linear neck, and mmselfsup's memory bank."""

from mmssl.converters.source import RESNET, Source

SOURCE = Source(
    patterns=(
        (rf'backbone\.({RESNET})', r'backbone.\1'),
        (r'neck\.fc\.(\w+)', r'neck.layers.0.\1'),
        (r'memory_bank\.feature_bank', 'bank.features'),
    ),
)
