"""Attacks: what they may change, from where they start, and what they find."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from mmssl.models.components.adversarial_images import AdversarialImages
from mmssl.models.components.auto_attack import AutoAttack
from mmssl.models.components.fgsm_attack import FGSMAttack
from mmssl.models.components.pgd_attack import PGDAttack, statistics_kept
from mmssl.models.layers.indexed_noise import indexed_uniform
from mmssl.utils.errors import UserError

SIGNS = torch.tensor([1.0, -1.0, 1.0]).view(3, 1, 1)


def pulls(pixels: Tensor) -> Tensor:
    """Logits (N, 2) whose cross entropy for class 0 rises along ``SIGNS``."""
    score = (pixels * SIGNS).sum(dim=(1, 2, 3)) / 1000
    return torch.stack([-score, score], dim=1)


def batch(size: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    pixels = torch.rand(size, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 255
    return pixels, torch.zeros(size, dtype=torch.int64), torch.arange(size)


def test_pixels_stop_at_the_ball_and_at_the_range() -> None:
    pixels = torch.tensor([250.0, 5.0, 100.0]).view(1, 3, 1, 1)
    labels, indices = torch.zeros(1, dtype=torch.int64), torch.arange(1)
    for attack in (PGDAttack(num_steps=7, random_start=False), FGSMAttack(), PGDAttack(num_steps=8)):
        assert attack(pulls, pixels, labels, indices).flatten().tolist() == [255.0, 0.0, 108.0]


@pytest.mark.parametrize('norm', ['linf', 'l2'])
def test_each_image_stays_in_its_ball_and_its_loss_rises(norm: str) -> None:
    pixels, labels, indices = batch()
    attack = PGDAttack(epsilon=6.0, step_size=1.0, num_steps=9, norm=norm)
    trace = attack.trace(pulls, pixels, labels, indices)
    change = (trace.pixels - pixels).flatten(1)
    size = change.abs().amax(dim=1) if norm == 'linf' else change.norm(dim=1)
    assert (size <= 6 + 1e-4).all() and (size > 3).all()
    assert trace.pixels.min() >= 0 and trace.pixels.max() <= 255
    assert trace.losses.shape == (10, 6) and (trace.losses.diff(dim=0) >= -1e-6).all()
    alone = attack.trace(pulls, pixels[2:3], labels[:1], indices[2:3])  # no image depends on the others
    torch.testing.assert_close(alone.pixels, trace.pixels[2:3])


@pytest.mark.parametrize('norm', ['linf', 'l2'])
def test_random_starts_fill_the_ball_and_belong_to_the_image(norm: str) -> None:
    pixels, _, indices = torch.full((4000, 3, 1, 1), 128.0), None, torch.arange(4000)
    attack = PGDAttack(epsilon=8.0, norm=norm)
    change = (attack._start(pixels, indices, 0, 0) - pixels).flatten(1)
    radius = change.abs().amax(dim=1) if norm == 'linf' else change.norm(dim=1)
    assert radius.max() <= 8 + 1e-4
    assert ((radius / 8) ** 3).mean() == pytest.approx(0.5, abs=0.02)  # uniform in three dimensions
    assert (change.mean(dim=0).abs() < 0.3).all()
    some = torch.tensor([17, 3])
    assert torch.equal(attack._start(pixels[:2], some, 0, 0), attack._start(pixels, indices, 0, 0)[some])
    for other in ((1, 0), (0, 1)):
        equal = torch.isclose(attack._start(pixels, indices, *other), attack._start(pixels, indices, 0, 0))
        assert equal.float().mean() < 0.01
    seeded = PGDAttack(epsilon=8.0, norm=norm, seed=1)._start(pixels, indices, 0, 0)
    assert torch.isclose(seeded, attack._start(pixels, indices, 0, 0)).float().mean() < 0.01


def test_restarts_keep_what_misled() -> None:
    """The loss has two hills, and the classifier errs on the right one alone."""
    pixels, labels, indices = torch.full((40, 3, 2, 2), 128.0), torch.zeros(40, dtype=torch.int64), torch.arange(40)

    def predict(x: Tensor) -> Tensor:
        place = (x - 128).mean(dim=(1, 2, 3))
        score = torch.where(place > 0, place, -place / 2) - 3
        return torch.stack([-score, score], dim=1)

    def misled(restarts: int) -> int:
        attack = PGDAttack(num_steps=4, num_restarts=restarts)
        return int((predict(attack(predict, pixels, labels, indices)).argmax(dim=1) == 1).sum())

    assert misled(1) < misled(8) == 40


def test_margin_stops_where_the_margin_is_reached() -> None:
    attack = PGDAttack(objective='margin')
    logits = torch.tensor([[3.0, 1.0], [0.0, 60.0]])
    assert attack._objective(logits, torch.tensor([0, 0])).tolist() == [-52.0, 0.0]


def test_half_precision_is_left_out() -> None:
    seen = []

    def predict(x: Tensor) -> Tensor:
        seen.append(torch.is_autocast_enabled('cpu'))
        return pulls(x)

    with torch.autocast('cpu', torch.float16):
        PGDAttack(num_steps=2)(predict, *batch())
    with torch.autocast('cpu', torch.bfloat16):
        PGDAttack(num_steps=2)(predict, *batch())
    assert seen == [False, False, True, True]


def test_statistics_are_kept_in_training_mode() -> None:
    norm = nn.BatchNorm2d(3).train()
    x = torch.randn(4, 3, 2, 2)
    expected, before = norm(x).detach(), {name: b.clone() for name, b in norm.named_buffers()}
    with statistics_kept(norm):
        assert torch.equal(norm(x), expected)  # with the statistics of the batch
    assert all(torch.equal(b, before[name]) for name, b in norm.named_buffers()) and norm.track_running_stats


def test_noise_is_uniform_and_independent() -> None:
    noise = indexed_uniform(torch.arange(2000), (3, 8, 8), seed=5)
    assert noise.min() > 0 and noise.max() < 1
    counts = torch.histc(noise, bins=20, min=0, max=1) / noise.numel()
    assert (counts - 0.05).abs().max() < 1e-3
    centred = (noise - 0.5).flatten(1) * 12**0.5
    assert (centred[1:] * centred[:-1]).mean().abs() < 0.01 and (centred[:, 1:] * centred[:, :-1]).mean().abs() < 0.01
    assert torch.equal(noise, indexed_uniform(torch.arange(2000), (3, 8, 8), seed=torch.tensor(5)))
    other = (indexed_uniform(torch.arange(2000), (3, 8, 8), seed=6) - 0.5).flatten(1) * 12**0.5
    assert (centred * other).mean().abs() < 0.01


def test_arguments() -> None:
    for wrong in (dict(epsilon=0), dict(step_size=-1), dict(num_steps=0), dict(num_restarts=0)):
        with pytest.raises(ValueError, match='an attack needs'):
            PGDAttack(**wrong)
    with pytest.raises(ValueError, match='norm must be one of'):
        PGDAttack(norm='l1')
    with pytest.raises(ValueError, match='all restarts are equal'):
        PGDAttack(random_start=False, num_restarts=2)


def test_autoattack_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'autoattack', None)
    with pytest.raises(UserError, match='pip install git'):
        AutoAttack()


def test_autoattack_is_given_images_in_0_to_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is replaced by one step of length ``eps`` along ``SIGNS``, with the interface of its version 0.1."""

    class Official:
        def __init__(self, model, norm, eps, seed, verbose, version, device) -> None:
            self.model, self.eps = model, eps
            assert (norm, seed, verbose, version) == ('Linf', 3, False, 'standard')

        def run_standard_evaluation(self, x_orig: Tensor, y_orig: Tensor, bs: int) -> Tensor:
            assert 0 <= x_orig.min() and x_orig.max() <= 1 and torch.is_grad_enabled()
            assert torch.allclose(self.model(x_orig)[:, :2], pulls(x_orig * 255))
            return (x_orig + self.eps * SIGNS).clamp(0, 1)

    def ten_classes(x: Tensor) -> Tensor:
        return nn.functional.pad(pulls(x), (0, 8), value=-100.0)

    package = ModuleType('autoattack')
    package.AutoAttack = Official
    monkeypatch.setitem(sys.modules, 'autoattack', package)
    pixels, labels, indices = batch()
    with torch.no_grad():
        trace = AutoAttack(epsilon=8.0, seed=3).trace(ten_classes, pixels, labels, indices)
    torch.testing.assert_close(trace.pixels, (pixels + 8 * SIGNS).clamp(0, 255))
    assert trace.losses is None
    with pytest.raises(UserError, match='ten classes, got 2'):
        AutoAttack()(pulls, pixels, labels, indices)


def test_training_images_differ_from_step_to_step() -> None:
    class Model(nn.Module):
        backbone = neck = staticmethod(lambda x: x)
        data_preprocessor = nn.Identity()

        class head:
            predict = staticmethod(pulls)

    images = AdversarialImages(dict(type='PGDAttack', num_steps=1))
    pixels, labels, indices = batch()
    first = images(Model(), pixels, labels, indices)
    assert torch.equal(first, images(Model(), pixels, labels, indices))
    images.position.advance(0.5)
    assert not torch.equal(first, images(Model(), pixels, labels, indices))
