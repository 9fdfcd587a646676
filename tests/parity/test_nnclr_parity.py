"""NNCLR's look-up and loss against a restatement of the paper's equations."""

from __future__ import annotations

from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.models.algorithms.nnclr import nearest
from mmssl.models.losses.neighbour_contrast_loss import neighbour_contrast
from tests.parity.golden import Golden, summary


def test_neighbours_loss_and_gradients(goldens_dir):
    golden = Golden(goldens_dir, 'nnclr_restated')
    inputs, temperature = golden.inputs(), golden.literals['T']
    support = normalize(inputs['support'], dim=1)
    near = {f'nn{view}': nearest(inputs[f'z{view}'], support) for view in (1, 2)}
    for name, rows in golden.record['literals_out'].items():
        assert_close(near[name], support[rows])
    predictions = {f'p{view}': (4 * inputs[f'p{view}']).requires_grad_() for view in (1, 2)}
    l12 = neighbour_contrast(predictions['p2'], near['nn1'], temperature)
    l21 = neighbour_contrast(predictions['p1'], near['nn2'], temperature)
    ((l12 + l21) / 2).backward()
    for name in ('column_l12', 'column_l21'):  # the other denominator, which is not used
        del golden.record['losses'][name]
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in near.items()},
            'losses': dict(total=((l12 + l21) / 2).item(), l12=l12.item(), l21=l21.item()),
            'grads': {name: summary(value.grad) for name, value in predictions.items()},
        }
    )
