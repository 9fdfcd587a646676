from __future__ import annotations

import hashlib
import json
import os
import sys
from argparse import Namespace
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import BinaryIO
from urllib.error import URLError

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader
from safetensors.torch import save_file
from torch import nn

from mmssl.apis.arguments import read_checkpoint
from mmssl.checkpoints import files as checkpoint_module
from mmssl.checkpoints import matching
from mmssl.checkpoints.content import digest
from mmssl.checkpoints.files import (
    UnreadableCheckpointError,
    backbone_file,
    load_checkpoint_file,
    local_file,
    save_checkpoint_file,
    save_safetensors,
)
from mmssl.checkpoints.folders import REST
from mmssl.checkpoints.matching import find_prefix, load_whole
from mmssl.converters.public import find_public
from mmssl.models.backbones.resnet import ResNet
from mmssl.models.backbones.vision_transformer import VisionTransformer
from mmssl.models.components.pretrained import Pretrained
from mmssl.utils.errors import UserError
from tests.support.checkpoints import load_file


def _backbone() -> ResNet:
    return ResNet(depth=18, stem='small', width=0.125)


def _filled(module: nn.Module, value: float) -> dict:
    return {key: torch.full_like(tensor, value) for key, tensor in module.state_dict().items()}


def test_reads_what_mmengine_writes(tmp_path: Path) -> None:
    saved = dict(
        state_dict=dict(a=torch.ones(2)),
        message_hub=dict(log_scalars=dict(loss=HistoryBuffer([1.0, 3.0], [1, 1])), best=np.float64(0.5)),
        param_schedulers=[dict(milestones=Counter([3, 5]))],
        meta=dict(epoch=np.int64(3), names=np.arange(3)),
    )
    torch.save(saved, tmp_path / 'a.pth')
    loaded = load_checkpoint_file(tmp_path / 'a.pth')
    assert loaded['message_hub']['log_scalars']['loss'].mean() == 2
    assert loaded['message_hub']['best'] == 0.5 and loaded['meta']['epoch'] == 3
    assert loaded['param_schedulers'][0]['milestones'] == {3: 1, 5: 1}


def test_reads_the_command_line_and_the_settings_in_official_files(tmp_path: Path, monkeypatch) -> None:
    class CfgNode(dict):
        """As yacs has it, which is not installed."""

        def __init__(self, *args: object) -> None:
            super().__init__(*args)
            self.__dict__['__immutable__'] = False

    CfgNode.__module__, CfgNode.__qualname__ = 'yacs.config', 'CfgNode'
    yacs = ModuleType('yacs.config')
    yacs.CfgNode = CfgNode
    with monkeypatch.context() as only_while_saving:
        only_while_saving.setitem(sys.modules, 'yacs', ModuleType('yacs'))
        only_while_saving.setitem(sys.modules, 'yacs.config', yacs)
        config = CfgNode(dict(MODEL=CfgNode(dict(TYPE='swin'))))
        torch.save(dict(model={}, args=Namespace(blr=1.5e-4), config=config), tmp_path / 'a.pth')
    loaded = load_checkpoint_file(tmp_path / 'a.pth')
    assert loaded['args'].blr == 1.5e-4 and loaded['config'] == {'MODEL': {'TYPE': 'swin'}}


def test_safetensors_hold_tensors_and_plain_facts(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    save_safetensors(dict(a=whole[:2], b=whole.view(2, 3).T), tmp_path / 'a.safetensors', meta=dict(epoch=3))
    (tmp_path / 'other').write_bytes(b'')
    assert (tmp_path / 'a.safetensors').stat().st_mode == (tmp_path / 'other').stat().st_mode
    loaded = load_checkpoint_file(tmp_path / 'a.safetensors')
    assert loaded['meta'] == dict(epoch=3) and loaded['state_dict'].keys() == {'a', 'b'}
    assert torch.equal(loaded['state_dict']['b'], whole.view(2, 3).T) and loaded['state_dict']['a'].tolist() == [0, 1]
    save_file(dict(a=whole), tmp_path / 'b.safetensors')
    assert load_checkpoint_file(tmp_path / 'b.safetensors').keys() == {'state_dict'}
    (tmp_path / 'b.safetensors').write_bytes(b'damaged')
    with pytest.raises(UnreadableCheckpointError, match='b.safetensors'):
        load_checkpoint_file(tmp_path / 'b.safetensors')


class _Malicious:
    def __init__(self, *reduced: object) -> None:
        self.reduced = reduced

    def __reduce__(self) -> tuple:
        return self.reduced[0], self.reduced[1:]


@pytest.mark.parametrize('call', [(os.mkdir, 'executed'), (getattr, HistoryBuffer, '__init__')])
def test_code_is_not_executed(tmp_path: Path, monkeypatch, call: tuple) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict=_Malicious(*call)), 'evil.pth')
    with pytest.raises(UnreadableCheckpointError):
        load_checkpoint_file('evil.pth')
    assert not Path('executed').exists()


