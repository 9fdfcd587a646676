"""tools/visualization/vis_patch_colors.py: one picture of several checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tools import load_tool
from tests.support.trained import save_trained
from tests.tools.test_vis_attention import VIT

tool = load_tool('visualization/vis_patch_colors.py')


def test_a_column_for_each_checkpoint(
    write_config: Callable[..., Path], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vit, out = tmp_path / 'vit.pth', tmp_path / 'colours.png'
    save_trained(write_config(VIT), vit)
    pictures = [str(images / '0.png'), str(images / '1.png')]
    tool.main(
        [str(vit), *pictures, '--compare', str(vit), '--names', 'a', 'b', '--whole', '--size', '32', '--out', str(out)]
    )
    assert out.is_file() and capsys.readouterr().out.endswith(f'2 images, 2 checkpoints: {out}\n')
