"""facebookresearch/vissl's jigsaw: ResNet, a linear layer with norm per tile, and a classifier of all tiles."""

from mmssl.converters.source import RESNET, Source

_TRUNK = r'(?:base_model\.model\.)?trunk\.(?:_feature_blocks\.)?'
_HEADS = r'(?:base_model\.model\.)?heads'

SOURCE = Source(
    patterns=(
        (rf'{_TRUNK}({RESNET})', r'backbone.\1'),
        (rf'{_HEADS}\.0\.clf\.0\.(\w+)', r'neck.single.0.fc.\1'),
        (rf'{_HEADS}\.0\.clf\.1\.(\w+)', r'neck.single.0.bn.\1'),
        (rf'{_HEADS}\.2\.clf\.0\.(\w+)', r'head.fc.\1'),
    ),
)
