from __future__ import annotations

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

import mmssl.engine  # noqa: F401
from mmssl.engine.schedules import WarmupCosineLR
from mmssl.models.components.ema_teacher import EMATeacher
from mmssl.registry import BACKBONES

VIT = dict(type='VisionTransformer', arch=dict(embed_dim=16, depth=2, num_heads=2), img_size=32)


def _model() -> nn.Module:
    model = nn.Module()
    model.backbone = nn.Linear(2, 2)
    model.head = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model.teacher = EMATeacher(backbone=model.backbone)
    return model


def _groups(model: nn.Module, paramwise_cfg: dict | None) -> list[dict]:
    cfg = dict(
        type='OptimWrapper',
        constructor='mmssl.GroupedOptimWrapperConstructor',
        optimizer=dict(type='SGD', lr=0.1, weight_decay=0.01),
        paramwise_cfg=paramwise_cfg,
    )
    return build_optim_wrapper(model, cfg).optimizer.param_groups


def test_one_group_without_the_teacher() -> None:
    model = _model()
    (group,) = _groups(model, None)
    trained = [*model.backbone.parameters(), *model.head.parameters()]
    assert list(map(id, group['params'])) == list(map(id, trained))


def test_one_group_per_setting_and_the_longest_key_wins() -> None:
    model = _model()
    keys = {'head': dict(fix_lr=True), 'head.1': dict(lr_mult=0.5, decay_mult=0)}
    plain, fixed, slow = _groups(model, dict(custom_keys=keys))
    assert [len(group['params']) for group in (plain, fixed, slow)] == [2, 2, 2]
    assert fixed['fix_lr'] and fixed['lr'] == 0.1 and fixed['weight_decay'] == 0.01
    assert slow['lr'] == 0.05 and slow['weight_decay'] == 0 and slow['params'][0] is model.head[1].weight


def test_the_longest_key_wins_in_any_order_of_the_alphabet() -> None:
    keys = {'weight': dict(lr_mult=0.5), 'head.1.weight': dict(lr_mult=2.0), '1': dict(lr_mult=3.0)}
    settings = _settings(_model(), custom_keys=keys)
    rates = {name: settings[name][0] for name in ('head.0.weight', 'head.1.weight', 'head.1.bias')}
    assert rates == pytest.approx({'head.0.weight': 0.5, 'head.1.weight': 2.0, 'head.1.bias': 3.0})


def test_a_trained_backbone_has_a_part_of_the_rate_of_the_rest() -> None:
    plain = _settings(_model(), backbone_lr_mult=0.1)
    assert {name: lr for name, (lr, _) in plain.items()} == pytest.approx(
        {name: 0.1 if name.startswith('backbone.') else 1.0 for name in plain}
    )
    layered = _settings(_Transfer(), layer_decay=0.5, backbone_lr_mult=0.1)
    assert layered['backbone.blocks.1.attn.qkv.weight'][0] == pytest.approx(0.1 / 2)
    assert layered['neck.weight'][0] == 1


def test_vectors_have_settings_of_their_own_and_custom_keys_the_last_word() -> None:
    model = _model()
    keys = {'head.1': dict(lr_mult=2.0)}
    groups = _groups(model, dict(custom_keys=keys, vectors=dict(lr_mult=0.5, decay_mult=0)))
    assert [len(group['params']) for group in groups] == [2, 2, 1, 1]
    assert all(param.ndim == 1 for group in groups[1::2] for param in group['params'])
    assert [group['lr'] for group in groups] == pytest.approx([0.1, 0.05, 0.2, 0.2])
    assert [group['weight_decay'] for group in groups] == [0.01, 0, 0.01, 0]
    assert [len(group['params']) for group in _groups(model, dict(vectors=dict(lr_mult=0.5)))] == [3, 3]


def test_a_key_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"\['predictor'\].*match no trainable parameter"):
        _groups(_model(), dict(custom_keys={'predictor': dict(fix_lr=True)}))
    with pytest.raises(ValueError, match='custom_keys'):
        _groups(_model(), dict(norm_decay_mult=0.0))


def test_a_key_of_frozen_parameters_has_no_effect() -> None:
    model = _model()
    model.backbone.requires_grad_(False)
    (group,) = _groups(model, dict(custom_keys={'backbone': dict(lr_mult=0.5)}))
    assert len(group['params']) == 4 and group['lr'] == 0.1
    with pytest.raises(ValueError, match=r"\['teacher.backbone'\].*match no trainable parameter"):
        _groups(model, dict(custom_keys={'teacher.backbone': dict(lr_mult=0.5)}))


