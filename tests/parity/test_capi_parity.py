"""CAPI against numbers recorded from its official implementation."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD
from torch.testing import assert_close

from mmssl.config.load import load_config
from mmssl.engine.schedules import WarmupCosineLR
from mmssl.models.components.ema_teacher import truncated_momentum
from mmssl.models.heads.online_cluster_head import OnlineClusterHead
from mmssl.models.layers.cosine_linear import CosineLinear
from mmssl.models.layers.sinkhorn import sinkhorn
from mmssl.models.maskers.inverse_block_masker import InverseBlockMasker, rolled_block
from tests.parity.golden import CONFIGS, Golden, Trace, difference, fill, summary

RECIPE = 'capi/capi_vit-large_32xb512-577e_in22k.py'
SMALL = {
    'model.backbone.arch': dict(_delete_=True, embed_dim=192, depth=4, num_heads=3),
    'model.backbone.drop_path_rate': 0.0,
    'model.neck': dict(in_channels=192, out_channels=64, depth=2, num_heads=3, drop_path_rate=0.0),
    'model.head': dict(in_channels=192, num_clusters=64),
}


def in_images(indices: list[int], num_images: int, num_patches: int) -> Tensor:
    """Positions (N, P) within an image, of indices into all patches of a batch."""
    positions = torch.tensor(indices).view(num_images, -1)
    return positions - num_patches * torch.arange(num_images)[:, None]


def test_a_step(goldens_dir):
    golden = Golden(goldens_dir, 'capi_step')
    model = golden.build(RECIPE, 'capi', SMALL)
    (images,) = golden.inputs().values()
    visible, predicted = (in_images(golden.literals[f'{kind}_indices'], 4, 64) for kind in ('visible', 'predict'))
    model.masker.forward = lambda images: (visible, predicted)
    for block in (*model.backbone.blocks, *model.neck.blocks):  # the official rate of these parameters is 0
        block.attn.frequencies.requires_grad_(True)
    trace = Trace(teacher=model.teacher.backbone, student=model.backbone, pred=model.neck.norm, logits=model.neck)
    compared = []
    model.head.register_forward_hook(lambda head, args, output: compared.append((args[1], output)))
    losses = model.loss([images])
    (losses['loss'] + losses['loss_clusters']).backward()
    model.teacher.update(0.0, momentum=golden.literals['m'], backbone=model.backbone, neck=model.neck)
    outputs = dict(
        teacher_patches=trace['teacher'][0][:, 16:],
        targets=compared[-1][0].flatten(0, 1),
        student_visible=trace['student'][0][:, 16:],
        student_pred=trace['pred'][0].flatten(0, 1),
        student_logits=trace['logits'][0].flatten(0, 1),
    ) | evaluation(model, images[..., :98, :])
    main, clusters = losses['loss'].item(), losses['loss_clusters'].item()
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': dict(capi_loss=main, clustering_loss=clusters, total=main),
            'grads': golden.gradients(model, 'capi'),
            'after_step': golden.state(model, 'capi'),
        }
    )
    network = (*model.backbone.parameters(), *model.neck.parameters())
    own_head = sum(parameter.numel() for parameter in model.neck.clusters.parameters())
    assert sum(p.numel() for p in network) - own_head == golden.record['params']['student_backbone']


@torch.no_grad()
def evaluation(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """What the official network returns for whole images, which need not be square."""
    tokens = model.backbone(images)
    maps = tokens[:, 16:].unflatten(1, (7, 8))
    return dict(eval_global=model.global_features(images), eval_registers=tokens[:, :16], eval_map=maps)


@pytest.mark.parametrize('kind', ['positionwise', 'flat'])
def test_clusters(goldens_dir, kind):
    golden = Golden(goldens_dir, 'capi_clustering')
    head = OnlineClusterHead(24, 40, positionwise=kind == 'positionwise').double()
    state = golden.state_dict()
    head.load_state_dict({f'clusters.{name.removeprefix("layer.")}': state[name] for name in state})
    x = (golden.literals['x_scale'] * golden.inputs()['x']).requires_grad_()  # (positions, images, D)
    codes, loss = head.assign(x.transpose(0, 1))
    loss.backward()
    codes = codes.transpose(0, 1)
    found = {f'{kind}_assignments': codes, f'{kind}_x_grad': x.grad, f'{kind}_mass': codes.sum(dim=1)}
    for name, value in found.items():
        assert not difference(summary(value), golden.record['outputs'][name], 1e-8), name
    assert_close(loss.item(), golden.record['losses'][kind], rtol=1e-8, atol=0)
    if kind == 'positionwise':
        grads = {name: head.get_parameter(f'clusters.{name.removeprefix("layer.")}').grad for name in state}
        golden.check({'grads': {name: summary(value) for name, value in grads.items()}}, ['grads'])


def test_sinkhorn_and_the_head_of_the_student(goldens_dir):
    golden = Golden(goldens_dir, 'capi_clustering')
    inputs, recorded = golden.inputs(), golden.record['outputs']
    scores = golden.literals['scores_scale'] * inputs['scores']
    layer = CosineLinear(24, 40).double()
    direction = fill('student_head.last_layer.weight_v', (40, 24), golden.salt)
    layer.load_state_dict(dict(gain=torch.ones(40, 1), direction=torch.as_tensor(direction)))
    outputs = dict(
        sinkhorn=sinkhorn(scores, 1.0, 3, eps=1e-8),
        sinkhorn_10=sinkhorn(scores, 1.0, 10, eps=1e-8),
        student_head=layer(golden.literals['x_scale'] * inputs['x']),
    )
    for name, value in outputs.items():
        assert not difference(summary(value), recorded[name], 1e-8), name


def test_masks(goldens_dir):
    expected = Golden(goldens_dir, 'capi_masks').record['expected']
    assert {case['generator'] for case in expected['masks']} == {'Block', 'InverseBlock'}
    for case in expected['masks']:
        rng, inverse = random.Random(case['seed']), case['generator'] == 'InverseBlock'
        size = 256 - case['num_masked'] if inverse else case['num_masked']
        for masked in case['masked_ids']:
            block = rolled_block(rng, (16, 16), size, roll=case['roll']).ravel()
            assert (block != inverse).nonzero()[0].tolist() == masked
    random.seed(1)
    torch.manual_seed(1)
    visible, predicted = InverseBlockMasker()(torch.zeros(3, 3, 224, 224))
    assert predicted.shape == (3, 8) and visible.shape == (3, 90)
    of_image = 256 * torch.arange(3)[:, None]
    recorded = expected['collate']
    assert (predicted + of_image).flatten().tolist() == recorded['predict_indices']
    visible = (visible + of_image).flatten()
    assert visible[:20].tolist() == recorded['visible_first20']
    assert not difference(summary(visible.numpy()), recorded['visible_indices'], 1e-12)


def test_schedules(goldens_dir):
    """One iteration per epoch; a run has 1000, of which 100 are warm-up."""
    expected = {
        int(step): values for step, values in Golden(goldens_dir, 'capi_masks').record['expected']['schedules'].items()
    }
    assert expected.pop(1000) == [0.0, 1.0]  # a step after the last one, which changes nothing
    cfg = load_config(CONFIGS / RECIPE)
    base = cfg.optim_wrapper.optimizer.lr
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=base)
    rate = WarmupCosineLR(optimizer, 1000, 1000, warmup_epochs=100, peak_in_warmup=True, part=0.8)
    for step, (lr, momentum) in expected.items():
        assert_close(base * rate.factor(step), lr, rtol=1e-9, atol=0)
        progress = 0.1 * step / 99 if step < 100 else step / 1000  # the official warm-up ends a step earlier
        assert_close(truncated_momentum(progress, cfg.model.teacher.momentum), momentum, rtol=1e-9, atol=0)
