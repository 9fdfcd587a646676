"""The figures of a report follow from what was measured."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import Config
from torch import nn

from mmssl.profiling.dry_run import Report, _count_parameters, dry_run
from tests.engine.hooks.test_pseudo_labels import CHANGES, HOOK
from tests.support.tiny_run import tiny_config


def report(**changes: object) -> Report:
    arguments = dict(
        parameters={'backbone': (1000, 900), 'teacher': (1000, 0)},
        memory={'weights': 2**30, 'sum': 2**31},
        seconds={'data loading': 0.5, 'training step': 2.0},
        batch_size=10,
        measured_batch_size=10,
        processes=1,
        recipe_processes=4,
        num_images=405,
        max_epochs=3,
        device='CPU',
    )
    return Report(**arguments | changes)


def test_the_slower_of_loading_and_computing_counts() -> None:
    assert report().seconds_per_iteration == 2.0
    assert report(seconds={'data loading': 3.0, 'training step': 2.0}).seconds_per_iteration == 3.0


def test_an_epoch_is_shared_by_the_processes() -> None:
    assert report().seconds_per_epoch(1) == 80.0
    assert report().seconds_per_epoch(4) == 20.0
    text = str(report())
    assert '1 process: 80.0 s per epoch of 405 images, 4 min for 3 epochs' in text
    assert '4 processes: 20.0 s per epoch of 405 images, 60.0 s for 3 epochs' in text


def test_processes_whose_batch_the_images_do_not_fill_are_left_out() -> None:
    text = str(report(num_images=36, max_epochs=1))
    assert '1 process: 6.0 s per epoch of 36 images, 6.0 s for 1 epoch\n' in text and '4 processes' not in text


def test_totals_of_parameters() -> None:
    assert '2,000          900' in str(report())


def test_unknown_length_of_an_epoch() -> None:
    assert 'per 1000 images: 200.0 s' in str(report(num_images=None))


def test_the_memory_of_a_labelling_leaves_files_out() -> None:
    text = str(report(labelling={'features, in a file': 2**34, 'labels': 2**30}))
    assert 'memory of a labelling on the main process: 1.00 GiB' in text
    assert '  features, in a file             16.00 GiB' in text
    assert 'labelling' not in str(report())


def test_the_run_of_a_method_with_labels_is_measured_without_making_some(tmp_path) -> None:
    cfg = Config(tiny_config(tmp_path, **CHANGES, custom_hooks=[HOOK], runner_type='PretrainRunner'))
    cfg.model.head.num_clusters = cfg.custom_hooks[0].labeller.num_clusters = 5000  # there are fewer images here
    found = dry_run(cfg)
    assert found.problems == ['26 images cannot make 5000 clusters: lower num_clusters']
    assert found.labelling['features, in memory'] == 4 * 26 * 64


def test_an_epoch_of_another_length_and_what_the_times_leave_out(tmp_path) -> None:
    changes = dict(CHANGES, custom_hooks=[HOOK], runner_type='PretrainRunner')
    changes['train_dataloader'] = dict(CHANGES['train_dataloader'], sampler=dict(type='ClusterSampler', reassign=0.5))
    found = dry_run(Config(tiny_config(tmp_path, **changes)))
    assert found.num_images == 13 and found.max_epochs == 3
    assert 'the times of an epoch and of the run leave out labellings' in found.notes
    assert found.labelling['features, in memory'] == 4 * 26 * 64


def odc(folder: Path) -> Config:
    neck = dict(type='TileNeck', in_channels=64, num_tiles=1, single=[dict(channels=64)])
    model = dict(CHANGES['model'], type='ODC', neck=neck, clusters=dict(dim=64, min_cluster=2))
    hook = dict(HOOK, labeller=dict(type='KMeansLabeller', num_clusters=5))
    loader = dict(CHANGES['train_dataloader'], sampler=dict(type='EpochSampler'))
    changes = dict(model=model, train_dataloader=loader, runner_type='PretrainRunner')
    return Config(tiny_config(folder, **{**CHANGES, **changes}, custom_hooks=[hook]))


def test_a_method_that_takes_centroids_gets_stand_ins(tmp_path) -> None:
    found = dry_run(odc(tmp_path))
    assert not found.problems and found.labelling['centroids'] == (3 * 4 + 8) * 5 * 64


def test_the_memory_of_all_images_counts_where_the_data_is_missing(tmp_path) -> None:
    cfg = odc(tmp_path)
    few = dry_run(cfg)
    views = cfg.train_dataloader.dataset.views
    cfg.train_dataloader.dataset = dict(type='ImageNet1k', data_root='/none', split='train', views=views)
    file = tmp_path / 'odc_resnet18_1xb4-3e_in1k.py'
    file.touch()
    found = dry_run(Config(cfg.to_dict(), filename=str(file)))
    assert found.num_images == 1_281_167 and found.memory['activations'] == few.memory['activations']
    row = 4 * 64 + 8  # a feature and a cluster
    for use in ('weights', 'sum'):
        assert found.memory[use] - few.memory[use] == (1_281_167 - 26) * row


def test_too_few_images_are_a_problem_for_the_batch_of_the_recipe(tmp_path) -> None:
    cfg = Config(tiny_config(tmp_path, runner_type='PretrainRunner'))
    cfg.train_dataloader.batch_size = 512
    assert any('the 26 images' in text and 'do not fill one batch of 512' in text for text in dry_run(cfg).problems)


def test_problems_end_the_text() -> None:
    text = str(report(problems=['no data']))
    assert 'PROBLEM: no data' in text and text.endswith('the run would not start')


def test_parameters_outside_the_parts_are_counted() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    model.mask_token = nn.Parameter(torch.zeros(5), requires_grad=False)
    assert _count_parameters(model) == {'0': (8, 8), 'mask_token': (5, 0)}
