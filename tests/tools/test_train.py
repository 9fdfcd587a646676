"""tools/train.py: what it trains, and how each mistake ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from tests.support.config_text import write_configs_fast
from tests.support.distributed import exit_codes, free_port, start_process
from tests.support.fresh_python import run_python
from tests.support.tools import load_tool

train = load_tool('train.py')

Writer = Callable[..., Path]
Fails = Callable[..., str]


def apply(config: Path, *argv: str) -> Config:
    """Returns the config as the options ``argv`` change it."""
    seen: list[Config] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmssl.apis.train.check_config', lambda cfg, data: seen.append(cfg))
        patch.setattr('mmssl.apis.train.dry_run', lambda cfg: SimpleNamespace(problems=[]))
        with pytest.raises(SystemExit, match='0'):
            train.main([str(config), '--dry-run', *argv])
    return seen[0]


def test_trains_validates_and_resumes(write_config: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, work_dir = write_config(), tmp_path / 'run'
    train.main([str(config), '--work-dir', str(work_dir), '--cfg-options', 'max_epochs=1'])
    start = capsys.readouterr().out.partition('Epoch(train)')[0]
    assert 'process 1 of 1, seed 0; config and log:' in start and len(start.splitlines()) < 24  # fits a screen
    assert 'FileClient' not in start  # a warning of MMEngine about its own code
    log = ''.join(file.read_text() for file in work_dir.glob('*/*.log'))
    assert 'Config:\n' in log and 'System environment' in log and 'Hooks will be executed' in log
    assert (work_dir / 'epoch_1_backbone.pth').is_file()
    scalars = ''.join(file.read_text() for file in work_dir.glob('*/vis_data/scalars.json'))
    assert 'loss' in scalars and 'embedding_std' in scalars

    train.main([str(config), '--work-dir', str(work_dir), '--resume', '--no-validate', '--amp'])
    assert torch.load(work_dir / 'epoch_2.pth', weights_only=False)['meta']['iter'] == 4


def test_options_reach_the_config(write_config: Writer) -> None:
    config = write_config()
    cfg = apply(config, '--amp', 'fp16', '--auto-scale-lr', '--no-validate', '--seed', '3', '--resume', 'x.pth')
    assert cfg.optim_wrapper.type == 'MixedPrecisionOptimWrapper' and cfg.optim_wrapper.dtype == 'float16'
    assert cfg.auto_scale_lr.enable and cfg.val_cfg is None and cfg.randomness.seed == 3
    assert cfg.resume and cfg.load_from == 'x.pth' and cfg.work_dir == os.path.join('work_dirs', config.stem)


def test_amp_alone_means_bf16_and_resume_alone_the_latest(write_config: Writer) -> None:
    cfg = apply(write_config(), '--amp', '--resume', '--work-dir', 'elsewhere')
    assert cfg.optim_wrapper.dtype == 'bfloat16' and cfg.work_dir == 'elsewhere'
    assert cfg.resume and cfg.load_from is None


def test_a_work_dir_of_the_file_is_kept(write_config: Writer) -> None:
    assert apply(write_config(append="work_dir = 'mine'")).work_dir == 'mine'


@pytest.mark.parametrize(
    ('old', 'new', 'expected'),
    [
        ("type='SimCLR'", "type='SimCRL'", "no model is called 'SimCRL'; did you mean 'SimCLR'?"),
        ('optim_wrapper =', 'optim_wraper =', "unknown top-level key 'optim_wraper'; did you mean 'optim_wrapper'?"),
        ('temperature=0.5', 'temprature=0.5', "NTXentLoss has no argument 'temprature'; did you mean 'temperature'?"),
        ('in_channels=64, ', '', "missing 1 required positional argument: 'in_channels'"),
        ("views=[dict(type='AugmentedView', size=16)] * 2", 'views=[]', 'views is empty'),
        ('max_epochs = 2', 'max_epochs = 2 +', 'SyntaxError'),
    ],
)
def test_mistakes_in_the_config(
    write_config: Writer, fails: Fails, tmp_path: Path, old: str, new: str, expected: str
) -> None:
    assert expected in fails(train.main, write_config((old, new)), '--work-dir', tmp_path / 'run')


def test_missing_folder(write_config: Writer, fails: Fails) -> None:
    message = fails(train.main, write_config(), '--cfg-options', 'data_root=/no/such/folder')
    assert "'/no/such/folder' does not exist" in message and 'train_dataloader.dataset.data_root' in message


def test_empty_folder(write_config: Writer, fails: Fails, tmp_path: Path) -> None:
    (tmp_path / 'empty').mkdir()
    options = ['--cfg-options', f'data_root={tmp_path}/empty', '--work-dir', tmp_path / 'run']
    assert 'no images' in fails(train.main, write_config(), *options)


def test_batch_does_not_divide_the_queue(write_config: Writer, fails: Fails, tmp_path: Path) -> None:
    moco = "type='MoCo', teacher=dict(momentum=0.99), queue=dict(length=10, dim=16)"
    config = write_config(("type='SimCLR'", moco), ("'NTXentLoss'", "'QueueContrastLoss'"))
    message = fails(train.main, config, '--work-dir', tmp_path / 'run')
    assert 'multiple of the global batch size 4' in message


def test_missing_config_and_checkpoint(write_config: Writer, fails: Fails) -> None:
    assert "'configs/simclr/nothing.py' does not exist" in fails(train.main, 'configs/simclr/nothing.py')
    assert "'x.pth' does not exist" in fails(train.main, write_config(), '--resume', 'x.pth')


@pytest.mark.parametrize('options', [[], ['--amp']])
@pytest.mark.parametrize('key', ['model', 'train_dataloader', 'optim_wrapper'])
def test_a_config_without_a_key_of_training(key: str, options: list[str], write_config: Writer, fails: Fails) -> None:
    message = fails(train.main, write_config(), *options, '--cfg-options', f'{key}=None')
    assert f'has no {key}: give a config with model, train_dataloader, optim_wrapper' in message


@pytest.mark.parametrize(
    ('tool', 'others'),
    [
        ('test.py', ['x.pth']),
        ('extract_features.py', ['x.pth', '--out', 'x.npz']),
        ('predict.py', ['x.pth', 'IMAGE']),
        ('visualization/vis_masks.py', ['IMAGE']),
    ],
)
def test_tools_name_the_model_that_a_config_lacks(
    tool: str, others: list[str], tmp_path: Path, images: Path, fails: Fails
) -> None:
    (tmp_path / 'empty.py').write_text('')
    words = [str(next(images.iterdir())) if word == 'IMAGE' else word for word in others]
    assert 'empty.py has no model' in fails(load_tool(tool).main, tmp_path / 'empty.py', *words)


def test_a_pretraining_without_preprocessor(write_config: Writer, fails: Fails) -> None:
    message = fails(train.main, write_config(), '--cfg-options', 'model.data_preprocessor=None')
    assert 'model.data_preprocessor is missing, which normalises images' in message


@pytest.mark.parametrize('option', ['--resume', '--work-dir'])
def test_an_empty_path_starts_no_other_run(option: str, write_config: Writer, fails: Fails) -> None:
    assert 'is an empty string' in fails(train.main, write_config(), option, '')


def test_a_checkpoint_that_cannot_be_resumed_from(write_config: Writer, fails: Fails) -> None:
    message = fails(train.main, write_config(), '--resume', 'x.pth')
    assert 'the checkpoint to resume from; without a path, --resume takes the latest one' in message


def test_an_option_after_which_the_config_stands(write_config: Writer, fails: Fails) -> None:
    message = fails(train.main, '--cfg-options', 'max_epochs=1', write_config())
    assert 'write other arguments before --cfg-options' in message


def test_auto_scale_lr_needs_the_batch_size_of_the_recipe(write_config: Writer, fails: Fails) -> None:
    config = write_config(('auto_scale_lr = dict(base_batch_size=8)', ''))
    assert 'base_batch_size' in fails(train.main, config, '--auto-scale-lr')


def test_launcher_without_torchrun(write_config: Writer, fails: Fails, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('RANK', raising=False)
    assert 'tools/dist_train.sh' in fails(train.main, write_config(), '--launcher', 'pytorch')


def test_launcher_with_nccl_and_no_gpu(write_config: Writer, fails: Fails, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 0)
    options = ['--launcher', 'pytorch', '--cfg-options', 'env_cfg.dist_cfg.backend=nccl']
    assert 'needs a GPU, and torch sees none' in fails(train.main, write_config(), *options)


def test_more_processes_than_gpus(write_config: Writer, fails: Fails, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setenv('LOCAL_RANK', '2')
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    assert 'no GPU of its own: torch sees 2' in fails(train.main, write_config(), '--launcher', 'pytorch')


def test_an_option_without_a_value(write_config: Writer, fails: Fails) -> None:
    assert "takes KEY=VALUE, got 'max_epochs'" in fails(
        train.main, write_config(), '--cfg-options', 'max_epochs', '1=2'
    )


def test_debug_keeps_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('MMSSL_DEBUG', '1')
    with pytest.raises(ValueError, match='does not exist'):
        train.main(['nothing.py'])


def test_from_a_shell_only_the_message_is_seen() -> None:
    finished = run_python('tools/train.py', 'configs/nothing.py')
    assert finished.returncode == 2
    assert finished.stderr.startswith("error: config file 'configs/nothing.py' does not exist")
    assert 'Traceback' not in finished.stderr


def _train_as(rank: int, port: str, argv: list[str]) -> None:
    """Trains on the CPU, in a process that a launcher started as number ``rank`` of two."""
    write_configs_fast()
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
    os.environ['CUDA_VISIBLE_DEVICES'] = ''
    train.main(argv)


def test_two_processes_train_on_cpus(write_config: Writer, tmp_path: Path) -> None:
    argv = [str(write_config()), '--launcher', 'pytorch', '--work-dir', str(tmp_path / 'run'), '--no-validate']
    argv += ['--cfg-options', 'max_epochs=1', 'train_dataloader.batch_size=2']
    port = free_port()
    processes = [start_process(_train_as, rank, port, argv) for rank in range(2)]
    assert exit_codes(*processes, timeout=120) == [0, 0]
    assert torch.load(tmp_path / 'run' / 'epoch_1.pth', weights_only=False)['meta']['iter'] == 2
