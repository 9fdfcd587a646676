from __future__ import annotations

from pathlib import Path

import torch
from torch.testing import assert_close

from mmssl.models.algorithms.ibot import IBOT
from tests.models.losses.test_memory import LargestTensor
from tests.support.interruption import assert_resume_is_exact
from tests.support.small_parts import build

VIT = dict(
    type='VisionTransformer', arch=dict(embed_dim=48, depth=2, num_heads=4), img_size=16, patch_size=4, output='tokens'
)
DINO = dict(
    neck=dict(type='DINOProjector', in_channels=48, hidden_channels=24, out_channels=16),
    head=dict(type='ViewCrossEntropyLoss'),
    teacher=dict(momentum=0.9),
    targets=dict(start_temperature=0.04, temperature=0.07, warmup=0.5),
)
METHOD = dict(
    DINO,
    backbone=VIT,
    masker=dict(type='RatioMasker', ratios=(0.5,), spreads=(0.2,), patch_size=4),
    patch_head=dict(type='PatchCrossEntropyLoss'),
    patch_targets=dict(temperature=0.05),
)
SIZES = (16, 16, 8, 8, 8)


def ibot(**changes) -> IBOT:
    algorithm = build('IBOT', **(METHOD | changes))
    algorithm.on_train_start()
    return algorithm


def batch(sizes=SIZES) -> list[torch.Tensor]:
    return [torch.randn(3, 3, size, size, dtype=torch.float64) for size in sizes]


def hide(algorithm: IBOT, mask: torch.Tensor) -> None:
    """Makes the masker draw ``mask``, (images, views, patches)."""
    algorithm.masker.masks = lambda images: mask.flatten(0, 1).numpy()


def test_the_loss_as_a_plain_loop():
    algorithm, views = ibot(), batch()
    for part in (algorithm.targets, algorithm.patch_targets):
        torch.nn.init.normal_(part.center)
    mask = torch.rand(3, 2, 16) < 0.4
    mask[1, 0] = False
    hide(algorithm, mask)
    losses, seen = [], []
    for view in range(2):
        for image in range(3):
            pixels, hidden = views[view][image : image + 1], mask[image, view]
            student = algorithm.backbone(pixels, mask=hidden[None], mask_token=algorithm.mask_token)[0, 1:]
            teacher = algorithm.teacher.neck(algorithm.teacher.backbone(pixels)[0, 1:])
            seen.append(teacher)
            targets = ((teacher - algorithm.patch_targets.center) / 0.05).softmax(dim=1)
            terms = -(targets * (algorithm.neck(student) / 0.1).log_softmax(dim=1)).sum(dim=1)
            losses.append(terms[hidden].mean() if hidden.any() else torch.zeros(()))
    found = algorithm.loss(views)
    assert_close(found['loss_patch'], torch.stack(losses).mean())
    center = algorithm.patch_targets.center.clone()
    algorithm.on_step_end(0.25)
    assert_close(algorithm.patch_targets.center, 0.9 * center + 0.1 * torch.cat(seen).mean(dim=0))


def test_without_masks_the_loss_of_images_is_dinos():
    algorithm, views = ibot(), batch()
    dino = build('DINO', **DINO, backbone=dict(VIT, output='cls'))
    dino.load_state_dict({name: x for name, x in algorithm.state_dict().items() if name in dino.state_dict()})
    hide(algorithm, torch.zeros(3, 2, 16, dtype=torch.bool))
    losses = algorithm.loss(views)
    assert_close(losses['loss_cls'], dino.loss(views)['loss'])
    assert losses['loss_patch'] == 0
    sum(losses.values()).backward()
    assert algorithm.mask_token.grad is not None and not algorithm.mask_token.grad.any()


def test_the_pixels_of_hidden_patches_do_not_reach_the_student():
    algorithm, (first, second) = ibot(), batch(SIZES[:2])
    mask = torch.rand(3, 2, 16) < 0.4
    hide(algorithm, mask)
    algorithm.teach = lambda images, hidden: (torch.ones(2, 3, 16).double(), torch.ones(len(hidden.positions), 16))
    before = algorithm.loss([first, second])
    hidden_pixels = mask[:, 0].unflatten(1, (4, 4)).repeat_interleave(4, 1).repeat_interleave(4, 2)[:, None]
    after = algorithm.loss([torch.where(hidden_pixels, 7.0, first), second])
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_no_tensor_is_larger_than_hidden_patches_by_prototypes():
    neck = dict(DINO['neck'], out_channels=4000, bottleneck_channels=8)
    algorithm, views = ibot(neck=neck), [view.float() for view in batch(SIZES[:2])]
    algorithm.float()
    mask = torch.zeros(3, 2, 16, dtype=torch.bool)
    mask[:, :, :5] = True
    hide(algorithm, mask)
    with LargestTensor() as record:
        losses = algorithm.loss(views)
        sum(losses.values()).backward()
    assert record.numbers == mask.sum() * 4000


def test_resume_within_an_epoch_is_exact(tmp_path: Path):
    views = [dict(type='AugmentedView', size=size) for size in SIZES]
    neck = dict(DINO['neck'], type='IBOTProjector', patch_channels=20)
    assert_resume_is_exact(
        tmp_path,
        model=dict(METHOD, type='IBOT', neck=neck, data_preprocessor=dict(type='SelfSupDataPreprocessor')),
        train_dataloader=dict(
            dataset=dict(type='NoiseImages', num_images=26, views=views),
            sampler=dict(type='EpochSampler'),
            collate_fn=dict(type='collate_views'),
            batch_size=4,
            drop_last=True,
            num_workers=0,
        ),
        optim_wrapper=dict(clip_grad=dict(max_norm=3.0, per_tensor=True), optimizer=dict(type='AdamW', lr=1e-2)),
    )
