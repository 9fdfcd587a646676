"""iTPN, interrupted: a teacher that moves comes back from the checkpoint, one that does not from its own file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.config.load import load_config
from mmssl.registry import ALGORITHMS
from tests.parity.golden import CONFIGS
from tests.support.shrink import shrink
from tests.support.tiny_run import tiny_config, train

_RECIPES = {
    'features': ('itpn/itpn_hivit-tiny_1xb512-400e_cifar10.py', {'model.mfm': True}),
    'clip': ('itpn/itpn_hivit-base-clip_32xb64-300e_in1k.py', {}),
}


@pytest.mark.parametrize('method', _RECIPES)
def test_a_resumed_run_ends_in_the_same_bits(method: str, tmp_path: Path) -> None:
    recipe, options = _RECIPES[method]
    cfg = shrink(load_config(CONFIGS / recipe, options))
    model = cfg.model.to_dict()
    if method == 'clip':
        model['target']['checkpoint'] = write_teacher(model, tmp_path / 'teacher.pth')
    data = tiny_config(tmp_path)['train_dataloader']
    data['dataset']['views'] = [view.to_dict() for view in cfg.train_dataloader.dataset.views]
    changes = dict(model=model, train_dataloader=data, optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3)))
    whole = train(tiny_config(tmp_path / 'whole', **changes)).model.state_dict()
    checkpoint = tmp_path / 'whole' / 'iter_16.pth'
    resumed = train(tiny_config(tmp_path / 'resumed', resume=True, load_from=str(checkpoint), **changes))
    assert resumed.iter == 18
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, whole[name]), name
    before = load_checkpoint_file(checkpoint)['state_dict']
    assert before.keys() == whole.keys()
    name = 'backbone.absolute_pos_embed'
    assert not torch.equal(before[name], whole[name])
    teachers = [name for name in before if name.startswith('mfm.teacher.')]
    if method == 'features':
        assert any(not torch.equal(before[name], whole[name]) for name in teachers)
    else:
        assert not any(name.startswith('target.') for name in before)


def write_teacher(model: dict, file: Path) -> str:
    """Writes the random weights of a teacher of the size that the recipe was shrunk to."""
    teacher = ALGORITHMS.build(model).target.teacher
    torch.save(dict(teacher.named_parameters()), file)
    return str(file)
