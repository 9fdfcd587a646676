"""facebookresearch/deepcluster, VGG-16: the names of AlexNet for other layers."""

from mmssl.converters.source import Source

_CONVOLUTIONS = ((0, 3), (7, 10), (14, 17, 20), (24, 27, 30), (34, 37, 40))  # indices in ``features`` by stage

SOURCE = Source(
    patterns=(
        (r'sobel\.([01]\.\w+)', r'backbone.stem.\1'),
        *(
            (rf'features\.(?:module\.)?{index + offset}\.(\w+)', rf'backbone.stages.{stage}.{unit}.{layer}.\1')
            for stage, indices in enumerate(_CONVOLUTIONS)
            for unit, index in enumerate(indices)
            for offset, layer in enumerate(('conv', 'bn'))
        ),
        (r'classifier\.0\.(\w+)', r'backbone.fc.fc6.\1'),
        (r'classifier\.3\.(\w+)', r'backbone.fc.fc7.\1'),
        (r'top_layer\.(\w+)', r'head.fc.\1'),
    ),
)
