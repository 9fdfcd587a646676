"""DINOv2 against numbers recorded from its official implementation."""

from __future__ import annotations

import math
import random
from functools import partial

import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from timm.layers import LayerScale
from torch import Tensor, nn
from torch.testing import assert_close

from mmssl.config.load import load_config
from mmssl.converters.convert import convert, rename
from mmssl.distributed.collectives import rank
from mmssl.engine.optimizers.clipping import split_parts
from mmssl.engine.schedules import CosineWeightDecay, WarmupCosineLR
from mmssl.models.backbones.vision_transformer import VisionTransformer
from mmssl.models.components.centered_softmax import CenteredSoftmax
from mmssl.models.components.ema_teacher import cosine_momentum
from mmssl.models.components.rising_temperature import RisingTemperature
from mmssl.models.layers.batch_subset_block import BatchSubsetBlock, gated_mlp
from mmssl.models.layers.hidden_patches import hidden_patches
from mmssl.models.layers.positions import antialiased_positions, scaled_positions
from mmssl.models.layers.sinkhorn import sinkhorn
from mmssl.models.losses.koleo_loss import koleo
from mmssl.models.losses.patch_cross_entropy_loss import patch_cross_entropy
from mmssl.models.losses.view_cross_entropy_loss import view_cross_entropy
from mmssl.models.maskers.stratified_masker import StratifiedMasker
from mmssl.models.necks.dino_projector import DINOProjector
from mmssl.registry import MODELS
from tests.parity.golden import CONFIGS, Golden, Trace, difference, summary
from tests.parity.test_ibot_parity import CPU, drawn
from tests.support.distributed import run_distributed

RECIPE = 'dinov2/dinov2_vit-large_32xb64-200e_in1k.py'


def summaries(values: dict[str, Tensor]) -> dict:
    return {name: summary(value) for name, value in values.items()}


def test_losses_of_images(goldens_dir):
    golden = Golden(goldens_dir, 'dinov2_dino_loss')
    literals, inputs = golden.literals, golden.inputs()
    teacher, temperature = inputs['teacher_cls'], literals['teacher_temp']
    targets = sinkhorn(teacher, temperature, literals['n_iterations'])
    student = (literals['student_scale'] * inputs['student_cls']).requires_grad_()
    local, of_global = student.unflatten(0, (4, 6)).split(2)
    swapped = targets.unflatten(0, (2, 6))  # recorded after the caller has exchanged the views
    log_q = partial(torch.log_softmax, dim=-1)
    losses = {
        'local': -sum((t * log_q(s / 0.1)).sum(-1).mean() for t in swapped for s in local),
        'global': -(swapped * log_q(of_global / 0.1)).sum(-1).mean(),
        'total': view_cross_entropy(torch.cat([of_global, local]), swapped.flip(0), literals['student_temp']),
    }
    (gradient,) = torch.autograd.grad(losses['total'], student)
    outputs = dict(teacher_sk=targets, prototype_mass=targets.sum(0), sample_mass=targets.sum(1))
    outputs |= dict(student_grad=gradient, teacher_sk_10iter=sinkhorn(teacher, temperature, 10))
    golden.check({'outputs': summaries(outputs), 'losses': {name: loss.item() for name, loss in losses.items()}})
    every_entry = torch.tensor(golden.record['literals_out']['teacher_sk'], dtype=torch.float64)
    assert_close(targets, every_entry, atol=1e-11, rtol=0)


