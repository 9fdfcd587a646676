"""Runs of iterations, of a single one, and of too few images."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook

from mmssl.engine.runner import PretrainRunner
from mmssl.evaluation.loops import EmbeddingValLoop
from mmssl.registry import HOOKS
from mmssl.utils.errors import UserError
from tests.support.interruption import assert_resume_is_exact
from tests.support.tiny_run import build_runner, tiny_config, train


@HOOKS.register_module()
class NoteHook(Hook):
    """Notes the images, the learning rate and the validations of a run."""

    def before_run(self, runner: PretrainRunner) -> None:
        runner.noted, runner.rates, runner.validated = [], [], []

    def after_train_iter(self, runner: PretrainRunner, batch_idx: int, data_batch: Any, outputs: Any = None) -> None:
        runner.noted.append(data_batch['data_samples']['index'].tolist())
        runner.rates.append(runner.optim_wrapper.get_lr()['lr'][0])

    def after_val_epoch(self, runner: PretrainRunner, metrics: Any = None) -> None:
        runner.validated.append(runner.iter)


def config(folder: Path, **changes: Any) -> dict:
    return tiny_config(folder, **{'custom_hooks': [dict(type='NoteHook')], **changes})


@pytest.mark.parametrize(
    'train_cfg',
    [dict(by_epoch=False, max_iters=8), dict(max_iters=8), dict(type='IterBasedTrainLoop', max_iters=8)],
)
def test_a_run_of_iterations_is_the_beginning_of_a_run_of_epochs(train_cfg: dict, tmp_path: Path) -> None:
    runner = train(config(tmp_path, train_cfg=train_cfg))
    assert runner.iter == runner.max_iters == len(runner.noted) == 8 and runner.max_epochs == 2  # of 6 iterations
    if 'type' in train_cfg:
        epochs = train(config(tmp_path / 'epochs', max_epochs=2))
        assert epochs.noted[:8] == runner.noted
        # The cosine ends with the run: after a warm-up of one epoch of 6 iterations, 2 more.
        assert runner.rates[:7] == pytest.approx([0.1 * step / 6 for step in range(7)])
        assert runner.rates[7] == pytest.approx(0.05)


def test_a_run_of_iterations_is_resumed_exactly(tmp_path: Path) -> None:
    assert_resume_is_exact(tmp_path, train_cfg=dict(by_epoch=False, max_iters=16))


def test_a_run_that_ended_within_an_epoch_can_be_prolonged(tmp_path: Path) -> None:
    hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1))
    schedule = dict(type='StepLR', milestones=[0.6])  # in epochs, before epoch 2 in both runs
    train(config(tmp_path, train_cfg=dict(max_iters=8), param_scheduler=schedule, default_hooks=hooks))
    longer = dict(train_cfg=dict(max_iters=14), param_scheduler=schedule, default_hooks=hooks)
    resumed = train(config(tmp_path, **longer, resume=True))
    whole = train(config(tmp_path / 'whole', **longer))
    assert resumed.noted == whole.noted[8:] and resumed.rates == whole.rates[8:]
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], tensor), name


def test_validation_by_iterations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = EmbeddingValLoop.evaluate
    monkeypatch.setattr(EmbeddingValLoop, 'evaluate', lambda loop: time.sleep(2) or evaluate(loop))
    loader = dict(
        dataset=dict(type='NoiseImages', num_images=4, transform=dict(type='CenterCropView', size=16)),
        sampler=dict(type='EpochSampler', shuffle=False), collate_fn=dict(type='collate_views'),
        batch_size=4, num_workers=0,
    )  # fmt: skip
    validation = dict(
        val_dataloader=loader,
        val_cfg=dict(type='EmbeddingValLoop', bank_dataloader=loader),
        val_evaluator=dict(type='EmbeddingEvaluator', metrics=[dict(type='EmbeddingStatistics')]),
    )
    runner = train(
        config(tmp_path, train_cfg=dict(max_iters=8, val_interval=3, dynamic_intervals=[(5, 2)]), **validation)
    )
    assert runner.validated == [3, 4, 6, 8]
    lines = [json.loads(line) for line in next(tmp_path.glob('*/vis_data/scalars.json')).read_text().splitlines()]
    assert [line['step'] for line in lines if 'loss' not in line] == [3, 4, 6, 8]
    assert all(line['data_time'] < 0.5 for line in lines if 'loss' in line)  # the validation is no wait for data


def test_a_single_iteration_runs(tmp_path: Path) -> None:
    assert train(config(tmp_path, train_cfg=dict(max_iters=1), param_scheduler=None)).iter == 1
    cfg = config(tmp_path, max_epochs=1, param_scheduler=dict(type='WarmupCosineLR'))
    cfg['train_dataloader']['dataset']['num_images'] = 4
    runner = train(cfg)
    assert runner.iter == 1 and runner.rates == [0.1]


def test_a_run_that_has_ended_says_so(tmp_path: Path) -> None:
    cfg = config(tmp_path, max_epochs=1)
    train(cfg)
    runner = build_runner(dict(cfg, resume=True))
    warnings: list[str] = []
    runner.logger.warning = warnings.append
    runner.train()
    assert runner.noted == [] and any('6 of 6 iterations): nothing is trained' in line for line in warnings)
    runner = build_runner(cfg)
    runner.logger.warning = warnings.append
    assert runner.train_loop
    runner.load_or_resume()
    assert 'holds checkpoints of an earlier run' in warnings[-1]


def clipped(**options: Any) -> dict:
    return dict(optimizer=dict(type='SGD', lr=0.1), clip_grad=options)


@pytest.mark.parametrize(
    ('changes', 'loader', 'message'),
    [
        ({}, dict(batch_size=32), r'the 26 images .* do not fill one batch of 32, .*batch_size=26'),
        (dict(train_cfg=dict(by_epoch=False)), {}, r'needs the length of the run: train_cfg.max_iters=NUMBER'),
        ({}, dict(sampler=dict(type='InfiniteSampler')), r"InfiniteSampler has no epochs.*'EpochSampler'"),
        ({}, dict(sampler=dict(type='DefaultSampler')), r'DefaultSampler does not pass .* same crops and colours'),
        ({}, dict(batch_size=1), r'MoCo compares the images of a batch \(batch norm\).*batch_size, which is 1'),
        ({}, dict(batch_size=5, drop_last=False), r'epoch of 26 images is a single one.*drop_last=True'),
        (
            dict(param_scheduler=dict(type='StepLR', milestones=[0.5], end=7)),
            {},
            'StepLR has no end of its own.*max_ep',
        ),
        (dict(optim_wrapper=clipped(max_norm=1.0, clip_value=1.0)), {}, "clip_grad: got an unexpected .*'clip_value'"),
        (dict(optim_wrapper=clipped(max_norm=1.0, per_tensor=True, parts=['neck'])), {}, 'parts=.*, not both'),
        (dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=-1.0))), {}, r'optim_wrapper: Invalid learning rate'),
        (dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=1.5))), {}, r'must be below 1, .*: 1.5'),
    ],
)
def test_runs_that_do_not_start(changes: dict, loader: dict, message: str, tmp_path: Path) -> None:
    cfg = config(tmp_path, **changes)
    cfg['model'] = dict(cfg['model'], neck=dict(cfg['model']['neck'], norm='batch'))
    cfg['train_dataloader'].update(loader)
    with pytest.raises(UserError, match=message):
        build_runner(cfg).train()


@pytest.mark.parametrize('temperature', [0, -0.2])
def test_a_temperature_is_positive(temperature: float, tmp_path: Path) -> None:
    cfg = config(tmp_path)
    cfg['model'] = dict(cfg['model'], head=dict(type='QueueContrastLoss', temperature=temperature))
    with pytest.raises(ValueError, match=rf'temperature must be positive, got {temperature}'):
        build_runner(cfg)
    cfg = config(tmp_path)
    runner = build_runner(cfg)
    runner.algorithm.head.temperature = temperature  # of a loss that does not check it
    with pytest.raises(UserError, match=rf'model.head.temperature must be above 0, got {temperature}'):
        runner.train()


def test_a_run_whose_gradient_is_zero_stops(tmp_path: Path) -> None:
    cfg = config(tmp_path)
    cfg['model'] = dict(cfg['model'], type='SimCLR', head=dict(type='NTXentLoss', temperature=float('inf')))
    for key in ('teacher', 'queue', 'norm_group_size'):
        cfg['model'].pop(key)
    with pytest.raises(UserError, match='gradient of every parameter was exactly 0 in 2 steps'):
        train(cfg)
