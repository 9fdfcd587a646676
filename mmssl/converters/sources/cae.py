"""lxtGH/CAE: the whole pre-training, and fine-tuned classifiers."""

from torch import Tensor

from mmssl.converters.source import Source, Tensors
from mmssl.converters.sources.beit import BEIT

CAE = rf'(?:pos_embed|{BEIT})'


def _only_with_regressor(tensors: Tensors) -> Tensors:
    """Hides the name of a mask token that no regressor reads, because BEiT's files have such a token."""
    if 'mask_token' not in tensors or any(name.startswith('pretext_neck.') for name in tensors):
        return tensors
    hidden: dict[str, Tensor] = dict(tensors)
    hidden['mask_token without pretext_neck'] = hidden.pop('mask_token')
    return hidden


SOURCE = Source(
    prepare=_only_with_regressor,
    patterns=(
        (rf'(?:encoder\.)?({CAE})', r'backbone.\1'),
        (rf'teacher\.({CAE})', r'teacher.backbone.\1'),
        (r'(mask_token)', r'neck.\1'),
        (r'encoder_to_decoder\.(\w+)', r'neck.embed.0.\1'),
        (r'encoder_to_decoder_norm\.(\w+)', r'neck.embed.1.\1'),
        (r'pretext_neck\.regressor_(blocks\..+)', r'neck.\1'),
        (r'pretext_neck\.(norm\.\w+)', r'neck.\1'),
        (r'pretext_neck\.decoder_(blocks\..+)', r'head.\1'),
        (r'pretext_neck\.norm2\.(\w+)', r'head.norm.\1'),
        (r'pretext_neck\.head\.(\w+)', r'head.predict.\1'),
        (r'\S*relative_position_index', None),
        (r'(?:query_token|(?:attentive_blocks|fc_norm|head)\.\S+)', None),
    ),
)
