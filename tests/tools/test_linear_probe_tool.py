"""tools/benchmarks/linear_probe.py: from a checkpoint to a table, a file and a number."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.support.image_files import write_images
from tests.support.tools import load_tool
from tests.support.trained import save_trained

probe = load_tool('benchmarks/linear_probe.py')


@pytest.fixture
def checkpoint(write_config: Callable[..., Path], images: Path, tmp_path: Path) -> Path:
    """An untrained model whose images, all of one grey, are in class folders: dark and bright."""
    write_images(tmp_path / 'grey', [f'{"dark" if i < 12 else "light"}/{i:02}.png' for i in range(24)])
    config = write_config(("type='ImageFolder'", "type='ClassFolder'"), (str(images), str(tmp_path / 'grey')))
    save_trained(config, tmp_path / 'epoch_1.pth')
    return tmp_path / 'epoch_1.pth'


def test_table_and_file(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'out' / 'probe.json'
    options = '--lrs 0.01 0.1 --weight-decays 0 --heads standardized scaled --epochs 60 --num-seeds 2'.split()
    summary = probe.main([str(checkpoint), *options, '--out', str(out)])
    written = json.loads(out.read_text())
    assert {key: written[key] for key in summary} == summary
    assert len(written['candidates']) == 4 and written['num_bank'] == written['num_evaluated'] == 24
    assert len(written['top1']) == len(written['chosen']) == 2
    assert summary['sweep_top1'] > 80 and summary['sweep_top5'] == 100
    text = capsys.readouterr().out
    assert 'the classifier learns from 24 images (the bank) and is evaluated on 24\n' in text
    assert text.count('standardized') == text.count('scaled') == 2 and 'chosen by' in text
    assert f'top-1 {summary["sweep_top1"]:.2f} +- {summary["sweep_top1_std"]:.2f}' in text


def test_random_init_probes_another_network(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = []
    extract = probe.extract_features

    def note(model, *args, **options):
        weights.append(model.backbone.conv1.weight.detach().clone())
        return extract(model, *args, **options)

    monkeypatch.setattr(probe, 'extract_features', note)
    options = '--lrs 0.1 --weight-decays 0 --epochs 2 --num-seeds 1'.split()
    trained = torch.load(checkpoint, weights_only=True)['state_dict']['backbone.conv1.weight']
    for extra in ([], ['--random-init', '--seed', '7'], ['--random-init', '--seed', '8']):
        probe.main([str(checkpoint), *options, *extra])
    loaded, first, second = weights[::2]
    assert torch.equal(loaded, trained)
    assert not torch.equal(first, trained) and not torch.equal(second, trained) and not torch.equal(first, second)


def test_mistakes(checkpoint: Path, fails: Callable[..., str], tmp_path: Path) -> None:
    assert 'does not exist' in fails(probe.main, tmp_path / 'no.pth')
    assert 'num_seeds >= 1' in fails(probe.main, checkpoint, '--num-seeds', '0')
    assert 'no bank images' in fails(probe.main, checkpoint, '--cfg-options', 'val_cfg=None')
