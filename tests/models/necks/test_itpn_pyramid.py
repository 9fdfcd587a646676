"""The pyramid of iTPN: one code for units and maps, what crosses no border, what a detector and a segmenter want."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, max_pool2d
from torch.testing import assert_close

from mmssl.models.backbones.hivit import HiViT
from mmssl.models.layers.patches import unpatchify
from mmssl.models.necks.itpn_pyramid import ITPNPyramid

ENCODER = dict(arch=dict(embed_dim=32, depths=(1, 1, 2), num_heads=2), img_size=(32, 48))


def small(**options) -> ITPNPyramid:
    return ITPNPyramid(**dict(in_channels=(8, 16, 32), out_channels=12) | options).double()


def stages(output: str):
    torch.manual_seed(0)
    return HiViT(**ENCODER, output=output).double().eval()(torch.randn(2, 3, 32, 48, dtype=torch.float64))


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_units_and_maps_make_the_same_pyramid():
    pyramid = small()
    units, maps = pyramid(stages('units')), pyramid(stages('maps'))
    assert [tuple(level.shape) for level in units] == [(2, 6, 4, 4, 12), (2, 6, 2, 2, 12), (2, 6, 1, 1, 12)]
    assert [tuple(level.shape) for level in maps] == [(2, 12, 8, 12), (2, 12, 4, 6), (2, 12, 2, 3)]
    for level, expected, side in zip(maps, units, (4, 2, 1)):
        assert_close(level, unpatchify(expected.flatten(2), side, (2, 3)))


def test_units_do_not_see_one_another():
    pyramid, units = small(), stages('units')
    some = [stage[:, [0, 4]] for stage in units]
    for level, expected in zip(pyramid(some), pyramid(units)):
        assert_close(level, expected[:, [0, 4]])


def test_levels_follow_the_equations():
    pyramid, (fine, middle, coarse) = small(fpn_depth=1), stages('units')
    coarse = coarse[:, :, None, None]
    eighth = pyramid.block_16to8(pyramid.split_16to8(coarse) + pyramid.align_dim_16to8(middle))
    fourth = pyramid.block_8to4(pyramid.split_8to4(eighth) + pyramid.align_dim_8to4(fine))
    expected = [fourth, eighth, pyramid.align_dim_16tofpn(coarse)]
    for level, before, module in zip(pyramid(stages('units')), expected, reversed(pyramid.fpn_modules)):
        assert_close(level, module(before))


def test_coarser_maps_of_a_detector_are_means():
    maps = small(num_outs=4)(stages('maps'))
    assert len(maps) == 4
    assert_close(maps[3], avg_pool2d(maps[2], 2))


@pytest.mark.parametrize(
    ('size', 'expected'),
    [
        ((224, 224), [(56, 56), (28, 28), (14, 14), (7, 7), (3, 3)]),
        ((800, 1344), [(200, 336), (100, 168), (50, 84), (25, 42), (12, 21)]),
    ],
)
def test_sizes_of_the_maps_of_a_detector(size, expected):
    with torch.device('meta'):
        maps = ITPNPyramid(num_outs=5)(HiViT('itpn-base')(torch.empty(1, 3, *size)))
    assert [tuple(m.shape) for m in maps] == [(1, 256, *rest) for rest in expected]


def test_sizes_of_the_maps_of_a_segmenter():
    with torch.device('meta'):
        maps = ITPNPyramid(concat=True, num_outs=4)(HiViT('itpn-base')(torch.empty(1, 3, 512, 512)))
    assert [tuple(m.shape[1:]) for m in maps] == [(384, 128, 128), (512, 64, 64), (768, 32, 32), (768, 16, 16)]


def test_a_segmenter_gets_the_features_of_the_encoder_too():
    pyramid = small(concat=True, num_outs=4)
    maps, encoder = pyramid(stages('maps')), stages('maps')
    pyramid.concat, pyramid.num_outs = False, 3
    for both, level, features in zip(maps, pyramid(encoder), encoder):
        assert_close(both, torch.cat([level, features], dim=1))
    assert_close(maps[3], max_pool2d(maps[2], 2))


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (dict(), 131_328 + 1_578_240 + 65_536 + 525_312 + 1_052_160 + 32_768 + 262_656 + 1_052_160),
        (dict(fpn_depth=1), 131_328 + 1_578_240 + 65_536 + 525_312 + 526_080 + 32_768 + 262_656 + 526_080),
        (
            dict(in_channels=(192, 384, 768)),
            196_864 + 1_578_240 + 98_304 + 787_968 + 1_052_160 + 49_152 + 262_656 + 1_052_160,
        ),
    ],
)
def test_parameters(options, expected):
    with torch.device('meta'):
        assert count(ITPNPyramid(**options)) == expected


@pytest.mark.parametrize(
    ('arch', 'backbone', 'pyramid', 'expected'),
    [
        ('itpn-base', dict(), dict(fpn_depth=1), 81_552_000),
        ('itpn-base', dict(layer_scale=0.1), dict(fpn_depth=1), 81_577_728),
        ('itpn-base', dict(img_size=512, position_bias='table'), dict(fpn_depth=2), 83_366_208),
        (
            'itpn-large',
            dict(img_size=512, position_bias='table'),
            dict(fpn_depth=2, in_channels=(192, 384, 768)),
            294_355_744,
        ),
    ],
)
def test_parameters_of_official_detection_and_segmentation_backbones(arch, backbone, pyramid, expected):
    with torch.device('meta'):
        backbone = HiViT(arch, **backbone)
        total = count(backbone) + count(ITPNPyramid(**pyramid))
    # Their position tables have 14 x 14 rows whatever the image.
    rows = backbone.grid_size[0] * backbone.grid_size[1]
    assert total - (rows - 196) * backbone.feature_dim == expected


def test_aligning_is_left_out_where_widths_agree():
    pyramid = small(out_channels=32)
    assert not any(name.startswith('align_dim_16tofpn') for name, _ in pyramid.named_parameters())
    assert pyramid(stages('units'))[2].shape == (2, 6, 1, 1, 32)


@pytest.mark.parametrize(
    'wrong', [dict(num_outs=6), dict(num_outs=5, concat=True), dict(num_outs=2), dict(in_channels=(8, 16))]
)
def test_wrong_arguments(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        small(**wrong)


def test_units_have_three_levels():
    with pytest.raises(ValueError, match='three levels'):
        small(num_outs=4)(stages('units'))
