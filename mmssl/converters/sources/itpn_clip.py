"""sunsmarterjie/iTPN, CLIP target: encoder, pyramid, and two predictors of a teacher's features."""

from mmssl.converters.source import Source
from mmssl.converters.sources.itpn import ENCODER, LEVELS

SOURCE = Source(
    patterns=(
        *LEVELS,
        (r'(mask_token)', r'\1'),
        (r'norm\.(\w+)', r'neck.norm.\1'),
        (r'norm_cls\.(\w+)', r'neck.early_norm.\1'),
        (r'lm_head\.(\w+)', r'neck.predict.\1'),
        (r'lm_cls_head\.(\w+)', r'neck.early_predict.\1'),
        (r'cls_pt_layers\.(.+)', r'neck.early_blocks.\1'),
        *ENCODER,
    ),
)
