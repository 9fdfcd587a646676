"""richzhang/colorization: the network of the released PyTorch file ``colorization_release_v2``."""

from mmssl.converters.source import Source

SOURCE = Source(
    patterns=(
        *((rf'model{stage + 1}\.(\d)\.(\w+)', rf'backbone.stages.{stage}.\1.\2') for stage in range(7)),
        (r'model8\.(\d)\.(\w+)', r'neck.layers.\1.\2'),
        (r'model_out\.weight', None),  # the bins / 110, a constant
    ),
)
