"""ChongjianGE/CARE: student and teacher with two streams; an official head is projector and predictor together."""

from mmssl.converters.source import BACKBONE, Source

_BLOCK = {0: 'conv_in', 1: 'norm_in', 5: 'norm_mid', 7: 'conv_out', 8: 'norm_out'}
_TRANSFORMER = r'(?:trans|bot)\.net'  # some checkpoints have bot instead of trans
_ENCODER = (
    (rf'({BACKBONE})', r'backbone.\1'),
    (r'fc1\.([013]\.\w+)', r'neck.c_projector.layers.\1'),
    (r'fc2\.([013]\.\w+)', r'neck.t_projector.layers.\1'),
    (rf'{_TRANSFORMER}\.(\d+\.shortcut\.[01]\.\w+)', r'neck.attention.blocks.\1'),
    (rf'{_TRANSFORMER}\.(\d+)\.net\.3\.to_(qkv\.weight)', r'neck.attention.blocks.\1.attention.\2'),
    (rf'{_TRANSFORMER}\.(\d+)\.net\.3\.pos_emb\.(height|width)', r'neck.attention.blocks.\1.attention.\2'),
    *(
        (rf'{_TRANSFORMER}\.(\d+)\.net\.{index}\.(\w+)', rf'neck.attention.blocks.\1.{layer}.\2')
        for index, layer in _BLOCK.items()
    ),
)
_PREDICTORS = tuple(
    (rf'student_encoder\.fc{number}\.{index + 4}\.(\w+)', rf'head.{stream}_predictor.layers.{index}.\1')
    for number, stream in ((1, 'c'), (2, 't'))
    for index in (0, 1, 3)
)

SOURCE = Source(
    patterns=(
        *(
            (rf'{encoder}_encoder\.{pattern}', ours if encoder == 'student' else f'teacher.{ours}')
            for encoder in ('student', 'teacher')
            for pattern, ours in _ENCODER
        ),
        *_PREDICTORS,
    ),
)
