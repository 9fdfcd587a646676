from __future__ import annotations

import pytest
from mmengine.optim import build_optim_wrapper
from torch import nn

import mmssl.engine  # noqa: F401
from mmssl.models.components.ema_teacher import EMATeacher


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
    with pytest.raises(ValueError, match=r"\['predictor'\].*match no parameter"):
        _groups(_model(), dict(custom_keys={'predictor': dict(fix_lr=True)}))
    with pytest.raises(ValueError, match='custom_keys'):
        _groups(_model(), dict(norm_decay_mult=0.0))
