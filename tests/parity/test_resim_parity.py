"""ReSim against numbers recorded from the official implementation, with one process and with two."""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.distributed.collectives import rank, world_size
from mmssl.models.layers.precise_roi_pool import precise_roi_pool
from mmssl.models.layers.sliding_windows import SlidingWindows
from tests.parity.golden import Golden, summary
from tests.support.distributed import run_distributed

RECIPE = 'resim/resim_resnet50_8xb32-200e_in1k.py'
WINDOWS = dict(c3=SlidingWindows(32, 24), c4=SlidingWindows(48, 32))


def crops_of(recorded: list) -> torch.Tensor:
    """Our crops (left, top, width, height, flipped) for recorded (top, left, height, width)."""
    rows = torch.tensor(recorded, dtype=torch.float64)[..., [1, 0, 3, 2]]
    return torch.cat([rows, torch.zeros_like(rows[..., :1])], dim=-1)


def test_windows(goldens_dir):
    golden = Golden(goldens_dir, 'resim_windows')
    size, crops = golden.literals['img_size'], crops_of(golden.literals['crops'])
    outputs = {}
    for level, grid in WINDOWS.items():
        assert grid.boxes(size).tolist() == golden.literals[f'windows_q_{level}']
        boxes, inside = grid.map(size, crops)
        outputs |= {f'windows_k_{level}': boxes, f'labels_{level}': inside.double() - 1}
        assert_close(boxes.tolist(), golden.record['literals_out'][f'windows_k_{level}'], rtol=1e-9, atol=1e-9)
    golden.check({'outputs': {name: summary(value) for name, value in outputs.items()}}, ['outputs'])


def test_a_flip_of_both_views_mirrors_the_windows(goldens_dir):
    crops = crops_of(Golden(goldens_dir, 'resim_windows').literals['crops'])
    mirrored = crops.clone()
    mirrored[..., 0] = 500 - crops[..., 0] - crops[..., 2]  # in the mirrored image
    mirrored[..., 4] = 1
    for grid in WINDOWS.values():
        assert_close(grid.map(224, mirrored), grid.map(224, crops))


def test_precise_roi_pooling(goldens_dir):
    golden = Golden(goldens_dir, 'resim_prroi_pool')
    inputs = golden.inputs()
    features = (sqrt(126) * inputs['features']).requires_grad_()
    rois = torch.tensor(golden.literals['rois'], dtype=torch.float64)
    maps, boxes = features[rois[:, 0].long()], rois[:, None, 1:] * golden.literals['spatial_scale']
    pooled = {bins: precise_roi_pool(maps, boxes, bins).squeeze(1) for bins in ((1, 1), (2, 3))}
    (sum((pooled[bins] * inputs[f'weight_{bins[0]}x{bins[1]}']).sum() for bins in pooled)).backward()
    golden.check(
        {
            'outputs': {f'pooled_{rows}x{columns}': summary(value) for (rows, columns), value in pooled.items()},
            'losses': {},
            'grads': {'features': summary(features.grad)},
        },
        ['outputs', 'losses', 'grads'],
    )
    recorded = torch.tensor(golden.record['literals_out']['pooled_1x1'], dtype=torch.float64)
    assert_close(pooled[1, 1].flatten(1), recorded, rtol=1e-10, atol=1e-10)


