"""FiguresHook: when it draws, that every backend gets the figures, and that training does not notice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.visualization.vis_backend import BaseVisBackend

from mmssl.engine.hooks import figures
from mmssl.engine.hooks.figures import FiguresHook
from mmssl.registry import VISBACKENDS
from mmssl.utils.errors import UserError
from tests.support.small_parts import masked
from tests.support.tiny_run import build_runner, tiny_config, train

LOADER = dict(
    dataset=dict(type='NoiseImages', num_images=12, transform=dict(type='CenterCropView', size=16)),
    sampler=dict(type='EpochSampler', shuffle=False),
    collate_fn=dict(type='collate_views'),
    batch_size=4,
    num_workers=0,
)
ONE_VIEW = dict(type='NoiseImages', num_images=26, views=[dict(type='AugmentedView', size=16)])
EVALUATED = dict(
    val_dataloader=LOADER,
    val_cfg=dict(type='EmbeddingValLoop', bank_dataloader=LOADER),
    val_evaluator=dict(type='EmbeddingEvaluator', metrics=[dict(type='EmbeddingStatistics')]),
)


@VISBACKENDS.register_module()
class Recorder(BaseVisBackend):
    """Keeps names, steps and shapes of images."""

    images: list[tuple[str, int, np.ndarray]] = []

    def __init__(self, save_dir: str | None = None) -> None:
        super().__init__(save_dir)
        Recorder.images = []

    def _init_env(self) -> None:
        pass

    @property
    def experiment(self) -> None:
        return None

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs) -> None:
        Recorder.images.append((name, step, image))


def config(work_dir: Path, hook: dict | None, **changes) -> dict:
    backends = [dict(type='LocalVisBackend'), dict(type='Recorder')]
    return tiny_config(
        work_dir,
        **EVALUATED
        | dict(
            train_cfg=dict(val_interval=5),
            visualizer=dict(type='RunVisualizer', vis_backends=backends),
            custom_hooks=[dict(type='FiguresHook', **hook)] if hook is not None else [],
        )
        | changes,
    )


def test_every_backend_gets_the_figures_at_the_interval_and_training_does_not_notice(tmp_path: Path) -> None:
    plain = train(config(tmp_path / 'plain', None))
    drawn = train(config(tmp_path / 'drawn', dict(interval=2, num_images=2, num_points=8, num_bank=6)))
    steps = [(name, step) for step in (0, 2, 3) for name in ('attention', 'tsne', 'neighbors')]
    assert [(name, step) for name, step, _ in Recorder.images] == steps
    assert all(image.dtype == np.uint8 and image.shape[2] == 3 and image.std() > 0 for *_, image in Recorder.images)
    files = {path.name for path in (tmp_path / 'drawn').glob('*/vis_data/vis_image/*.png')}
    assert files == {f'{name}_{step}.png' for name, step in steps}
    before, after = (run.model.state_dict() for run in (plain, drawn))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(module.training for module in drawn.model.modules())


def test_figures_change_as_the_backbone_learns(tmp_path: Path) -> None:
    train(config(tmp_path, dict(interval=3, figures=['attention'], num_images=1)))
    (_, _, first), (_, _, last) = Recorder.images
    assert first.shape == last.shape and (first != last).any()


def test_reconstructions_of_the_same_hidden_patches_and_training_does_not_notice(tmp_path: Path) -> None:
    changes = dict(model=masked(), train_dataloader=dict(tiny_config('')['train_dataloader'], dataset=ONE_VIEW))
    plain = train(config(tmp_path / 'plain', None, **changes))
    drawn = train(config(tmp_path / 'drawn', dict(interval=2, figures=['reconstruction'], num_images=2), **changes))
    assert [(name, step) for name, step, _ in Recorder.images] == [('reconstruction', step) for step in (0, 2, 3)]
    first, second, last = (image for *_, image in Recorder.images)
    masked_panel = slice(first.shape[1] // 4, first.shape[1] // 2)
    assert (first[:, masked_panel] == last[:, masked_panel]).all()
    assert (first != second).any() and (second != last).any()
    before, after = (run.model.state_dict() for run in (plain, drawn))
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        (dict.fromkeys(EVALUATED), 'an EmbeddingValLoop, whose images it draws, and this run has none'),
        (dict(visualizer=dict(type='Visualizer')), 'the visualizer has no vis_backends'),
        (dict(experiment_name='sharded'), 'it has only its share of the model'),
    ],
)
def test_a_run_without_validation_or_backends_is_told(
    changes: dict, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = build_runner(config(tmp_path, dict(interval=1), max_epochs=1, **changes))
    monkeypatch.setattr(figures, 'is_sharded', lambda model: 'experiment_name' in changes)
    said: list[str] = []
    monkeypatch.setattr(runner.logger, 'warning', said.append)
    runner.train()
    (message,) = [text for text in said if 'FiguresHook' in text]
    assert message.startswith('FiguresHook draws nothing: ') and reason in message


def test_a_figure_that_the_model_does_not_have_fails_before_training(tmp_path: Path) -> None:
    cfg = config(tmp_path, dict(figures=['attention']))
    transformer = dict(arch=dict(embed_dim=64, depth=1, num_heads=2), img_size=16, patch_size=5)
    cfg['model'] = dict(cfg['model'], backbone=dict(type='VisionTransformer', **transformer))
    runner = build_runner(cfg)
    with pytest.raises(UserError, match='multiples of the patches'):
        runner.train()
    assert runner.iter == 0
    with pytest.raises(UserError, match='MoCo reconstructs no image'):
        train(config(tmp_path, dict(figures=['reconstruction'])))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(figures=['umap']), "among attention, tsne, neighbors, reconstruction, got .'umap'"),
        (dict(figures=[]), 'among attention'),
        (dict(interval=0), 'must be at least 1, got 0, 6, 1000 and 5000'),
    ],
)
def test_impossible_options(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FiguresHook(**options)
