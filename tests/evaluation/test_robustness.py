"""Accuracy under attack, and when it is refused."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import torch
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mmssl.datasets.epoch_sampler import EpochSampler
from mmssl.evaluation.robustness import Attacked, RobustnessEvaluator, attack_images, signs_of_masking
from mmssl.models.components.pgd_attack import PGDAttack
from tests.evaluation.support import ToFloat
from tests.support.distributed import run_distributed

ATTACKS = dict(
    fgsm=dict(type='FGSMAttack'), pgd2=dict(type='PGDAttack', num_steps=2), pgd10=dict(type='PGDAttack', num_steps=10)
)


class Noise(Dataset):
    """Images of noise of which every other is a little brighter, which is its class."""

    def __len__(self) -> int:
        return 41

    def __getitem__(self, item: int | tuple[int, int]) -> dict:
        index = item[1] if isinstance(item, tuple) else item
        generator = torch.Generator().manual_seed(index)
        image = torch.randint(60, 180, (3, 4, 4), dtype=torch.uint8, generator=generator) + 9 * (index % 2)
        return dict(inputs=image, data_samples=dict(index=index, label=index % 2))


class Brightness(BaseModel):
    """Two logits that differ by brightness; what becomes of them is the kind of the model."""

    def __init__(self, kind: str = 'plain') -> None:
        super().__init__(data_preprocessor=ToFloat())
        self.norm = nn.BatchNorm2d(3)
        self.kind = kind

    def forward(self, images: Tensor) -> Tensor:
        return self.predict(images)

    def predict(self, images: Tensor) -> Tensor:
        assert not self.norm.training
        score = images.mean(dim=(1, 2, 3)) - 124
        if self.kind == 'red':
            score = images[:, 0].mean(dim=(1, 2)) - 124
        if self.kind == 'rounded':
            score = score.round() + 0.5
        if self.kind == 'saturated':
            score = score * 1e6
        if self.kind == 'reversed':
            score = 2 * score.detach() - score
        return torch.stack([-score, score], dim=1).add(0 * images.sum())


def loader(sampler: EpochSampler | None = None) -> DataLoader:
    return DataLoader(Noise(), batch_size=6, sampler=sampler)


def test_a_linear_classifier_is_as_robust_as_its_margin() -> None:
    model = Brightness().train()
    results = RobustnessEvaluator(ATTACKS).run(model, loader())
    data = [Noise()[index] for index in range(41)]
    margins = torch.tensor([(x['inputs'].float().mean() - 124) * (2 * (i % 2) - 1) for i, x in enumerate(data)])
    assert results['clean_top1'] == pytest.approx(100 * (margins >= 0).double().mean().item())
    robust = 100 * (margins > 8).double().mean().item()  # every pixel may change by 8
    assert results['fgsm_top1'] == results['pgd10_top1'] == results['robust_top1'] == pytest.approx(robust)
    assert 0 < robust < results['pgd2_top1'] < results['clean_top1'] and results['gradient_masked'] == 0
    assert model.training and model.norm.training


@pytest.mark.parametrize('kind', ['rounded', 'saturated', 'reversed'])
def test_masked_gradients_are_refused(kind: str) -> None:
    results = RobustnessEvaluator(ATTACKS).run(Brightness(kind), loader())
    plain = RobustnessEvaluator(ATTACKS).run(Brightness(), loader())
    assert results['gradient_masked'] == 1 and 'robust_top1' not in results
    assert results['pgd10_top1'] > plain['pgd10_top1']  # what would have been called robust


def attacked(correct: dict[str, float], courses: dict[str, list[float]], zero: float = 0.0) -> Attacked:
    """1000 images, all correct at first, of which an attack leaves the given share."""
    clean = torch.ones(1000, dtype=torch.bool)
    left = {name: torch.arange(1000) < 1000 * share for name, share in correct.items()}
    return Attacked(clean, torch.arange(1000) < 1000 * zero, left, {n: torch.tensor(c) for n, c in courses.items()})


def test_signs_of_masking() -> None:
    attacks = dict(pgd4=PGDAttack(num_steps=4), pgd8=PGDAttack(num_steps=8), weak8=PGDAttack(epsilon=1, num_steps=8))
    rising = dict(pgd4=[0.1, 0.5, 0.8, 0.9, 1.0], pgd8=[0.1, 0.9, 1.0])
    assert not signs_of_masking(attacked(dict(pgd4=0.5, pgd8=0.501, weak8=0.9), rising), attacks)
    for change, expected in (
        (dict(courses=rising | dict(pgd8=[0.2, 0.3, 0.2])), 'objective of pgd8 does not rise'),
        (dict(courses=rising | dict(pgd4=[0.1, 0.5, 1.0, 0.9, 0.8])), 'objective of pgd4 falls by 0.2'),
        (dict(courses=rising | dict(pgd4=[0.1, 0.5, 1.0, 0.98, 0.94])), 'objective of pgd4 falls by 0.06'),
        (dict(correct=dict(pgd4=0.5, pgd8=0.52, weak8=0.9)), 'pgd8 .8 steps. leaves 2.00 points more'),
        (dict(zero=0.02), 'gradient is zero for 2.0 %'),
    ):
        (sign,) = signs_of_masking(
            attacked(**dict(correct=dict(pgd4=0.5, pgd8=0.5, weak8=0.9), courses=rising) | change), attacks
        )
        assert re.search(expected, sign)
    more_restarts = dict(attacks, pgd4=PGDAttack(num_steps=4, num_restarts=20))  # may well be the stronger one
    assert not signs_of_masking(attacked(dict(pgd4=0.5, pgd8=0.52, weak8=0.9), rising), more_restarts)
    plugin = dict(attacks, pgd8=SimpleNamespace(num_steps=8))  # which does not tell its ball
    assert not signs_of_masking(attacked(dict(pgd4=0.5, pgd8=0.52, weak8=0.9), rising), plugin)
    (sign,) = signs_of_masking(attacked(dict(one=0.5), dict(one=[0.1, 0.9])), dict(one=PGDAttack(num_steps=1)))
    assert 'no attack takes more than one step' in sign


@pytest.mark.parametrize(
    ('random_start', 'num_steps', 'is_masked'), [(True, 7, False), (True, 8, True), (False, 4, True)]
)
def test_an_attack_that_cannot_cross_the_ball_may_be_weaker(
    random_start: bool, num_steps: int, is_masked: bool
) -> None:
    attacks = {str(n): PGDAttack(num_steps=n, random_start=random_start) for n in (3, num_steps)}  # 8 wide, steps of 2
    signs = signs_of_masking(attacked({'3': 0.5, str(num_steps): 0.6}, {}), attacks)
    assert len(signs) == is_masked


def test_what_was_wrong_before_the_attack_is_no_success_of_the_network() -> None:
    half = torch.arange(1000) < 500
    results = RobustnessEvaluator(dict(pgd=dict(type='PGDAttack'))).evaluate(
        Attacked(half, torch.zeros(1000, dtype=torch.bool), dict(pgd=torch.arange(1000) >= 400))
    )
    assert results == dict(clean_top1=50.0, pgd_top1=60.0, robust_top1=10.0, gradient_masked=0.0)
    few_zeros = Attacked(half, torch.arange(1000) < 8, dict(pgd=half))  # 1.6 % of those that were right
    (sign,) = signs_of_masking(few_zeros, dict(pgd=PGDAttack()))
    assert 'zero for 1.6 % of the images that are classified correctly' in sign


def test_a_gradient_of_one_channel_is_not_zero() -> None:
    assert not attack_images(Brightness('red'), loader(), {}).zero.any()


def test_an_image_that_a_sampler_repeats_counts_once() -> None:
    attacks = dict(pgd=PGDAttack(num_steps=2))
    repeats = DataLoader(Noise(), batch_size=6, sampler=[2, 1, 0, *range(41), 5, 5])
    once, more = (attack_images(Brightness(), images, attacks) for images in (loader(), repeats))
    assert torch.equal(once.clean, more.clean) and torch.equal(once.correct['pgd'], more.correct['pgd'])
    torch.testing.assert_close(once.courses['pgd'], more.courses['pgd'])


def _run() -> dict[str, float] | None:
    torch.set_default_dtype(torch.float32)
    return RobustnessEvaluator(ATTACKS).run(Brightness(), loader(EpochSampler(Noise(), shuffle=False)))


def test_processes_share_the_images() -> None:
    (alone,) = run_distributed(_run, 1)
    shared, nothing = run_distributed(_run, 2)
    assert shared == alone and nothing is None


def test_what_cannot_be_evaluated() -> None:
    with pytest.raises(ValueError, match='at least one attack, with a name other than'):
        RobustnessEvaluator({})
    with pytest.raises(ValueError, match='at least one attack, with a name other than'):
        RobustnessEvaluator(dict(clean=dict(type='FGSMAttack')))
    unlabelled = [dict(Noise()[0], data_samples=dict(index=0, label=-1))]
    with pytest.raises(ValueError, match='no label'):
        attack_images(Brightness(), DataLoader(unlabelled), {})
    diverged = Brightness('saturated')
    diverged.predict = lambda images: images.flatten(1)[:, :2] * torch.nan
    with pytest.raises(ValueError, match='a logit is NaN or infinite'):
        attack_images(diverged, loader(), {})
