"""tools/train.py --dry-run: the cost of a run, with and without data, and no file left."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmssl.config.check import check_config
from mmssl.profiling import dry_run as dry_run_module
from tests.support.recipes import CONFIGS, loaded, whole_text
from tests.support.shrink import shrink
from tests.support.tools import load_tool

train = load_tool('train.py')

Writer = Callable[..., Path]


def dry_run(capsys: pytest.CaptureFixture[str], config: Path, *options: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as exit_:
        train.main([str(config), '--dry-run', *options])
    return exit_.value.code, capsys.readouterr().out


def test_prints_parameters_memory_and_time_and_leaves_no_file(
    write_config: Writer, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config()
    monkeypatch.chdir(tmp_path)
    code, text = dry_run(capsys, config)
    assert code == 0 and text.endswith('ready to train\n')
    assert re.search(r'neck +[\d,]+ +[\d,]+\n', text)
    assert re.search(r'activations +\d+\.\d+ GiB', text) and re.search(r'training step +\d+\.\d+ s', text)
    assert 'per epoch of 8 images' in text and 'for 2 epochs' in text
    assert list(tmp_path.iterdir()) == [config]


def test_missing_data_is_reported_and_the_cost_still_printed(
    write_config: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = dry_run(capsys, write_config(), '--cfg-options', 'data_root=/no/such/folder')
    assert code == 1 and 'would not start' in text
    assert text.count('PROBLEM') == 1 and '/no/such/folder' in text and 'val_cfg.bank_dataloader' in text
    assert re.search(r'training step +\d+\.\d+ s', text) and 'synthetic images' in text


def test_a_config_may_switch_off_checkpoints(write_config: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    options = ['--no-validate', '--cfg-options', 'default_hooks.checkpoint=None']
    assert dry_run(capsys, write_config(), *options)[0] == 0


def test_a_batch_too_large_for_a_cpu_is_scaled(
    write_config: Writer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('mmssl.profiling.dry_run._cpu_batch_size', lambda cfg: 2)
    code, text = dry_run(capsys, write_config())
    assert code == 0 and 'measured with 2 images per process, scaled to 4' in text


def test_reports_a_full_batch_that_the_images_do_not_fill(
    write_config: Writer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('mmssl.profiling.dry_run._cpu_batch_size', lambda cfg: 2)
    code, text = dry_run(capsys, write_config(), '--cfg-options', 'train_dataloader.batch_size=64')
    assert code == 1 and 'PROBLEM: the 8 images of train_dataloader.dataset do not fill one batch of 64' in text


def test_a_run_of_a_single_iteration(write_config: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = dry_run(capsys, write_config(), '--cfg-options', 'train_cfg.max_iters=1')
    assert code == 0 and 'for 0.5 epochs' in text and text.endswith('ready to train\n')


HEAD = "dict(type='NTXentLoss', temperature=0.5)"
PROTOTYPES = "dict(type='PrototypeHead', in_channels=16, num_prototypes=8)"


@pytest.mark.parametrize(
    'replacements',
    [
        (
            ("type='SimCLR'", "type='MoCo', teacher=dict(momentum=0.99), queue=dict(length=10, dim=16)"),
            (HEAD, "dict(type='QueueContrastLoss', temperature=0.5)"),
        ),
        (("type='SimCLR'", "type='SwAV', queue=dict(length=10)"), (HEAD, PROTOTYPES)),
    ],
    ids=['moco', 'swav'],
)
def test_reports_a_queue_that_the_full_batch_does_not_divide(
    write_config: Writer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    replacements: tuple[tuple[str, str], ...],
) -> None:
    monkeypatch.setattr('mmssl.profiling.dry_run._cpu_batch_size', lambda cfg: 2)
    code, text = dry_run(capsys, write_config(*replacements))
    assert (
        code == 1
        and 'PROBLEM: model.queue: queue length 10 is not a multiple of the global batch size 4; 8 is one' in text
    )
    assert 'MoCo' not in str(replacements) or re.search(r'teacher +[\d,]+ +0\n', text)


def test_reports_too_few_images_for_the_clusters(write_config: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    labels = (
        "custom_hooks = [dict(type='PseudoLabelsHook', labeller=dict(type='KMeansLabeller', num_clusters=9), "
        "transform=dict(type='CenterCropView', resize=16, size=16))]\n"
    )
    config = write_config(
        ("type='SimCLR'", "type='DeepCluster'"),
        ("dict(type='MLPProjector', in_channels=64, hidden_channels=32, out_channels=16)", "dict(type='Identity')"),
        (HEAD, "dict(type='ClusterHead', in_channels=64, num_clusters=9)"),
        ('size=16)] * 2', 'size=16)]'),
        append=labels,
    )
    code, text = dry_run(capsys, config)
    assert code == 1 and 'PROBLEM: 8 images cannot make 9 clusters: lower num_clusters' in text
    assert 'memory of a labelling' in text


def test_float16_is_measured_in_bfloat16_on_a_cpu(
    write_config: Writer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    code, text = dry_run(capsys, write_config(), '--amp', 'fp16')
    assert code == 1 and 'float16 needs a GPU; measured in bfloat16' in text


def test_a_batch_that_does_not_fit_is_halved_and_reported(
    write_config: Writer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = dry_run_module.run_two_iterations

    def run_with_little_memory(cfg: Config, batch_size: int, probe: object) -> object:
        if batch_size > 2:
            raise torch.OutOfMemoryError
        return run(cfg, batch_size, probe)

    monkeypatch.setattr(dry_run_module, 'run_two_iterations', run_with_little_memory)
    code, text = dry_run(capsys, write_config())
    assert code == 1 and 'batch size 4 does not fit in memory; 2 does' in text


def test_finds_parts_that_do_not_fit(write_config: Writer, fails: Callable[..., str]) -> None:
    message = fails(train.main, write_config(('] * 2', '] * 3')), '--dry-run')
    assert 'SimCLR takes 2 independent views of one size; train_dataloader.dataset.views has 3: 1 too many' in message
    wrong = write_config(('in_channels=64', 'in_channels=65'))
    assert 'model.neck does not take the output of model.backbone' in fails(train.main, wrong, '--dry-run')


MASKED = [path for path in sorted(CONFIGS.glob('*/*_in1k.py')) if 'masker=dict' in whole_text(path)]


def test_there_are_masked_recipes() -> None:
    assert {'mae', 'simmim', 'hivit', 'itpn', 'beit', 'maskfeat'} <= {path.parent.name for path in MASKED}


@pytest.mark.parametrize('path', MASKED, ids=lambda path: path.stem)
def test_masked_recipes_lack_nothing_but_files(path: Path) -> None:
    init_default_scope('mmssl')
    cfg = shrink(loaded(path))
    cfg.work_dir = 'work'
    check_config(cfg, data=False)
    report = dry_run_module.dry_run(cfg)
    assert report.memory['activations'] > 0 and report.seconds['training step'] > 0
    assert report.num_images == 1_281_167
    problems = [problem for problem in report.problems if 'float16 needs a GPU' not in problem]
    assert [problem for problem in problems if 'data/imagenet/train' in problem]
    assert all('data/imagenet' in problem or 'random weights' in problem for problem in problems)
