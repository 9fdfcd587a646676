from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate
from torch.testing import assert_close

from mmssl.checkpoints.adaptation import adapted
from mmssl.models.necks.pyramid_projector import PyramidProjector
from mmssl.models.necks.top_down_neck import TopDownNeck

STAGES = tuple(torch.randn(2, 4 * 2**i, 16 // 2**i, 16 // 2**i) for i in range(4))
PRETRAINED = dict(in_channels=(8, 16, 32), out_channels=6)
DETECTOR = dict(in_channels=(4, 8, 16, 32), out_channels=6, levels=(2, 3, 4, 5), out_levels=(2, 3, 4, 5), num_outs=5)


def test_levels_are_merged_from_the_coarsest_downwards():
    neck = TopDownNeck(**PRETRAINED)
    fine, coarse = neck(STAGES[1:])
    top = neck.laterals['5'](STAGES[3])
    middle = neck.laterals['4'](STAGES[2]) + interpolate(top, scale_factor=2)
    assert_close(coarse, neck.outputs['4'](middle))
    assert_close(fine, neck.outputs['3'](neck.laterals['3'](STAGES[1]) + interpolate(middle, scale_factor=2)))


def test_a_detector_has_more_levels():
    maps = TopDownNeck(**DETECTOR)(STAGES)
    assert [tuple(x.shape[1:]) for x in maps] == [(6, s, s) for s in (16, 8, 4, 2, 1)]
    assert torch.equal(maps[4], maps[3][..., ::2, ::2])


def test_maps_without_a_level_are_refused():
    for stages in (STAGES, STAGES[1:3]):
        with pytest.raises(ValueError, match=f'got {len(stages)} maps'):
            TopDownNeck(in_channels=(4, 8, 16), out_channels=6)(stages)


def test_parameters_are_those_of_the_official_pyramid():
    sizes = {norm: sum(p.numel() for p in TopDownNeck(norm=norm).parameters()) for norm in (False, True)}
    assert sizes == {False: 2_098_432, True: 2_098_432 + 5 * 256}


def test_every_built_convolution_receives_a_gradient():
    neck = TopDownNeck((8, 16, 32), 6, out_levels=(4, 5))  # the lateral of level 3 is not built
    sum(x.sum() for x in neck(STAGES[1:])).backward()
    assert set(neck.laterals) == {'4', '5'} and all(p.grad is not None for p in neck.parameters())


def test_a_detector_keeps_what_pre_training_does_not_have():
    detector, pretrained = TopDownNeck(**DETECTOR), TopDownNeck(**PRETRAINED)
    before = {name: x.clone() for name, x in detector.state_dict().items()}
    detector.load_state_dict(pretrained.state_dict())
    for name, value in detector.state_dict().items():
        new = name.startswith(('laterals.2', 'outputs.2', 'outputs.5'))
        assert torch.equal(value, before[name] if new else pretrained.state_dict()[name])
    assert not adapted(detector, {'conv.weight': torch.zeros(1)}).keys() & before.keys()  # a file without a pyramid
    broken = {name: x for name, x in pretrained.state_dict().items() if name != 'laterals.4.0.bias'}
    with pytest.raises(RuntimeError, match='laterals.4.0.bias'):
        detector.load_state_dict(broken)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(levels=(3, 5, 6)), 'levels must be 3 successive numbers'),
        (dict(out_levels=(2, 3)), 'out_levels must be some of'),
        (dict(out_levels=(4, 3)), 'ascending'),
        (dict(num_outs=1), 'num_outs must be at least 2'),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        TopDownNeck(**PRETRAINED | options)


def test_the_projector_stands_beside_the_pyramid():
    mlp = dict(type='MLPProjector', in_channels=32, hidden_channels=8, out_channels=5)
    neck = PyramidProjector(mlp, dict(type='TopDownNeck', **PRETRAINED)).eval()
    vector, fine, coarse = neck(STAGES[1:])
    assert vector.shape == (2, 5) and fine.shape == (2, 6, 8, 8) and coarse.shape == (2, 6, 4, 4)
    assert_close(vector, neck.projector(STAGES[1:]))
