from __future__ import annotations

import os
import time
from multiprocessing import active_children
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODEL_WRAPPERS
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmssl.apis.models import get_model
from mmssl.apis.train import Settings
from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.config.load import copy_config
from mmssl.distributed.collectives import rank
from mmssl.engine.checkpoint_runner import resumable_checkpoints
from mmssl.engine.loops import seed_iteration
from mmssl.engine.runner import PretrainRunner
from mmssl.utils.errors import UserError
from tests.support.distributed import run_distributed
from tests.support.tiny_run import build_runner, tiny_config, train


def _log(runner: PretrainRunner) -> str:
    return Path(runner.log_dir, f'{runner.timestamp}.log').read_text()


def test_max_epochs_overrides_the_loop_and_the_rest_is_filled_in(tmp_path: Path) -> None:
    cfg = tiny_config(tmp_path, max_epochs=2, train_cfg=dict(max_epochs=7), randomness=dict(seed=None))
    del cfg['default_scope']
    runner = build_runner(cfg)
    assert type(runner.train_loop).__name__ == 'PretrainTrainLoop'
    assert (runner.max_epochs, runner.max_iters, runner.seed) == (2, 12, 0)


def test_a_run_has_one_seed_for_all_processes(tmp_path: Path) -> None:
    runner = build_runner(tiny_config(tmp_path, randomness=dict(seed=3, diff_rank_seed=True)))
    assert (runner.seed, runner.train_loop.dataloader.sampler.seed) == (3, 3)


def test_mixed_precision_takes_the_place_of_that_of_mmengine(tmp_path: Path) -> None:
    cfg = Config(tiny_config(tmp_path))
    cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    Settings(amp='bf16').write(cfg)
    assert cfg.optim_wrapper.to_dict() == dict(
        type='MixedPrecisionOptimWrapper', dtype='bfloat16', optimizer=dict(type='SGD', lr=0.1, momentum=0.9)
    )


def test_a_work_dir_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match="file/run' cannot be a folder, because .*file is a file"):
        PretrainRunner.from_cfg(dict(work_dir=str(tmp_path / 'file' / 'run')))


def test_log_lines(tmp_path: Path) -> None:
    runner = train(tiny_config(tmp_path, max_epochs=1, log_level='INFO'))
    (line,) = [line for line in _log(runner).splitlines() if 'Epoch(train) [1][3/6]' in line]
    for key in ('lr: ', 'eta: ', 'time: ', 'data_time: ', 'data_wait: ', 'memory: ', 'loss: '):
        assert key in line
    wait = float(line.split('data_wait: ')[1].split()[0])
    assert 0 <= wait <= 1


@pytest.mark.parametrize(
    'visualizer', [dict(type='Visualizer', name='visualizer', vis_backends=[dict(type='LocalVisBackend')]), None]
)
def test_runs_of_one_process_write_into_their_own_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visualizer: dict | None
) -> None:
    monkeypatch.setattr(time, 'localtime', lambda *seconds: time.gmtime(0))  # both start within one second
    for name in ('first', 'second'):
        runner = PretrainRunner.from_cfg(tiny_config(tmp_path / name, max_epochs=1, visualizer=visualizer))
        runner.train()
        (numbers,) = (tmp_path / name).glob('*/vis_data/scalars.json')
        assert str(numbers).startswith(runner.log_dir)


@pytest.mark.parametrize('first', [True, False])
def test_processes_agree_on_the_time_of_a_run_after_one_had_others_alone(tmp_path: Path, first: bool) -> None:
    assert run_distributed(_start_after_others, 2, str(tmp_path), first) == ['19700101_000002'] * 2


def _start_after_others(work_dir: str, first: bool) -> str:
    """Returns the time of a run of all processes; before it, one process has had two runs within the same second."""
    torch.set_default_dtype(torch.float32)
    os.environ['LOCAL_RANK'] = str(rank())
    started = {'19700101_000000', '19700101_000001'} if (rank() == 0) == first else set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, 'localtime', lambda *seconds: time.gmtime(0))
        patch.setattr('mmssl.engine.runner._STARTED', started)
        return PretrainRunner.from_cfg(tiny_config(work_dir, 'byol', launcher='pytorch')).timestamp


def test_logged_losses_are_those_of_every_iteration(tmp_path: Path) -> None:
    runner = train(tiny_config(tmp_path, max_epochs=1))
    history, counts = runner.message_hub.get_scalar('train/loss').data
    assert len(history) == 6 == counts.sum()


