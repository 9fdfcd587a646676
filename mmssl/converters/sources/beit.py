"""microsoft/unilm, beit: pre-trained models with the head for visual words, and fine-tuned classifiers."""

from mmssl.converters.source import Source

BEIT = (
    r'(?:cls_token|patch_embed\.proj\.\w+|rel_pos_bias\.relative_position_bias_table|norm\.\w+'
    r'|blocks\.\d+\.(?:gamma_[12]|norm[12]\.\w+|attn\.(?:[qv]_bias|relative_position_bias_table|qkv\.weight|proj\.\w+)'
    r'|mlp\.fc[12]\.\w+))'
)

SOURCE = Source(
    patterns=(
        (r'(mask_token)', r'\1'),
        (r'lm_head\.(\w+)', r'neck.layer.\1'),
        (r'(?:\S+\.)?relative_position_index', None),
        (r'(?:fc_norm|head)\.\w+', None),
        (f'({BEIT})', r'backbone.\1'),
    ),
)
