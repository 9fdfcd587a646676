"""CAST against numbers recorded from the official implementation."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.datasets.transforms.salient_view import area_in, bounding_box, draw_salient_crop, smallest_cover
from mmssl.models.layers import grad_cam as grad_cam_module
from tests.parity.golden import Golden, difference, summary

RECIPE = 'cast/cast_resnet50_8xb32-200e_coco.py'


class PythonRandom:
    """Python's generator behind the methods of NumPy's that a crop is drawn with."""

    def __init__(self, seed: int) -> None:
        random.seed(seed)

    def uniform(self, low: float, high: float) -> float:
        return random.uniform(low, high)

    def normal(self, mean: float, deviation: float) -> float:
        return random.gauss(mean, deviation)

    def integers(self, low: int, high: int, endpoint: bool) -> int:
        return random.randint(low, high)


@pytest.fixture(scope='module')
def ellipse(goldens_dir) -> tuple[Golden, np.ndarray]:
    golden = Golden(goldens_dir, 'cast_crops')
    (cy, cx, ry, rx), (height, width) = golden.literals['ellipse'], golden.literals['size']
    y, x = np.mgrid[:height, :width]
    return golden, ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1


def test_what_a_crop_must_show(ellipse):
    golden, mask = ellipse
    recorded, boxes = golden.record['literals_out'], golden.literals['boxes']
    areas = [area_in(mask, tuple(box)) for box in boxes]
    needed = smallest_cover(mask, 0.2, 0.2)
    assert list(bounding_box(mask)) == recorded['box'] and mask.sum() == recorded['mask_area']
    assert areas == recorded['areas'] and needed == recorded['min_areacover']
    assert [area / mask.sum() >= needed for area in areas] == recorded['accepted']
    whole = np.ones((60, 80), dtype=bool)
    assert smallest_cover(whole, 0.2, 0.2) == recorded['min_areacover_full_mask']
    x0, y0, x1, y1 = boxes[1]
    assert [y1 - y0, x1 - x0] == recorded['query_mask_shape'] and areas[1] == recorded['query_mask_area_ref']


def test_crops_of_the_same_random_numbers(ellipse):
    golden, mask = ellipse
    for seed, expected in golden.record['literals_out']['crops_by_python_seed'].items():
        rng = PythonRandom(int(seed))
        drawn = [list(draw_salient_crop(mask, rng, (0.2, 1.0), (3 / 4, 4 / 3), 0.2)) for _ in expected]
        assert drawn == expected, seed


def run_step(golden: Golden, updates: int) -> tuple[dict[str, dict[str, Any]], Tensor, Tensor]:
    """A step whose teacher is updated before the first or before both encodings of keys; also returns map and masks."""
    literals = golden.literals
    bottleneck = 'r50' in golden.record['case']
    width = 2048 if bottleneck else 512
    changes = {
        'model.backbone.depth': 50 if bottleneck else 18,
        'model.neck.in_channels': width,
        'model.queue.length': literals['K'],
        'model.attention_weight': literals['alpha'] / (literals['alpha'] + literals['beta']),
    }
    model = golden.build(RECIPE, 'moco', changes)
    parts = dict(backbone=model.backbone, neck=model.neck)
    seen: dict[str, Any] = {}
    calls: list[Any] = []

    def update_teacher(shuffle: torch.nn.Module, args: Any) -> None:
        if len(calls) < updates:
            model.teacher.update(0.0, momentum=literals['m'], **parts)

    model.shuffle.register_forward_pre_hook(update_teacher)
    model.shuffle.register_forward_hook(lambda shuffle, args, keys: calls.append(keys))
    hook = model.backbone.register_forward_hook(lambda module, args, maps: seen.update(maps=maps[-1]))
    model.head.register_forward_hook(lambda head, args, loss: seen.update(head=args))
    model.attention_loss.register_forward_hook(lambda loss, args, value: seen.update(attention=args[0]))
    masks = [torch.tensor(literals[name], dtype=torch.float64) for name in ('query_mask', 'key_mask')]
    images = [golden.inputs()[name] for name in ('im_q', 'im_k')]
    blocks = torch.cat([mask.repeat_interleave(32, 2).repeat_interleave(32, 3) for mask in masks], dim=1)
    losses = model.loss(images, dict(masks=blocks))
    hook.remove()
    with torch.no_grad():
        model.backbone(images[0])  # the official code encodes the query twice, which shows in running statistics
    total = sum(losses.values())
    total.backward()
    query, key, _ = seen['head']
    unit, salient = normalize(query.detach(), dim=1), normalize(calls[1], dim=1)
    logits = torch.cat([(unit * normalize(key, dim=1)).sum(1, keepdim=True), unit @ golden.tensor('queue')], 1)
    positives = torch.nn.functional.cosine_similarity(model.neck(seen['maps']), salient) / literals['T']
    (gradient,) = torch.autograd.grad(positives.sum(), seen['maps'], retain_graph=True)
    raw = grad_cam_module.grad_cam(positives, seen['maps']).detach()
    model.queue.commit()
    start = literals['queue_ptr_before']
    outputs = {
        'logits': logits / literals['T'],
        'logits_masked_pos(column 0)': (unit * salient).sum(1) / literals['T'],
        'layer4': seen['maps'],
        'grad_of_positive_logit_wrt_layer4': gradient,
        'gradcam_before_normalisation': raw[:, None],
        'gradcam': seen['attention'][:, None],
        'queue_after_new_columns': model.queue.features.T[:, start : start + len(query)],
    }
    weight = model.attention_weight
    results = {
        'outputs': {name: summary(value) for name, value in outputs.items()},
        'losses': {
            'total': total.item(),
            'contrast': losses['loss_contrast'].item() / (1 - weight),
            'attention': losses['loss_attention'].item() / weight,
        },
        'grads': golden.gradients(model, 'moco'),
        'after_step': golden.state(model, 'moco'),
    }
    return results, raw, masks[0]


@pytest.mark.parametrize(('case', 'updates'), [('cast_r18', 2), ('cast_r50', 2), ('cast_r18_single_ema_restated', 1)])
def test_a_step(goldens_dir, case, updates):
    golden = Golden(goldens_dir, case)
    negative = {
        name: golden.record[section].pop(name)
        for section in ('outputs', 'losses')
        for name in [key for key in golden.record[section] if key.startswith('NEGATIVE')]
    }
    results, raw, masks = run_step(golden, updates)
    golden.check(results)
    recorded = torch.tensor(golden.record['literals_out']['gradcam'], dtype=torch.float64)
    assert difference(results['outputs']['gradcam'], summary(recorded), 1e-8) is None
    # What a ReLU before the scaling, or a mean of the cosines of the images, would give.
    clipped = grad_cam_module.scale_to_unit(grad_cam_module.scale_to_unit(raw.relu()))
    assert_close(
        1 - torch.cosine_similarity(clipped.flatten(), masks.flatten(), dim=0).item(),
        negative['NEGATIVE_attention_with_relu_first'],
        rtol=1e-6,
        atol=0,
    )
    assert abs(results['losses']['attention'] - negative['NEGATIVE_attention_with_relu_first']) > 0.1
