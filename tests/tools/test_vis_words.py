"""tools/visualization/vis_words.py: the figure of a checkpoint, whose network of words comes from its own file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.image import imread

from mmssl.checkpoints.files import save_checkpoint_file
from mmssl.registry import DATASETS
from mmssl.visualization.squares import read_squares
from mmssl.visualization.style import figure_pixels
from mmssl.visualization.word_bags import word_bag_figure
from tests.support.tools import load_tool
from tests.support.trained import save_trained

tool = load_tool('visualization/vis_words.py')

BOWNET = (
    ("type='SimCLR'", "type='BoWNet', target=dict(type='VisualWordsTarget', backbone={backbone}, num_words=9{file})"),
    ("dict(type='MLPProjector', in_channels=64, hidden_channels=32, out_channels=16)", "dict(type='Identity')"),
    ("type='NTXentLoss', temperature=0.5", "type='WordPredictHead', in_channels=64, num_words=9"),
    (
        "[dict(type='AugmentedView', size=16)] * 2",
        "[dict(type='AugmentedView', size=16), dict(type='CenterCropView', size=24)]",
    ),
)
BACKBONE = "dict(type='ResNet', depth=18, stem='small', width=0.125)"


def test_the_network_is_read_from_its_file(
    write_config: Callable[..., Path], images: Path, tmp_path: Path, capsys, fails: Callable[..., str]
) -> None:
    checkpoint, network, out = tmp_path / 'epoch_1.pth', tmp_path / 'network.pth', tmp_path / 'new' / 'x.png'
    bownet = [(old, new.format(backbone=BACKBONE, file=f", checkpoint='{network}'")) for old, new in BOWNET]
    model = save_trained(write_config(*bownet), checkpoint, seed=4)
    photo = images / '3.png'
    assert '--cfg-options model.target.checkpoint=FILE' in fails(tool.main, checkpoint, photo)
    assert 'must be 1 to 6' in fails(tool.main, checkpoint, photo, '--num-words', '7')
    save_checkpoint_file(dict(state_dict=model.target.teacher.state_dict()), network)
    options = ['--num-words', '2', '--num-patches', '3', '--num-bank', '5', '--out', str(out)]
    tool.main([str(checkpoint), str(photo), *options])
    assert capsys.readouterr().out.endswith(f'1 images: {out}\n')
    plain = dict(type='CenterCropView', size=24)
    bank = DATASETS.build(dict(type='ImageFolder', data_root=str(images), transform=plain))
    drawn = torch.from_numpy(imread(out)[..., :3]).mul(255).round().to(torch.uint8)
    expected = figure_pixels(word_bag_figure(model, read_squares([str(photo)], 24), bank, 2, 3, 5))
    assert torch.equal(drawn, torch.from_numpy(expected))

    save_trained(write_config(), checkpoint)
    assert 'SimCLR has no bags of visual words' in fails(tool.main, checkpoint, photo)
