"""Public weights, made here from their names and shapes: Hugging Face, CLIP, timm by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from mmengine.model import ImgDataPreprocessor
from timm.models.vision_transformer import checkpoint_filter_fn
from torch import Tensor, nn

from mmssl.converters import public
from mmssl.converters.convert import convert
from mmssl.converters.detect import detect_source
from mmssl.converters.files import convert_backbone
from mmssl.converters.public import find_public, load_public
from mmssl.converters.transfer import transfer_weights
from mmssl.models.backbones.resnet import ResNet
from mmssl.models.backbones.timm_backbone import TimmBackbone
from mmssl.models.backbones.vision_transformer import VisionTransformer
from mmssl.models.preprocessing.selfsup_data_preprocessor import SelfSupDataPreprocessor
from mmssl.registry import BACKBONES
from mmssl.utils.errors import UserError

SMALL = dict(embed_dim=48, depth=2, num_heads=3)
CLIP = 'vit_base_patch16_clip_quickgelu_224'


class _Method(nn.Module):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone


def _clip() -> dict[str, Tensor]:
    """The names of OpenAI's image tower, and some of the text tower."""
    dim = SMALL['embed_dim']
    shapes = {'conv1.weight': (dim, 3, 16, 16), 'class_embedding': (dim,), 'positional_embedding': (5, dim)}
    shapes |= {f'ln_{place}.{kind}': (dim,) for place in ('pre', 'post') for kind in ('weight', 'bias')}
    shapes['proj'] = (dim, 32)
    for index in range(SMALL['depth']):
        block = f'transformer.resblocks.{index}'
        for name, rows, columns in (('attn.in_proj_', 3, 1), ('attn.out_proj.', 1, 1), ('mlp.c_fc.', 4, 1)):
            shapes |= {f'{block}.{name}weight': (rows * dim, columns * dim), f'{block}.{name}bias': (rows * dim,)}
        shapes |= {f'{block}.mlp.c_proj.weight': (dim, 4 * dim), f'{block}.mlp.c_proj.bias': (dim,)}
        shapes |= {f'{block}.ln_{n}.{kind}': (dim,) for n in (1, 2) for kind in ('weight', 'bias')}
    tensors = {f'visual.{name}': torch.randn(shape) for name, shape in shapes.items()}
    others = ('logit_scale', 'token_embedding.weight', 'transformer.resblocks.0.ln_1.weight', 'text_projection')
    return tensors | {name: torch.zeros(2, 2) for name in others}


@pytest.mark.parametrize('backbone', [VisionTransformer(SMALL, img_size=32), ResNet(18), ResNet(50, width=0.25)])
def test_a_folder_of_hugging_face_gives_the_network_that_was_exported(backbone: nn.Module) -> None:
    exported = convert_backbone(backbone.state_dict(), 'hf', num_heads=3).tensors
    assert detect_source(exported) == 'hf'
    own = convert(exported, 'hf', 'backbone')
    for name, tensor in backbone.state_dict().items():
        if not name.endswith('num_batches_tracked'):
            assert torch.equal(own[name], tensor), name
    classifier = {f'vit.{name}': tensor for name, tensor in exported.items()} | {'classifier.bias': torch.zeros(2)}
    if isinstance(backbone, VisionTransformer):
        assert convert(classifier, 'hf', 'backbone').keys() == own.keys()


def test_dinov2_of_hugging_face_has_scales_and_registers() -> None:
    names = {
        'embeddings.mask_token': None,
        'embeddings.register_tokens': 'backbone.reg_token',
        'encoder.layer.3.layer_scale2.lambda1': 'backbone.blocks.3.ls2.gamma',
        'encoder.layer.3.mlp.weights_in.bias': 'backbone.blocks.3.mlp.fc1.bias',
        'encoder.layer.3.norm1.weight': 'backbone.blocks.3.norm1.weight',
    }
    tensors = {f'dinov2.{name}': torch.zeros(2) for name in names}
    assert convert(tensors, 'hf').keys() == {name for name in names.values() if name}


def test_the_tower_of_clip_is_that_of_timm() -> None:
    tensors, model = _clip(), timm.create_model(CLIP, img_size=32, num_classes=0, **SMALL)
    assert detect_source(tensors) == 'clip'
    expected = checkpoint_filter_fn(dict(tensors), model)
    own = convert(tensors, 'clip', 'backbone')
    for name in model.state_dict():
        assert torch.equal(own[f'model.{name}'], expected[name]), name


def test_clip_goes_into_the_backbone_of_timm_and_no_other(tmp_path: Path) -> None:
    torch.save(_clip(), tmp_path / 'clip.pt')
    tower = TimmBackbone(CLIP, img_size=32, **SMALL)
    transfer_weights(_Method(tower), tmp_path / 'clip.pt')
    assert torch.equal(tower.model.norm_pre.weight, torch.load(tmp_path / 'clip.pt')['visual.ln_pre.weight'])
    with pytest.raises(UserError, match='holds a TimmBackbone, the config has a VisionTransformer'):
        transfer_weights(_Method(VisionTransformer(SMALL, img_size=32)), tmp_path / 'clip.pt')


