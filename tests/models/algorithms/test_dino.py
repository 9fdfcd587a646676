from __future__ import annotations

from pathlib import Path

import torch
from torch.testing import assert_close

from mmssl.models.algorithms.dino import DINO
from mmssl.models.losses.view_cross_entropy_loss import view_cross_entropy
from tests.support.interruption import assert_resume_is_exact
from tests.support.small_parts import BACKBONE, build

VIT = dict(
    type='VisionTransformer', arch=dict(embed_dim=48, depth=2, num_heads=4), img_size=16, patch_size=4, resample='dino'
)
METHOD = dict(
    type='DINO',
    backbone=dict(VIT, drop_path_rate=0.2),
    neck=dict(type='DINOProjector', in_channels=48, hidden_channels=24, out_channels=16),
    head=dict(type='ViewCrossEntropyLoss'),
    teacher=dict(momentum=0.9),
    targets=dict(start_temperature=0.04, temperature=0.07, warmup=0.5),
)
SIZES = (16, 16, 8, 8, 8)


def dino(**changes) -> DINO:
    options = {name: value for name, value in METHOD.items() if name != 'type'}
    algorithm = build('DINO', **(options | changes))
    algorithm.on_train_start()
    return algorithm


def batch(sizes=SIZES) -> list[torch.Tensor]:
    return [torch.randn(3, 3, size, size, dtype=torch.float64) for size in sizes]


def test_the_loss_of_views_encoded_one_by_one():
    algorithm, views = dino(backbone=VIT), batch()
    torch.nn.init.normal_(algorithm.targets.center)
    student = torch.stack([algorithm.neck(algorithm.backbone(view)) for view in views])
    teacher = torch.stack([algorithm.teacher(view) for view in views[:2]])
    expected = view_cross_entropy(student, ((teacher - algorithm.targets.center) / 0.04).softmax(dim=-1), 0.1)
    assert_close(algorithm.loss(views)['loss'], expected)
    algorithm.on_step_end(0.25)
    assert_close(algorithm.targets.temperature().item(), 0.055, rtol=1e-12, atol=0)


def test_a_new_run_from_trained_weights_starts_at_the_temperature_of_the_start():
    trained, algorithm = dino(), dino()
    trained.loss(batch())
    trained.on_step_end(1.0)
    algorithm.load_state_dict(trained.state_dict())
    assert_close(algorithm.targets.temperature().item(), 0.07)  # a resumed run goes on with it
    algorithm.on_train_start()
    assert_close(algorithm.targets.temperature().item(), 0.04)


def test_the_student_alone_drops_paths():
    algorithm = dino(backbone=dict(VIT, drop_path_rate=0.9))
    images = torch.randn(8, 3, 16, 16, dtype=torch.float64)
    assert not torch.equal(algorithm.backbone(images), algorithm.backbone(images))
    assert torch.equal(algorithm.teacher.backbone(images), algorithm.teacher.backbone(images))
    algorithm.eval()
    assert_close(algorithm.teacher.backbone(images), algorithm.backbone(images))


def test_the_teacher_begins_as_the_student_and_follows_it():
    algorithm = dino()
    students = dict(algorithm.backbone.named_parameters('backbone')) | dict(algorithm.neck.named_parameters('neck'))
    teachers = dict(algorithm.teacher.named_parameters())
    assert students.keys() == teachers.keys()
    assert all(torch.equal(teachers[name], value) for name, value in students.items())
    before = {name: value.clone() for name, value in teachers.items()}
    algorithm.loss(batch())
    with torch.no_grad():
        for value in students.values():
            value.add_(1.0)
    algorithm.on_step_end(0.0)
    for name, value in teachers.items():
        assert_close(value - before[name], torch.full_like(value, 1 - 0.9))


def test_views_of_one_size_share_the_statistics_of_norms():
    algorithm = dino(backbone=BACKBONE, neck=dict(METHOD['neck'], in_channels=64))
    views, teacher = batch((16, 16, 8)), algorithm.teacher.backbone
    algorithm.loss(views)
    mean = teacher.conv1(torch.cat(views[:2])).mean(dim=(0, 2, 3))
    assert_close(teacher.bn1.running_mean, 0.1 * mean)
    local = algorithm.backbone.conv1(views[2]).mean(dim=(0, 2, 3))
    assert_close(algorithm.backbone.bn1.running_mean, 0.09 * mean + 0.1 * local)
    assert algorithm.batch_coupled == 'batch norm'
    assert dino().batch_coupled is None


def test_resume_within_an_epoch_is_exact(tmp_path: Path):
    views = [dict(type='AugmentedView', size=size) for size in SIZES]
    assert_resume_is_exact(
        tmp_path,
        model=dict(METHOD, data_preprocessor=dict(type='SelfSupDataPreprocessor')),
        train_dataloader=dict(
            dataset=dict(type='NoiseImages', num_images=26, views=views),
            sampler=dict(type='EpochSampler'),
            collate_fn=dict(type='collate_views'),
            batch_size=4,
            drop_last=True,
            num_workers=0,
        ),
        optim_wrapper=dict(
            clip_grad=dict(max_norm=3.0, per_tensor=True),
            optimizer=dict(type='AdamW', lr=1e-2, weight_decay=0.04),
            paramwise_cfg=dict(vectors=dict(decay_mult=0)),
        ),
        param_scheduler=[
            dict(type='WarmupCosineLR', warmup_epochs=1, end_factor=1e-3),
            dict(type='CosineWeightDecay', end_factor=10),
        ],
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=4, max_keep_ckpts=2),
            freeze=dict(type='FreezeHook', name='neck.last_layer'),
        ),
    )
