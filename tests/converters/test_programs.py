"""Backbones as ONNX and ``torch.export`` programs: the outputs for batches of another size, and refusals."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import mmssl
from mmssl.converters import programs
from mmssl.converters.programs import export_program, write_program
from mmssl.models.backbones import adder_resnet, preact_resnet
from mmssl.models.layers.adder2d import adder2d, adder2d_of_plain_operations
from mmssl.registry import BACKBONES
from mmssl.utils.errors import UserError

# An export takes longer with every operation: each network has the fewest blocks with all kinds of operations.
_ARCH = dict(embed_dim=24, depth=1, num_heads=2)
_VIT = dict(arch=_ARCH, img_size=16, patch_size=8)
_HIVIT = dict(arch=dict(embed_dim=64, depths=(1, 1, 1), num_heads=1), img_size=32)
_CONVVIT = dict(arch=dict(dims=(8, 16, 32), depths=(1, 1, 1), num_heads=2), img_size=32)
BACKBONE_CONFIGS = {
    'AMDIMEncoder': (dict(width=4, out_channels=16, num_units=1, img_size=32), 32),
    'AdaptedInput': (
        dict(network=dict(type='LeNet5BN', adder=False, width=0.5), steps=[dict(type='FitImages', size=32)]),
        32,
    ),
    'AdderResNet': (dict(depth=20, width=0.25, out_indices=(0,)), 8),
    'AdderVGG': (dict(width=0.0625, out_indices=(0,)), 8),
    'AlexNet': (dict(channels=(8, 8, 8, 8, 8), stem='small', sobel=True), 32),
    'BEiTViT': (_VIT, 16),
    'CAEViT': (_VIT, 16),
    'CAPIViT': (dict(arch=_ARCH, patch_size=8, registers=4), 16),
    'CaffeNet': (dict(groups=2, out_indices=(1,)), 32),
    'ColorizationNet': (dict(width=0.0625), 32),
    'ContextEncoderNet': (dict(width=0.0625), 32),
    'ConvViT': (_CONVVIT, 32),
    'GroupedSwin': (
        dict(
            name='swin_tiny_patch4_window7_224',
            img_size=32,
            window_size=4,
            embed_dim=12,
            depths=(2, 1),
            num_heads=(1, 2),
        ),
        32,
    ),
    'HiViT': (_HIVIT | dict(position_bias='table'), 32),
    'LeNet5BN': (dict(width=0.5, out_indices=(0,)), 32),
    'NIN': (dict(width=0.0625), 16),
    'PatchViT': (_VIT, 16),
    'PixelTransformer': (dict(arch=_ARCH, img_size=8, num_colors=8), 8),
    'PreActResNet': (dict(width=0.125), 32),
    'ResNet': (dict(depth=10, width=0.125, stem='small', out_indices=(0, 1, 2, 3)), 16),
    'TimmBackbone': (
        dict(
            name='swin_tiny_patch4_window7_224',
            img_size=32,
            patch_size=4,
            window_size=4,
            embed_dim=12,
            depths=(1, 1),
            num_heads=(1, 2),
        ),
        32,
    ),
    'VGG16': (dict(width=0.0625), 32),
    'VisionTransformer': (dict(_VIT, output='mean', position=dict(resample='dino')), 24),
    'WideResNet': (dict(depth=10, width_factor=1), 16),
    'WindowedConvViT': (dict(_CONVVIT, window_size=2), 32),
    'WindowedHiViT': (_HIVIT | dict(window_size=2), 32),
    'WindowedViT': (
        _VIT | dict(arch=_ARCH | dict(depth=2), img_size=32, window_size=2, global_indices=(1,), relative_size=4),
        32,
    ),
}


@pytest.fixture(autouse=True)
def _one_block_per_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    block, _, channels = adder_resnet.DEPTHS[20]
    monkeypatch.setitem(adder_resnet.DEPTHS, 20, (block, (1, 1, 1), channels))
    monkeypatch.setitem(preact_resnet.DEPTHS, 50, (1, 1, 1, 1))


@pytest.fixture(scope='module')
def programs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('programs')


@pytest.mark.skipif(find_spec('onnxruntime') is None or find_spec('onnxscript') is None, reason='needs ONNX')
@pytest.mark.parametrize('name', mmssl.list_backbones())
def test_every_backbone_is_an_onnx_program_for_batches_of_any_size(name: str, programs_folder: Path) -> None:
    """``write_program`` itself compares three images with the backbone; one image here."""
    options, size = BACKBONE_CONFIGS[name]
    backbone = BACKBONES.build(dict(type=name, **options)).eval()
    for tensor in [*backbone.parameters(), *backbone.buffers()]:
        if tensor.is_floating_point():
            tensor.data += 0.1 * torch.rand_like(tensor)  # so that no table or bias is 0
    file = programs_folder / f'{name}.onnx'
    assert str(file) in write_program(backbone, file, 'onnx', size)
    images = torch.randn(1, 3, size, size)
    expected = backbone(images)
    (found, *_) = programs._run_onnx(file, images)
    first = expected if isinstance(expected, Tensor) else expected[0]
    torch.testing.assert_close(found, first.detach(), atol=1e-4, rtol=1e-4)


def test_torch_export_needs_no_operator_of_mmssl(tmp_path: Path) -> None:
    backbone = BACKBONES.build(dict(type='AdderVGG', width=0.0625, out_indices=(0,)))
    usage = write_program(backbone, tmp_path / 'adder.pt2', 'torch-export', 8)
    exported = torch.export.load(tmp_path / 'adder.pt2')
    assert (
        not [node for node in exported.graph.nodes if 'mmssl' in str(node.target)] and "adder.pt2').module()" in usage
    )
    images = torch.randn(5, 3, 8, 8)
    torch.testing.assert_close(exported.module()(images)[0], backbone(images)[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(('stride', 'padding'), [(1, 1), (2, 0), (3, 2)])
def test_plain_operations_are_the_adder(stride: int, padding: int) -> None:
    images, filters = torch.randn(2, 3, 7, 6).double(), torch.randn(4, 3, 3, 3).double()
    expected = adder2d(images, filters, stride, padding)
    torch.testing.assert_close(adder2d_of_plain_operations(images, filters, stride, padding), expected)


class _Branches(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images * 2 if images.sum() > 0 else images


def test_what_cannot_be_exported_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match='_Branches cannot be exported: '):
        export_program(_Branches(), 8)
    backbone = BACKBONES.build(dict(type='NIN', width=0.0625))
    with pytest.raises(UserError, match='a file that ends in .onnx'):
        write_program(backbone, tmp_path / 'x.pth', 'onnx', 16)
    with pytest.raises(UserError, match='Sequential does not take images of 1 pixels .* name another size'):
        export_program(nn.Sequential(nn.Conv2d(3, 3, 5)), 1)
    monkeypatch.setattr(programs, 'find_spec', lambda name: None)
    with pytest.raises(UserError, match='ONNX needs onnx and onnxscript: pip install'):
        write_program(backbone, tmp_path / 'x.onnx', 'onnx', 16)
    with pytest.raises(UserError, match='differs from the output of the backbone by'):
        programs._compare([torch.zeros(2)], [torch.full((2,), 1e-3)], tmp_path / 'x.onnx')


def test_a_program_with_other_outputs_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, 'TOLERANCE', -1.0)
    backbone = BACKBONES.build(dict(type='NIN', width=0.0625))
    with pytest.raises(UserError, match='differs from the output of the backbone'):
        write_program(backbone, tmp_path / 'nin.pt2', 'torch-export', 32)
    assert not list(tmp_path.iterdir())
