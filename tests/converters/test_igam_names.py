"""IGAM's variables in TensorFlow's names and layouts become what the same tensors in torch's become."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from mmssl.converters.convert import convert
from mmssl.converters.detect import detect_source
from tests.parity.golden import Golden

_LEAVES = {('weight', True): 'DW', ('bias', False): 'biases'}
_NORM = {'weight': 'gamma', 'bias': 'beta'}


def to_tensorflow(name: str, tensor: Tensor) -> tuple[str, Tensor]:
    *scopes, leaf = name.removeprefix('teacher.').split('.')
    is_norm = scopes[-1].startswith('BatchNorm')
    leaf = _NORM[leaf] if is_norm else _LEAVES[leaf, tensor.ndim > 1]
    tensor = tensor.permute(2, 3, 1, 0) if tensor.ndim == 4 else tensor.T if tensor.ndim == 2 else tensor
    return '/'.join((*scopes, leaf)), tensor


def test_names_and_layouts(goldens_dir: Path) -> None:
    official = Golden(goldens_dir, 'igam_wrn_tf').state_dict()
    variables = dict(to_tensorflow(*item) for item in official.items())
    assert len(variables) == len(official) and 'input/init_conv/DW' in variables
    expected, found = convert(official, 'igam'), convert(variables, 'igam')
    assert found.keys() == expected.keys() and detect_source(variables) == 'igam'
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_columns_of_the_discriminator() -> None:
    """A map of 2 x 2 positions and 3 channels is flattened position by position there, and channel by channel here."""
    columns = torch.arange(12.0).view(2, 2, 3)  # number of (row, column, channel)
    tensors = {
        'discriminator.conv0.weight': torch.zeros(3, 3, 4, 4),
        'discriminator.logit.weight': columns.flatten().expand(2, 12),
    }
    found = convert(tensors, 'igam')['discriminator.fc.weight']
    assert torch.equal(found[0], columns.permute(2, 0, 1).flatten())