@pytest.mark.parametrize('suffix', ['.safetensors', '.bin'])
def test_weights_in_several_files_are_joined(tmp_path: Path, suffix: str) -> None:
    tensors = {f'layer{number}.weight': torch.full((2,), float(number)) for number in range(3)}
    files = {name: f'model-{number}{suffix}' for number, name in enumerate(tensors)}
    for name, file in files.items():
        if suffix == '.bin':
            torch.save({name: tensors[name]}, tmp_path / file)
        else:
            save_safetensors({name: tensors[name]}, tmp_path / file)
    index = tmp_path / f'model{suffix}.index.json'
    index.write_text(json.dumps(dict(weight_map=files)))
    found = load_checkpoint_file(index)['state_dict']
    assert found.keys() == tensors.keys() and all(torch.equal(found[name], tensors[name]) for name in tensors)
    (tmp_path / files['layer1.weight']).unlink()
    with pytest.raises(FileNotFoundError, match='model-1'):
        load_checkpoint_file(index)
    index.write_text('{}')
    with pytest.raises(UnreadableCheckpointError, match='no weight_map'):
        load_checkpoint_file(index)


@pytest.mark.parametrize('share', [0, 0.01, 0.5, 0.99])
def test_damaged_files(tmp_path: Path, share: float) -> None:
    file = tmp_path / 'a.pth'
    torch.save(dict(state_dict=_backbone().state_dict()), file)
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UnreadableCheckpointError, match='a.pth'):
        load_checkpoint_file(file)
    with pytest.raises(FileNotFoundError, match='b.pth'):
        load_checkpoint_file(tmp_path / 'b.pth')
    with pytest.raises(FileNotFoundError, match='is a folder: give a checkpoint in it, such as .*/epoch_N.pth'):
        load_checkpoint_file(tmp_path)


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='needs a device that is full')
def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / 'a.pth.tmp').symlink_to('/dev/full')
    with pytest.raises(OSError, match='No space left on device'):
        save_checkpoint_file(dict(a=torch.ones(10_000)), tmp_path / 'a.pth')


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / 'a.pth'
    save_checkpoint_file(dict(a=torch.ones(1)), file)

    def crash(obj: object, opened: BinaryIO) -> None:
        opened.write(b'half')
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint_module.torch, 'save', crash)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint_file(dict(a=torch.zeros(1)), file)
    assert load_checkpoint_file(file)['a'] == 1


def test_name_of_the_backbone_file() -> None:
    assert backbone_file('work/epoch_9.pth') == Path('work/epoch_9_backbone.pth')


@pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.backbone.', 'teacher.backbone.', 'module.encoder_q.'])
@pytest.mark.parametrize('key', ['state_dict', 'model', None])
def test_finds_the_prefix(tmp_path: Path, prefix: str, key: str | None) -> None:
    module = _backbone()
    state = {prefix + name: tensor for name, tensor in _filled(module, 2).items()}
    state['neck.weight'] = torch.zeros(3)
    torch.save({key: state} if key else state, tmp_path / 'a.pth')
    load_file(module, tmp_path / 'a.pth')
    assert all((tensor == 2).all() for tensor in module.state_dict().values())


def test_the_student_precedes_the_teacher_unless_told(tmp_path: Path) -> None:
    module = _backbone()
    state = {f'teacher.backbone.{name}': tensor for name, tensor in _filled(module, 3).items()}
    state.update({f'backbone.{name}': tensor for name, tensor in _filled(module, 2).items()})
    torch.save(state, tmp_path / 'a.pth')
    load_file(module, tmp_path / 'a.pth')
    assert (module.conv1.weight == 2).all()
    load_file(module, tmp_path / 'a.pth', prefix='teacher.backbone')
    assert (module.conv1.weight == 3).all()


