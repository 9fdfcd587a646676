"""facebookresearch/dinov2: released backbones, with or without registers, and checkpoints of the training."""

from mmssl.converters.source import Source, Tensors

_WEIGHT = 'parametrizations.weight.original'  # 0: gains, 1: directions
_BACKBONE = (
    (r'(cls_token|pos_embed|patch_embed\.proj\.\w+|norm\.\w+)', r'\1'),
    (r'register_tokens', 'reg_token'),
    # Blocks in chunks have the number of their chunk before their own number, which counts through.
    (r'blocks\.(?:\d+\.)?(\d+)\.((?:norm[12]|attn\.(?:qkv|proj)|ls[12]|mlp\.fc[12])\.\w+)', r'blocks.\1.\2'),
    (r'blocks\.(?:\d+\.)?(\d+)\.mlp\.w12\.(\w+)', r'blocks.\1.mlp.fc1.\2'),
    (r'blocks\.(?:\d+\.)?(\d+)\.mlp\.w3\.(\w+)', r'blocks.\1.mlp.fc2.\2'),
)
_HEAD = (
    (r'mlp\.(\d+\.\w+)', r'layers.\1'),
    (rf'last_layer\.(?:weight_g|{_WEIGHT}0)', f'last_layer.{_WEIGHT}0'),
    (rf'last_layer\.(?:weight_v|{_WEIGHT}1)', f'last_layer.{_WEIGHT}1'),
)
_HEADS = (('dino_head', 'neck.images'), ('ibot_head', 'neck.patches'))


def _arguments(tensors: Tensors) -> dict:
    """Returns the interpolation of positions, which depends on registers in the official code."""
    return dict(position=dict(resample='antialiased' if 'reg_token' in tensors else 'dino'))


SOURCE = Source(
    num_heads={384: 6},
    own_name=r'(teacher\.)?backbone\.register_tokens',
    arguments=_arguments,
    patterns=(
        (r'dino_loss\.center', 'targets.center'),
        (r'ibot_patch_loss\.center', 'patch_targets.center'),
        (r'teacher\.backbone\.mask_token', None),  # no teacher sees a mask
        (r'(?:student\.)?(?:backbone\.)?mask_token', 'mask_token'),
        *((rf'(?:student\.)?(?:backbone\.)?{theirs}', f'backbone.{ours}') for theirs, ours in _BACKBONE),
        *((rf'teacher\.backbone\.{theirs}', f'teacher.backbone.{ours}') for theirs, ours in _BACKBONE),
        *(
            (rf'{network}\.{head}\.{theirs}', f'{prefix}{part}.{ours}')
            for network, prefix in (('student', ''), ('teacher', 'teacher.'))
            for head, part in _HEADS
            for theirs, ours in _HEAD
        ),
    ),
    reshape={
        'mask_token': lambda token: token.reshape(1, 1, -1),
        'patch_targets.center': lambda center: center.reshape(1, -1),
    },
)
