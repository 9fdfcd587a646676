from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.backbones.amdim_encoder import AMDIMEncoder
from mmssl.models.losses.local_info_loss import local_info
from tests.support.interruption import assert_resume_is_exact
from tests.support.small_parts import build, views

MODEL = dict(
    backbone=dict(type='AMDIMEncoder', width=4, out_channels=16, num_units=1, img_size=32),
    neck=dict(type='AMDIMProjector', in_channels=16, out_channels=16),
    head=dict(type='LocalInfoLoss'),
)


def test_the_loss_of_vectors_of_zero():
    for positions, expected in ((5, 4.8362819069), (7, 5.5053315359)):
        loss = local_info(torch.zeros(6, 8).double(), torch.randn(6, 8, positions, positions).double(), 20.0, 0.05)
        assert_close(loss.item(), expected, rtol=1e-9, atol=0)


def test_the_loss_is_its_plain_loop():
    sources, maps = torch.randn(3, 4).double(), torch.randn(3, 4, 2, 2).double()
    scores = torch.einsum('nd,mdhw->nmhw', sources, maps).flatten(2) / 2
    clipped, total = 5 * torch.tanh(scores / 5), 0.0
    for image in range(3):
        others = sum(clipped[image, other, p].exp() for other in range(3) if other != image for p in range(4))
        for place in range(4):
            own = clipped[image, image, place]
            total -= torch.log(own.exp() / (own.exp() + others)) / 12
    assert_close(local_info(sources, maps, 5.0, 0.1), total + 0.1 * scores.square().mean())


@pytest.mark.parametrize('size', [32, 64, 128])
def test_maps_of_every_size_of_image(size):
    encoder = AMDIMEncoder(width=2, out_channels=16, num_units=2, img_size=size).eval()
    maps = encoder(torch.randn(2, 3, size, size))
    assert [tuple(x.shape[2:]) for x in maps] == [(7, 7), (5, 5), (1, 1)]
    assert encoder.feature_dim == maps[-1].shape[1] == 16
    with pytest.raises(ValueError, match=f'images of img_size pixels, got {size + 32}'):
        encoder(torch.randn(2, 3, size + 32, size + 32))


@pytest.mark.parametrize(
    ('width', 'channels', 'depth', 'count'), [(128, 1024, 3, 57_933_952), (192, 1536, 8, 208_523_712)]
)
def test_official_numbers_of_parameters(width, channels, depth, count):
    """The official encoder counts its projections, and norms that are switched off."""
    with torch.device('meta'):
        model = [build('AMDIM', **_official(width, channels, depth, norm)) for norm in (True, False)]
    numbers = [sum(p.numel() for part in (m.backbone, m.neck) for p in part.parameters()) for m in model]
    assert numbers[1] < numbers[0] == count


def _official(width: int, channels: int, depth: int, norm: bool) -> dict:
    encoder = dict(type='AMDIMEncoder', width=width, out_channels=channels, num_units=depth, norm=norm)
    neck = dict(type='AMDIMProjector', in_channels=8 * width, out_channels=channels, norm=norm)
    return dict(MODEL, backbone=encoder, neck=neck)


def test_the_position_belongs_to_the_image_and_the_step():
    algorithm, index = build('AMDIM', **MODEL), torch.arange(200)
    places = algorithm.places(index)
    assert torch.equal(algorithm.places(index[50:60]), places[50:60])
    assert set(places.flatten().tolist()) == set(range(25))
    algorithm.on_step_end(0.1)
    assert not torch.equal(algorithm.places(index), places)


def test_wrong_arguments():
    with pytest.raises(ValueError, match='img_size must be 32, 64 or 128, got 96'):
        AMDIMEncoder(img_size=96)
    with pytest.raises(ValueError, match='out_channels must be at least 1536 for width=192, got 1000'):
        AMDIMEncoder(out_channels=1000)
    with pytest.raises(ValueError, match='out_channels must be at least in_channels=16, got 8'):
        build('AMDIM', **dict(MODEL, neck=dict(MODEL['neck'], out_channels=8)))
    with pytest.raises(ValueError, match='clip must be positive'):
        build('AMDIM', **dict(MODEL, head=dict(type='LocalInfoLoss', clip=0)))


def test_two_views_are_exchangeable_but_for_the_position():
    algorithm, samples = build('AMDIM', **MODEL), dict(index=torch.arange(4))
    x1, x2 = views(2, images=4, size=32)
    one, other = algorithm.loss([x1, x2], samples), algorithm.loss([x2, x1], samples)
    assert one.keys() == {'loss_1_5', 'loss_1_7', 'loss_5_5'}
    assert_close(one['loss_1_5'], other['loss_1_5'])
    assert_close(one['loss_1_7'], other['loss_1_7'])
    assert one['loss_1_7'] < 2 * math.log(1 + 3 * 49)


def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path):
    model = dict(type='AMDIM', data_preprocessor=dict(type='SelfSupDataPreprocessor'), **MODEL)
    loader = dict(
        dataset=dict(type='NoiseImages', num_images=26, views=[dict(type='AugmentedView', size=32)] * 2),
        sampler=dict(type='EpochSampler'),
        collate_fn=dict(type='collate_views'),
        batch_size=4,
        drop_last=True,
        num_workers=0,
    )
    assert_resume_is_exact(tmp_path, model=model, train_dataloader=loader)


@pytest.mark.parametrize('shape', [(33, 33), (64, 32)])  # maps of 7 columns, at other places or with more rows
def test_images_of_almost_the_right_size_are_refused(shape):
    encoder = AMDIMEncoder(width=2, out_channels=16, num_units=1, img_size=32)
    with pytest.raises(ValueError, match=f'got {shape[0]} x {shape[1]} with img_size=32'):
        encoder(torch.rand(1, 3, *shape))
