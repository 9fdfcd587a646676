"""LayneH/GreenMIM with a Swin transformer: encoder with timm's names, and decoder."""

from mmssl.converters.source import SWIN, Source

SOURCE = Source(
    patterns=(
        (r'(mask_token)', r'neck.\1'),
        (r'decoder_(pos_embed|embed\.\w+|norm\.\w+|blocks\..+)', r'neck.\1'),
        (r'decoder_pred\.(\w+)', r'neck.predict.\1'),
        (r'encoder\.\S+\.relative_position_index', None),
        # The official code merges patches at the end of a stage, timm at the beginning of the next.
        *(
            (rf'encoder\.layers\.{stage}\.(downsample\.\S+)', rf'backbone.model.layers.{stage + 1}.\1')
            for stage in range(3)
        ),
        (rf'encoder\.({SWIN})', r'backbone.model.\1'),
    ),
)
