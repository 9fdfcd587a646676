"""Every algorithm states its views, every recipe draws them, and others are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import Tensor

import mmssl.models  # noqa: F401
from mmssl.config.load import load_config
from mmssl.datasets.transforms.augmented_view import AugmentedView
from mmssl.datasets.transforms.same_view import SameView
from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.obow import OBoW
from mmssl.models.algorithms.views import Views
from mmssl.registry import ALGORITHMS, TRANSFORMS
from mmssl.utils.errors import UserError
from tests.support.tiny_run import build_runner, tiny_config

CONFIGS = Path(__file__).parents[3] / 'configs'
RECIPES = [*sorted(CONFIGS.glob('[!_]*/*.py')), *sorted(CONFIGS.glob('benchmarks/classification/*.py'))]


def view(size: int = 32) -> AugmentedView:
    return AugmentedView(size)


def refusal(contract: Views, *transforms: object) -> str:
    with pytest.raises(UserError) as error:
        contract.check_transforms(transforms, 'Method', 'train_dataloader.dataset.views')
    return str(error.value)


@pytest.mark.parametrize('name', sorted(ALGORITHMS.members))
def test_every_algorithm_states_its_views(name: str) -> None:
    cls = ALGORITHMS.members[name]
    assert isinstance(cls.views, Views) or 'views' in cls.__init__.__code__.co_names, name


def test_every_recipe_draws_what_its_algorithm_takes_and_neither_more_nor_less() -> None:
    init_default_scope('mmssl')
    seen = set()
    for path in RECIPES:
        cfg = load_config(path)
        algorithm = ALGORITHMS.members.get(cfg.model.get('type'))
        if algorithm is None or not isinstance(algorithm.views, Views):
            continue  # a method whose views depend on its config
        transforms = [TRANSFORMS.build(dict(part)) for part in cfg.train_dataloader.dataset['views']]
        algorithm.views.check_transforms(transforms, algorithm.__name__, path.stem)
        refusal(algorithm.views, *transforms[: algorithm.views.count - 1])
        if not algorithm.views.local:
            refusal(algorithm.views, transforms[0], *transforms)
        seen.add(algorithm)
    assert len(seen) >= 16  # methods in several stages have their recipes elsewhere


def test_number() -> None:
    assert refusal(Views(2), view()) == (
        'Method takes 2 independent views of one size; train_dataloader.dataset.views has 1: 1 too few'
    )
    assert refusal(Views(1), view(), view(), view()).endswith('.views has 3: 2 too many')
    Views(2, local=True).check_transforms([view(), view(), view(16), view(16)], 'Method', '')


def test_one_view_is_no_crop_to_learn_from() -> None:
    OBoW.views.check_transforms([view(224), view(160)], 'OBoW', 'views')
    OBoW.views.check_transforms([view(224), view(160), view(96), view(96)], 'OBoW', 'views')
    assert refusal(OBoW.views, view(224)).endswith('has 1: 1 too few')


def test_sizes() -> None:
    assert refusal(Views(2), view(32), view(24)).endswith('their sizes are 32x32, 24x24')
    Views(2, any_size=True).check_transforms([view(32), view(24)], 'Method', '')
    assert refusal(Views(2, local=True), view(16), view(16), view(32)).endswith('16x16, 16x16, 32x32')
    assert refusal(Views(2, local=True), view(32), view(16)).endswith('32x32, 16x16')


def test_a_rendering_is_a_same_view() -> None:
    contract = Views(1, rendering=True)
    contract.check_transforms([view()], 'Method', '')
    contract.check_transforms([view(), SameView(16)], 'Method', '')
    assert 'takes 1 view, then perhaps one SameView' in refusal(contract, view(), view())
    assert 'too many' in refusal(contract, view(), SameView(16), SameView(16))
    assert 'a SameView does not count as a view' in refusal(Views(2), view(), SameView(32))


def test_views_of_another_kind() -> None:
    class Tiles(AugmentedView):
        kind = 'tiles'

    Views(1, kind='tiles').check_transforms([Tiles(32)], 'Method', '')
    assert "takes 1 view of the kind 'tiles'" in refusal(Views(1, kind='tiles'), view())
    assert 'they are Tiles' in refusal(Views(1), Tiles(32))


def test_a_loss_of_other_views_is_refused_whoever_calls_it() -> None:
    class Pairs(BaseAlgorithm):
        views = Views(2)

        def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
            return dict(loss=torch.cat(views).sum())

    model = Pairs(backbone=dict(type='Identity'), neck=dict(type='Identity'), head=dict(type='Identity'))
    images = torch.ones(4, 3, 8, 8)
    assert model([images, images], mode='loss')['loss'] == 4 * 3 * 8 * 8 * 2
    for wrong in ([images], [images] * 3, [images, images[..., :4]]):
        for call in (model.loss, lambda views: model(views, mode='loss')):
            with pytest.raises(UserError, match='Pairs takes 2 independent views of one size; the batch has'):
                call(wrong)


@pytest.mark.parametrize('number', [1, 3])
def test_a_run_with_other_views_does_not_start(number: int, tmp_path: Path) -> None:
    cfg = tiny_config(tmp_path)
    cfg['train_dataloader']['dataset']['views'] = [dict(type='AugmentedView', size=16)] * number
    with pytest.raises(UserError, match=r'MoCo takes 2 .* train_dataloader.dataset.views has \d'):
        build_runner(cfg).train()


@pytest.mark.parametrize(('method', 'grid'), [('jigsaw', 4), ('relativeloc', 2), ('pirl', 1), ('detco', 2)])
def test_tiles_of_another_grid_are_refused(method: str, grid: int) -> None:
    """A mosaic of 4 x 4 tiles can be cut into 3 x 3 parts, too, none of which is a tile."""
    init_default_scope('mmssl')
    cfg = load_config(next(CONFIGS.glob(f'{method}/*_cifar10.py')))
    transforms = [TRANSFORMS.build(dict(view)) for view in cfg.train_dataloader.dataset.views]
    contract = ALGORITHMS.members[cfg.model.type].views
    contract.check_transforms(transforms, 'Method', 'views')
    transforms[-1] = type(transforms[-1])(size=12 * grid, crop=24 * grid, grid=grid)
    assert 'with 3 x 3 tiles' in refusal(contract, *transforms)
