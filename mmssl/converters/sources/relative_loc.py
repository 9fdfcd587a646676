"""OpenSelfSup's and mmselfsup's relative location: ResNet, neck of two patches and classifier."""

from mmssl.converters.source import RESNET, Source

SOURCE = Source(
    patterns=(
        (rf'backbone\.({RESNET})', r'backbone.\1'),
        (r'neck\.(fc|bn)\.(\w+)', r'neck.joint.0.\1.\2'),
        (r'head\.fc_cls\.(\w+)', r'head.fc.\1'),
    ),
)
