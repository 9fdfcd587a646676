"""tools/visualization/vis_reconstruction.py: a row for each image, and the mistakes it reports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread

from mmssl.visualization.reconstruction import reconstruction_figure
from mmssl.visualization.squares import read_squares
from mmssl.visualization.style import figure_pixels
from tests.support.tools import load_tool
from tests.support.trained import save_trained

tool = load_tool('visualization/vis_reconstruction.py')

Writer = Callable[..., Path]
MAE = (
    (
        "type='SimCLR'",
        "type='MAE', masker=dict(type='UniformMasker', patch_size=4), target=dict(type='PixelTarget', patch_size=4)",
    ),
    (
        "type='ResNet', depth=18, stem='small', width=0.125",
        "type='VisionTransformer', arch=dict(embed_dim=24, depth=1, num_heads=2), img_size=16, patch_size=4, "
        "output='tokens'",
    ),
    (
        "type='MLPProjector', in_channels=64, hidden_channels=32, out_channels=16",
        "type='MAEDecoder', in_channels=24, out_channels=48, grid_size=4, embed_dim=16, depth=1, num_heads=2",
    ),
    ("type='NTXentLoss', temperature=0.5", "type='MaskedMSELoss'"),
)


def test_the_figure_is_that_of_the_whole_trained_model(
    write_config: Writer, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, checkpoint, out = write_config(*MAE), tmp_path / 'epoch_1.pth', tmp_path / 'new' / 'x.png'
    model = save_trained(config, checkpoint, seed=4)
    pictures = [str(images / '0.png'), str(images / '1.png')]
    tool.main([str(config), str(checkpoint), *pictures, '--seed', '7', '--out', str(out)])
    assert capsys.readouterr().out.endswith(f'2 images: {out}\n')
    drawn = torch.from_numpy(imread(out)[..., :3]).mul(255).round().to(torch.uint8)
    expected = torch.from_numpy(figure_pixels(reconstruction_figure(model, read_squares(pictures, 16), seed=7)))
    assert torch.equal(drawn, expected)
    tool.main([str(config), str(checkpoint), *pictures, '--seed', '8', '--out', str(out)])
    assert (imread(out)[..., :3] * 255).round().astype('uint8').tobytes() != drawn.numpy().tobytes()


def test_mistakes(write_config: Writer, images: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    config, checkpoint, picture = write_config(*MAE), tmp_path / 'epoch_1.pth', images / '0.png'
    model, end = save_trained(config, checkpoint), ['--out', tmp_path / 'x.png']
    assert 'is not a file' in fails(tool.main, config, checkpoint, images / 'none.png', *end)
    assert "no.pth' does not exist" in fails(tool.main, config, tmp_path / 'no.pth', picture, *end)
    assert 'size must be positive' in fails(tool.main, config, checkpoint, picture, '--size', '0', *end)
    assert 'trained with 16' in fails(tool.main, config, checkpoint, picture, '--size', '32', *end)

    backbone, partial = tmp_path / 'epoch_1_backbone.pth', tmp_path / 'partial.pth'
    torch.save(dict(state_dict=model.backbone.state_dict()), backbone)
    assert 'contains no whole model' in fails(tool.main, config, backbone, picture, *end)
    state = model.state_dict()
    del state['neck.predict.bias']
    torch.save(dict(state_dict=state), partial)
    message = fails(tool.main, config, partial, picture, *end)
    assert 'so nothing was loaded' in message and 'missing: neck.predict.bias' in message

    contrastive, other = write_config(), tmp_path / 'simclr.pth'
    save_trained(contrastive, other)
    assert 'SimCLR reconstructs no image' in fails(tool.main, contrastive, other, picture, *end)
    assert not (tmp_path / 'x.png').exists()
