"""tools/visualization/vis_attention.py: columns per checkpoint and map, and the mistakes it reports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread

from tests.support.tools import load_tool
from tests.support.trained import save_trained

tool = load_tool('visualization/vis_attention.py')

Writer = Callable[..., Path]
VIT = (
    "type='ResNet', depth=18, stem='small', width=0.125",
    "type='VisionTransformer', arch=dict(embed_dim=64, depth=1, num_heads=2), img_size=16, patch_size=8",
)


def shape(path: Path) -> tuple[int, int]:
    return imread(path).shape[:2]


def test_a_column_for_each_map_of_each_checkpoint(
    write_config: Writer, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cnn, vit, out = tmp_path / 'cnn.pth', tmp_path / 'vit.pth', tmp_path / 'new' / 'maps.png'
    save_trained(write_config(), cnn)
    save_trained(write_config(VIT), vit)
    pictures = [str(images / '0.png'), str(images / '1.png')]
    tool.main([str(cnn), *pictures, '--size', '16', '--out', str(out)])
    height, width = shape(out)
    assert 1.2 * height < width < 1.6 * height  # three columns, two rows
    tool.main([str(cnn), *pictures, '--compare', str(vit), '--size', '16', '--out', str(out), '--names', 'a', 'b'])
    height, width = shape(out)
    assert 2.2 * height < width < 3.0 * height  # image, response, similarity, two heads, rollout
    assert capsys.readouterr().out.endswith(f'2 images, 2 checkpoints: {out}\n')


def test_backbone_file_with_a_config_and_a_reference(write_config: Writer, images: Path, tmp_path: Path) -> None:
    config, file, out = write_config(), tmp_path / 'backbone.pth', tmp_path / 'x.png'
    torch.save(dict(state_dict=save_trained(config, tmp_path / 'x.pth').backbone.state_dict()), file)
    options = ['--kinds', 'similarity', '--reference', str(images / '3.png'), '--out', str(out), '--size', '16']
    tool.main([str(file), str(images / '0.png'), '--config', str(config), *options])
    assert out.is_file()


def test_mistakes(write_config: Writer, images: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    cnn, text, out = tmp_path / 'cnn.pth', tmp_path / 'text.png', tmp_path / 'x.png'
    save_trained(write_config(), cnn)
    text.write_text('no image')
    picture, end = images / '0.png', ['--out', out]
    assert 'is not a file' in fails(tool.main, cnn, images / 'none.png', *end)
    assert 'is not a file' in fails(tool.main, cnn, images, *end)
    assert 'text.png cannot be shown' in fails(tool.main, cnn, text, *end)
    assert "no.pth' does not exist" in fails(tool.main, tmp_path / 'no.pth', picture, *end)
    assert 'got rollout' in fails(tool.main, cnn, picture, '--kinds', 'rollout', *end)
    assert 'size must be positive' in fails(tool.main, cnn, picture, '--size', '0', *end)
    assert '1 checkpoints need' in fails(tool.main, cnn, picture, '--names', 'a', 'b', *end)
    assert not out.exists()