def run_step(golden: Golden, overrides: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """One step of this process: its share of the images, the recorded shuffle, the mean gradient of all processes."""
    literals, order = golden.literals, golden.literals['idx_shuffle']
    model = golden.build(RECIPE, 'resim', {'model.queue.length': literals['K'], **overrides})
    model.shuffle.permutation = lambda count, device: torch.tensor(order, device=device)
    seen: dict[str, Any] = dict(regions=[])
    model.neck.register_forward_hook(lambda module, args, output: seen.update(query=output))
    model.teacher.neck.register_forward_hook(lambda module, args, output: seen.update(key=output))
    model.head.register_forward_hook(lambda head, args, loss: seen.update(instance=args))
    model.region_loss.register_forward_hook(lambda loss, args, value: seen['regions'].append(args))
    model.teacher.update(0.0, momentum=literals['m'], backbone=model.backbone, neck=model.neck)
    images = [golden.inputs()[name].chunk(world_size())[rank()] for name in ('im_q', 'im_k')]
    crops = crops_of(literals['crops']).chunk(world_size())[rank()]
    losses = model.loss(images, dict(crops=crops))
    total = sum(losses.values())
    total.backward()
    for parameter in model.parameters():
        if parameter.grad is not None and world_size() > 1:
            dist.all_reduce(parameter.grad)
            parameter.grad /= world_size()
    temperature = literals['T']
    queries, keys = (normalize(x.detach(), dim=1) for x in seen['instance'][:2])
    outputs = {'logits': _logits(queries, keys, golden.tensor('queue').T, temperature)}
    for level, (q, k, bank, _) in zip(('c3', 'c4'), seen['regions']):
        outputs[f'logits_{level}'] = _logits(
            *(normalize(x.detach(), dim=-1).flatten(0, 1) for x in (q, k)), bank, temperature
        )
        outputs[f'logits_{level}_pos(column 0)'] = outputs[f'logits_{level}'][:, 0]
    for name, (embedding, c3, c4) in (('encoder_q', seen['query']), ('encoder_k', seen['key'])):
        suffix, rows = ('', slice(None)) if name == 'encoder_q' else ('_shuffled_order', order)
        if world_size() == 1:
            outputs |= {f'{name}.out{suffix}': embedding[rows], f'{name}.c3{suffix}': c3[rows]}
            outputs[f'{name}.c4{suffix}'] = c4[rows]
    model.queue.commit()
    start = literals['queue_ptr_before']
    outputs['queue_after_new_columns'] = model.queue.features.T[:, start : start + len(order)]
    names = dict(total=total, instance=losses['loss_global'], c3=losses['loss_level0'], c4=losses['loss_level1'])
    return {
        'outputs': {name: summary(value) for name, value in outputs.items()},
        'losses': {name: value.item() for name, value in names.items()},
        'grads': golden.gradients(model, 'resim'),
        'after_step': golden.state(model, 'resim'),
    }


def _logits(queries: torch.Tensor, keys: torch.Tensor, bank: torch.Tensor, temperature: float) -> torch.Tensor:
    positives = (queries * keys).sum(dim=1, keepdim=True)
    return torch.cat([positives, queries @ bank.T], dim=1) / temperature


@pytest.mark.parametrize(
    ('case', 'norm'), [('resim_fpn_r50', False), ('resim_fpn_r50_fpnbn', True)], ids=['plain', 'with norms']
)
def test_a_step(goldens_dir, case, norm):
    golden = Golden(goldens_dir, case)
    golden.check(run_step(golden, {'model.neck.pyramid.norm': norm}))


def run_rank(directory: Path, case: str) -> dict[str, dict[str, Any]]:
    """What one of several processes makes of a recording for them all; tensors of its own are named after its rank."""
    golden = Golden(directory, case)
    own = f'rank{rank()}.'
    recorded = {section: set(golden.record[section]) for section in ('outputs', 'after_step')}
    kept = {name.removeprefix(own) for name in recorded['after_step'] if not name.startswith('rank') or own in name}
    golden.record['after_step'] = kept
    results = run_step(golden, {'model.region_loss.per_process': True})
    for section in ('outputs', 'after_step'):
        named = {own + n if own + n in recorded[section] else n: v for n, v in results[section].items()}
        results[section] = {name: value for name, value in named.items() if name in recorded[section]}
    results['losses'] = {own + name: value for name, value in results['losses'].items()}
    return results


def test_two_processes_share_one_bank_of_the_coarse_level(goldens_dir):
    case = 'resim_fpn_r50_2ranks'
    golden = Golden(goldens_dir, case)
    ranks = run_distributed(run_rank, 2, goldens_dir.resolve(), case)
    for results in ranks:
        golden.check({'grads': results['grads']}, ['grads'])
    merged = {section: {n: v for results in ranks for n, v in results[section].items()} for section in ranks[0]}
    merged['losses']['total'] = sum(merged['losses'][f'rank{number}.total'] for number in (0, 1)) / 2
    golden.check(merged)
