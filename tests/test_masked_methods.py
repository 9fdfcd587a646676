"""What holds for every method that hides patches, tested on every CIFAR-10 recipe: a new one is tested by existing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmssl.config.load import load_config
from mmssl.registry import ALGORITHMS
from mmssl.utils.errors import UserError
from mmssl.visualization.reconstruction import reconstruction_figure
from tests.support.interruption import assert_resume_is_exact
from tests.support.recipes import whole_text
from tests.support.shrink import IMAGE_SIZE, shrink
from tests.support.tiny_run import build_runner, tiny_config

CONFIGS = Path(__file__).parents[1] / 'configs'
RECIPES = sorted(
    path
    for path in CONFIGS.glob('*/*cifar10*.py')
    if {'masker=', 'target='} <= set(re.findall(r'\b\w+=', whole_text(path)))
)

NO_PICTURE = dict(
    beit='BEiT predicts TokenizerTarget, which is not a picture',
    cae='CAE predicts TokenizerTarget, which is not a picture',
    ijepa='IJEPA reconstructs no image',
)

each_recipe = pytest.mark.parametrize('path', RECIPES, ids=[path.stem for path in RECIPES])


def tiny_changes(cfg: Config) -> dict:
    """What a recipe changes in ``tiny_config``; the warm-up takes one epoch of three."""
    optim_wrapper = {key: value for key, value in cfg.optim_wrapper.items() if key not in ('type', 'dtype')}
    loader = tiny_config('')['train_dataloader']
    schedules = cfg.param_scheduler if isinstance(cfg.param_scheduler, list) else [cfg.param_scheduler]
    dataset = dict(loader['dataset'], views=cfg.train_dataloader.dataset.views)
    return dict(
        model=cfg.model,
        train_dataloader=dict(loader, dataset=dataset),
        optim_wrapper=optim_wrapper,
        param_scheduler=[dict(schedules[0], warmup_epochs=1), *schedules[1:]],
        custom_hooks=cfg.get('custom_hooks', []),
    )


def test_there_are_recipes() -> None:
    assert RECIPES


@each_recipe
def test_resume_within_an_epoch_is_exact(path: Path, tmp_path: Path) -> None:
    assert_resume_is_exact(tmp_path, **tiny_changes(shrink(load_config(path))))


@each_recipe
def test_features_are_evaluated_while_training(path: Path, tmp_path: Path) -> None:
    cfg = shrink(load_config(path))
    loader = dict(
        dataset=dict(type='LabelledNoise', num_images=20, transform=dict(type='CenterCropView', size=IMAGE_SIZE)),
        sampler=dict(type='EpochSampler', shuffle=False),
        collate_fn=dict(type='collate_views'),
        batch_size=10,
        num_workers=0,
    )
    knn, *others = cfg.val_evaluator.metrics
    evaluated = dict(
        train_cfg=dict(val_interval=1),
        val_dataloader=loader,
        val_cfg=dict(type='EmbeddingValLoop', bank_dataloader=loader),
        val_evaluator=dict(cfg.val_evaluator, metrics=[dict(knn, k=1), *others]),
    )
    runner = build_runner(tiny_config(tmp_path, **tiny_changes(cfg), **evaluated, max_epochs=1))
    runner.train()
    results = runner.val_loop.run()
    assert results['knn_top1'] == 100  # the bank has the queries themselves
    assert 10 < results['linear_top1'] <= 100
    assert results['rankme'] > 1


@each_recipe
def test_reconstructions_are_drawn_or_the_target_is_named_as_the_reason(path: Path) -> None:
    model = ALGORITHMS.build(shrink(load_config(path)).model)
    images = torch.randint(0, 256, (2, 3, IMAGE_SIZE, IMAGE_SIZE), dtype=torch.uint8)
    if path.parent.name in NO_PICTURE:
        with pytest.raises(UserError, match=NO_PICTURE[path.parent.name]):
            reconstruction_figure(model, images)
        return
    cells = [axes for axes in reconstruction_figure(model, images).axes if axes.images]
    columns = 5 if path.parent.name in ('eva', 'igpt', 'maskfeat') else 4  # features have the target beside the image
    rows = 4 if path.parent.name == 'itpn' else 1  # levels, and all together
    assert len(cells) == len(images) * rows * columns
