"""I-JEPA against numbers recorded from its official implementation."""

from __future__ import annotations

import pytest
import torch
from torch.optim import SGD
from torch.testing import assert_close

from mmssl.config.load import load_config
from mmssl.engine.schedules import CosineWeightDecay, WarmupCosineLR
from mmssl.models.maskers.multi_block_masker import block_size, multi_block_mask
from tests.parity.golden import CONFIGS, Golden, Trace, summary

# Grid, shares and aspects of the targets, shares of the context, number of targets, smallest context, overlap.
B16 = ((14, 14), (0.15, 0.2), (0.75, 1.5), (0.85, 1.0), 4, 11, False)
BLOCKS = {
    'b16': B16,
    'h14': ((16, 16), *B16[1:]),
    'overlap': (*B16[:-1], True),
    'defaults': ((14, 14), (0.2, 0.8), (0.3, 3.0), (0.2, 0.8), 2, 5, False),
}


class TorchRandom:
    """Draws places from torch's global generator, as the official code does."""

    def randrange(self, stop: int) -> int:
        return int(torch.randint(0, stop, (1,)))


def sizes(config: str, call: int) -> tuple[tuple[int, int], tuple[int, int]]:
    grid, scale, aspect, context, *_ = BLOCKS[config]
    generator = torch.Generator().manual_seed(call)
    target, full = (float(torch.rand(1, generator=generator)) for _ in range(2))
    return block_size(grid, scale, aspect, target), block_size(grid, context, (1.0, 1.0), full)


def test_masks(goldens_dir):
    cases = Golden(goldens_dir, 'ijepa_masks').record['expected']['masks']
    assert {case['config'] for case in cases} == BLOCKS.keys()
    for case in cases:
        grid, *_, num_targets, smallest, overlap = BLOCKS[case['config']]
        if case['call'] == 0:
            torch.manual_seed(case['torch_seed'])
        drawn = [
            multi_block_mask(TorchRandom(), grid, *sizes(case['config'], case['call']), num_targets, smallest, overlap)
            for _ in case['context'][0]
        ]
        shortest = min(len(context) for context, _ in drawn)
        assert [[context[:shortest].tolist() for context, _ in drawn]] == case['context']
        assert [[blocks[i].tolist() for _, blocks in drawn] for i in range(num_targets)] == case['targets']


def test_block_sizes(goldens_dir):
    expected = Golden(goldens_dir, 'ijepa_masks').record['expected']['block_sizes']
    assert len(expected) == 8
    for seed, target, context in expected:
        assert sizes('b16', seed) == (tuple(target), tuple(context))


def test_schedules(goldens_dir):
    """One iteration per epoch; the official schedule counts the first step as 1."""
    expected = Golden(goldens_dir, 'ijepa_masks').record['expected']['schedules']
    cfg = load_config(CONFIGS / 'ijepa/ijepa_vit-huge_16xb128-300e_in1k.py')
    base = cfg.optim_wrapper.optimizer
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=base.lr, weight_decay=base.weight_decay)
    classes = dict(WarmupCosineLR=WarmupCosineLR, CosineWeightDecay=CosineWeightDecay)
    rate, decay = (
        classes[schedule.pop('type')](optimizer, max_epochs=300, end=300, **schedule)
        for schedule in cfg.param_scheduler
    )
    assert expected
    for step, (lr, weight_decay) in expected.items() if isinstance(expected, dict) else expected:
        assert_close(base.lr * rate.factor(int(step)), lr, rtol=1e-9, atol=0)
        assert_close(base.weight_decay * decay.factor(int(step)), weight_decay, rtol=1e-9, atol=0)


@pytest.fixture(scope='module')
def golden(goldens_dir) -> Golden:
    return Golden(goldens_dir, 'ijepa_vitb16')


def test_a_step(golden):
    literals = golden.literals
    base = dict(patch_size=16, arch='base')
    model = golden.build(
        'ijepa/ijepa_vit-huge_16xb128-300e_in1k.py',
        'ijepa',
        {f'model.backbone.{key}': value for key, value in base.items()}
        | {
            'model.masker.patch_size': 16,
            'model.neck': dict(type='JEPAPredictor', in_channels=768, grid_size=14, depth=6, num_heads=12),
        },
        kept=('position.count', 'position.fraction'),
    )
    (images,) = golden.inputs().values()
    context = torch.tensor(literals['context'][0])
    targets = torch.tensor(literals['targets']).transpose(0, 1)  # (N, T, n)
    model.masker.forward = lambda images, step: (context, targets)
    trace = Trace(context=model.backbone, target_full=model.teacher.backbone)
    compared = []
    model.head.register_forward_hook(lambda head, args, output: compared.extend(args))
    loss = model.loss([images])['loss']
    loss.backward()
    model.teacher.update(0.0, backbone=model.backbone)
    prediction, wanted = (tensor.transpose(0, 1).flatten(0, 1) for tensor in compared)  # block by block
    outputs = dict(target_full=trace['target_full'][0], targets=wanted, context=trace['context'][0], pred=prediction)
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': {'total': loss.item()},
            'grads': golden.gradients(model, 'ijepa'),
            'after_step': golden.state(model, 'ijepa'),
        }
    )
    for part, numbers in golden.record['params'].items():
        module = dict(encoder=model.backbone, predictor=model.neck)[part]
        parameters = list(module.parameters())
        assert sum(p.numel() for p in parameters) == numbers['total']
        assert sum(p.numel() for p in parameters if p.requires_grad) == numbers['trainable']