def test_auto_scale_lr_counts_accumulated_batches(tmp_path: Path) -> None:
    scale = dict(base_batch_size=128, enable=True)
    optim_wrapper = dict(type='MixedPrecisionOptimWrapper', accumulative_counts=2, optimizer=dict(type='SGD', lr=1.0))
    runner = build_runner(tiny_config(tmp_path, auto_scale_lr=scale, optim_wrapper=optim_wrapper, log_level='INFO'))
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.scale_lr(wrapper, runner.auto_scale_lr)
    assert wrapper.get_lr()['lr'] == [1 / 16]
    assert 'lr 1 for batch size 128 -> 0.0625 for batch size 8 (linear rule)' in _log(runner)
    runner.scale_lr(wrapper, dict(scale, enable=False))
    assert wrapper.get_lr()['lr'] == [1 / 16]
    said = 'a step of this run has 8 images, and the recipe is for 128: --auto-scale-lr adapts the learning rate'
    assert _log(runner).count(said) == 1
    runner.scale_lr(wrapper, dict(base_batch_size=8))
    runner.scale_lr(wrapper)
    assert _log(runner).count('a step of this run has') == 1


def test_load_from_takes_the_model_or_its_backbone_and_nothing_less(tmp_path: Path) -> None:
    source = build_runner(tiny_config(tmp_path))
    state = {key: torch.full_like(value, 2) for key, value in source.model.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'model.pth')
    backbone = {key: value for key, value in state.items() if key.startswith('backbone.')}
    torch.save(backbone, tmp_path / 'backbone.pth')
    torch.save(dict(state_dict=dict(list(backbone.items())[:9])), tmp_path / 'little.pth')

    runner = build_runner(tiny_config(tmp_path))
    runner.load_checkpoint(str(tmp_path / 'model.pth'))
    assert all((value == 2).all() for value in runner.model.state_dict().values())
    runner = build_runner(tiny_config(tmp_path))
    queue = runner.model.queue.features.clone()
    runner.load_checkpoint(str(tmp_path / 'backbone.pth'))
    assert all((value == 2).all() for value in runner.model.backbone.state_dict().values())
    assert torch.equal(runner.model.queue.features, queue)
    with pytest.raises(UserError, match='nothing was loaded'):
        runner.load_checkpoint(str(tmp_path / 'little.pth'))
    neck = {key: value for key, value in state.items() if key.startswith('neck.')}
    torch.save(dict(state_dict=backbone | neck), tmp_path / 'part.pth')
    runner.load_checkpoint(str(tmp_path / 'part.pth'))
    assert 'does not hold the whole model of this config. Not loaded: neck\n' in _log(runner)


def test_a_preprocessor_beside_the_model_is_that_of_the_checkpoint(tmp_path: Path) -> None:
    cfg = tiny_config(tmp_path, max_epochs=1)
    cfg['data_preprocessor'] = dict(cfg['model'].pop('data_preprocessor'), mean=[1.0, 2.0, 3.0])
    train(cfg)
    model = get_model(tmp_path / 'iter_4.pth')
    assert (255 * model.data_preprocessor.mean).flatten().tolist() == pytest.approx([1, 2, 3])  # type: ignore
    content = load_checkpoint_file(tmp_path / 'iter_4_backbone.pth')
    assert content['meta']['data_preprocessor']['mean'] == [1.0, 2.0, 3.0]
    own = dict(tiny_config(tmp_path), data_preprocessor=dict(type='ImgDataPreprocessor'))  # a variable of mmseg
    assert copy_config(Config(own)).data_preprocessor.type == 'ImgDataPreprocessor'


def test_order_of_resumable_checkpoints(tmp_path: Path) -> None:
    for age, name in enumerate(['epoch_3.pth', 'epoch_2.pth', 'epoch_1.pth', 'epoch_3_backbone.pth', 'best_x.pth']):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (100 - age, 100 - age))
    assert [file.name for file in resumable_checkpoints(tmp_path)] == ['epoch_3.pth', 'epoch_2.pth', 'epoch_1.pth']
    (tmp_path / 'last_checkpoint').write_text('/moved/from/elsewhere/epoch_2.pth')
    assert [file.name for file in resumable_checkpoints(tmp_path)] == ['epoch_2.pth', 'epoch_3.pth', 'epoch_1.pth']
    work_dir = tmp_path / 'work'  # whose hook has another out_dir, or another filename_tmpl
    work_dir.mkdir()
    (tmp_path / 'named_4.pth').touch()
    for name in ('epoch_3.pth', 'named_4.pth'):
        (work_dir / 'last_checkpoint').write_text(str(tmp_path / name))
        assert resumable_checkpoints(work_dir)[0] == tmp_path / name


def test_resume_without_a_checkpoint_keeps_load_from(tmp_path: Path) -> None:
    def resumed() -> tuple[bool, str | None]:
        cfg = Config(tiny_config(tmp_path, load_from='weights.pth'))
        Settings(resume=True).write(cfg)
        return cfg.resume, cfg.load_from

    assert resumed() == (False, 'weights.pth')
    (tmp_path / 'epoch_1.pth').touch()
    assert resumed() == (True, None)


