"""facebookresearch/SlowFast, MaskFeat on images: a plain ViT whose last norm is in the prediction head."""

from mmssl.converters.source import VIT, Source

SOURCE = Source(
    patterns=(
        (r'(mask_token)', r'\1'),
        (r'pred_head\.transforms\.0\.0\.(\w+)', r'backbone.norm.\1'),
        (r'pred_head\.projections\.0\.(\w+)', r'neck.layer.\1'),
        (r'hogs\.\d+\.\w+', None),
        (f'({VIT})', r'backbone.\1'),
    ),
)
