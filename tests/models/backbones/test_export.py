"""Every backbone can be exported once for all batch sizes."""

import pytest
import torch

import mmssl.models  # noqa: F401  # registers the backbones
from mmssl.registry import BACKBONES

_VIT = dict(arch=dict(embed_dim=24, depth=2, num_heads=2), img_size=32, patch_size=8)
_HIVIT = dict(arch=dict(embed_dim=24, depths=(1, 1, 1), num_heads=2), img_size=64)
_CONVVIT = dict(arch=dict(dims=(8, 8, 16), depths=(1, 1, 2), num_heads=2), img_size=64)
SMALL = {  # others are built by their defaults
    'AMDIMEncoder': [dict(width=4, out_channels=32, num_units=1, img_size=64)],
    'AdaptedInput': [dict(network=dict(type='ResNet', depth=18, width=0.125, stem='small'))],
    'AlexNet': [dict(channels=(8, 8, 8, 8, 8), stem='small', sobel=True)],
    'BEiTViT': [_VIT],
    'CAEViT': [_VIT],
    'CAPIViT': [dict(arch=_VIT['arch'], patch_size=8, registers=4)],
    'ConvViT': [_CONVVIT],
    'GroupedSwin': [
        dict(
            name='swin_tiny_patch4_window7_224',
            img_size=64,
            embed_dim=12,
            depths=(2, 1),
            num_heads=(1, 2),
            window_size=4,
        )
    ],
    'HiViT': [dict(_HIVIT, position=dict(bias='table')), dict(_HIVIT, output='maps')],
    'NIN': [dict(width=0.125)],
    'PatchViT': [_VIT],
    'PreActResNet': [dict(width=0.125)],
    'PixelTransformer': [dict(arch=_VIT['arch'], img_size=8, num_colors=8)],
    'ResNet': [dict(depth=18, width=0.125, stem='small')],
    'TimmBackbone': [dict(name='resnet10t')],
    'VGG16': [dict(width=0.125)],
    'VisionTransformer': [
        dict(_VIT, output='mean', position=dict(resample='dino'), img_size=64),
    ],
    'WideResNet': [dict(depth=10, width_factor=1)],
    'WindowedConvViT': [dict(_CONVVIT, window_size=2)],
    'WindowedHiViT': [dict(_HIVIT, window_size=2)],
    'WindowedViT': [dict(_VIT, window_size=2, global_indices=[1], relative_size=4)],
}
CASES = [
    pytest.param(name, options, id=f'{name}{number}')
    for name, cls in BACKBONES.members.items()
    if cls.__module__.startswith('mmssl.')
    for number, options in enumerate(SMALL.get(name, [{}]))
]


@pytest.mark.parametrize(('name', 'options'), CASES)
def test_the_batch_size_stays_free(name, options):
    torch.manual_seed(0)
    backbone = BACKBONES.build(dict(type=name, **options)).eval()
    images = torch.randn(3, 3, 64, 64)
    batch = torch.export.Dim('batch', min=2, max=64)
    exported = torch.export.export(backbone, (images[:2],), dynamic_shapes=({0: batch},)).module()
    torch.testing.assert_close(exported(images), backbone(images), rtol=1e-4, atol=1e-4)
