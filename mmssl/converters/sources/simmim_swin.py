"""microsoft/SimMIM with a Swin transformer: encoder with timm's names, and decoder."""

from mmssl.converters.source import SWIN, Source

SOURCE = Source(
    patterns=(
        (r'encoder\.(mask_token)', r'\1'),
        (r'decoder\.0\.(\w+)', r'neck.layers.0.\1'),
        (r'encoder\.\S+\.(?:relative_position_index|relative_coords_table|attn_mask)', None),
        # The official code merges patches at the end of a stage, timm at the beginning of the next.
        *(
            (rf'encoder\.layers\.{stage}\.(downsample\.\S+)', rf'backbone.model.layers.{stage + 1}.\1')
            for stage in range(3)
        ),
        (rf'encoder\.({SWIN})', r'backbone.model.\1'),
    ),
)
