"""bytedance/ibot: student and teacher with heads, mask token and centers; backbone files have names without prefix."""

import torch

from mmssl.converters.source import BACKBONE, Source, Tensors

_WEIGHT = 'parametrizations.weight.original'  # 0: gains, 1: directions


def _shared_layers_once(tensors: Tensors) -> Tensors:
    """Drops ``last_layer2`` where it is the same layer as ``last_layer``: a shared head is saved under both names."""
    shared = tuple(
        name.removesuffix(direction)
        for direction in ('weight_v', f'{_WEIGHT}1')
        for name, tensor in tensors.items()
        if name.endswith(f'last_layer2.{direction}') and _equal(tensor, tensors.get(name.replace('layer2', 'layer')))
    )
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(shared)}


def _equal(one: torch.Tensor, other: torch.Tensor | None) -> bool:
    return one is other or other is not None and not one.is_meta and torch.equal(one, other)


SOURCE = Source(
    num_heads={384: 6},
    arguments=lambda tensors: dict(position=dict(resample='dino')),
    prepare=_shared_layers_once,
    patterns=(
        (r'(?:(?:ibot_)?loss\.)?center', r'targets.center'),
        (r'(?:(?:ibot_)?loss\.)?center2', r'patch_targets.center'),
        (r'(?:student\.(?:module\.)?)?(?:backbone\.)?masked_embed', r'mask_token'),
        (rf'(?:student\.(?:module\.)?)?(?:backbone\.)?({BACKBONE})', r'backbone.\1'),
        (rf'teacher\.(?:module\.)?(?:backbone\.)?({BACKBONE})', r'teacher.backbone.\1'),
        *(
            (rf'{network}\.(?:module\.)?head\.{theirs}', ours)
            for network, part in (('student', 'neck'), ('teacher', 'teacher.neck'))
            for theirs, ours in (
                (r'mlp\.(\d+\.\w+)', rf'{part}.layers.\1'),
                (rf'last_layer\.(?:weight_g|{_WEIGHT}0)', f'{part}.last_layer.{_WEIGHT}0'),
                (rf'last_layer\.(?:weight_v|{_WEIGHT}1)', f'{part}.last_layer.{_WEIGHT}1'),
                (rf'last_layer2\.(?:weight_g|{_WEIGHT}0)', f'{part}.patch_layer.{_WEIGHT}0'),
                (rf'last_layer2\.(?:weight_v|{_WEIGHT}1)', f'{part}.patch_layer.{_WEIGHT}1'),
            )
        ),
    ),
    reshape={
        'mask_token': lambda token: token.reshape(1, 1, -1),
        'patch_targets.center': lambda center: center.reshape(1, -1),
    },
)
