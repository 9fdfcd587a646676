"""facebookresearch/mae: encoder and decoder; released encoders; fine-tuned classifiers."""

from mmssl.converters.source import BACKBONE, Source

SOURCE = Source(
    patterns=(
        (r'(mask_token)', r'neck.\1'),
        (r'decoder_(pos_embed|embed\.\w+|norm\.\w+|blocks\..+)', r'neck.\1'),
        (r'decoder_pred\.(\w+)', r'neck.predict.\1'),
        (r'(?:fc_norm|head)\.\w+', None),
        (f'({BACKBONE})', r'backbone.\1'),
    ),
)
