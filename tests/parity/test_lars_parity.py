"""LARS against three steps of the official implementations."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmssl.engine.optimizers.lars import LARS
from tests.parity.golden import Golden, summary

# Whether a tensor without dimensions gets decay and trust ratio: only those with one dimension are excluded there.
SCALES_INCLUDED = {'lars_mocov3': False, 'lars_barlow': True, 'lars_vicreg': True}


@pytest.mark.parametrize('case', SCALES_INCLUDED)
def test_three_steps(goldens_dir, case):
    golden = Golden(goldens_dir, case)
    literals = golden.literals
    parameters = {name: nn.Parameter(tensor) for name, tensor in golden.state_dict().items()}
    for name in literals['zero_tensors']:
        nn.init.zeros_(parameters[name])
    vectors = [p for p in parameters.values() if p.ndim == 1]
    scalars = [p for p in parameters.values() if p.ndim == 0]
    weights = [p for p in parameters.values() if p.ndim > 1]
    groups = [dict(params=weights), dict(params=vectors), dict(params=scalars)]
    if SCALES_INCLUDED[case]:
        groups[2]['excluded'] = False
    optimizer = LARS(
        groups,
        lr=0.0,
        momentum=literals['momentum'],
        weight_decay=literals['weight_decay'],
        trust_coefficient=literals['eta'],
        lr_mode='post',
    )
    gradients, found = golden.inputs(), {}
    for step, rates in enumerate(literals['lr'], start=1):
        for group, rate in zip(optimizer.param_groups, (rates[0], rates[-1], rates[0]), strict=True):
            group['lr'] = rate  # where there are two rates, the second is that of vectors
        for name, parameter in parameters.items():
            if name in literals['zero_grads']:
                parameter.grad = torch.zeros_like(parameter)
            elif name not in literals['grad_none']:
                parameter.grad = gradients[f'grad{step}.{name}']
        optimizer.step()
        for name, parameter in parameters.items():
            found[f'step{step}.{name}'] = summary(parameter)
            if name in literals['grad_none']:
                assert not optimizer.state[parameter]
            else:
                found[f'step{step}.mu.{name}'] = summary(optimizer.state[parameter]['momentum_buffer'])
    golden.check({'outputs': found}, ['outputs'])