class _Transfer(nn.Module):
    """What a classifier, a detector or a segmentor looks like from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = BACKBONES.build(VIT)
        self.neck = nn.Linear(16, 16)
        self.decode_head = nn.Linear(16, 3)
        self.teacher = EMATeacher(backbone=self.backbone)


def _settings(model: nn.Module, **paramwise_cfg: object) -> dict[str, tuple[float, float]]:
    """Name -> (lr / base lr, weight decay) of every parameter of the optimizer."""
    names = {id(param): name for name, param in model.named_parameters()}
    groups = _groups(model, paramwise_cfg)
    return {
        names[id(param)]: (group['lr'] / 0.1, group['weight_decay']) for group in groups for param in group['params']
    }


def test_layer_decay_scales_the_backbone_alone() -> None:
    model = _Transfer()
    settings = _settings(model, layer_decay=0.5)
    assert settings.keys() == {name for name, param in model.named_parameters() if param.requires_grad}
    expected = {'backbone.pos_embed': 1 / 8, 'backbone.patch_embed.proj.weight': 1 / 8}
    expected |= {'backbone.blocks.0.norm1.bias': 1 / 4, 'backbone.blocks.1.attn.qkv.weight': 1 / 2}
    expected |= {'backbone.norm.weight': 1, 'neck.weight': 1, 'decode_head.bias': 1}
    assert {name: settings[name][0] for name in expected} == pytest.approx(expected)
    assert max(lr for lr, _ in settings.values()) == 1  # the last block never trains faster than the head
    assert {decay for _, decay in settings.values()} == {0.01}
    assert len(_groups(model, dict(layer_decay=0.5))) == 4


def test_tables_of_the_backbone_decay_like_vectors() -> None:
    model = _Transfer()
    settings = _settings(model, layer_decay=0.5, vectors=dict(decay_mult=0))
    without = {name for name, (_, decay) in settings.items() if decay == 0}
    vectors = {name for name, param in model.named_parameters() if param.requires_grad and param.ndim <= 1}
    assert without == vectors | {'backbone.pos_embed', 'backbone.cls_token'}
    assert len(_groups(model, dict(layer_decay=0.5, vectors=dict(decay_mult=0)))) == 8
    # Without layer decay, as in pre-training, tokens and tables are matrices like any other.
    assert _settings(model, vectors=dict(decay_mult=0))['backbone.cls_token'] == (1, 0.01)


def test_a_custom_key_multiplies_the_lr_of_its_layer() -> None:
    keys = {'decode_head': dict(lr_mult=10), 'blocks.0': dict(lr_mult=2, decay_mult=3)}
    settings = _settings(_Transfer(), layer_decay=0.5, vectors=dict(decay_mult=0), custom_keys=keys)
    assert settings['decode_head.weight'] == pytest.approx((10, 0.01))
    assert settings['backbone.blocks.0.norm1.bias'] == pytest.approx((2 / 4, 0.03))


def test_equal_settings_share_a_group_whatever_they_come_from() -> None:
    keys = {'head.0': dict(lr_mult=0.5), 'head.1': dict(lr_mult=0.5)}
    plain, slow = _groups(_model(), dict(custom_keys=keys))
    assert (len(plain['params']), len(slow['params'])) == (2, 4)


def test_schedules_scale_every_layer() -> None:
    optimizer = build_optim_wrapper(
        _Transfer(),
        dict(
            constructor='mmssl.GroupedOptimWrapperConstructor',
            optimizer=dict(type='AdamW', lr=0.1),
            paramwise_cfg=dict(layer_decay=0.5),
        ),
    )
    highest = [group['lr'] for group in optimizer.param_groups]
    schedule = WarmupCosineLR(optimizer, max_epochs=10, end=10, warmup_epochs=5, end_factor=0.1)
    for _ in range(2):
        schedule.step()
    assert [group['lr'] for group in optimizer.param_groups] == pytest.approx([lr * 2 / 5 for lr in highest])


def test_layer_decay_needs_a_range_and_a_backbone_with_an_order() -> None:
    with pytest.raises(ValueError, match=r'in \(0, 1\], got 1.5'):
        _groups(_model(), dict(layer_decay=1.5))
    with pytest.raises(ValueError, match=r'layers_to_output\(\).*Module.backbone is Linear'):
        _groups(_model(), dict(layer_decay=0.5))


def test_the_order_of_a_backbone_of_a_plugin() -> None:
    model = _model()
    model.backbone.layers_to_output = lambda: dict(weight=1)
    with pytest.raises(ValueError, match=r'no_weight_decay\(\).*Module.backbone is Linear'):
        _groups(model, dict(layer_decay=0.5))
    model.backbone.no_weight_decay = set
    with pytest.raises(ValueError, match=r'layers_to_output\(\) of Linear has no distance for bias'):
        _groups(model, dict(layer_decay=0.5))
    model.backbone.layers_to_output = lambda: dict(weight=1, bias=2)
    groups = _groups(model, dict(layer_decay=0.5, backbone_lr_mult=0.1))
    assert sorted(group['lr'] for group in groups) == pytest.approx([0.0025, 0.005, 0.1])


@pytest.mark.parametrize(
    ('optimizer', 'fused'),
    [
        (dict(type='AdamW', lr=0.1), True),
        (dict(type='SGD', lr=0.1, momentum=0.9), None),
        (dict(type=torch.optim.Adam, lr=0.1), True),
        (dict(type='AdamW', lr=0.1, fused=False), False),
        (dict(type='SGD', lr=0.1, foreach=True), None),
        (dict(type='mmssl.LARS', lr=0.1), None),
        (dict(type='RMSprop', lr=0.1), None),
    ],
    ids=str,
)
def test_fused_where_torch_has_the_kernels(optimizer: dict, fused: bool | None) -> None:
    cfg = dict(type='OptimWrapper', constructor='mmssl.GroupedOptimWrapperConstructor', optimizer=optimizer)
    before = dict(optimizer)
    (group,) = build_optim_wrapper(_model(), cfg).optimizer.param_groups
    assert group.get('fused') is fused
    assert optimizer == before  # the config of the run, which a checkpoint holds