def test_a_file_of_timm_goes_into_both_backbones(tmp_path: Path) -> None:
    model = timm.create_model('vit_tiny_patch16_224', img_size=32, **SMALL)
    torch.save(model.state_dict(), tmp_path / 'vit.pth')
    for backbone, name in (
        (VisionTransformer(SMALL, img_size=32), 'norm.weight'),
        (TimmBackbone('vit_tiny_patch16_224', img_size=32, **SMALL), 'model.norm.weight'),
    ):
        nn.init.zeros_(backbone.get_parameter(name))
        transfer_weights(_Method(backbone), tmp_path / 'vit.pth')
        assert torch.equal(backbone.get_parameter(name), model.norm.weight)


def test_registers_of_timm_have_no_position_of_the_class_token(tmp_path: Path) -> None:
    model = timm.create_model('vit_base_patch14_reg4_dinov2', img_size=28, num_classes=0, **SMALL).eval()
    backbone = convert_backbone(model.state_dict(), 'mmssl', num_heads=3)
    own = BACKBONES.build(backbone.config)
    own.load_state_dict(backbone.tensors)
    images = torch.randn(2, 3, 28, 28)
    assert torch.equal(own.eval()(images), model(images))
    again = convert_backbone(model.state_dict(), 'timm', num_heads=3).tensors
    assert again.keys() == model.state_dict().keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in model.state_dict().items())


def test_a_classifier_of_timm_stays_behind(tmp_path: Path) -> None:
    model = timm.create_model('convnext_atto', depths=(1, 1, 1, 1), dims=(8, 8, 8, 8))
    torch.save(model.state_dict(), tmp_path / 'convnext.pth')
    backbone = TimmBackbone('convnext_atto', depths=(1, 1, 1, 1), dims=(8, 8, 8, 8))
    transfer_weights(_Method(backbone), tmp_path / 'convnext.pth')
    assert torch.equal(backbone.model.head.norm.weight, model.head.norm.weight)


@pytest.mark.parametrize(
    ('mean', 'std', 'options', 'warns'),
    [
        ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), dict(bgr_to_rgb=True), False),
        ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), {}, True),
        ((103.53, 116.28, 123.675), (1.0, 1.0, 1.0), dict(bgr_to_rgb=True), True),
    ],
)
def test_normalization_of_detectors(
    monkeypatch: pytest.MonkeyPatch, mean: tuple, std: tuple, options: dict, warns: bool
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(public, 'print_log', lambda message, **kwargs: lines.append(message))
    model = _Method(nn.Identity())
    model.data_preprocessor = ImgDataPreprocessor(mean, std, **options)
    public.warn_of_normalization(model, 'timm://resnet50.a1_in1k')
    assert len(lines) == warns and all(line.endswith('bgr_to_rgb=True') for line in lines)


def test_normalization_of_a_pretraining(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(public, 'print_log', lambda message, **kwargs: lines.append(message))
    model = _Method(nn.Identity())
    model.data_preprocessor = SelfSupDataPreprocessor()
    unit = "dict(type='SelfSupDataPreprocessor', mean=[0, 0, 0], std=[255, 255, 255])"
    whole = dict(meta=dict(cfg=f'model = dict(data_preprocessor={unit})'))
    public.warn_of_normalization(model, 'epoch_1.pth', whole)
    assert 'set model.data_preprocessor.mean=[0, 0, 0] model.data_preprocessor.std=[255, 255, 255]' in lines[0]
    for same in (dict(meta=dict(data_preprocessor=dict(type='SelfSupDataPreprocessor'))), dict(meta={}), {}):
        public.warn_of_normalization(model, 'epoch_1_backbone.pth', same)
    assert len(lines) == 1


def test_names_of_timm_folders_and_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_public('vit_small_patch16_224.dino') == 'timm://vit_small_patch16_224.dino'
    with pytest.raises(UserError, match=r"no weights 'vit_small_patch16_224.dinoo'; of this model it has .*dino"):
        find_public('vit_small_patch16_224.dinoo')
    with pytest.raises(UserError, match="checkpoint 'none.pth' does not exist"):
        find_public('none.pth')
    with pytest.raises(UserError, match='has no model.safetensors'):
        find_public(tmp_path)
    (tmp_path / 'model.safetensors.index.json').write_bytes(b'')
    assert find_public(tmp_path) == str(tmp_path / 'model.safetensors.index.json')
    (tmp_path / 'pytorch_model.bin').write_bytes(b'')
    assert find_public(tmp_path) == str(tmp_path / 'pytorch_model.bin')

    class _Fetched(nn.Linear):
        pass

    monkeypatch.setattr(timm, 'create_model', lambda name, pretrained, num_classes: _Fetched(1, 1))
    assert load_public('timm://vit_small_patch16_224.dino').keys() == {'weight', 'bias'}

    def fails(*args: object, **kwargs: object) -> None:
        raise RuntimeError('no network')

    monkeypatch.setattr(timm, 'create_model', fails)
    with pytest.raises(UserError, match='neither in its cache nor can they be fetched.*no network'):
        load_public('timm://vit_small_patch16_224.dino')
