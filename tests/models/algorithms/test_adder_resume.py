"""A classifier of adder layers, interrupted: local rates and momenta come back from the checkpoint."""

from __future__ import annotations

from pathlib import Path

import torch

from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.config.load import load_config
from tests.parity.golden import CONFIGS
from tests.support.shrink import shrink
from tests.support.tiny_run import tiny_config, train

RECIPE = CONFIGS / 'addernet' / 'addernet_resnet20_1xb256-400e_cifar10.py'


def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path) -> None:
    cfg = shrink(load_config(RECIPE))
    data = tiny_config(tmp_path)['train_dataloader']
    views = [dict(type='PaddedCropView', size=16)]
    data['dataset'].update(type='LabelledNoise', views=views)
    optim_wrapper = dict(cfg.optim_wrapper.to_dict(), accumulative_counts=2, clip_grad=dict(max_norm=5.0))
    changes = dict(model=cfg.model.to_dict(), train_dataloader=data, optim_wrapper=optim_wrapper)
    whole = train(tiny_config(tmp_path / 'whole', **changes))
    assert [group.get('local_rate') for group in whole.optim_wrapper.optimizer.param_groups] == [None, 0.2]
    checkpoint = tmp_path / 'whole' / 'iter_16.pth'
    resumed = train(tiny_config(tmp_path / 'resumed', resume=True, load_from=str(checkpoint), **changes))
    assert resumed.iter == 18
    before, after = load_checkpoint_file(checkpoint)['state_dict'], resumed.model.state_dict()
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, after[name]), name
    name = 'backbone.layer1.0.conv1.adder'
    assert not torch.equal(before[name], after[name])
