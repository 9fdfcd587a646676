"""Checkpoints of JAX and TensorFlow: files, names and layouts."""

from __future__ import annotations

import pickle
import sys
from collections import namedtuple
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from mmssl.converters.arrays import load_official_file
from mmssl.converters.convert import convert
from mmssl.converters.detect import detect_source
from mmssl.converters.files import convert_file
from mmssl.models.backbones.resnet import ResNet
from mmssl.utils.errors import UserError
from tests.parity.golden import Golden


class FlatMapping:
    """Pickled as haiku's immutable mappings are: by a call with a dict."""

    def __init__(self, mapping):
        self.mapping = mapping

    def __reduce__(self):
        return FlatMapping, (self.mapping,)


State = namedtuple('State', 'online_params target_params online_state target_state opt_state')


@pytest.fixture(scope='module')
def backbone():
    return ResNet(depth=50, width=0.125)


def foreign(tensor):
    """A tensor of torch in the layout of JAX and TensorFlow."""
    if tensor.ndim == 4:
        tensor = tensor.permute(2, 3, 1, 0)
    elif tensor.ndim == 2:
        tensor = tensor.T
    return np.ascontiguousarray(tensor.detach().numpy())


def byol_tree(backbone, names):
    """Parameters and averages of haiku of a network."""
    params, state = {}, {}
    for name, tensor in backbone.state_dict().items():
        if f'encoder.{name}' in names:
            module, parameter = names[f'encoder.{name}']
            params.setdefault(module, {})[parameter] = foreign(tensor)
    for name, tensor in backbone.state_dict().items():
        norm, _, buffer = name.rpartition('.')
        average = {'running_mean': 'mean_ema', 'running_var': 'var_ema'}.get(buffer)
        if average is not None:
            value = foreign(tensor).reshape(1, 1, 1, -1)
            values = dict(average=value, hidden=0 * value, counter=np.array(7))
            state[f'{names[f"encoder.{norm}.weight"][0]}/~/{average}'] = FlatMapping(values)
    return FlatMapping(params), FlatMapping(state)


def test_a_published_checkpoint_of_byol(backbone, goldens_dir, tmp_path):
    torch.nn.init.normal_(backbone.bn1.running_mean)
    names = Golden(goldens_dir, 'byol_r50').record['haiku_names']
    params, state = byol_tree(backbone, names)
    file = tmp_path / 'pretrain.pkl'
    saved = dict(experiment_state=State(params, params, state, state, None), step=3, rng=np.arange(2))
    file.write_bytes(pickle.dumps(saved, protocol=2))
    tensors = load_official_file(file)
    assert detect_source(tensors) == 'byol'
    for part in ('backbone', 'teacher.backbone'):
        converted = convert(tensors, 'byol', part)
        assert converted.keys() == backbone.state_dict().keys()
        for name, tensor in backbone.state_dict().items():
            assert torch.equal(converted[name], tensor), name
    convert_file(file, tmp_path / 'byol.pth', 'mmssl')
    assert torch.load(tmp_path / 'byol.pth')['meta']['source'] == 'byol'


def test_byols_names_are_the_recorded_ones(goldens_dir):
    names = Golden(goldens_dir, 'byol_r50').record['haiku_names']
    shapes = dict(Golden(goldens_dir, 'byol_r50').record['state_dict'])
    tensors, expected = {}, {}
    for network in ('online', 'target'):
        for name, (module, parameter) in names.items():
            tensor = torch.zeros(shapes[f'{network}.{name}'])
            tensors[f'{network}/{module}/{parameter}'] = torch.from_numpy(foreign(tensor))
            expected[f'{network}.{name}'] = tensor
    found, expected = convert(tensors, 'byol'), convert(expected, 'byol')
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in expected.items()}


@pytest.mark.parametrize('version', [1, 2])
def test_simclrs_names_are_the_recorded_ones(goldens_dir, tmp_path, version):
    golden = Golden(goldens_dir, 'simclr_r50')
    official = {}
    for name, theirs in golden.record['tf_names'].items():
        if version == 1:  # one flat scope, no numbers in the head
            theirs = theirs.removesuffix(':0').replace('sync_', '').replace('projection_head/', 'head_contrastive/')
            parts = theirs.split('/')
            theirs = '/'.join(['base_model', *parts[-2:]] if parts[0] == 'resnet' else parts)
        official[theirs] = np.zeros(foreign(torch.empty(dict(golden.record['state_dict'])[name])).shape, np.float32)
    official |= {'global_step': np.array(1), 'base_model/conv2d/kernel/Momentum': np.zeros(1)}
    np.savez(tmp_path / 'simclr.npz', **official)
    found = convert(load_official_file(tmp_path / 'simclr.npz'), 'simclr')
    shapes = dict(golden.record['state_dict'])
    expected = convert({name: torch.empty(shapes[name]) for name in golden.record['tf_names']}, 'simclr')
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in expected.items()}
    assert detect_source(load_official_file(tmp_path / 'simclr.npz')) == 'simclr'


def test_a_file_of_tensorflow_needs_tensorflow(tmp_path, monkeypatch):
    index = tmp_path / 'model.ckpt-7.index'
    index.touch()
    monkeypatch.setitem(sys.modules, 'tensorflow', None)
    with pytest.raises(UserError, match='numpy.savez'):
        load_official_file(index)
    variables = {'base_model/conv2d/kernel': np.zeros((7, 7, 3, 4), np.float32)}
    reader = SimpleNamespace(get_variable_to_shape_map=lambda: variables, get_tensor=variables.get)
    tensorflow = ModuleType('tensorflow')
    tensorflow.train = SimpleNamespace(load_checkpoint=lambda prefix: reader if prefix.endswith('ckpt-7') else None)
    monkeypatch.setitem(sys.modules, 'tensorflow', tensorflow)
    assert load_official_file(index).keys() == variables.keys()
    variables['model/.ATTRIBUTES/VARIABLE_VALUE'] = np.zeros(1)
    with pytest.raises(UserError, match='SavedModel'):
        load_official_file(index)


class Run:
    """What would create a file if a pickle were trusted."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, 'w')


def test_a_pickle_runs_nothing(tmp_path):
    file, made = tmp_path / 'evil.pkl', tmp_path / 'made'
    file.write_bytes(pickle.dumps(dict(experiment_state=Run(str(made))), protocol=2))
    with pytest.raises(UserError, match='no experiment_state'):
        load_official_file(file)
    assert not made.exists()
    file.write_bytes(file.read_bytes()[:9])
    with pytest.raises(UserError, match='damaged'):
        load_official_file(file)


@pytest.mark.parametrize('arrays', [dict(a=np.array([None])), dict(a=np.array(['text']))])
def test_variables_that_are_no_numbers_are_refused(arrays, tmp_path):
    np.savez(tmp_path / 'a.npz', **arrays)
    with pytest.raises(UserError, match='is damaged, or not an .npz of numbers by name'):
        load_official_file(tmp_path / 'a.npz')


@pytest.mark.parametrize('content', [b'', b'no archive', b'PK\x03\x04 the beginning of one'])
def test_a_damaged_npz_is_refused(content, tmp_path):
    (tmp_path / 'a.npz').write_bytes(content)
    with pytest.raises(UserError, match='is damaged, or not an .npz'):
        load_official_file(tmp_path / 'a.npz')