def test_says_how_much_was_loaded(tmp_path: Path, caplog, monkeypatch) -> None:
    lines = []
    monkeypatch.setattr(matching, 'print_log', lambda message, **kwargs: lines.append(message))
    module = _backbone()
    state = {name: tensor for name, tensor in module.state_dict().items() if not name.endswith('num_batches_tracked')}
    torch.save(state, tmp_path / 'a.pth')
    load_file(module, tmp_path / 'a.pth')
    assert lines == [f'backbone: {len(state)}/{len(state)} tensors from {tmp_path / "a.pth"}']


def test_too_little_is_an_error_that_names_everything(tmp_path: Path) -> None:
    module = _backbone()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    state = _filled(module, 2)
    del state['layer4.1.conv2.weight']
    state['conv1.weight'] = torch.zeros(64, 3, 7, 7)
    torch.save(dict(state_dict={f'backbone.{key}': value for key, value in state.items()}), tmp_path / 'a.pth')
    with pytest.raises(UserError) as error:
        load_file(module, tmp_path / 'a.pth')
    total = len(before)
    for part in (
        f'backbone: {total - 2}/{total} tensors',
        'missing: layer4.1.conv2.weight',
        'conv1.weight (64, 3, 7, 7) instead of (8, 3, 3, 3)',
        'offered: backbone.',
    ):
        assert part in str(error.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    with pytest.raises(UserError, match=r"set model.backbone.stem='imagenet' in the config"):
        load_file(module, tmp_path / 'a.pth', min_match=0.9)  # a tensor of another shape is never passed over
    del state['conv1.weight']
    torch.save(state, tmp_path / 'a.pth')
    with pytest.raises(UserError, match='missing: conv1.weight'):  # and neither is a first layer that is missing
        load_file(module, tmp_path / 'a.pth', min_match=0.9)
    state['conv1.weight'] = torch.full_like(module.conv1.weight, 2)
    torch.save(state, tmp_path / 'a.pth')
    load_file(module, tmp_path / 'a.pth', min_match=0.9)
    assert (module.conv1.weight == 2).all()


def test_one_tensor_of_another_shape_in_a_large_network_stops(tmp_path: Path) -> None:
    torch.save(ResNet(18, 0.125, stem='small').state_dict(), tmp_path / 'small.pth')
    with pytest.raises(UserError, match=r"backbone: 119/120 tensors (.|\n)*model.backbone.stem='small'"):
        load_file(ResNet(18, 0.125), tmp_path / 'small.pth')
    arch = dict(embed_dim=16, depth=12, num_heads=2)
    torch.save(VisionTransformer(arch=arch, img_size=32, patch_size=4).state_dict(), tmp_path / 'patch4.pth')
    with pytest.raises(UserError, match=r'model.backbone.patch_size=4'):
        load_file(VisionTransformer(arch=arch, img_size=128, patch_size=16), tmp_path / 'patch4.pth')


def test_an_address_without_a_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise URLError('Name or service not known')

    monkeypatch.setattr(torch.hub, 'load_state_dict_from_url', fail)
    with pytest.raises(UserError, match=r'^https://host/a.pth cannot be downloaded \(Name or service not known\)'):
        load_file(_backbone(), 'https://host/a.pth')
    monkeypatch.setattr(CheckpointLoader, 'load_checkpoint', fail)
    with pytest.raises(UserError, match='^torchvision://resnet50 cannot be downloaded'):
        Pretrained('torchvision://resnet50')(_backbone())


def test_a_number_is_no_reason(tmp_path: Path) -> None:
    (tmp_path / 'a.pth').write_bytes(b'hello\n')
    with pytest.raises(UnreadableCheckpointError, match=r'damaged \(6 bytes\)$'):
        load_checkpoint_file(tmp_path / 'a.pth')


def test_nothing_to_load(tmp_path: Path) -> None:
    torch.save(dict(epoch=3), tmp_path / 'a.pth')
    with pytest.raises(UserError, match='no tensors'):
        load_file(_backbone(), tmp_path / 'a.pth')
    assert find_prefix(dict(a=torch.ones(1)), dict(b=torch.ones(1))) == ''


def test_position_embeddings_of_another_size(tmp_path: Path) -> None:
    arch = dict(embed_dim=16, depth=1, num_heads=2)
    small, large = (VisionTransformer(arch=arch, img_size=size, patch_size=8, position='learned') for size in (16, 32))
    torch.save({f'backbone.{key}': value for key, value in small.state_dict().items()}, tmp_path / 'a.pth')
    load_file(large, tmp_path / 'a.pth')
    torch.testing.assert_close(large.blocks.state_dict(), small.blocks.state_dict())
    torch.testing.assert_close(large.pos_embed[:, :1], small.pos_embed[:, :1])  # of the class token


class _Code:
    def __reduce__(self) -> tuple:
        return os.mkdir, ('must-not-exist',)


def test_what_could_run_code_is_named_and_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict=dict(a=torch.ones(1)), extra=_Code()), 'a.pth')
    with pytest.raises(UnreadableCheckpointError, match=r'not loaded: it contains posix\.mkdir, which could') as error:
        load_checkpoint_file('a.pth')
    assert 'weights_only' not in str(error.value) and not Path('must-not-exist').exists()