def test_loss_of_patches(goldens_dir):
    golden = Golden(goldens_dir, 'dinov2_ibot_loss')
    literals, inputs = golden.literals, golden.inputs()
    hidden = hidden_patches(drawn([literals['masked_ids']], 16), 1, CPU)
    targets = sinkhorn(inputs['teacher_patch'], literals['teacher_temp'])
    student, student_all = ((3 * inputs[f'student_{name}']).requires_grad_() for name in ('patch', 'all'))
    weights = (4 * hidden.weights).float().double() / 4  # the official code makes them in float32
    masked = patch_cross_entropy(student, targets, weights, literals['student_temp'])
    dense_targets = torch.softmax(hidden.of(inputs['teacher_all']) / 0.07, dim=-1)
    dense = patch_cross_entropy(hidden.of(student_all), dense_targets, hidden.weights, 0.1)
    (masked + dense).backward()
    outputs = dict(teacher_sk=targets, prototype_mass=targets.sum(0))
    outputs |= dict(student_grad=student.grad, student_all_grad=student_all.grad)
    losses = dict.fromkeys(('masked', 'masked_auto', 'total'), masked.item()) | dict(dense=dense.item())
    golden.check({'outputs': summaries(outputs), 'losses': losses})


def test_koleo(goldens_dir):
    golden = Golden(goldens_dir, 'dinov2_koleo')
    x = (golden.literals['x_scale'] * golden.inputs()['x']).requires_grad_()
    loss = koleo(x)
    (gradient,) = torch.autograd.grad(loss, x)
    duplicate = x.detach().clone()
    duplicate[6] = duplicate[0]
    losses = dict(total=loss.item(), duplicate=koleo(duplicate).item())
    golden.check({'outputs': summaries(dict(x_grad=gradient)), 'losses': losses})


def test_centers_move_after_their_step(goldens_dir):
    golden = Golden(goldens_dir, 'dinov2_centering')
    literals, inputs, outputs = golden.literals, golden.inputs(), {}
    options = dict(temperature=literals['teacher_temp'], center_momentum=literals['center_momentum'])
    targets, patch_targets = (CenteredSoftmax(48, **options).double() for _ in range(2))
    for call in (1, 2, 3):
        teacher, (patches,) = inputs[f'teacher{call}'], inputs[f'patch{call}']
        outputs[f'center_used{call}'] = targets.center.clone()
        outputs[f'patch_center_used{call}'] = patch_targets.center.clone()[None]
        outputs[f'targets{call}'], outputs[f'patch_targets{call}'] = targets(teacher), patch_targets(patches)[None]
        for part, rows in ((targets, teacher), (patch_targets, patches)):
            part.stage(rows)
            part.update(0.5)
    outputs |= dict(center_end=targets.center, patch_center_end=patch_targets.center[None])
    golden.check({'outputs': summaries(outputs)}, ['outputs'])


def test_sinkhorn_over_processes_with_unequal_numbers_of_rows(goldens_dir):
    golden = Golden(goldens_dir, 'dinov2_sinkhorn_2ranks')
    literals, inputs = golden.literals, golden.inputs()
    outputs = {}
    for name, temperature in zip(('cls', 'patch'), literals['temps']):
        rows, first = inputs[f'teacher_{name}'], literals[f'split_{name}']
        outputs[f'{name}_1rank'] = sinkhorn(rows, temperature)
        shares = run_distributed(_codes_of_a_share, 2, rows, first, temperature)
        outputs[f'{name}_2rank_concat'] = torch.cat(shares)
        nobody = run_distributed(_codes_of_a_share, 2, rows, 0, temperature)
        assert_close(nobody[1], outputs[f'{name}_1rank'], rtol=1e-14, atol=0)
        alone = torch.cat([sinkhorn(share, temperature) for share in rows.tensor_split([first])])
        independent = golden.record['outputs'].pop(f'NEGATIVE_{name}_per_rank')
        assert summary(alone)['probe'] == pytest.approx(independent['probe'])
        assert (alone - outputs[f'{name}_1rank']).abs().max() > 1e-3
    golden.check({'outputs': summaries(outputs)}, ['outputs'])


def _codes_of_a_share(rows: Tensor, first: int, temperature: float) -> Tensor:
    return sinkhorn(rows.tensor_split([first])[rank()], temperature)


