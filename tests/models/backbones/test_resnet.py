from __future__ import annotations

import pytest
import torch
import torchvision
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.runner import save_checkpoint
from torch import nn

from mmssl.models.backbones.resnet import ResNet
from mmssl.models.layers.pooling import to_vector

CASES = {
    'resnet18': dict(depth=18),
    'resnet50': dict(depth=50),
    'wide_resnet50_2': dict(depth=50, width_per_group=128),
}


@pytest.mark.parametrize('name', CASES)
def test_is_torchvisions_network_under_torchvisions_names(name):
    reference = getattr(torchvision.models, name)().eval()
    reference.fc = nn.Identity()
    backbone = ResNet(**CASES[name]).eval()
    backbone.load_state_dict(reference.state_dict(), strict=True)
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(to_vector(backbone(images)), reference(images), rtol=0, atol=1e-5)


@pytest.mark.parametrize('depth', [10, 34, 101, 152])
def test_other_networks_have_torchvisions_names_and_shapes(depth):
    with torch.device('meta'):
        shallow = torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1])
        reference = shallow if depth == 10 else getattr(torchvision.models, f'resnet{depth}')()
        backbone = ResNet(depth)
    shapes = {name: tensor.shape for name, tensor in reference.state_dict().items() if not name.startswith('fc.')}
    assert {name: tensor.shape for name, tensor in backbone.state_dict().items()} == shapes


def test_the_first_values_are_torchvisions():
    torch.manual_seed(3)
    backbone = ResNet(18, zero_init_residual=True)
    torch.manual_seed(3)
    default = ResNet(18)
    assert all((module.bn2.weight == 0).all() for module in backbone.modules() if hasattr(module, 'bn2'))
    assert torch.equal(backbone.conv1.weight, default.conv1.weight)
    assert abs(default.layer4[1].conv2.weight.std().item() / (2 / (512 * 9)) ** 0.5 - 1) < 0.01  # He, fan-out


def test_lecun_initialisation_has_variance_one_over_fan_in():
    weight = ResNet(18, conv_init='lecun').layer4[1].conv2.weight
    assert abs(weight.var().item() * 512 * 9 - 1) < 0.01
    assert weight.abs().max().item() <= 2.001 * (512 * 9) ** -0.5 / 0.87962566


def test_width_multiplies_every_channel():
    assert ResNet(50, width=2).feature_dim == 4096
    narrow = ResNet(18, width=0.5, stem='small', out_indices=(2,))
    images = torch.randn(2, 3, 32, 32)
    assert narrow(images)[0].shape == (2, 128, 8, 8)
    assert narrow.feature_dim == 128
    assert narrow.conv1.weight.shape == (32, 3, 3, 3)


def test_small_stem_keeps_the_resolution():
    maps = ResNet(18, stem='small', out_indices=(0, 1, 2, 3))(torch.randn(1, 3, 32, 32))
    assert [tuple(m.shape[1:]) for m in maps] == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]


def test_every_parameter_that_trains_receives_a_gradient():
    backbone = ResNet(18, out_indices=(0, 1), frozen_stages=0)
    sum(m.sum() for m in backbone(torch.randn(2, 3, 32, 32))).backward()
    assert all((p.grad is not None) == p.requires_grad for p in backbone.parameters())


def test_a_checkpoint_of_the_whole_network_loads_into_its_first_stages():
    whole = ResNet(18)
    first = ResNet(18, out_indices=(1,))
    first.load_state_dict(whole.state_dict(), strict=True)
    assert torch.equal(first.layer2[0].conv1.weight, whole.layer2[0].conv1.weight)
    assert not hasattr(first, 'layer3')


def test_frozen_stages_stay_as_they_are_in_training():
    backbone = ResNet(18, frozen_stages=2).train()
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    backbone(torch.randn(2, 3, 32, 32))
    frozen = ('conv1', 'bn1', 'layer1', 'layer2')
    for name, tensor in backbone.state_dict().items():
        if name.endswith('running_mean'):
            assert torch.equal(tensor, before[name]) == name.startswith(frozen), name
    for name, parameter in backbone.named_parameters():
        assert parameter.requires_grad != name.startswith(frozen), name


def test_norm_eval_fixes_every_running_statistic_but_trains_the_scales():
    backbone = ResNet(18, norm_eval=True).train()
    backbone(torch.randn(2, 3, 32, 32))
    assert all(m.num_batches_tracked == 0 for m in backbone.modules() if isinstance(m, nn.BatchNorm2d))
    assert backbone.bn1.weight.requires_grad
    assert backbone.layer1.training


def test_other_toolboxes_build_and_initialise_it_by_its_scoped_name(tmp_path):
    pretrained = ResNet(18)
    path = str(tmp_path / 'backbone.pth')
    save_checkpoint({'state_dict': pretrained.state_dict()}, path)
    config = dict(type='mmssl.ResNet', depth=18, init_cfg=dict(type='Pretrained', checkpoint=path))
    backbone = ROOT_MODELS.build(config)
    backbone.init_weights()
    for name, tensor in pretrained.state_dict().items():
        assert torch.equal(backbone.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    ('argument', 'value'),
    [('depth', 20), ('stem', 'cifar'), ('out_indices', (4,)), ('out_indices', ()), ('frozen_stages', 5),
     ('conv_init', 'xavier')],
)  # fmt: skip
def test_wrong_arguments_are_named(argument, value):
    with pytest.raises(ValueError, match=argument):
        ResNet(**{argument: value})


@pytest.mark.parametrize(('output_stride', 'dilate'), [(16, (False, False, True)), (8, (False, True, True))])
def test_output_stride_is_torchvisions_dilation(output_stride, dilate):
    reference = torchvision.models.resnet50(replace_stride_with_dilation=dilate).eval()
    reference.fc = reference.avgpool = nn.Identity()
    backbone = ResNet(50, output_stride=output_stride, out_indices=(0, 3)).eval()
    backbone.load_state_dict(reference.state_dict())
    images = torch.randn(1, 3, 64, 64)
    first, last = backbone(images)
    assert first.shape[-1] == 16 and last.shape[-1] == 64 // output_stride
    torch.testing.assert_close(last.flatten(1), reference(images))


def test_output_stride_that_is_not_possible():
    with pytest.raises(ValueError, match='output_stride must be 32, for depths with bottlenecks also 16 or 8, got 8'):
        ResNet(18, output_stride=8)
    with pytest.raises(ValueError, match='got 4'):
        ResNet(50, output_stride=4)
