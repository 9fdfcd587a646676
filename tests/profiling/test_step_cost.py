"""What a step is compared with is the same step."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmssl.profiling.official_style import OFFICIAL_STYLE
from mmssl.profiling.step_cost import measure_step_cost, view_sizes
from mmssl.registry import ALGORITHMS
from tests.support.recipes import CONFIGS, loaded
from tests.support.shrink import shrink

NUM_IMAGES = 4

methods = pytest.mark.parametrize('method', OFFICIAL_STYLE)


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope('mmssl')


@cache
def _recipes() -> dict[str, Config]:
    return {loaded(path).model.type: loaded(path) for path in sorted(CONFIGS.glob('*/*_cifar10.py'))}


def _recipe(method: str) -> Config:
    return shrink(_recipes()[method])


@methods
def test_official_style_gives_the_same_loss_and_gradient(method: str) -> None:
    cfg = _recipe(method)
    torch.manual_seed(0)
    algorithm = ALGORITHMS.build(cfg.model).double().train()
    views = [torch.randn(NUM_IMAGES, 3, size, size, dtype=torch.float64) for size in view_sizes(cfg)]
    algorithm.on_train_start()
    parameters = [p for p in algorithm.parameters() if p.requires_grad]

    torch.manual_seed(1)  # of the paths that are dropped
    loss = sum(term for name, term in algorithm.loss(views).items() if name.startswith('loss'))
    gradients = torch.autograd.grad(loss, parameters)
    torch.manual_seed(1)
    official = OFFICIAL_STYLE[method](algorithm, views)
    torch.testing.assert_close(official, loss)
    torch.testing.assert_close(torch.autograd.grad(official, parameters), gradients)


@methods
def test_every_part_of_a_step_is_measured(method: str) -> None:
    figures = measure_step_cost(_recipe(method), NUM_IMAGES, repeats=2)
    parts = {'backbone', 'neck', 'head', 'optimizer', 'on_step_end'}
    parts |= {'CARE': {'teacher.backbone', 'teacher.neck'}, 'DINO': {'teacher', 'targets'}}.get(method, set())
    for clock in ('wall', 'processor'):
        seconds = figures[clock]['seconds']
        assert set(seconds) == {'step', 'official_style', *parts}
        assert figures[clock]['step_over_parts'] > 0 and figures[clock]['step_over_official_style'] > 0
    assert (figures['batch_size'], figures['dtype']) == (NUM_IMAGES, 'float32')


def test_a_method_without_official_style_is_compared_with_its_parts() -> None:
    figures = measure_step_cost(_recipe('MoCo'), NUM_IMAGES, repeats=1)
    assert 'official_style' not in figures['wall']['seconds']
    assert figures['wall']['step_over_official_style'] is None
    assert {'teacher', 'shuffle'} & set(figures['wall']['seconds'])  # the teacher is called by the shuffling


@pytest.mark.parametrize('method', ['ImageClassifier', 'IGAM'])
def test_a_classifier_gets_labels(method: str) -> None:
    paths = {'ImageClassifier': 'demo/supervised_photos.py', 'IGAM': 'demo/igam_photos.py'}
    figures = measure_step_cost(shrink(loaded(CONFIGS / paths[method])), NUM_IMAGES, repeats=1)
    assert {'backbone', 'on_step_end'} <= figures['wall']['seconds'].keys()
    assert figures['wall']['step_over_parts'] > 0


def test_smaller_views_follow_the_largest() -> None:
    cfg = loaded(CONFIGS / 'dino/dino_vit-small_8xb64-100e_in1k.py')
    assert view_sizes(cfg) == [224] * 2 + [96] * 8
    assert view_sizes(cfg, 112) == [112] * 2 + [48] * 8
    assert view_sizes(cfg, 32) == [32] * 2 + [16] * 8
