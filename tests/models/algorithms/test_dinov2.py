from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.algorithms.dinov2 import DINOv2
from mmssl.models.components.sinkhorn_targets import SinkhornTargets
from tests.models.losses.test_memory import LargestTensor
from tests.support.interruption import assert_resume_is_exact
from tests.support.small_parts import build

ARCH = dict(embed_dim=48, depth=2, num_heads=4, registers=2, layer_scale=0.1)
VIT = dict(type='VisionTransformer', arch=ARCH, img_size=16, patch_size=4, output='tokens')
HEAD = dict(in_channels=48, hidden_channels=24, out_channels=16, bottleneck_channels=8, freeze_gain=False)
METHOD = dict(
    backbone=VIT,
    neck=dict(type='ImagePatchProjector', images=HEAD, patches=dict(HEAD, out_channels=20)),
    head=dict(type='ViewCrossEntropyLoss'),
    teacher=dict(momentum=0.9),
    masker=dict(type='StratifiedMasker', min_block=1, patch_size=4),
    patch_head=dict(type='PatchCrossEntropyLoss'),
    koleo=dict(type='KoLeoLoss'),
    targets=dict(kind='sinkhorn', temperature=0.05),
    patch_targets=dict(kind='center', temperature=0.05),
)
SIZES = (16, 16, 8, 8)


def dinov2(**changes) -> DINOv2:
    return build('DINOv2', **(METHOD | changes))


def batch(sizes=SIZES) -> list[torch.Tensor]:
    return [torch.randn(4, 3, size, size, dtype=torch.float64) for size in sizes]


def test_the_student_alone_drops_paths():
    algorithm = dinov2(backbone=dict(VIT, drop_path_rate=dict(rate=0.5, kind='subset')))
    images = batch()[0]
    assert not torch.equal(algorithm.backbone(images), algorithm.backbone(images))
    assert torch.equal(algorithm.teacher.backbone(images), algorithm.teacher.backbone(images))


def test_no_tensor_is_larger_than_hidden_patches_by_prototypes():
    patches = dict(HEAD, out_channels=4000)
    algorithm = dinov2(neck=dict(type='ImagePatchProjector', images=HEAD, patches=patches)).float()
    mask = torch.zeros(8, 16, dtype=torch.bool)
    mask[:5, :6] = True
    algorithm.masker.masks = lambda images: mask.numpy()
    for kind in ('center', 'sinkhorn'):
        if kind == 'sinkhorn':
            algorithm.patch_targets = algorithm.targets
        with LargestTensor() as record:
            losses = algorithm.loss([view.float() for view in batch()])
            sum(losses.values()).backward()
        assert record.numbers == mask.sum() * 4000


def test_a_teacher_of_a_checkpoint_is_kept_at_high_resolution():
    trained, larger = dinov2(), dinov2(backbone=dict(VIT, img_size=24), keep_loaded_teacher=True)
    torch.nn.init.normal_(trained.teacher.backbone.reg_token)
    larger.load_state_dict(trained.state_dict())
    larger.on_train_start()
    assert torch.equal(larger.teacher.backbone.reg_token, trained.teacher.backbone.reg_token)
    assert larger.backbone.pos_embed.shape == larger.teacher.backbone.pos_embed.shape == (1, 1 + 36, 48)
    assert_close(larger.loss(batch((24, 24, 8)))['loss_koleo'].isfinite(), torch.tensor(True))
    trained.on_train_start()
    assert torch.equal(trained.teacher.backbone.reg_token, trained.backbone.reg_token)
    fresh = dinov2(keep_loaded_teacher=True)  # from weights without a teacher
    fresh.load_state_dict({name: x for name, x in trained.state_dict().items() if 'teacher' not in name}, strict=False)
    fresh.on_train_start()
    assert torch.equal(fresh.teacher.backbone.reg_token, fresh.backbone.reg_token)


def test_resume_within_an_epoch_is_exact(tmp_path: Path):
    views = [dict(type='AugmentedView', size=size) for size in SIZES]
    backbone = dict(VIT, drop_path_rate=dict(rate=0.4, kind='subset'))
    assert_resume_is_exact(
        tmp_path,
        model=dict(METHOD, type='DINOv2', backbone=backbone, data_preprocessor=dict(type='SelfSupDataPreprocessor')),
        train_dataloader=dict(
            dataset=dict(type='NoiseImages', num_images=26, views=views),
            sampler=dict(type='EpochSampler'),
            collate_fn=dict(type='collate_views'),
            batch_size=4,
            drop_last=True,
            num_workers=0,
        ),
        optim_wrapper=dict(
            clip_grad=dict(max_norm=3.0, parts=[['backbone', 'mask_token'], 'neck']),
            optimizer=dict(type='AdamW', lr=1e-2),
        ),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=4, max_keep_ckpts=2),
            freeze=dict(type='FreezeHook', name='neck.images.last_layer', moments=True),
        ),
    )


def test_targets_need_an_iteration():
    with pytest.raises(ValueError, match='iterations must be at least 1, got 0'):
        SinkhornTargets(iterations=0)
