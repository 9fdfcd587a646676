"""The batch of a recipe on fewer devices: what is left to each, and the micro-batch that fits into their memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmssl.profiling.auto_batch import _PartsProbe, find_micro_batch, use_recipe_batch
from mmssl.utils.errors import UserError
from tests.support.tiny_run import tiny_config

GIB = 2**30


@pytest.fixture
def cfg(tmp_path: Path) -> Config:
    init_default_scope('mmssl')
    cfg = Config(tiny_config(tmp_path, 'byol', auto_scale_lr=dict(base_batch_size=48), runner_type='PretrainRunner'))
    cfg.train_dataloader.dataset.num_images = 200
    return cfg


def test_processes_share_the_batch_of_the_recipe(cfg: Config) -> None:
    cfg.optim_wrapper.accumulative_counts = 2
    use_recipe_batch(cfg, 3)
    assert cfg.train_dataloader.batch_size == 8
    with pytest.raises(UserError, match='10 processes .* cannot share the 48 images'):
        use_recipe_batch(cfg, 5)


def test_a_recipe_states_its_batch(cfg: Config) -> None:
    cfg.pop('auto_scale_lr')
    with pytest.raises(UserError, match='base_batch_size'):
        use_recipe_batch(cfg, 1)


def test_as_many_images_are_measured_as_a_group_of_norms_needs(cfg: Config) -> None:
    cfg.model = tiny_config('', 'moco')['model'] | dict(norm_group_size=16)
    cfg.train_dataloader.batch_size = 32
    assert find_micro_batch(cfg, budget=64 * GIB) is None


def test_the_micro_batch_follows_the_memory(cfg: Config, tmp_path: Path) -> None:
    use_recipe_batch(cfg, 1)
    cfg.train_dataloader.batch_size = 128
    assert find_micro_batch(cfg, budget=64 * GIB) is None
    with pytest.raises(UserError, match='128 images per process does not fit'):
        find_micro_batch(cfg, budget=1e6)
    small, large = (find_micro_batch(cfg, budget=mib * 2**20) for mib in (6, 9))
    assert small is not None and large is not None and 1 <= small < large < 128
    assert small & (small - 1) == 0
    assert cfg.train_dataloader.batch_size == 128 and not list(tmp_path.iterdir())


def test_weights_and_inputs_leave_less_for_a_micro_batch() -> None:
    probe = _PartsProbe()
    probe.fixed, probe.per_row, probe.all_rows = 100.0, 10.0, 80.0
    assert probe.largest_that_fits(8, budget=150) == 4  # 5 rows fit
    probe.inputs = 2.0  # 16 bytes of 8 images
    assert probe.largest_that_fits(8, budget=150) == 2
    assert probe.largest_that_fits(8, budget=756) is None and probe.largest_that_fits(8, budget=755) == 32
    with pytest.raises(UserError, match='a step of 8 images per process does not fit'):
        probe.largest_that_fits(8, budget=120)
