"""AMDIM against numbers recorded from its official implementation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mmssl.converters.convert import rename
from mmssl.registry import ALGORITHMS
from tests.parity.golden import Golden, summary


@pytest.mark.parametrize('case', ['amdim_c32', 'amdim_c32_bn'])
def test_a_step(goldens_dir, case):
    golden = Golden(goldens_dir, case)
    norm = case.endswith('_bn')
    model = ALGORITHMS.build(
        dict(
            type='AMDIM',
            backbone=dict(type='AMDIMEncoder', width=16, out_channels=64, num_units=3, img_size=32, norm=norm),
            neck=dict(type='AMDIMProjector', in_channels=64, out_channels=64, norm=norm),
            head=dict(type='LocalInfoLoss', clip=golden.literals['tclip'], penalty=0.05),
        )
    )
    # Officially norms that are switched off exist without being used.
    own = model.state_dict().keys()
    golden.record['state_dict'] = [
        [name, shape] for name, shape in golden.record['state_dict'] if rename(name, 'amdim') in own
    ]
    golden.load(model, 'amdim', kept=('position.count', 'position.fraction'))
    model.places = lambda index: torch.tensor(golden.literals['source_positions']).T
    projections: list[tuple[Tensor, ...]] = []
    model.neck.register_forward_hook(lambda module, args, out: projections.append(out))
    views, samples = list(golden.inputs().values()), dict(index=torch.arange(6))
    total = sum(model.loss(views, samples).values())
    total.backward()
    after_step = golden.state(model, 'amdim')

    outputs = {}
    for view, (seven, five, vector) in enumerate(projections[:2], 1):
        outputs |= {f'r1_x{view}': vector[..., None, None], f'r5_x{view}': five, f'r7_x{view}': seven}
    model.head.penalty = 0.0
    terms = {name: value.item() for name, value in model.loss(views, samples).items()}
    found = {'1t5': terms['loss_1_5'], '1t7': terms['loss_1_7'], '5t5': terms['loss_5_5'], 'total': total.item()}
    found['lgt_reg'] = total.item() - sum(terms.values())
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': found,
            'grads': golden.gradients(model, 'amdim'),
            'after_step': after_step,
        }
    )
