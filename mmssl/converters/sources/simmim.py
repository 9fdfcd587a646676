"""microsoft/SimMIM with a ViT: encoder with BEiT's names, and decoder; see simmim_swin for Swin."""

from mmssl.converters.source import Source
from mmssl.converters.sources.beit import BEIT

SOURCE = Source(
    aliases=('simmim_vit',),
    patterns=(
        (r'encoder\.(mask_token)', r'\1'),
        (r'decoder\.0\.(\w+)', r'neck.layers.0.\1'),
        (r'encoder\.(?:\S+\.)?relative_position_index', None),
        (rf'encoder\.({BEIT})', r'backbone.\1'),
    ),
)
