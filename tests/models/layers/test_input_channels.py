from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from mmengine.registry import MODELS as ROOT
from torch import nn

from mmssl.checkpoints.matching import load_matching
from mmssl.converters.architecture import describe
from mmssl.converters.transfer import transfer_weights
from mmssl.models.algorithms.mae import MAE
from mmssl.models.backbones.resnet import ResNet
from mmssl.models.layers.input_channels import adapt_channels, first_convolution
from mmssl.registry import BACKBONES
from mmssl.utils.errors import UserError

VIT = dict(arch=dict(embed_dim=48, depth=1, num_heads=2), img_size=32)
SMALL = {
    'AdderResNet': dict(width=0.25),
    'AdderVGG': dict(width=0.1),
    'AlexNet': dict(channels=(8, 8, 8, 8, 8), img_size=96),
    'BEiTViT': dict(**VIT, patch_size=8),
    'HiViT': dict(arch=dict(embed_dim=64, depths=(1, 1, 1), num_heads=2), img_size=32),
    'LeNet5BN': dict(),
    'NIN': dict(width=0.1),
    'PatchViT': dict(**VIT, patch_size=8),
    'ResNet': dict(depth=18, width=0.125),
    'TimmBackbone': dict(name='resnet18'),
    'VGG16': dict(width=0.1, sobel=True),
    'VisionTransformer': dict(**VIT, patch_embed='conv'),
    'WideResNet': dict(depth=10, width_factor=1),
    'PreActResNet': dict(width=0.125),
    'CaffeNet': dict(),
}


class _Method(nn.Module):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone


@pytest.mark.parametrize('name', SMALL)
def test_every_backbone_takes_images_with_other_channels(name: str) -> None:
    size = 96 if name in ('AlexNet', 'CaffeNet') else 32
    torch.manual_seed(0)
    backbone = BACKBONES.build(dict(type=name, in_channels=5, **SMALL[name])).train()
    output = backbone(torch.randn(2, 5, size, size))
    total = sum(x.float().sum() for x in ([output] if isinstance(output, torch.Tensor) else output))
    total.backward()
    assert all(p.grad is not None for p in backbone.parameters() if p.requires_grad)


@pytest.mark.parametrize('name', ['ResNet', 'PatchViT', 'VisionTransformer'])
def test_a_registry_of_another_library_builds_other_channels(name: str) -> None:
    backbone = ROOT.build(dict(type=f'mmssl.{name}', in_channels=5, **SMALL[name]))
    assert first_convolution(backbone)[1].in_channels == 5
    with pytest.raises(TypeError, match='in_channel'):
        ROOT.build(dict(type=f'mmssl.{name}', in_channel=5, **SMALL[name]))


@pytest.mark.parametrize('name', ['ResNet', 'PatchViT'])
def test_a_file_tells_the_number_of_channels(name: str) -> None:
    backbone = BACKBONES.build(dict(type=name, in_channels=5, **SMALL[name]))
    found = describe(backbone.state_dict(), num_heads=2)
    assert found['in_channels'] == 5
    BACKBONES.build(found).load_state_dict(backbone.state_dict())


def test_the_output_has_the_scale_of_three_channels() -> None:
    torch.manual_seed(0)
    colour, bands = (BACKBONES.build(dict(type='ResNet', depth=18, in_channels=number)) for number in (3, 12))
    ratio = bands.conv1(torch.randn(4, 12, 32, 32)).std() / colour.conv1(torch.randn(4, 3, 32, 32)).std()
    assert 0.9 < ratio < 1.1


