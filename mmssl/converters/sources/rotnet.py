"""gidariss/FeatureLearningRotNet: AlexNet for ImageNet and network in network for CIFAR-10."""

from mmssl.converters.source import Source

_BLOCK = r'_feature_blocks'
_UNIT = rf'{_BLOCK}\.(\d)\.Block\d_ConvB'

SOURCE = Source(
    patterns=(
        *(
            (rf'{_BLOCK}\.{block}\.{index}\.(\w+)', rf'backbone.stages.{stage}.0.{layer}.\1')
            for stage, block in enumerate((0, 2, 4, 5, 6))
            for index, layer in enumerate(('conv', 'bn'))
        ),
        *(
            (rf'{_BLOCK}\.8\.{index}\.(\w+)', rf'backbone.fc.{layer}.\1')
            for index, layer in {1: 'fc6', 2: 'bn6', 4: 'fc7', 5: 'bn7'}.items()
        ),
        (rf'{_BLOCK}\.9\.0\.(\w+)', r'head.fc.\1'),
        *(
            (rf'{_UNIT}{unit + 1}\.layers\.{theirs}\.(\w+)', rf'backbone.stages.\1.{unit}.{ours}.\2')
            for unit in range(3)
            for theirs, ours in (('Conv', 'conv'), ('BatchNorm', 'bn'))
        ),
        (rf'{_BLOCK}\.\d\.Classifier\.(\w+)', r'head.fc.\1'),
    ),
)
