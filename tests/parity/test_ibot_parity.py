"""iBOT against numbers recorded from its official implementation."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch.testing import assert_close

from mmssl.converters.convert import convert, rename
from mmssl.models.components.centered_softmax import CenteredSoftmax
from mmssl.models.layers.hidden_patches import hidden_patches
from mmssl.models.losses.patch_cross_entropy_loss import patch_cross_entropy
from mmssl.models.losses.view_cross_entropy_loss import view_cross_entropy
from mmssl.models.maskers.ratio_masker import RatioMasker
from mmssl.models.necks.ibot_projector import IBOTProjector
from tests.parity.golden import Golden, Trace, summary

RECIPE = 'ibot/ibot_vit-small_16xb64-800e_in1k.py'
CPU = torch.device('cpu')


def drawn(masked_ids: list[list[list[int]]], num_patches: int) -> np.ndarray:
    """The mask as a masker draws it, the views of one image after the other, from ids by view and image."""
    mask = torch.zeros(len(masked_ids[0]), len(masked_ids), num_patches, dtype=torch.bool)
    for view, images in enumerate(masked_ids):
        for image, ids in enumerate(images):
            mask[image, view, ids] = True
    return mask.flatten(0, 1).numpy()


def test_head(goldens_dir):
    golden = Golden(goldens_dir, 'ibot_head')
    head = IBOTProjector(192, 256, 96, 80, freeze_gain=False).double()
    weights = convert({f'student.head.{name}': x for name, x in golden.state_dict().items()}, 'ibot', part='neck')
    head.load_state_dict(head.state_dict() | weights, strict=True)
    inputs = golden.inputs()
    x = (inputs['x'] * golden.literals['x_scale']).requires_grad_()
    cls, patch = head(x[:, 0]), head.patch_logits(head.embed(x[:, 1:]))
    loss = (cls * inputs['grad_cls']).sum() + (patch * inputs['grad_patch']).sum()
    loss.backward()
    names = {name: rename(f'student.head.{name}', 'ibot').removeprefix('neck.') for name in golden.record['grads']}
    assert len(names) == len(list(head.parameters()))
    outputs = dict(cls=cls, patch=patch, cls_2d=head(x[:, 0].detach()), x_grad=x.grad)
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': {'total': loss.item()},
            'grads': {name: summary(head.get_parameter(ours).grad) for name, ours in names.items()},
        }
    )


def test_losses_and_centers_of_three_calls(goldens_dir):
    golden = Golden(goldens_dir, 'ibot_loss')
    literals, inputs, outputs, losses = golden.literals, golden.inputs(), {}, {}
    targets = CenteredSoftmax(40, temperature=0.07, start_temperature=0.04, warmup=0.4).double()
    patch_targets = CenteredSoftmax(32, temperature=0.06, start_temperature=0.04, warmup=0.4).double()
    hidden = hidden_patches(drawn(literals['masked_ids'], 9), 2, CPU)
    temperatures = zip(literals['epochs'], literals['teacher_temps'], literals['teacher_patch_temps'])
    for call, (epoch, temperature, patch_temperature) in enumerate(temperatures, 1):
        for part, recorded in ((targets, temperature), (patch_targets, patch_temperature)):
            part.progress.fill_(0.4 * epoch / 3)  # recorded: four epochs, of which the fourth has the end's temperature
            assert_close(part.temperature().item(), recorded, rtol=1e-10, atol=0)
        students = (literals['student_scale'] * inputs[f'student_{name}{call}'] for name in ('cls', 'patch', 'local'))
        cls, patch, local = student = [x.requires_grad_() for x in students]
        teacher, teacher_patch = inputs[f'teacher_cls{call}'], inputs[f'teacher_patch{call}']
        outputs |= {f'center_before{call}': targets.center.clone()}
        outputs |= {f'center2_before{call}': patch_targets.center.clone()[None]}
        targets.stage(teacher)
        patch_targets.stage(teacher_patch.mean(dim=(0, 1))[None])
        logits = torch.cat([cls, local]).unflatten(0, (4, -1))
        cls_loss = view_cross_entropy(logits, targets(teacher).unflatten(0, (2, -1)), 0.1)
        rows = hidden.of(patch), patch_targets(hidden.of(teacher_patch)), hidden.weights
        patch_loss = patch_cross_entropy(*rows, 0.1)
        loss = cls_loss + patch_loss
        gradients = torch.autograd.grad(loss, student)
        outputs |= {f'student_{n}_grad{call}': g for n, g in zip(('cls', 'patch', 'local'), gradients)}
        losses |= {f'cls{call}': cls_loss.item(), f'patch{call}': patch_loss.item(), f'loss{call}': loss.item()}
        for part in (targets, patch_targets):
            part.update(progress=1.0)
    outputs |= dict(center_after3=targets.center, center2_after3=patch_targets.center[None])
    losses['total'] = losses['loss1']
    golden.check({'outputs': {name: summary(value) for name, value in outputs.items()}, 'losses': losses})


def test_masks(goldens_dir):
    cases = Golden(goldens_dir, 'ibot_masks').record['expected']
    assert {case['pred_shape'] for case in cases} == {'block', 'rand'}
    for case in cases:
        ratios, spreads = (x if isinstance(x, list) else [x] for x in (case['pred_ratio'], case['pred_ratio_var']))
        masker = RatioMasker(ratios, spreads, 'block' if case['pred_shape'] == 'block' else 'patch')
        generator, shuffler = random.Random(case['seed']), np.random.RandomState(case['seed'])
        for sample in case['masked_ids']:
            for side, expected in zip((14, 14, 6), sample, strict=True):  # the official loader masks local views too
                assert masker.draw(generator, (side, side), shuffler).nonzero()[0].tolist() == expected


def test_a_step_with_masks_and_local_views(goldens_dir):
    golden = Golden(goldens_dir, 'ibot_vitt_multicrop')
    changes = {'model.backbone.arch': 'tiny', 'model.backbone.drop_path_rate': 0.0, 'model.neck.freeze_gain': True}
    changes |= {'model.neck.in_channels': 192, 'model.neck.hidden_channels': 512, 'model.neck.out_channels': 512}
    targets = ('targets', 'patch_targets')
    kept = [f'{part}.{buffer}' for part in targets for buffer in ('center', 'progress')]
    model = golden.build(RECIPE, 'ibot', changes, kept)
    mask = drawn(golden.literals['masked_ids'], 196)
    model.masker.masks = lambda images: mask
    for part in (model.targets, model.patch_targets):
        part.progress.fill_(part.warmup / 3)  # the second of four epochs of warm-up
        assert_close(part.temperature().item(), golden.literals['teacher_temp'], rtol=1e-12, atol=0)
    trace = Trace(student=model.backbone, teacher=model.teacher.backbone)
    terms = model.loss(list(golden.inputs().values()))
    loss = terms['loss_cls'] + terms['loss_patch']
    loss.backward()
    outputs = {}
    for name, neck in (('student', model.neck), ('teacher', model.teacher.neck)):
        tokens = trace[name][0]
        outputs[f'{name}.cls_logits'] = neck(tokens[:, 0])
        outputs[f'{name}.patch_logits'] = neck.patch_logits(neck.embed(tokens[:, 1:]))
    outputs['student.local_logits'] = model.neck(trace['student'][1][:, 0])
    model.teacher.update(0.0, momentum=golden.literals['m'], **model.student())
    for part in (model.targets, model.patch_targets):
        part.update(progress=1.0)
    after = golden.state(model, 'ibot')
    after['loss.center2'] = summary(model.patch_targets.center[None])
    after['loss.center'] = summary(model.targets.center)
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': dict(cls=terms['loss_cls'].item(), patch=terms['loss_patch'].item(), total=loss.item()),
            'grads': {
                name: dict(found, shape=[1, 192]) if name.endswith('masked_embed') else found
                for name, found in golden.gradients(model, 'ibot').items()
            },
            'after_step': after,
        }
    )
    assert golden.record['params']['student'] == sum(
        p.numel() for n, p in model.named_parameters() if 'teacher' not in n
    )
