"""facebookresearch/deepcluster, AlexNet: only ``features`` is in a wrapper; the last layer classifies clusters."""

from mmssl.converters.source import Source

CONVOLUTIONS = {0: 0, 4: 1, 8: 2, 11: 3, 14: 4}  # index in ``features`` -> stage; the batch norm has the next index

SOURCE = Source(
    patterns=(
        (r'sobel\.([01]\.\w+)', r'backbone.stem.\1'),
        *(
            (rf'features\.(?:module\.)?{index + offset}\.(\w+)', rf'backbone.stages.{stage}.0.{layer}.\1')
            for index, stage in CONVOLUTIONS.items()
            for offset, layer in enumerate(('conv', 'bn'))
        ),
        (r'classifier\.1\.(\w+)', r'backbone.fc.fc6.\1'),
        (r'classifier\.4\.(\w+)', r'backbone.fc.fc7.\1'),
        (r'top_layer\.(\w+)', r'head.fc.\1'),
    ),
)
