"""Layer-wise learning rates and weight decay against the official fine-tuning codes: every parameter by its name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from mmengine.optim import build_optim_wrapper
from torch import nn

import mmssl.engine  # noqa: F401
from mmssl.registry import BACKBONES
from tests.parity.golden import Golden


def _numbers(names: list[str], pattern: str) -> list[int]:
    """The distinct numbers that ``pattern`` finds in ``names``."""
    return sorted({int(match.group(1)) for match in (re.match(pattern, name) for name in names) if match})


def _vit(names: list[str]) -> dict[str, Any]:
    depth = len(_numbers(names, r'blocks\.(\d+)\.'))
    return dict(
        type='VisionTransformer', arch=dict(embed_dim=8, depth=depth, num_heads=2), img_size=32, final_norm=False
    )


def _hivit(names: list[str]) -> dict[str, Any]:
    first, second = _numbers(names, r'blocks\.(\d+)\.reduction\.')  # the merges behind the first two stages
    depths = (first, second - first - 1, max(_numbers(names, r'blocks\.(\d+)\.')) - second)
    return dict(
        type='HiViT',
        arch=dict(embed_dim=8, depths=depths, num_heads=2),
        img_size=32,
        position_bias='table',
        layer_scale=0.1 if any('gamma' in name for name in names) else None,
    )


class _Classifier(nn.Module):
    """A backbone of the recorded depth, and what the official classifiers have behind it."""

    def __init__(self, backbone: dict) -> None:
        super().__init__()
        self.backbone = BACKBONES.build(backbone)
        self.fc_norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)


def _check(case: dict[str, Any], backbone: dict, rate: float) -> None:
    """Compares the optimizer's groups for a classifier with the recorded ones."""
    model = _Classifier(backbone)
    names = {id(parameter): name.removeprefix('backbone.') for name, parameter in model.named_parameters()}
    wrapper = build_optim_wrapper(
        model,
        dict(
            constructor='mmssl.GroupedOptimWrapperConstructor',
            optimizer=dict(type='AdamW', lr=1.0, weight_decay=case['weight_decay']),
            paramwise_cfg=dict(layer_decay=rate, vectors=dict(decay_mult=0)),
        ),
    )
    groups = wrapper.optimizer.param_groups
    found = {names[id(p)]: (group['lr'], group['weight_decay']) for group in groups for p in group['params']}
    assert found.keys() == case['params'].keys()
    wrong = {
        name: (settings, case['params'][name])
        for name, settings in found.items()
        if settings != pytest.approx(tuple(case['params'][name]), rel=1e-10)
    }
    assert not wrong
    assert (len(groups), len({group['lr'] for group in groups})) == (case['groups'], case['distinct_scales'])


def test_mae(goldens_dir: Path) -> None:
    for case in Golden(goldens_dir, 'lr_decay_mae').record['expected']:
        _check(case, _vit(list(case['params'])), case['layer_decay'])


def test_hivit(goldens_dir: Path) -> None:
    for case in Golden(goldens_dir, 'lr_decay_hivit').record['expected']:
        _check(case, _hivit(list(case['params'])), case['layer_decay'])


@pytest.mark.parametrize('name', ['lr_decay_itpn', 'lr_decay_itpn_clip'])
def test_itpn_rescales_its_rate(goldens_dir: Path, name: str) -> None:
    for case in Golden(goldens_dir, name).record['expected']:
        backbone = _hivit(list(case['params']))
        rate = case['layer_decay'] ** (13 / (1 + sum(backbone['arch']['depths'])))
        _check(case, backbone, rate)
