"""Barlow Twins and VICReg against numbers recorded from their official implementations."""

from __future__ import annotations

from torch.nn.functional import mse_loss

from mmssl.models.losses.barlow_twins_loss import cross_correlation
from mmssl.models.losses.vicreg_loss import covariance_penalty, variance_hinge
from tests.parity.golden import Golden, Trace, summary

WIDTHS = {'model.neck.hidden_channels': [1024, 512], 'model.neck.out_channels': 256}  # of the recordings


def test_barlow_twins(goldens_dir):
    golden = Golden(goldens_dir, 'barlowtwins_r50')
    recipe = 'barlowtwins/barlowtwins_resnet50_16xb128-1000e_in1k.py'
    model = golden.build(recipe, 'barlowtwins', WIDTHS)
    assert model.head.redundancy_weight == golden.literals['lambd']
    trace = Trace(feature=model.backbone, z=model.neck.layers[6], normed=model.neck)
    views = golden.inputs()
    loss = model.loss(list(views.values()))['loss']
    loss.backward()
    correlation = cross_correlation(*trace['normed'])
    diagonal = correlation.diagonal()
    outputs = {f'feature({view})': value for view, value in zip(views, trace['feature'], strict=True)}
    for index in range(2):
        outputs |= {f'z{index + 1}': trace['z'][index], f'bn(z{index + 1})': trace['normed'][index]}
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in (outputs | {'c': correlation}).items()},
            'losses': {
                'total': loss.item(),
                'on_diag': (diagonal - 1).square().sum().item(),
                'off_diag': (correlation - diagonal.diag()).square().sum().item(),
            },
            'grads': golden.gradients(model, 'barlowtwins'),
            'after_step': golden.state(model, 'barlowtwins'),
        }
    )
    assert model.neck.layers[7].num_batches_tracked == 2


def test_vicreg(goldens_dir):
    golden = Golden(goldens_dir, 'vicreg_r50')
    model = golden.build('vicreg/vicreg_resnet50_32xb64-1000e_in1k.py', 'vicreg', WIDTHS)
    assert list(model.head.weights.values()) == [golden.literals[f'{term}_coeff'] for term in ('sim', 'std', 'cov')]
    trace = Trace(feature=model.backbone, z=model.neck)
    views = golden.inputs()
    loss = model.loss(list(views.values()))['loss']
    loss.backward()
    z1, z2 = trace['z']
    outputs = {f'feature({view})': value for view, value in zip(views, trace['feature'], strict=True)}
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in (outputs | {'z1': z1, 'z2': z2}).items()},
            'losses': {
                'total': loss.item(),
                'repr': mse_loss(z1, z2).item(),
                'std': (variance_hinge(z1) + variance_hinge(z2)).item() / 2,
                'cov': (covariance_penalty(z1) + covariance_penalty(z2)).item(),
            },
            'grads': golden.gradients(model, 'vicreg'),
            'after_step': golden.state(model, 'vicreg'),
        }
    )
