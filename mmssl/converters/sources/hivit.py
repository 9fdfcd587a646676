"""zhangxiaosong18/hivit: MAE with HiViT as encoder; also encoders, classifiers and backbones of detectors."""

from mmssl.converters.source import HIVIT, Source

SOURCE = Source(
    patterns=(
        (r'(?:.+\.)?relative_position_index', None),  # computed from the grid
        (r'norm\.(\w+)', r'neck.norm.\1'),
        (r'(mask_token)', r'neck.decoder.\1'),
        (r'decoder_(pos_embed|embed\.\w+|norm\.\w+|blocks\..+)', r'neck.decoder.\1'),
        (r'decoder_pred\.(\w+)', r'neck.decoder.predict.\1'),
        (r'fc_norm\.(\w+)', r'head.norm.\1'),
        (r'head\.(\w+)', r'head.fc.\1'),
        (rf'(?:backbone\.)?({HIVIT})', r'backbone.\1'),
    ),
)