def test_default_hooks_that_are_switched_off(tmp_path: Path) -> None:
    runner = build_runner(tiny_config(tmp_path, default_hooks=dict(same_weights=None, progress=None, checkpoint=None)))
    assert not {'SameWeightsHook', 'ProgressBarHook', 'CheckpointHook'} & {type(h).__name__ for h in runner.hooks}
    for name in ('algorithm', 'sampler_seed'):  # without them the teacher stands still, and every epoch is the same
        with pytest.raises(UserError, match=f'default_hooks.{name} is a part of the training'):
            build_runner(tiny_config(tmp_path, default_hooks={name: None}))


def test_iterations_draw_alike_after_any_history_and_unlike_each_other() -> None:
    def draw(*key: int) -> list[float]:
        seed_iteration(*key)
        return torch.rand(3).tolist()

    torch.rand(17)
    assert draw(0, 5, 0) == draw(0, 5, 0)
    assert len({tuple(draw(*key)) for key in [(0, 5, 0), (1, 5, 0), (0, 6, 0), (0, 5, 1)]}) == 4


def _train_on_two(work_dir: str) -> tuple[dict[str, Tensor], list[float], set[str], bool]:
    torch.set_default_dtype(torch.float32)
    os.environ['LOCAL_RANK'] = str(rank())
    cfg = tiny_config(work_dir, method='byol', max_epochs=1, sync_bn=True, launcher='pytorch')
    cfg['train_dataloader'] = dict(cfg['train_dataloader'], batch_size=2)
    cfg['find_unused_parameters'] = True
    cfg['model_wrapper_cfg'] = dict(type='MMDistributedDataParallel', bucket_cap_mb=1)
    runner = train(cfg)
    assert runner.model.find_unused_parameters
    norms = {type(part).__name__ for part in runner.algorithm.modules() if isinstance(part, _BatchNorm)}
    losses = runner.message_hub.get_scalar('train/loss').data[0].tolist()
    return runner.algorithm.state_dict(), losses, norms, runner.model.broadcast_buffers


def test_the_former_name_of_an_option_of_torch_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = build_runner(tiny_config(tmp_path))
    runner._distributed = True
    monkeypatch.setattr(MODEL_WRAPPERS, 'build', dict)
    built: dict = runner.wrap_model(dict(broadcast_buffers=True), runner.model)  # type: ignore[assignment]
    assert [value for name, value in built.items() if name.endswith('_buffers')] == [True]


def test_two_processes_train_as_one_with_synchronised_norms(tmp_path: Path) -> None:
    results = run_distributed(_train_on_two, 2, str(tmp_path / 'two'))
    (first, first_losses, norms, broadcast), (second, second_losses, *_) = results
    assert norms == {'SyncBatchNorm'} and not broadcast
    assert all(torch.equal(first[key], second[key]) for key in first if key.startswith('teacher.'))
    one = train(tiny_config(tmp_path / 'one', method='byol', max_epochs=1, sync_bn=True))
    losses = one.message_hub.get_scalar('train/loss').data[0]
    mean = [(a + b) / 2 for a, b in zip(first_losses, second_losses)]
    assert mean[:3] == pytest.approx(losses[:3], rel=1e-3)  # float32: small differences grow with every step
    assert (tmp_path / 'two' / 'iter_6.pth').is_file()
    run_distributed(_resume_apart, 2, str(tmp_path / 'two'))


def _resume_apart(work_dir: str) -> None:
    torch.set_default_dtype(torch.float32)
    os.environ['LOCAL_RANK'] = str(rank())
    folder = work_dir if rank() == 0 else f'{work_dir}_of_another_machine'
    cfg = tiny_config(folder, method='byol', max_epochs=2, sync_bn=True, launcher='pytorch', resume=True)
    cfg['train_dataloader'] = dict(cfg['train_dataloader'], batch_size=2)
    with pytest.raises(UserError, match=r'start at different iterations \(6, 0\).*storage that all machines see'):
        train(cfg)


def test_workers_end_with_the_run_and_not_when_the_collector_finds_it(tmp_path: Path) -> None:
    cfg = tiny_config(tmp_path, max_epochs=1)
    cfg['train_dataloader'].update(num_workers=2, persistent_workers=True)
    before = set(active_children())
    runner = build_runner(cfg)
    runner.train()
    assert not set(active_children()) - before
    assert len(next(iter(runner.train_dataloader))['inputs']) == 2, 'a loader starts new workers'
    runner.end_workers()
    assert not set(active_children()) - before
