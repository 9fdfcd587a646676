"""SeLa: times of the labellings, equal clusters, exact resume."""

from __future__ import annotations

import numpy as np
import pytest

from mmssl.models.algorithms.sela import SeLa
from tests.support.interruption import assert_resume_is_exact
from tests.support.tiny_run import build_runner, tiny_config, train

MODEL = dict(
    backbone=dict(type='ResNet', depth=18, stem='small', width=0.125),
    neck=dict(type='Identity'),
    head=dict(type='ClusterHead', in_channels=64, num_clusters=4, num_heads=2, init='torch'),
)
CHANGES = dict(
    model=dict(MODEL, type='SeLa', num_labellings=7, data_preprocessor=dict(type='SelfSupDataPreprocessor')),
    custom_hooks=[dict(type='PseudoLabelsHook', labeller=dict(type='TransportLabeller', num_clusters=4, num_heads=2))],
    train_dataloader=dict(
        dataset=dict(type='NoiseImages', num_images=26, views=[dict(type='AugmentedView', size=16)]),
        sampler=dict(type='EpochSampler'),
        collate_fn=dict(type='collate_views'),
        batch_size=4,
        drop_last=True,
        num_workers=0,
    ),
)


def test_times_of_the_labellings_are_those_of_the_official_schedules():
    times = SeLa(**MODEL, num_labellings=100).label_times(1000, 400)
    expected = [0, 0.041, 0.164, 0.368, 0.655, 1.023, 1.473, 2.005, 2.619, 3.314, 4.092, 4.951]
    assert np.array(times[:12]) / 1000 == pytest.approx(expected, abs=6e-4)
    linear = np.array(SeLa(**MODEL, num_labellings=400, spacing='linear').label_times(1000, 400))
    assert np.diff(linear) == pytest.approx(401.01 * 1000 / 399)
    assert [(np.array(found) < 400 * 1000).sum() for found in (times, linear)] == [99, 398]  # as the cards say
    with pytest.raises(ValueError, match="'quadratic', 'linear'"):
        SeLa(**MODEL, spacing='cubic')


def test_labels_are_made_within_epochs_and_equal_in_number(tmp_path):
    runner = build_runner(tiny_config(tmp_path, **CHANGES))
    runner.train()
    (hook,) = (hook for hook in runner.hooks if hasattr(hook, 'labels'))
    due = [time for time in hook.times if time <= 17 * 4]  # the last iteration begins after 68 images
    assert hook.done == len(due) and sum(time % 24 > 0 for time in due) > 3
    for labels in hook.labels:
        sizes = np.bincount(labels[labels >= 0], minlength=4)
        assert sizes.sum() == 24 and 4 <= sizes.min() and sizes.max() <= 8


def test_a_finished_run_that_is_prolonged_labels_again(tmp_path):
    train(tiny_config(tmp_path, **CHANGES))
    runner = train(tiny_config(tmp_path, **CHANGES | dict(max_epochs=6, resume=True)))
    (hook,) = (hook for hook in runner.hooks if hasattr(hook, 'labels'))
    due = [time for time in hook.times if time <= 35 * 4]
    assert len(due) == hook.done == 6 and hook.labelled_at == np.ceil(due[-1] / 4) == 30


def test_a_resumed_run_ends_in_the_same_bits(tmp_path):
    assert_resume_is_exact(tmp_path, **CHANGES)