def test_names_of_compiled_models_are_those_of_the_model(tmp_path: Path) -> None:
    source, target = _backbone(), _backbone()
    filled = {f'backbone._orig_mod.{key}': value for key, value in _filled(source, 3).items()}
    state = {key.replace('layer1.', 'layer1._orig_mod.'): value for key, value in filled.items()}
    torch.save(dict(state_dict=state), tmp_path / 'a.pth')
    load_file(target, tmp_path / 'a.pth')
    assert all((value == 3).all() for value in target.state_dict().values())


def test_a_whole_model_is_loaded_exactly_or_not_at_all() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    state = {key: value for key, value in _filled(model, 2).items() if not key.endswith('num_batches_tracked')}
    load_whole(model, state, 'a.pth')
    assert all((model.state_dict()[key] == 2).all() for key in state)
    for other in (state | {'x': torch.ones(1)}, dict(list(state.items())[1:]), state | {'0.bias': torch.ones(3)}):
        with pytest.raises(UserError, match=r'another model than the Sequential .* 1 of its tensors differ'):
            load_whole(model, other, 'a.pth')


def test_the_folder_of_a_sharded_run_is_a_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / 'epoch_1.pth'
    folder.mkdir()
    with pytest.raises(UserError, match='does not exist'):
        read_checkpoint(folder)
    (folder / REST).touch()
    assert read_checkpoint(folder) == find_public(folder) == str(folder)


def test_safetensors_at_an_address_are_read_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(address: str, path: str, progress: bool) -> None:
        save_safetensors(dict(a=torch.ones(2)), path, meta=dict(epoch=3))

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    loaded = load_checkpoint_file('https://example.org/a.safetensors?download=true')
    assert loaded['meta'] == dict(epoch=3) and loaded['state_dict'].keys() == {'a'}


def test_two_addresses_with_one_file_name_are_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    monkeypatch.setattr(
        torch.hub,
        'download_url_to_file',
        lambda url, to, *args, **kwargs: torch.save(dict(a=torch.tensor(len(url))), to),
    )
    short, long = 'https://host/1/checkpoint.pth', 'https://host/300/checkpoint.pth'
    for _ in range(2):  # the second time from the cache
        for address in (short, long):
            assert load_checkpoint_file(address)['a'] == len(address)
            assert torch.load(local_file(address), weights_only=True)['a'] == len(address)
    assert len(list((tmp_path / 'hub').rglob('checkpoint.pth'))) == 2


def test_another_width_is_no_other_stem(tmp_path):
    torch.save(ResNet(18, stem='small', width=0.25).state_dict(), tmp_path / 'wide.pth')
    with pytest.raises(UserError, match='of another shape: conv1.weight') as error:
        load_file(ResNet(18, stem='small', width=0.125), tmp_path / 'wide.pth')
    assert 'stem=' not in str(error.value)


def test_the_digest_is_of_names_types_shapes_and_values() -> None:
    weights = dict(a=torch.arange(6.0).reshape(1, 2, 1, 3), b=torch.tensor(1))
    channels_last = weights['a'].contiguous(memory_format=torch.channels_last)
    same = (
        dict(reversed(weights.items())),
        weights | dict(a=nn.Parameter(weights['a'])),
        weights | dict(a=channels_last),
    )
    others = (
        dict(c=weights['a'], b=weights['b']),
        weights | dict(a=weights['a'].reshape(6)),
        weights | dict(a=weights['a'] + 1e-6),
        weights | dict(a=weights['a'].to(torch.bfloat16)),
        dict(a=weights['a']),
    )
    assert {digest(tensors) for tensors in same} == {digest(weights)}
    assert len({digest(tensors) for tensors in (weights, *others)}) == 6
    assert digest({}) == hashlib.sha256().hexdigest()
