from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.layers.rotations import four_rotations
from tests.support.interruption import assert_resume_is_exact
from tests.support.small_parts import BACKBONE, build, views

HEAD = dict(type='LinearClsHead', in_channels=64, num_classes=4)


def test_the_four_copies_of_an_image_are_in_one_batch():
    algorithm = build('RotNet', neck=dict(type='Identity'), head=HEAD)
    (images,) = views(1)
    seen = []
    algorithm.backbone.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    losses = algorithm.loss([images])
    assert [tuple(batch.shape) for batch in seen] == [(32, 3, 8, 8)]
    rotated, labels = four_rotations(images)
    logits = algorithm.head.predict(algorithm.backbone(rotated))
    assert_close(losses['loss'], torch.nn.functional.cross_entropy(logits, labels))
    accuracy = (logits.argmax(dim=1) == labels).float().mean()
    assert_close(losses['rotation_accuracy'], accuracy)
    assert not losses['rotation_accuracy'].requires_grad


def test_a_head_of_another_number_of_classes():
    with pytest.raises(ValueError, match='num_classes must be 4 rotations, got 10'):
        build('RotNet', neck=dict(type='Identity'), head=dict(HEAD, num_classes=10))


def test_flat_noise_does_not_tell_its_rotation():
    """Nothing but the content of an image does: a classifier of single pixels stays at chance on noise."""
    generator = torch.Generator().manual_seed(0)
    rotated, labels = four_rotations(torch.rand(512, 1, 8, 8, generator=generator))
    train, test = rotated.flatten(1).split([1024, 1024])
    one_hot = torch.nn.functional.one_hot(labels, 4).float()
    weights = torch.linalg.lstsq(train - 0.5, one_hot[:1024]).solution
    accuracy = ((test - 0.5) @ weights).argmax(dim=1).eq(labels[1024:]).float().mean()
    assert 0.2 < accuracy < 0.3


def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path):
    model = dict(
        type='RotNet',
        data_preprocessor=dict(type='SelfSupDataPreprocessor'),
        backbone=BACKBONE,
        neck=dict(type='Identity'),
        head=HEAD,
    )
    dataset = dict(type='NoiseImages', num_images=26, views=[dict(type='AugmentedView', size=16)])
    loader = dict(
        dataset=dataset,
        sampler=dict(type='EpochSampler'),
        collate_fn=dict(type='collate_views'),
        batch_size=4,
        drop_last=True,
        num_workers=0,
    )
    assert_resume_is_exact(tmp_path, model=model, train_dataloader=loader)
