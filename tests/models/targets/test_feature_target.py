"""Features of frozen networks as a target: of which networks, at which positions, and what a checkpoint holds."""

from __future__ import annotations

import pytest
import timm
import torch
from torch.nn.functional import layer_norm
from torch.testing import assert_close

from mmssl.checkpoints.matching import load_matching, load_whole
from mmssl.models.layers.feature_colors import feature_colors
from mmssl.models.targets.feature_target import FeatureTarget
from mmssl.registry import BACKBONES

VIT = dict(
    type='VisionTransformer',
    arch=dict(embed_dim=24, depth=2, num_heads=2),
    img_size=32,
    patch_size=8,
    output='tokens',
)
RESNET = dict(type='ResNet', depth=18, width=0.125, stem='small')
TIMM = dict(
    type='TimmBackbone',
    name='vit_tiny_patch16_224',
    pool=False,
    img_size=32,
    patch_size=8,
    embed_dim=24,
    depth=2,
    num_heads=2,
)
IMAGES = torch.randn(2, 3, 32, 32)


def test_of_several_maps_the_last_is_used():
    target = FeatureTarget(dict(RESNET, out_indices=(2, 3)))
    assert_close(target(IMAGES), target.teacher(IMAGES)[1].flatten(2).transpose(1, 2))


@pytest.mark.parametrize(('backbone', 'width'), [(VIT, 24), (RESNET, 64), (TIMM, 24)])
def test_networks_give_features_of_positions_and_of_the_image(backbone, width):
    target = FeatureTarget(backbone).train()
    found = target.encode(IMAGES)
    assert found['dense'].shape == (2, 16, width) and found['pooled'].shape == (2, width)
    assert not found['dense'].requires_grad and not target.teacher.training
    features = target.teacher(IMAGES)
    if backbone is VIT:
        assert_close(found['pooled'], features[:, 0])
        assert_close(target(IMAGES), features[:, 1:])
    else:
        assert_close(target(IMAGES), features[-1].flatten(2).transpose(1, 2))


def test_a_map_is_resized_to_the_students_grid_and_positions_are_standardised():
    target = FeatureTarget(RESNET, grid_size=2, standardize=True)
    plain = target.teacher(IMAGES)[-1].unflatten(2, (2, 2)).unflatten(4, (2, 2)).mean(dim=(3, 5))
    assert_close(target(IMAGES), layer_norm(plain.flatten(2).transpose(1, 2), (64,)))


def test_images_are_converted_to_the_normalisation_of_the_network():
    target = FeatureTarget(VIT, teacher_mean=(0, 0, 0), teacher_std=(255, 255, 255))
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)))
    assert_close(target.rescale(IMAGES), (IMAGES * std + mean) / 255)
    assert FeatureTarget(VIT).rescale(IMAGES) is IMAGES


def test_weights_come_from_a_file_and_are_left_out_of_checkpoints(tmp_path):
    network = timm.create_model('vit_tiny_patch16_224', **VIT['arch'], img_size=32, patch_size=8, num_classes=0)
    torch.save(network.state_dict(), tmp_path / 'timm.pth')
    target = FeatureTarget(VIT, checkpoint=str(tmp_path / 'timm.pth'))
    target.init_weights()
    assert_close(target(IMAGES), network.eval().forward_features(IMAGES)[:, 1:].detach())
    assert not target.state_dict()
    FeatureTarget(VIT).load_state_dict({})


def test_running_statistics_come_from_the_file_of_the_network_and_from_no_checkpoint(tmp_path):
    network = BACKBONES.build(RESNET)
    torch.save(network.state_dict(), tmp_path / 'network.pth')
    student = torch.nn.ModuleDict(
        dict(fc=torch.nn.Linear(2, 2), target=FeatureTarget(RESNET, str(tmp_path / 'network.pth')))
    )
    student['target'].init_weights()
    assert set(student.state_dict()) == {'fc.weight', 'fc.bias'}
    others = {f'target.teacher.{name}': torch.full_like(x, 7) for name, x in network.named_buffers()}
    earlier = others | student.state_dict()  # a checkpoint of an earlier version, with another network
    load_matching(student, earlier, 'file', prefix='')
    load_whole(student, earlier, 'file')
    student.load_state_dict(student.state_dict())
    assert_close(student['target'](IMAGES), network.eval()(IMAGES)[-1].flatten(2).transpose(1, 2).detach())


def test_a_network_that_returns_vectors_is_refused():
    with pytest.raises(ValueError, match='VisionTransformer returns one vector per image'):
        FeatureTarget(dict(VIT, output='cls'))(IMAGES)


def test_features_are_drawn_as_colours_of_patches():
    target = FeatureTarget(VIT)
    features = target(IMAGES)
    pixels = target.to_pixels(features, IMAGES)
    assert pixels.shape == (2, 16, 8 * 8 * 3) and pixels.abs().max() <= 2
    assert_close(pixels[..., :3], pixels[..., -3:])
    assert_close(feature_colors(7 * features, features), feature_colors(features, features))


def test_a_network_may_see_bands():
    backbone = dict(RESNET, in_channels=5)
    of_five = dict(mean=[1.0] * 5, std=[2.0] * 5, teacher_mean=[3.0] * 5, teacher_std=[4.0] * 5)
    target = FeatureTarget(backbone, **of_five)
    images = torch.randn(2, 5, 32, 32)
    assert_close(target.rescale(images), (images * 2 + 1 - 3) / 4)
    assert target(images).shape[0] == 2
    with pytest.raises(ValueError, match='zip'):  # and no band is dropped without a word
        FeatureTarget(backbone, **of_five | dict(teacher_mean=[3.0] * 3, teacher_std=[4.0] * 3))


@pytest.mark.parametrize(('height', 'width'), [(48, 16), (16, 48), (64, 32), (44, 20)])
def test_tokens_of_an_image_that_is_not_square_keep_their_places(height, width):
    image = torch.randn(1, 3, height, width)
    target = FeatureTarget(VIT, grid_size=3)
    maps = FeatureTarget(VIT | dict(output='maps'), grid_size=3)
    maps.teacher.load_state_dict(target.teacher.state_dict())
    assert_close(target(image), maps(image))
