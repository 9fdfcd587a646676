"""The loops inside MMEngine's runner: metrics are logged, choose the best checkpoint, and do not disturb training."""

import json
from pathlib import Path

import torch
from mmengine.runner import Runner

import mmssl.evaluation  # noqa: F401  registers the loops
from tests.evaluation.support import Dots, Pixels


def dataloader(size: int, shuffle: bool = False) -> dict:
    return dict(
        batch_size=4,
        dataset=Dots(size),
        sampler=dict(type='DefaultSampler', shuffle=shuffle),
        collate_fn=dict(type='default_collate'),
    )


def runner(work_dir: Path, name: str, validate: bool = True) -> Runner:
    evaluator = dict(
        type='EmbeddingEvaluator',
        device='cpu',
        metrics=[dict(type='WeightedKNN', k=3), dict(type='LinearProbe'), dict(type='EmbeddingStatistics')],
    )
    validation = dict(
        val_dataloader=dataloader(10),
        val_cfg=dict(type='EmbeddingValLoop', bank_dataloader=dataloader(20)),
        val_evaluator=evaluator,
    )
    torch.manual_seed(0)
    return Runner(
        model=Pixels(),
        work_dir=str(work_dir),
        train_dataloader=dataloader(12, shuffle=True),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        test_dataloader=dataloader(10),
        test_cfg=dict(type='EmbeddingTestLoop', bank_dataloader=dataloader(20)),
        test_evaluator=evaluator,
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', save_best='knn_top1' if validate else None)),
        default_scope='mmssl',
        randomness=dict(seed=0),
        experiment_name=name,
        log_level='ERROR',
        **(validation if validate else {}),
    )


def test_validation_logs_metrics_and_saves_the_best(tmp_path: Path) -> None:
    run = runner(tmp_path, 'logs_and_best')
    run.train()
    assert (tmp_path / 'best_knn_top1_epoch_1.pth').is_file()
    (log,) = tmp_path.glob('*/vis_data/scalars.json')
    entries = [entry for entry in map(json.loads, log.read_text().splitlines()) if 'knn_top1' in entry]
    assert [entry['step'] for entry in entries] == [1, 2]
    assert set(entries[0]) >= {'knn_top5', 'linear_top1', 'linear_top5', 'embedding_std', 'rankme', 'alignment'}
    assert entries[0]['knn_top1'] == entries[0]['linear_top1'] == 100.0


def test_test_loop_returns_floats(tmp_path: Path) -> None:
    results = runner(tmp_path, 'test_loop').test()
    assert results['knn_top1'] == 100.0
    assert all(isinstance(value, float) for value in results.values())


def test_training_does_not_depend_on_validation(tmp_path: Path) -> None:
    models = [runner(tmp_path / str(flag), f'undisturbed_{flag}', flag).train() for flag in (True, False)]
    with_validation, without = (model.state_dict() for model in models)
    assert all(torch.equal(with_validation[name], without[name]) for name in without)
