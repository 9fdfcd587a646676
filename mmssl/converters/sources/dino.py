"""facebookresearch/dino: student and teacher with heads, center; released backbones have names without prefix."""

from mmssl.converters.source import BACKBONE, Source

_WEIGHT = 'last_layer.parametrizations.weight.original'  # 0: gains, 1: directions

SOURCE = Source(
    num_heads={384: 6},
    patterns=(
        (r'(?:(?:dino_)?loss\.)?center', r'targets.center'),
        (rf'(?:student\.(?:module\.)?)?(?:backbone\.)?({BACKBONE})', r'backbone.\1'),
        (rf'teacher\.(?:module\.)?(?:backbone\.)?({BACKBONE})', r'teacher.backbone.\1'),
        *(
            (rf'{network}\.(?:module\.)?head\.{theirs}', ours)
            for network, part in (('student', 'neck'), ('teacher', 'teacher.neck'))
            for theirs, ours in (
                (r'mlp\.(\d+\.\w+)', rf'{part}.layers.\1'),
                (r'last_layer\.(?:weight_g|parametrizations\.weight\.original0)', f'{part}.{_WEIGHT}0'),
                (r'last_layer\.(?:weight_v|parametrizations\.weight\.original1)', f'{part}.{_WEIGHT}1'),
            )
        ),
    ),
)
