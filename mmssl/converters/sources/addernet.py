"""huawei-noah/AdderNet: residual networks of adder layers with classifiers, whose logits have a batch norm."""

from mmssl.converters.source import ADDER_RESNET, Source

SOURCE = Source(
    patterns=(
        (f'({ADDER_RESNET})', r'backbone.\1'),
        (r'fc\.(weight|bias)', r'head.fc.\1'),
        (r'bn2\.(\w+)', r'head.logit_norm.\1'),
    ),
    reshape={'head.fc.weight': lambda weight: weight.flatten(1)},  # from a 1x1 convolution
)
