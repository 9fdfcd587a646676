from __future__ import annotations

import pytest
import torch

from mmssl.checkpoints.content import known_config
from mmssl.converters.architecture import describe, kind
from mmssl.models.backbones.adder_resnet import AdderResNet
from mmssl.models.backbones.adder_vgg import AdderVGG
from mmssl.models.backbones.alexnet import AlexNet
from mmssl.models.backbones.beit_vit import BEiTViT
from mmssl.models.backbones.capi_vit import CAPIViT
from mmssl.models.backbones.hivit import HiViT
from mmssl.models.backbones.lenet5_bn import LeNet5BN
from mmssl.models.backbones.nin import NIN
from mmssl.models.backbones.preact_resnet import PreActResNet
from mmssl.models.backbones.resnet import ResNet
from mmssl.models.backbones.timm_backbone import TimmBackbone
from mmssl.models.backbones.vgg16 import VGG16
from mmssl.models.backbones.vision_transformer import VisionTransformer
from mmssl.models.backbones.wide_resnet import WideResNet
from mmssl.registry import BACKBONES

ARCH = dict(embed_dim=48, depth=3, num_heads=3, mlp_ratio=2.0)
CHANNELS = (4, 8, 8, 12, 16)
HIVIT = dict(embed_dim=64, depths=(2, 1, 3), num_heads=1)
SWIN = dict(name='swin_tiny_patch4_window7_224', embed_dim=12, depths=(1, 2, 1), num_heads=(1, 2, 3))


@pytest.mark.parametrize(
    ('backbone', 'options'),
    [
        (ResNet, dict(depth=18, width=0.125)),
        (ResNet, dict(depth=34, width=0.25, stem='small')),
        (ResNet, dict(depth=50, width=0.125, width_per_group=128)),
        (ResNet, dict(depth=101, width=0.125)),
        (AdderResNet, dict(depth=20, width=0.25, stem='small')),
        (AdderResNet, dict(depth=50, width=0.125, stem='imagenet')),
        (AdderVGG, dict(width=0.0625)),
        (LeNet5BN, dict(width=2)),
        (VisionTransformer, dict(arch=ARCH, img_size=48, patch_size=8)),
        (VisionTransformer, dict(arch=ARCH, img_size=64, conv_stem=True)),
        (VisionTransformer, dict(arch=ARCH, img_size=48, patch_size=8, final_norm=False)),
        (BEiTViT, dict(arch=ARCH, img_size=48, patch_size=8, relative_table='per-block')),
        (BEiTViT, dict(arch=ARCH, img_size=48, patch_size=8, relative_table='shared', layer_scale=0)),
        (CAPIViT, dict(arch=ARCH, patch_size=8, registers=8)),
        (HiViT, dict(arch=HIVIT, img_size=64)),
        (HiViT, dict(arch=HIVIT, img_size=32, stem_stride=2, position_bias='table', layer_scale=0.1)),
        (HiViT, dict(arch=HIVIT, img_size=64, position_bias='axis')),
        (HiViT, dict(arch=HIVIT | dict(mlp_ratio=3.0, fast=True), img_size=64)),
        (AlexNet, dict(channels=CHANNELS, sobel=True, fc=dict(width=12, norm=False), img_size=64)),
        (AlexNet, dict(channels=CHANNELS, stem='small', fc=dict(width=12, norm=True), img_size=32)),
        (VGG16, dict(width=0.125, sobel=False, fc=dict(width=12, norm=False), img_size=64)),
        (NIN, dict(num_stages=3, width=0.125)),
        (WideResNet, dict(depth=10, width_factor=2, variant='zagoruyko')),
        (WideResNet, dict(depth=14, width_factor=1, variant='madry')),
        (PreActResNet, dict(depth=50, width=0.125)),
        (TimmBackbone, dict(**SWIN, img_size=64, patch_size=2, window_size=8)),
        (TimmBackbone, dict(**SWIN, img_size=64, patch_size=4, window_size=8)),
    ],
)
def test_a_backbone_can_be_built_again_from_its_tensors(backbone, options):
    tensors = backbone(**options).state_dict()
    described = describe(tensors, num_heads=3)
    assert kind(tensors) == {'TimmBackbone': 'Swin'}.get(backbone.__name__, backbone.__name__)
    assert {name: value for name, value in described.items() if name in options and name != 'layer_scale'} == {
        name: value for name, value in options.items() if name != 'layer_scale'
    }
    again = BACKBONES.build(described).state_dict()
    assert {name: x.shape for name, x in again.items()} == {name: x.shape for name, x in tensors.items()}


def test_usual_sizes_have_their_names_and_heads():
    with torch.device('meta'):
        for arch in ('tiny', 'base', 'itpn-base', 'itpn-large', 'fast-itpn-small'):
            assert describe(HiViT(arch).state_dict())['arch'] == arch
        assert describe(VisionTransformer('large').state_dict())['arch']['num_heads'] == 16
        small = VisionTransformer('mocov3-small').state_dict()
    assert describe(small, known=dict(arch='mocov3-small'))['arch']['num_heads'] == 12
    assert describe(small, known=dict(arch=dict(num_heads=6)))['arch']['num_heads'] == 6
    with pytest.raises(ValueError, match='the number of attention heads'):
        describe(small)


def test_what_a_checkpoint_says_of_its_backbone():
    config = dict(type='ResNet', depth=18)
    assert known_config(dict(meta=dict(cfg=f'model = dict(type="BYOL", backbone={config})'))) == config
    assert known_config(dict(meta=dict(backbone=config))) == config
    detector = f"default_scope = 'mmdet'\nmodel = dict(backbone={config})"
    assert known_config(dict(meta=dict(cfg=detector))) == dict(config, type='mmdet.ResNet')
    assert known_config(dict(meta=dict(cfg=detector.replace("'ResNet'", "'mmssl.ResNet'")))) == config
    for meta in (None, {}, dict(cfg='model = None'), dict(cfg='max_epochs = 3'), dict(cfg='model = f(x)')):
        assert known_config(dict(meta=meta)) is None
