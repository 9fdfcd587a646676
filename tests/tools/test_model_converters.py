"""tools/model_converters: what the tools write and print, and the mistakes they report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import load_file

from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.converters.trained import load_trained
from tests.support.tools import load_tool
from tests.support.trained import save_trained

convert, publish = load_tool('model_converters/convert.py'), load_tool('model_converters/publish_model.py')


@pytest.fixture
def checkpoint(write_config: Callable[..., Path], tmp_path: Path) -> Path:
    """A training checkpoint with what lies beside the weights, and a teacher of zeros."""
    path = tmp_path / 'epoch_1.pth'
    model = save_trained(write_config(), path)
    content = torch.load(path)
    content['state_dict'] |= {f'teacher.{n}': 0 * x for n, x in model.state_dict().items() if n.startswith('backbone.')}
    content['meta'] |= dict(iter=2, time='now', host='here')
    content |= dict(optimizer=dict(state={0: torch.zeros(4)}), message_hub=dict(log=HistoryBuffer([1.0], [1])))
    torch.save(content, path)
    return path


def run_publish(capsys: pytest.CaptureFixture[str], *argv: object) -> Path:
    publish.main([str(arg) for arg in argv])
    return Path(capsys.readouterr().out.strip())


def test_a_published_file_has_tensors_plain_facts_and_its_hash_in_its_name(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = run_publish(capsys, checkpoint, tmp_path / 'new' / 'simclr.pth')
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert file == tmp_path / 'new' / f'simclr_{date.today():%Y%m%d}-{digest[:8]}.pth'
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    content, before = torch.load(file, weights_only=True), load_checkpoint_file(checkpoint)
    assert content.keys() == {'state_dict', 'meta'}
    assert content['meta'].keys() == {'mmssl_version', 'cfg', 'epoch', 'iter'}
    assert content['state_dict'].keys() == before['state_dict'].keys()
    assert all(torch.equal(content['state_dict'][name], tensor) for name, tensor in before['state_dict'].items())
    assert load_trained(str(file))[1].backbone.conv1.weight.shape == (8, 3, 3, 3)
    assert run_publish(capsys, checkpoint, tmp_path / 'new' / 'simclr.pth') == file  # the same bytes


def test_a_part_is_small_though_its_tensors_were_views(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = load_checkpoint_file(checkpoint)
    content['state_dict']['backbone.conv1.weight'] = torch.ones(10**6)[:648].view(8, 3, 3, 9)[..., :3]
    torch.save(content, checkpoint)
    file = run_publish(capsys, checkpoint, tmp_path / 'r18.pth', '--part', 'backbone')
    part = torch.load(file)
    assert 'conv1.weight' in part['state_dict'] and not any('backbone' in name for name in part['state_dict'])
    assert part['meta']['backbone'] == dict(type='ResNet', depth=18, stem='small', width=0.125)
    assert part['meta']['checkpoint'] == 'epoch_1.pth' and 'cfg' not in part['meta']
    assert file.stat().st_size < 10**6 < checkpoint.stat().st_size


def test_safetensors_are_read_by_all_tools(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = run_publish(capsys, checkpoint, tmp_path / 'simclr.pth', '--safetensors')
    assert file.suffix == '.safetensors'
    assert load_file(file).keys() == load_checkpoint_file(checkpoint)['state_dict'].keys()
    assert load_checkpoint_file(file)['meta']['epoch'] == 1
    load_trained(str(file))


def test_the_tool_converts_and_says_how_to_load(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'r18.pth'
    convert.main(['--from', 'mmssl', '--to', 'mmssl', '--part', 'teacher.backbone', str(checkpoint), str(out)])
    content, printed = torch.load(out), capsys.readouterr().out
    assert f'{len(content["state_dict"])} tensors, read as mmssl' in printed
    assert "type='mmssl.ResNet', depth=18" in printed and "stem='small'" in printed
    assert not any(tensor.any() for tensor in content['state_dict'].values())


def test_mistakes(checkpoint: Path, fails: Callable[..., str], tmp_path: Path) -> None:
    out = tmp_path / 'out.pth'
    damaged = tmp_path / 'damaged.pth'
    damaged.write_bytes(checkpoint.read_bytes()[:-100])
    foreign = tmp_path / 'foreign.pth'
    torch.save({'foreign.weight': torch.zeros(2)}, foreign)
    assert 'no.pth' in fails(convert.main, tmp_path / 'no.pth', out, '--to', 'timm')
    assert 'damaged' in fails(convert.main, damaged, out, '--to', 'timm')
    assert 'no source knows' in fails(convert.main, foreign, out, '--to', 'timm')
    assert "'timn'; did you mean 'timm'" in fails(convert.main, checkpoint, out, '--to', 'timn')
    assert "'mocov4'; did you mean" in fails(convert.main, checkpoint, out, '--to', 'timm', '--from', 'mocov4')
    assert 'does not know' in fails(convert.main, checkpoint, out, '--to', 'timm', '--from', 'moco')
    assert "no tensor under 'trunk'" in fails(convert.main, checkpoint, out, '--to', 'timm', '--part', 'trunk')
    assert 'width 0.125' in fails(convert.main, checkpoint, out, '--to', 'timm')
    assert "no tensor under 'trunk'" in fails(publish.main, checkpoint, out, '--part', 'trunk')
    assert 'no.pth' in fails(publish.main, tmp_path / 'no.pth', out)
    assert not out.exists() and not list(tmp_path.glob('out*'))
