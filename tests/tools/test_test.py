"""tools/test.py: what it evaluates, and which checkpoints it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.support.tools import load_tool

tool = load_tool('test.py')
train = load_tool('train.py')

Writer = Callable[..., Path]
Fails = Callable[..., str]


@pytest.fixture
def trained(write_config: Writer, tmp_path: Path) -> Path:
    """The checkpoint of a short training."""
    options = ['--no-validate', '--cfg-options', 'max_epochs=1']
    train.main([str(write_config()), '--work-dir', str(tmp_path / 'run'), *options])
    return tmp_path / 'run' / 'epoch_1.pth'


def test_training_checkpoint_and_backbone_file_give_the_same_results(
    trained: Path, write_config: Writer, tmp_path: Path
) -> None:
    options = ['--work-dir', str(tmp_path / 'test'), '--out', str(tmp_path / 'test' / 'results.json')]
    results = tool.main([str(write_config()), str(trained), *options])
    assert json.loads((tmp_path / 'test' / 'results.json').read_text()) == results
    assert results['embedding_std'] > 0
    assert tool.main([str(write_config()), str(trained.with_name('epoch_1_backbone.pth')), *options[:2]]) == results
    wider = write_config(('depth=18', 'depth=18, zero_init_residual=True'))
    assert tool.main([str(wider), str(trained), *options[:2]]) == results


def test_wrong_checkpoints(trained: Path, write_config: Writer, fails: Fails, tmp_path: Path) -> None:
    options = ['--work-dir', tmp_path / 'test']
    assert 'does not exist' in fails(tool.main, write_config(), tmp_path / 'no.pth', *options)

    message = fails(tool.main, write_config(('depth=18', 'depth=34')), trained, *options)
    assert 'backbone: 120/200 tensors' in message

    deeper = tmp_path / 'deeper.pth'
    state = torch.load(trained.with_name('epoch_1_backbone.pth'), weights_only=True)['state_dict']
    torch.save(dict(state_dict=state | {'layer1.2.conv1.weight': torch.zeros(8, 8, 3, 3)}), deeper)
    assert 'deeper backbone' in fails(tool.main, write_config(), deeper, *options)

    moco = "type='MoCo', teacher=dict(momentum=0.99), queue=dict(length=8, dim=16)"
    other_method = write_config(("type='SimCLR'", moco), ("'NTXentLoss'", "'QueueContrastLoss'"))
    message = fails(tool.main, other_method, trained, *options)
    assert 'another model than the MoCo of this config' in message and '_backbone.pth' in message

    truncated = tmp_path / 'truncated.pth'
    truncated.write_bytes(trained.read_bytes()[:5000])
    assert 'truncated' in fails(tool.main, write_config(), truncated, *options)

    (tmp_path / 'text.pth').write_text('hello')
    assert 'text.pth' in fails(tool.main, write_config(), tmp_path / 'text.pth', *options)

    torch.save(dict(state_dict={'head.weight': torch.zeros(2)}), tmp_path / 'head.pth')
    assert 'head.weight' in fails(tool.main, write_config(), tmp_path / 'head.pth', *options)


def test_a_config_without_evaluation(write_config: Writer, fails: Fails) -> None:
    config = write_config(('val_dataloader =', '_unused ='))
    assert 'neither a test_dataloader nor a val_dataloader' in fails(tool.main, config, 'x.pth')
