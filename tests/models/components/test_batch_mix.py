"""Mixup and CutMix: what they do to images and targets, and that the iteration's seed decides it."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.engine.loops import seed_iteration
from mmssl.models.components.batch_mix import BatchMix

LABELS = torch.tensor([0, 1, 2, 3])


def mixed(seed: int, **options) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    before = images.clone()
    seed_iteration(seed, 0, 0)
    result, targets = BatchMix(5, **options)(images, LABELS)
    assert torch.equal(images, before)
    return images, result, targets


def test_mixup():
    for seed in range(5):
        images, result, targets = mixed(seed, cutmix=0.0)
        weight = targets[0, 0].item()
        assert_close(result, weight * images + (1 - weight) * images.flip(0))
        assert_close(targets, weight * torch.eye(5)[LABELS] + (1 - weight) * torch.eye(5)[LABELS.flip(0)])


def test_cutmix_share_of_pixels_is_the_weight():
    for seed in range(5):
        images, result, targets = mixed(seed, mixup=0.0)
        own, other = result == images, result == images.flip(0)
        assert (own | other).all()
        assert_close(own[0].float().mean(), targets[0, 0])
        assert_close(targets.sum(1), torch.ones(4))


def test_both_are_drawn_and_the_seed_decides():
    kinds = set()
    for seed in range(12):
        images, result, _ = mixed(seed)
        kinds.add(bool(((result == images) | (result == images.flip(0))).all()))
        assert torch.equal(result, mixed(seed)[1])
    assert kinds == {True, False}


def test_the_probability_is_that_of_cutmix():
    def is_cutmix(seed: int) -> bool:
        images, result, _ = mixed(seed, cutmix_prob=0.9)
        return bool(((result == images) | (result == images.flip(0))).all())

    assert 50 < sum(map(is_cutmix, range(60))) < 60
    mix = BatchMix(5)._mix
    defaults = mix.mixup_alpha, mix.cutmix_alpha, mix.mix_prob, mix.switch_prob
    assert defaults == (0.8, 1.0, 1.0, 0.5)  # the recipes of ViTs


def test_probability():
    unmixed = [torch.equal(*mixed(seed, prob=0.25)[:2]) for seed in range(200)]
    assert 0.65 < sum(unmixed) / 200 < 0.85


def test_arguments():
    with pytest.raises(ValueError, match='one of them'):
        BatchMix(5, mixup=0.0, cutmix=0.0)
    with pytest.raises(ValueError, match=r'\[0, 1\]'):
        BatchMix(5, prob=2.0)
    with pytest.raises(ValueError, match='even number of images per process, got 3'):
        BatchMix(5)(torch.zeros(3, 3, 8, 8), LABELS[:3])