@pytest.mark.parametrize(('number', 'message'), [(0, 'at least 1'), (2.5, 'whole number'), (True, 'whole number')])
def test_impossible_numbers_are_refused(number: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BACKBONES.build(dict(type='ResNet', depth=18, in_channels=number))


def test_a_network_of_lightness_is_refused() -> None:
    with pytest.raises(ValueError, match='does not begin with a convolution of three channels'):
        BACKBONES.build(dict(type='ColorizationNet', width=0.1, in_channels=4))


@pytest.mark.parametrize('number', [1, 6])
def test_public_weights_give_a_grey_image_the_same_output(number: int) -> None:
    colour = ResNet(18, width=0.125)
    other = BACKBONES.build(dict(type='ResNet', depth=18, width=0.125, in_channels=number))
    tensors, change = adapt_channels(other, colour.state_dict())
    assert f'weights for {number}' in change
    other.load_state_dict(tensors)
    grey = torch.randn(2, 1, 32, 32)
    expected = colour.conv1(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(other.conv1(grey.expand(-1, number, -1, -1)), expected, atol=1e-5, rtol=1e-5)
    assert adapt_channels(colour, colour.state_dict())[1] == ''


def test_public_weights_of_a_timm_model_with_maps_are_adapted(tmp_path: Path) -> None:
    file = tmp_path / 'rgb.pth'
    model = dict(type='TimmBackbone', name='vit_tiny_patch16_224', img_size=32, depth=2, embed_dim=48)
    colour = BACKBONES.build(model).eval()
    torch.save(colour.state_dict(), file)
    other = BACKBONES.build(
        model | dict(out_indices=[1], in_channels=1, init_cfg=dict(type='Pretrained', checkpoint=str(file)))
    )
    other.init_weights()
    grey = torch.randn(2, 1, 32, 32)
    expected = colour.model.forward_intermediates(grey.expand(-1, 3, -1, -1), indices=[1], intermediates_only=True)
    torch.testing.assert_close(other.eval()(grey)[0], expected[0], atol=1e-5, rtol=1e-5)


def test_a_transfer_adapts_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / 'rgb.pth'
    torch.save(ResNet(18, width=0.125).state_dict(), file)
    method = _Method(BACKBONES.build(dict(type='ResNet', depth=18, width=0.125, in_channels=4)))
    transfer_weights(method, file)
    weight = method.backbone.conv1.weight
    assert torch.equal(weight[:, 3], weight[:, 0])


def test_mae_reconstructs_bands() -> None:
    model = MAE(
        backbone=dict(type='VisionTransformer', **VIT, patch_size=8, output='tokens', in_channels=5),
        masker=dict(type='UniformMasker', ratio=0.5, patch_size=8),
        neck=dict(type='MAEDecoder', in_channels=48, out_channels=320, grid_size=4, embed_dim=32, depth=1, num_heads=2),
        target=dict(type='PixelTarget', patch_size=8),
        head=dict(type='MaskedMSELoss'),
    )
    loss = model.loss([torch.randn(2, 5, 32, 32)])['loss']
    loss.backward()
    assert model.backbone.patch_embed.proj.weight.grad.shape == (48, 5, 8, 8)


def test_weights_that_timm_has_loaded_are_adapted(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = timm.create_model('resnet18', num_classes=0)
    monkeypatch.setattr(timm, 'create_model', lambda *args, **options: trained)
    colour = trained.conv1.weight.detach().clone()
    backbone = BACKBONES.build(dict(type='TimmBackbone', name='resnet18', pretrained=True, in_channels=4))
    assert torch.equal(backbone.model.conv1.weight[:, 3], 3 / 4 * colour[:, 0])


def test_initial_weights_of_a_file_are_adapted_and_another_number_is_named(tmp_path: Path) -> None:
    colour = ResNet(18, width=0.125)
    torch.save(colour.state_dict(), tmp_path / 'rgb.pth')
    start = dict(type='Pretrained', checkpoint=str(tmp_path / 'rgb.pth'))
    backbone = BACKBONES.build(dict(type='ResNet', depth=18, width=0.125, in_channels=1, init_cfg=start))
    backbone.init_weights()
    torch.testing.assert_close(backbone.conv1.weight, colour.conv1.weight.sum(dim=1, keepdim=True))
    with pytest.raises(UserError, match=r'another first layer: set model.backbone.in_channels=1 in'):
        load_matching(colour, backbone.state_dict(), 'grey.pth')