def test_head_of_a_wide_bottleneck_with_trained_gains(goldens_dir):
    golden = Golden(goldens_dir, 'dinov2_head')
    head = DINOProjector(384, 2048, 512, bottleneck_channels=384, freeze_gain=False).double()
    names = {
        name: rename(f'student.dino_head.{name}', 'dinov2').removeprefix('neck.images.')
        for name in golden.record['grads']
    }
    weights = {names[name]: value for name, value in golden.state_dict().items()}
    head.load_state_dict(head.state_dict() | weights, strict=True)
    inputs = golden.inputs()
    x = (inputs['x'] * golden.literals['x_scale']).requires_grad_()
    y = head(x)
    loss = (y * inputs['grad_out']).sum()
    loss.backward()
    gradients = {name: summary(head.get_parameter(ours).grad) for name, ours in names.items()}
    assert len(gradients) == len(list(head.parameters()))
    golden.check({'outputs': summaries(dict(y=y, x_grad=x.grad)), 'losses': {'total': loss.item()}, 'grads': gradients})


def test_a_backbone_with_registers(goldens_dir):
    golden = Golden(goldens_dir, 'dinov2_vits14_reg4')
    weights = convert(golden.state_dict(), 'dinov2')
    token = weights.pop('mask_token').requires_grad_()
    arch = dict(size='small', registers=4, layer_scale=1.0)
    backbone = VisionTransformer(arch, img_size=518, patch_size=14, output='tokens').double()
    assert golden.record['params']['total'] == sum(p.numel() for p in backbone.parameters()) + token.numel()
    backbone.load_state_dict({name.removeprefix('backbone.'): x for name, x in weights.items()}, strict=True)
    inputs = golden.inputs()
    mask = torch.from_numpy(drawn([golden.literals['masked_ids']], 256))
    kept = []
    hook = backbone.norm.register_forward_pre_hook(lambda module, args: kept.append(args[0]))
    tokens = backbone(inputs['imgs'], mask=mask, mask_token=token)
    loss = (tokens * inputs['grad_out']).sum()
    loss.backward()
    hook.remove()
    outputs = dict(tokens=tokens, cls=tokens[:, 0], prenorm=kept[0])
    table = backbone.pos_embed.detach()
    outputs |= dict(pos_embed_224=antialiased_positions(table, (16, 16), (37, 37)))
    outputs |= {f'pos_embed_{size}_offset': scaled_positions(table, (size // 14,) * 2, (37, 37)) for size in (224, 98)}
    trace = Trace(**{str(index): backbone.blocks[index] for index in (2, 5, 8, 11)})
    with torch.no_grad():
        backbone(inputs['rect'])
        for index in (2, 5, 8, 11):
            x = backbone.norm(trace[str(index)][0])
            outputs[f'rect_map{index}'] = x[:, 5:].transpose(1, 2).unflatten(2, (9, 13))
            outputs[f'rect_cls{index}'] = x[:, 0]
    own = dict(backbone.named_parameters('backbone')) | {'mask_token': token}
    gradients = {name: summary(own[rename(name, 'dinov2')].grad) for name in golden.record['grads']}
    assert len(gradients) == len(own)
    golden.check({'outputs': summaries(outputs), 'losses': {'total': loss.item()}, 'grads': gradients})


def test_a_block_that_drops_paths_by_batch_subsets(goldens_dir, monkeypatch):
    golden = Golden(goldens_dir, 'dinov2_block_swiglu_drop')
    literals, inputs = golden.literals, golden.inputs()
    norm = partial(nn.LayerNorm, eps=1e-6)
    options = dict(qkv_bias=True, init_values=1.0, norm_layer=norm, mlp_layer=gated_mlp, act_layer=nn.SiLU)
    block = BatchSubsetBlock(96, 3, drop_path=literals['drop_path'], **options).double().train()
    names = {
        name: rename(f'blocks.0.{name}', 'dinov2').removeprefix('backbone.blocks.0.') for name in golden.record['grads']
    }
    block.load_state_dict({names[name]: x for name, x in golden.state_dict().items()}, strict=True)
    assert golden.record['params']['total'] == sum(p.numel() for p in block.parameters())
    attn0, attn1, ffn0, ffn1 = (torch.tensor(order) for order in literals['randperm'])
    orders = iter([attn0, ffn0, attn1, ffn1])  # the official code takes both batches through the attention first
    monkeypatch.setattr(torch, 'randperm', lambda count, device: next(orders))
    x0, x1 = (scale * inputs[f'x{i}'] for i, scale in enumerate(literals['x_scales']))
    x0.requires_grad_()
    x1.requires_grad_()
    y0, y1 = block(x0), block(x1)
    loss = (y0 * inputs['grad_out0']).sum() + (y1 * inputs['grad_out1']).sum()
    loss.backward()
    outputs = dict(y0=y0, y1=y1, x0_grad=x0.grad, x1_grad=x1.grad, single_y0=y0)
    block.eval()
    outputs |= dict(eval_y0=block(x0), eval_y1=block(x1))
    assert isinstance(block.ls1, LayerScale)
    gradients = {name: summary(block.get_parameter(ours).grad) for name, ours in names.items()}
    golden.check({'outputs': summaries(outputs), 'losses': {'total': loss.item()}, 'grads': gradients})


META = {
    'model.backbone.arch.size': 'small',
    'model.backbone.img_size': 112,
    'model.backbone.drop_path_rate': 0.0,
    'model.neck.images.in_channels': 384,
    'model.neck.images.hidden_channels': 512,
    'model.neck.images.out_channels': 512,
    'model.koleo.group_size': None,
    'model.teacher.momentum': 0.994,
}


def without_centers(golden: Golden) -> Golden:
    """The recording without the centers, which begin at 0 and have another shape there."""
    golden.derived = {name: x for name, x in golden.derived.items() if not name.endswith('center')}
    golden.record['state_dict'] = [entry for entry in golden.record['state_dict'] if not entry[0].endswith('center')]
    return golden


def step(golden: Golden, model: nn.Module, views: list[Tensor], temperature: float, masked_ids: list) -> dict:
    """Backward pass with the recorded masks and temperature; returns the losses as the official code names them."""
    num_patches = math.prod(model.backbone.patch_embed.dynamic_feat_size(views[0].shape[-2:]))
    model.masker.masks = lambda images: drawn([masked_ids[:3], masked_ids[3:]], num_patches)
    for part in (model.targets, model.patch_targets):
        part.temperature = lambda: torch.tensor(temperature, dtype=torch.float64)
    rounded = model.patch_head.register_forward_pre_hook(  # the official code makes the weights in float32
        lambda module, args: (*args[:2], (6 * args[2]).float().double() / 6)
    )
    terms = model.loss(views)
    rounded.remove()
    total = sum(terms.values())
    model.zero_grad()
    total.backward()
    halves = dict(koleo_loss=terms['loss_koleo'].item() / 2, ibot_loss=terms['loss_patch'].item() / 2)
    return halves | dict(total=total.item(), dino=terms['loss_cls'].item())


def traced_tokens(trace: Trace, call: int, prefix: int, suffix: str = '') -> dict[str, Tensor]:
    """Tokens of a step by their recorded names; the student encodes global and local views in turn."""
    student, local, teacher = trace['student'][2 * call], trace['student'][2 * call + 1], trace['teacher'][call]
    found = {'student.global': student, 'teacher': teacher}
    outputs = {f'{name}_cls' if '.' in name else f'{name}.cls': x[:, 0] for name, x in found.items()}
    outputs |= {f'{name}_patch' if '.' in name else f'{name}.patch': x[:, prefix:] for name, x in found.items()}
    outputs['student.local_cls'] = local[:, 0]
    return {f'{name}{suffix}': x for name, x in outputs.items()}


def check_meta(golden: Golden, model: nn.Module, outputs: dict[str, Tensor], losses: dict[str, float]) -> None:
    norms = {}
    parts = [['backbone', 'mask_token'], *(f'neck.{name}' for name, _ in model.neck.named_children())]
    for name, part in zip(('backbone', 'dino_head', 'ibot_head'), split_parts(model, parts)):
        norms[name] = torch.nn.utils.get_total_norm([p.grad for p in part]).item()
    assert norms == pytest.approx(golden.literals['clip_norms'], rel=1e-8)
    model.teacher.update(0.0, momentum=golden.literals['m'], **model.student())
    for part in (model.targets, model.patch_targets):
        part.update(progress=1.0)
    after = golden.record['after_step']
    assert after.pop('teacher.backbone.mask_token')  # averaged there, and never used
    centers = {name: after.pop(name) for name in ('dino_loss.center', 'ibot_patch_loss.center')}
    if isinstance(model.targets, CenteredSoftmax):
        for (name, recorded), part in zip(centers.items(), (model.targets, model.patch_targets)):
            center = part.center if name.startswith('dino') else part.center[None]
            assert difference(summary(center), recorded, 1e-7) is None
    for suffix in ('', '1', '2'):  # images: the sum over local and global views
        parts = [golden.record['losses'].pop(f'dino_{kind}_crops_loss{suffix}', None) for kind in ('local', 'global')]
        if parts[0] is not None:
            assert losses.pop(f'dino{suffix}') == pytest.approx(sum(parts), rel=1e-8)
    results = {'outputs': summaries(outputs), 'losses': losses, 'grads': golden.gradients(model, 'dinov2')}
    golden.check(results | {'after_step': golden.state(model, 'dinov2')})


def test_a_step_with_sinkhorn_registers_and_untied_heads(goldens_dir):
    golden = without_centers(Golden(goldens_dir, 'dinov2_meta_sk'))
    sinkhorn_targets = dict(_delete_=True, kind='sinkhorn')
    images = dict(in_channels=384, hidden_channels=512, freeze_gain=False)
    changes = META | {
        'model.backbone.arch.registers': 4,
        'model.backbone.position': dict(resample='antialiased'),
        'model.backbone.patch_size': 14,
        'model.masker.patch_size': 14,
        'model.neck.images.bottleneck_channels': 384,
        'model.neck.patches': dict(images, out_channels=384, bottleneck_channels=256),
        'model.targets': sinkhorn_targets,
        'model.patch_targets': sinkhorn_targets,
    }
    model = golden.build(RECIPE, 'dinov2', changes, ['targets.progress', 'patch_targets.progress'])
    trace = Trace(student=model.backbone, teacher=model.teacher.backbone)
    inputs, literals = golden.inputs(), golden.literals
    views = [*inputs['global'], *inputs['local']]
    found = step(golden, model, views, literals['teacher_temp'], literals['masked_ids'])
    outputs = traced_tokens(trace, 0, 5)
    hidden = hidden_patches(model.masker.masks(views[0]), 2, CPU)
    for name, neck in (('student', model.neck), ('teacher', model.teacher.neck)):
        patches = outputs['student.global_patch' if name == 'student' else 'teacher.patch']
        outputs[f'{name}.ibot_logits'] = neck.patch_logits(neck.embed_patches(hidden.of(patches)))
    outputs['teacher.dino_logits_swapped'] = model.teacher.neck(outputs['teacher.cls'].roll(3, dims=0))
    check_meta(golden, model, outputs, found)


def test_two_steps_with_centers_and_tied_heads(goldens_dir):
    golden = without_centers(Golden(goldens_dir, 'dinov2_meta_centering'))
    kept = [f'{part}.{buffer}' for part in ('targets', 'patch_targets') for buffer in ('center', 'progress')]
    model = golden.build(RECIPE, 'dinov2', META, kept)
    trace = Trace(student=model.backbone, teacher=model.teacher.backbone)
    inputs, literals, outputs, losses = golden.inputs(), golden.literals, {}, {}
    for call, temperature in enumerate((0.05, 0.06), 1):
        views = [*inputs[f'global{call}'], *inputs[f'local{call}']]
        found = step(golden, model, views, temperature, literals[f'masked_ids{call}'])
        losses |= {f'{name}{call}': value for name, value in found.items()}
        outputs |= traced_tokens(trace, call - 1, 1, str(call))
        if call == 1:
            for part in (model.targets, model.patch_targets):
                part.update(progress=0.5)
    check_meta(golden, model, outputs, losses)


def test_schedules(goldens_dir):
    recorded = Golden(goldens_dir, 'dinov2_schedules_masks_groups').record['expected']['schedules']
    steps = {
        name: [(int(t), value) for t, value in s['values'].items() if int(t) < 5000] for name, s in recorded.items()
    }
    optimizer = torch.optim.AdamW([torch.zeros(1)], lr=1.0, weight_decay=1.0)
    length = dict(max_epochs=100, end=5000)
    base = recorded['lr']['args']['base_value']
    rate = WarmupCosineLR(optimizer, warmup_epochs=10, peak_in_warmup=True, end_factor=1e-6 / base, **length)
    decay = CosineWeightDecay(optimizer, end_factor=10, **length)
    temperature = RisingTemperature(0.07, start_temperature=0.04, warmup=1499 / 5000).double()
    for t, value in steps['lr']:
        assert base * rate.factor(t) == pytest.approx(value, rel=1e-10, abs=1e-16)
    for t, value in steps['wd']:
        assert 0.04 * decay.factor(t) == pytest.approx(value, rel=1e-10)
    for t, value in steps['momentum']:
        assert cosine_momentum(t / 5000, 0.992) == pytest.approx(value, rel=1e-10)
    for t, value in steps['teacher_temp']:
        temperature.update(t / 5000)
        assert temperature.temperature().item() == pytest.approx(value, rel=1e-10)


def test_masks_of_a_batch(goldens_dir):
    expected = Golden(goldens_dir, 'dinov2_schedules_masks_groups').record['expected']
    masker = StratifiedMasker()
    for case in expected['masks']:
        generator = random.Random(case['seed'])
        for wanted, ids in zip(case['requested'], case['masked_ids'], strict=True):
            assert masker.mask(generator, (16, 16), wanted).ravel().nonzero()[0].tolist() == ids
    collate = expected['collate']
    masks = masker.draw(random.Random(collate['seed']), 6, (16, 16))
    assert [row.nonzero()[0].tolist() for row in masks] == collate['masked_ids']
    counts = masks.sum(axis=1)
    weights = torch.from_numpy(np.repeat(1 / counts.clip(1), counts))
    assert difference(summary(weights), collate['masks_weight'], 1e-7) is None


def test_rates_and_decay_of_every_parameter(goldens_dir):
    expected = Golden(goldens_dir, 'dinov2_schedules_masks_groups').record['expected']['param_groups']
    arch = dict(size='small', registers=4, layer_scale=1e-5)
    cfg = load_config(CONFIGS / RECIPE, {'model.backbone.arch': dict(arch, _delete_=True)})
    keys = dict(
        cfg.optim_wrapper.paramwise_cfg.custom_keys, reg_token=dict(decay_mult=1), mask_token=dict(lr_mult=0.9**13)
    )
    cfg.optim_wrapper.paramwise_cfg.custom_keys = keys
    cfg.model.neck.images.update(in_channels=384, hidden_channels=16, out_channels=16)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    wrapper = dict(type='MixedPrecisionOptimWrapper', dtype=None, constructor='GroupedOptimWrapperConstructor')
    with DefaultScope.overwrite_default_scope('mmssl'):
        groups = build_optim_wrapper(model, dict(cfg.optim_wrapper) | wrapper).param_groups
    base_lr, base_decay = cfg.optim_wrapper.optimizer.lr, cfg.optim_wrapper.optimizer.weight_decay
    options = {id(p): (g['lr'] / base_lr, g['weight_decay'] / base_decay) for g in groups for p in g['params']}
    found = {name: options[id(p)] for name, p in model.named_parameters() if p.requires_grad}
    for name, rate, decay, _ in expected['backbone']:
        assert found.pop(rename(name, 'dinov2')) == pytest.approx((rate, decay), rel=1e-10), name
    assert found and all(rate == 1 for rate, _ in found.values())
    assert {decay for name, (_, decay) in found.items() if name.endswith('original0')} == {1.0}
