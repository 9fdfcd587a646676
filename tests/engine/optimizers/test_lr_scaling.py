from __future__ import annotations

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmssl.engine.optimizers.lr_scaling import scale_lr
from mmssl.utils.errors import UserError


def _wrapper() -> OptimWrapper:
    layers = nn.Linear(2, 1), nn.Linear(2, 1)
    groups = [dict(params=layer.parameters(), lr=lr) for layer, lr in zip(layers, (1.0, 0.5))]
    return OptimWrapper(torch.optim.SGD(groups, lr=1.0))


@pytest.mark.parametrize(('rule', 'factor'), [('linear', 1 / 16), ('sqrt', 1 / 4)])
def test_every_group_is_scaled_by_the_rule(rule: str, factor: float) -> None:
    wrapper = _wrapper()
    scale_lr(wrapper, 8, base_batch_size=128, rule=rule)
    assert wrapper.get_lr()['lr'] == [factor, factor / 2]


@pytest.mark.parametrize('settings', [dict(base_batch_size=128, rule='cubic'), dict(rule='linear')])
def test_an_unknown_rule_or_a_missing_batch_size_is_refused(settings: dict) -> None:
    with pytest.raises(UserError, match="needs base_batch_size and the rule 'linear' or 'sqrt', got .*rule"):
        scale_lr(_wrapper(), 8, **settings)
