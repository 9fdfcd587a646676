"""GreenMIM against numbers recorded from its official implementation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmssl.models.backbones.grouped_swin import visible_places
from mmssl.models.layers.window_groups import group_windows, knapsack, window_groups
from mmssl.models.losses.masked_mse_loss import masked_mse
from mmssl.models.targets.pixel_target import PixelTarget
from tests.parity.golden import Golden, summary

RECIPE = 'greenmim/greenmim_swin-base{}_8xb256-800e_in1k.py'


def test_groups_of_windows(goldens_dir):
    expected = Golden(goldens_dir, 'greenmim_grouping').record['expected']
    for case in expected['knapsack']:
        counts = np.array(case['counts'])
        chosen = knapsack(case['capacity'], counts)
        assert chosen == case['chosen'] and counts[chosen].sum() == case['total']
    for case in expected['group_windows']:
        counts = np.array(case['counts'])
        groups = group_windows(case['group_size'], counts)
        assert groups == case['groups'] and [counts[group].sum() for group in groups] == case['group_counts']


def test_groups_of_every_stage(goldens_dir):
    golden = Golden(goldens_dir, 'greenmim_grouping')
    units = golden.literals['visible_units']
    assert golden.record['expected']['modules']
    for case in golden.record['expected']['modules']:
        places = visible_places(units, 7, case['resolution'] // 7)
        groups = window_groups(places, case['window'], case['shift'])
        assert len(places) == case['num_visible']
        assert (len(groups.tokens) == 1) == (case['mode'] == 'masking')
        # In the official code an empty place sees nothing, here it sees the empty places of its group.
        empty = groups.tokens.numel() - len(places), groups.allowed.sum() - case['num_allowed_pairs']
        spare = [case['group_size'] - count for count in case.get('group_counts', [])]
        assert empty == (sum(spare), sum(count**2 for count in spare))
        assert groups.offsets.sum() == case['rel_pos_idx_allowed_sum']
        assert -100 * (groups.allowed.numel() - case['num_allowed_pairs']) == case['attn_mask']['sum']
        cells = (places + (case['window'] - case['shift']) % case['window']) // case['window']
        names = cells[:, 0] * 100 + cells[:, 1]
        assert np.unique(names, return_counts=True)[1].tolist() == case['window_counts']
        if case['mode'] == 'grouping':
            assert groups.tokens.shape == (case['num_groups'], case['group_size'])


@pytest.fixture(scope='module')
def base(goldens_dir):
    return Golden(goldens_dir, 'greenmim_swin_base').build(RECIPE.format(''), 'greenmim')


def run(golden, model, scattered=None):
    """Outputs and losses of one forward; ``scattered`` names the units at which the decoder gets the visible tokens."""
    images = golden.inputs()['imgs']
    units = sorted(golden.literals['ids_keep'])
    stages, hooks = {}, []
    for number, stage in enumerate(list(model.backbone.model.layers)[1:], 1):
        keep = lambda module, args, x, number=number: stages.update({f'stage{number}': x})  # noqa: E731
        hooks.append(stage.downsample.reduction.register_forward_hook(keep))
    hooks.append(
        model.backbone.model.norm.register_forward_hook(lambda m, args, x: stages.update(stage4=args[0], latent=x))
    )
    latent = model.backbone(images, keep=units)
    for hook in hooks:
        hook.remove()
    mask = torch.ones(len(images), 49, dtype=torch.bool)
    mask[:, units] = False
    keep = torch.tensor(units if scattered is None else scattered).expand(len(images), -1)
    prediction = model.neck(latent, keep)
    total = model.head(prediction, model.target(images), mask)
    raw = masked_mse(prediction, PixelTarget(32, standardize=False)(images), mask)
    outputs = stages | dict(pred=prediction, mask=mask.double())
    return total, {
        'outputs': {name: summary(value) for name, value in outputs.items()},
        'losses': {'total': total.item(), 'raw': raw.item()},
    }


def test_a_step(goldens_dir, base):
    golden = Golden(goldens_dir, 'greenmim_swin_base')
    total, results = run(golden, base)
    total.backward()
    golden.check(results | {'grads': golden.gradients(base, 'greenmim')})


def test_the_released_code_puts_visible_tokens_at_other_units(goldens_dir, base):
    golden = Golden(goldens_dir, 'greenmim_swin_base_as_released')
    with torch.no_grad():
        _, ours = run(golden, base)
        _, released = run(golden, base, golden.literals['ids_keep'])
    golden.check(released, ['outputs', 'losses'])
    latent, prediction = golden.record['outputs']['latent'], golden.record['outputs']['pred']
    assert ours['outputs']['latent']['sum'] == pytest.approx(latent['sum'])
    assert abs(ours['outputs']['pred']['sum'] - prediction['sum']) > 1


def test_windows_of_14(goldens_dir):
    golden = Golden(goldens_dir, 'greenmim_swin_base_win14')
    model = golden.build(RECIPE.format('-win14'), 'greenmim')
    with torch.no_grad():
        golden.check(run(golden, model)[1], ['outputs', 'losses'])
