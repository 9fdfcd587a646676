"""MAE against numbers recorded from its official implementation."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.models.layers.patches import select_patches
from mmssl.models.layers.positions import sincos_positions
from mmssl.models.maskers.uniform_masker import UniformMasker, uniform_mask
from tests.parity.golden import Golden, Trace, in_recorded_order, summary

RECIPE = 'mae/mae_vit-base_64xb64-800e_in1k.py'


def test_a_step_on_plain_pixels(goldens_dir, monkeypatch):
    golden = Golden(goldens_dir, 'mae_vit_base_pixel')
    images, noise = golden.inputs().values()
    model = golden.build(
        RECIPE, 'mae', {'model.target.standardize': False, 'model.masker.ratio': golden.literals['mask_ratio']}
    )
    monkeypatch.setattr(torch, 'rand', lambda *size, device: noise)
    trace = Trace(latent=model.backbone, prediction=model.neck)
    mask = model.masker(images)
    loss = model.loss([images])['loss']
    loss.backward()
    cls_token, visible = trace['latent'][0].tensor_split([1], dim=1)
    visible = in_recorded_order(visible, model.masker.visible(mask), golden.literals['ids_keep'])
    outputs = {'latent': torch.cat([cls_token, visible], dim=1), 'pred': trace['prediction'][0], 'mask': mask.double()}
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': {'total': loss.item()},
            'grads': golden.gradients(model, 'mae'),
        }
    )


def test_masks(goldens_dir):
    golden = Golden(goldens_dir, 'masking_mae')
    inputs = golden.inputs()
    assert golden.record['expected']
    for case in golden.record['expected']:
        noise, tokens = inputs[case['noise']], inputs[case['x']]
        masker = UniformMasker()
        masker.ratio = case['mask_ratio']  # one is 0, with which a masker refuses to be made
        mask = uniform_mask(noise, masker.num_hidden(noise.shape[1]))
        keep = masker.visible(mask)
        assert keep.shape[1] == case['len_keep']
        assert mask.sum(1).tolist() == case['mask_sum']
        assert [row.nonzero().squeeze(1).tolist() for row in mask] == case['masked_ids']
        visible = in_recorded_order(select_patches(tokens, keep), keep, case['ids_keep'])
        golden_like = Golden.__new__(Golden)
        golden_like.record = {'outputs': {'x_masked': case['x_masked']}}
        golden_like.check({'outputs': {'x_masked': summary(visible)}}, ['outputs'])


def test_positions(goldens_dir):
    cases = Golden(goldens_dir, 'sincos_2d').record['expected']
    assert cases
    for case in cases:
        grid, prefix = int(case['grid']), int(case['cls_token'])
        table = sincos_positions((grid, grid), case['dim'], 'column', torch.float64, prefix)[0].double()
        expected = case['table']
        assert list(table.shape) == expected['shape']
        assert_close(table.sum().item(), expected['sum'], rtol=1e-6, atol=0)
        assert_close(summary(table)['probe'], expected['probe'], rtol=0, atol=1e-7)
        for row, values in case['rows'].items():
            assert_close(table[int(row), case['row_columns']].tolist(), values, rtol=0, atol=1e-7)
