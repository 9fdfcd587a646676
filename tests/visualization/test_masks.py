"""Figures of masks: each part of the image stands on grey."""

from __future__ import annotations

import pytest
import torch

from mmssl.registry import MASKERS
from mmssl.visualization.masks import mask_figure
from tests.support.image_files import write_images
from tests.support.tools import load_tool

IMAGES = torch.randint(0, 100, (2, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ('masker', 'parts'),
    [
        (dict(type='UniformMasker', patch_size=4), ['visible']),
        (
            dict(type='MultiBlockMasker', num_targets=2, min_context=1, patch_size=4),
            ['context', 'target 1', 'target 2'],
        ),
    ],
    ids=['uniform', 'blocks'],
)
def test_a_column_for_each_part(masker: dict, parts: list[str]) -> None:
    cells = [axes for axes in mask_figure(MASKERS.build(masker), IMAGES).axes if axes.images]
    width = 1 + len(parts)
    assert [cell.get_title() for cell in cells[:width]] == ['original', *parts] and len(cells) == 2 * width
    shown = torch.stack([torch.from_numpy(cell.images[0].get_array()) for cell in cells]).mul(255).round()
    originals, columns = shown.unflatten(0, (2, width)).tensor_split([1], dim=1)
    is_grey = (columns == 128).all(dim=-1)
    assert torch.equal(columns[~is_grey], originals.expand_as(columns)[~is_grey])
    assert is_grey.any() and not is_grey.all()


def test_the_tool_writes_a_figure(tmp_path, capsys) -> None:
    write_images(tmp_path, ['a.png'])
    out = tmp_path / 'masks.png'
    load_tool('visualization/vis_masks.py').main(
        ['configs/ijepa/ijepa_vit-huge_16xb128-300e_in1k.py', str(tmp_path / 'a.png'), '--out', str(out)]
    )
    assert out.exists() and '1 images' in capsys.readouterr().out


def test_a_method_without_masks_is_named(tmp_path, capsys) -> None:
    with pytest.raises(SystemExit):
        load_tool('visualization/vis_masks.py').main(['configs/demo/simclr_photos.py', str(tmp_path / 'a.png')])
    assert 'SimCLR draws no masks' in capsys.readouterr().err
