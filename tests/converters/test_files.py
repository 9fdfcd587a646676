"""Files of each target, written and loaded by the code that is printed."""

from __future__ import annotations

import importlib
import json
from argparse import Namespace

import pytest
import timm
import torch
from mmengine.registry import MODELS
from safetensors.torch import load_file, save_file

import mmssl
from mmssl.compat.mmcv_ext import provide_mmcv_ops
from mmssl.converters.convert import convert
from mmssl.converters.files import convert_file
from mmssl.models.backbones.beit_vit import BEiTViT
from mmssl.models.backbones.resnet import ResNet
from mmssl.models.backbones.timm_backbone import TimmBackbone
from mmssl.models.backbones.vision_transformer import VisionTransformer
from mmssl.registry import BACKBONES
from mmssl.utils.errors import UserError

ARCH = dict(embed_dim=48, depth=2, num_heads=3)
SWIN = 'swin_tiny_patch4_window7_224'
NARROW = dict(embed_dim=12, depths=(1, 1), num_heads=(1, 2), window_size=8)  # a second stage of 4 x 4 patches
IMAGES = torch.randn(2, 3, 32, 32)


@pytest.fixture
def backbone():
    return VisionTransformer(ARCH, img_size=32, patch_size=8).eval()


@pytest.fixture
def file(backbone, tmp_path):
    """A training checkpoint as MMEngine writes one."""
    cfg = f"model = dict(type='DINO', backbone=dict(type='VisionTransformer', arch={ARCH}, img_size=32, patch_size=8))"
    tensors = {f'backbone.{name}': tensor for name, tensor in backbone.state_dict().items()}
    teacher = {f'teacher.backbone.{name}': torch.zeros_like(x) for name, x in backbone.state_dict().items()}
    path = tmp_path / 'epoch_3.pth'
    torch.save(dict(state_dict=tensors | teacher, meta=dict(cfg=cfg, epoch=3), optimizer={}), path)
    return path


@pytest.fixture(scope='module', autouse=True)
def _imported():
    """The long imports, once and not within a test."""
    provide_mmcv_ops()
    importlib.import_module('mmdet.models')
    importlib.import_module('mmseg.models')


@pytest.mark.parametrize(
    ('target', 'name'),
    [
        ('timm', 'new/vit.pth'),
        ('timm', 'vit.safetensors'),
        ('torchvision', 'vit.pth'),
        ('torchvision', 'vit.safetensors'),
    ],
)
@torch.no_grad()
def test_the_printed_code_loads_the_file(backbone, file, tmp_path, target, name):
    written = convert_file(file, tmp_path / name, target)
    variables: dict = {}
    exec(written.usage, variables)
    torch.testing.assert_close(variables['model'].eval()(IMAGES), backbone(IMAGES), rtol=0, atol=1e-5)
    assert written.source == 'mmssl' and written.num_tensors == len(backbone.state_dict())
    assert not list(tmp_path.rglob('*.tmp'))


@pytest.mark.parametrize('target', ['mmseg', 'mmssl'])
@torch.no_grad()
def test_the_printed_config_loads_the_file(backbone, file, tmp_path, target):
    written = convert_file(file, tmp_path / 'vit.pth', target)
    config = eval(f'dict({written.usage})')['backbone']
    model = MODELS.build(config | dict(type='mmssl.VisionTransformer') if target == 'mmssl' else config)
    model.init_weights()
    model.eval()
    found = model(IMAGES) if target == 'mmssl' else model(IMAGES)[0].mean((2, 3))
    backbone.output = 'cls' if target == 'mmssl' else 'mean'
    torch.testing.assert_close(found, backbone(IMAGES), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    'config',
    [
        dict(type='AdderResNet', depth=50, adder=False, width=0.125),
        dict(type='WindowedViT', arch=ARCH, img_size=32, patch_size=8),
        dict(type='MyResNet', depth=18),
    ],
)
@pytest.mark.parametrize('target', ['timm', 'mmdet'])
def test_a_class_with_the_names_of_another(config, target, tmp_path):
    own = dict(config, type='ResNet') if config['type'] == 'MyResNet' else config
    meta = dict(backbone=config)
    torch.save(dict(state_dict=BACKBONES.build(own).state_dict(), meta=meta), tmp_path / 'in.pth')
    with pytest.raises(UserError, match=f'{target} has no model for {config["type"]}, only for ResNet'):
        convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth', target)
    assert f"type='mmssl.{config['type']}'" in convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth', 'mmssl').usage


@pytest.mark.parametrize('stride', [16, 8])
@torch.no_grad()
def test_a_residual_network_with_dilation(stride, tmp_path):
    config = dict(type='ResNet', depth=50, output_stride=stride)
    backbone = BACKBONES.build(config).eval()
    torch.save(dict(state_dict=backbone.state_dict(), meta=dict(backbone=config)), tmp_path / 'in.pth')
    (features,) = backbone(IMAGES)
    for target in ('timm', 'torchvision', 'mmseg'):
        written = convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth', target)
        if target == 'mmseg':
            model = MODELS.build(eval(f'dict({written.usage})')['backbone'])
            model.init_weights()
            model.eval()
            torch.testing.assert_close(model(IMAGES)[-1], features, rtol=1e-5, atol=1e-5)
        else:
            variables: dict = {}
            exec(written.usage, variables)
            torch.testing.assert_close(variables['model'].eval()(IMAGES), features.mean((2, 3)), rtol=1e-5, atol=1e-5)
    for target, message in (('mmdet', "type='mmssl.ResNet'.* --to mmssl"), ('hf', 'has no dilation: export to timm')):
        with pytest.raises(UserError, match=message):
            convert_file(tmp_path / 'in.pth', tmp_path / ('new' if target == 'hf' else 'new.pth'), target)


@pytest.mark.parametrize('kind', ['mmssl.ResNet', 'ResNet'])  # the second is mmdet's own
@torch.no_grad()
def test_the_backbone_of_a_detector(kind, tmp_path):
    config = dict(type=kind, depth=18, out_indices=(0, 3))
    backbone = MODELS.build(dict(config, type=f'mmdet.{kind}' if kind == 'ResNet' else kind))
    backbone.eval()
    tensors = {f'backbone.{name}': tensor for name, tensor in backbone.state_dict().items()}
    cfg = f"default_scope = 'mmdet'\nmodel = dict(type='FasterRCNN', backbone={config})"
    torch.save(dict(state_dict=tensors, meta=dict(cfg=cfg)), tmp_path / 'epoch_3.pth')
    written = convert_file(tmp_path / 'epoch_3.pth', tmp_path / 'resnet.pth', 'mmssl')
    loaded = MODELS.build(eval(f'dict({written.usage})')['backbone'])
    loaded.init_weights()
    loaded.eval()
    for found in (loaded, mmssl.get_backbone(tmp_path / 'epoch_3.pth')):
        assert not found.training and type(found) is type(backbone)
        for one, other in zip(found(IMAGES), backbone(IMAGES), strict=True):
            torch.testing.assert_close(one, other)


@torch.no_grad()
def test_images_of_five_channels(tmp_path):
    backbone = BACKBONES.build(dict(type='VisionTransformer', arch=ARCH, img_size=32, patch_size=8, in_channels=5))
    torch.save(backbone.state_dict(), tmp_path / 'in.pth')
    images = torch.randn(2, 5, 32, 32)
    expected, variables = backbone.eval()(images), {}
    exec(convert_file(tmp_path / 'in.pth', tmp_path / 'timm.pth', 'timm', num_heads=3).usage, variables)
    torch.testing.assert_close(variables['model'].eval()(images), expected, rtol=0, atol=1e-5)
    usage = convert_file(tmp_path / 'in.pth', tmp_path / 'mmseg.pth', 'mmseg', num_heads=3).usage
    assert MODELS.build(eval(f'dict({usage})')['backbone']).patch_embed.projection.in_channels == 5
    convert_file(tmp_path / 'in.pth', tmp_path / 'hf', 'hf', num_heads=3)
    assert json.loads((tmp_path / 'hf' / 'config.json').read_text())['num_channels'] == 5
    usage = mmssl.convert(tmp_path / 'in.pth', tmp_path / 'vit.pt2', 'torch-export', num_heads=3).usage
    assert 'float32 (N, 5, 32, 32)' in usage
    torch.save(BACKBONES.build(dict(type='ResNet', depth=18, width=0.125, in_channels=5)).state_dict(), tmp_path / 'r')
    assert 'base_channels=8, in_channels=5' in convert_file(tmp_path / 'r', tmp_path / 'r.pth', 'mmdet').usage


def test_the_file_for_mmdet_fills_its_whole_backbone(tmp_path):
    backbone = ResNet(50, width=0.125).eval()
    torch.save(backbone.state_dict(), tmp_path / 'in.pth')
    written = convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth', 'mmdet')
    assert 'stem_channels=8, base_channels=8' in written.usage
    model = MODELS.build(eval(f'dict({written.usage})')['backbone'])
    model.init_weights()
    tensors = model.state_dict()
    assert tensors.keys() == backbone.state_dict().keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in backbone.state_dict().items())


def test_the_folder_for_hugging_face(backbone, file, tmp_path):
    written = convert_file(file, tmp_path / 'new' / 'vit', 'hf')
    assert "ViTModel.from_pretrained('" in written.usage
    assert sorted(path.name for path in (tmp_path / 'new').rglob('*')) == ['config.json', 'model.safetensors', 'vit']
    config = json.loads((tmp_path / 'new/vit/config.json').read_text())
    assert config['architectures'] == ['ViTModel'] and config['num_attention_heads'] == 3
    assert (config['hidden_size'], config['intermediate_size'], config['num_hidden_layers']) == (48, 192, 2)
    tensors = load_file(tmp_path / 'new/vit/model.safetensors')
    own = backbone.state_dict()
    assert len(tensors) == written.num_tensors == len(own) + 2 * 2 * 2  # q, k, v of weight and bias in two blocks
    attention = 'encoder.layer.1.attention'
    assert torch.equal(tensors['embeddings.position_embeddings'], own['pos_embed'])
    assert torch.equal(tensors[f'{attention}.attention.key.weight'], own['blocks.1.attn.qkv.weight'][48:96])
    assert torch.equal(tensors[f'{attention}.output.dense.bias'], own['blocks.1.attn.proj.bias'])
    with pytest.raises(ValueError, match='already exists'):
        convert_file(file, tmp_path / 'new' / 'vit', 'hf')


@torch.no_grad()
def test_hugging_face_loads_the_folder(backbone, file, tmp_path):
    pytest.importorskip('transformers')
    variables: dict = {}
    exec(convert_file(file, tmp_path / 'vit', 'hf').usage, variables)
    found = variables['model'].eval()(IMAGES).last_hidden_state[:, 0]
    torch.testing.assert_close(found, backbone(IMAGES), rtol=0, atol=1e-5)


def test_a_residual_network_for_hugging_face(tmp_path):
    own = ResNet(50, width=0.125).state_dict()
    torch.save(own, tmp_path / 'in.pth')
    convert_file(tmp_path / 'in.pth', tmp_path / 'out', 'hf')
    config = json.loads((tmp_path / 'out/config.json').read_text())
    assert config['layer_type'] == 'bottleneck' and config['depths'] == [3, 4, 6, 3]
    assert config['embedding_size'] == 8 and config['hidden_sizes'] == [32, 64, 128, 256]
    tensors = load_file(tmp_path / 'out/model.safetensors')
    assert len(tensors) == len(own)
    name = 'encoder.stages.3.layers.2.layer.2'
    assert torch.equal(tensors[f'{name}.convolution.weight'], own['layer4.2.conv3.weight'])
    assert torch.equal(tensors[f'{name}.normalization.running_var'], own['layer4.2.bn3.running_var'])
    assert 'encoder.stages.0.layers.0.shortcut.convolution.weight' in tensors


def test_the_teacher_and_any_model_of_timm(file, tmp_path):
    written = convert_file(file, tmp_path / 'out.pth', 'timm', part='teacher.backbone')
    tensors = torch.load(tmp_path / 'out.pth')
    assert len(tensors) == written.num_tensors and not any(tensor.any() for tensor in tensors.values())
    backbone = TimmBackbone('convnext_atto')
    meta = dict(algorithm='SimCLR', checkpoint='epoch_1.pth', backbone=dict(type='TimmBackbone', name='convnext_atto'))
    torch.save(dict(state_dict=backbone.state_dict(), meta=meta), file)
    usage = convert_file(file, tmp_path / 'out.safetensors', 'timm').usage
    assert "timm.create_model('convnext_atto', num_classes=0)" in usage
    exec(usage, {})


def test_files_of_official_codes_with_their_command_line_and_of_other_formats(tmp_path):
    model = timm.models.VisionTransformer(img_size=32, patch_size=8, num_classes=0, **ARCH)
    torch.save(dict(model=model.state_dict(), args=Namespace(blr=1.5e-4), epoch=3), tmp_path / 'mae.pth')
    save_file(model.state_dict(), tmp_path / 'timm.safetensors')
    for name in ('mae.pth', 'timm.safetensors'):
        convert_file(tmp_path / name, tmp_path / 'out.pth', 'mmssl', num_heads=3)
        found = torch.load(tmp_path / 'out.pth')
        assert found['meta']['backbone']['arch'] == dict(**ARCH, mlp_ratio=4.0)
        assert all(torch.equal(found['state_dict'][key], x) for key, x in model.state_dict().items())
    (tmp_path / 'bad.safetensors').write_bytes(b'no')
    with pytest.raises(ValueError, match='bad.safetensors is damaged, or not a safetensors file'):
        convert_file(tmp_path / 'bad.safetensors', tmp_path / 'out.pth', 'mmssl')


def test_a_converted_file_reads_back_as_it_was(tmp_path):
    own = {f'module.encoder_q.{name}': tensor for name, tensor in ResNet(18).state_dict().items()}
    torch.save(dict(state_dict=own), tmp_path / 'in.pth')
    convert_file(tmp_path / 'in.pth', tmp_path / 'out.safetensors', 'torchvision')
    assert convert_file(tmp_path / 'out.safetensors', tmp_path / 'back.pth', 'mmssl').source == 'torchvision'
    back = torch.load(tmp_path / 'back.pth')['state_dict']
    expected = convert(own, 'moco', part='backbone')
    assert back.keys() == expected.keys() and all(torch.equal(back[key], x) for key, x in expected.items())


@torch.no_grad()
def test_a_transformer_whose_last_norm_stands_in_its_head(tmp_path):
    model = timm.models.VisionTransformer(img_size=32, patch_size=8, num_classes=5, global_pool='avg', **ARCH).eval()
    torch.save(dict(model=model.state_dict()), tmp_path / 'mae_finetuned.pth')
    for target in ('timm', 'mmssl'):
        usage = convert_file(tmp_path / 'mae_finetuned.pth', tmp_path / 'out.pth', target, 'mae', num_heads=3).usage
        if target == 'timm':
            variables: dict = {}
            exec(usage, variables)
            tokens = variables['model'].eval().forward_features(IMAGES)
        else:
            config = eval(f'dict({usage})')['backbone'] | dict(type='mmssl.VisionTransformer', output='tokens')
            backbone = MODELS.build(config)
            backbone.init_weights()
            tokens = backbone.eval()(IMAGES)
        torch.testing.assert_close(tokens, model.forward_features(IMAGES), rtol=0, atol=1e-5)


def transformer(**changes):
    return VisionTransformer(ARCH | changes, img_size=32, patch_size=8)


@pytest.mark.parametrize(
    ('make', 'target', 'message'),
    [
        (lambda: ResNet(18, width=0.125), 'timm', 'no residual network of width 0.125'),
        (lambda: ResNet(18, width=0.125), 'torchvision', 'no residual network of width 0.125'),
        (lambda: ResNet(50, width=0.125, width_per_group=128), 'mmdet', "type='mmssl.ResNet'.* --to mmssl"),
        (lambda: ResNet(18, width=0.125, stem='small'), 'mmseg', "type='mmssl.ResNet'.* --to mmssl"),
        (lambda: ResNet(18, width=0.125, stem='small'), 'hf', 'only the ImageNet stem'),
        (lambda: ResNet(18, width=0.125, out_indices=(1,)), 'timm', r'\(2, 2, 0, 0\) blocks .* whole backbone'),
        (transformer, 'timm', 'attention heads of this transformer of width 48 and depth 2.*--num-heads$'),
        (lambda: transformer(embed_dim=384, depth=12), 'timm', r'--num-heads \(one of \[6, 12\]\)'),
        (lambda: VisionTransformer(ARCH, img_size=32, final_norm=False), 'hf', 'always has a norm'),
        (lambda: VisionTransformer(ARCH, img_size=32, final_norm=False), 'torchvision', 'without a norm'),
        (lambda: BEiTViT(ARCH, img_size=32, output='maps', out_indices=(0,)), 'timm', 'lacks norm.weight'),
        (lambda: VisionTransformer(ARCH, img_size=(32, 64)), 'timm', '8 positions do not form a square'),
        (lambda: VisionTransformer(ARCH, img_size=32, conv_stem=True), 'hf', 'no convolutional stem'),
        (lambda: transformer(ffn='swiglu'), 'hf', 'no SwiGLU layers: export to timm'),
        (lambda: transformer(ffn='swiglu'), 'torchvision', 'with SwiGLU layers: export to timm'),
        (lambda: transformer(ffn='swiglu'), 'mmseg', 'no SwiGLU layers .* --to mmssl'),
        (lambda: BEiTViT(ARCH, img_size=32, patch_size=8, layer_scale=0), 'mmseg', 'always scales .* --to mmssl'),
        (lambda: TimmBackbone(SWIN, img_size=32, **NARROW), 'mmdet', 'last stage has smaller windows .* --to mmssl'),
        (lambda: TimmBackbone(SWIN, img_size=32, **NARROW), 'hf', 'last stage has smaller windows'),
        (lambda: BEiTViT(ARCH, img_size=32, patch_size=8), 'torchvision', 'torchvision has no model for BEiTViT'),
        (
            lambda: BACKBONES.build(dict(type='ResNet', depth=18, in_channels=5)),
            'torchvision',
            'takes 5: export to timm',
        ),
        (transformer, 'mmdet', "no model for VisionTransformer, only for ResNet, Swin; write type='mmssl"),
        (lambda: TimmBackbone('convnext_atto'), 'torchvision', 'torchvision has no model for TimmBackbone'),
    ],
)
def test_what_a_target_lacks(make, target, message, tmp_path):
    meta = dict(algorithm='BYOL', checkpoint='epoch_1.pth')
    torch.save(dict(state_dict=make().state_dict(), meta=meta), tmp_path / 'in.pth')
    heads = None if 'heads' in message else 3
    with pytest.raises(ValueError, match=message):
        convert_file(tmp_path / 'in.pth', tmp_path / ('out' if target == 'hf' else 'out.pth'), target, num_heads=heads)
    assert [path.name for path in tmp_path.iterdir()] == ['in.pth']


@pytest.mark.parametrize(
    ('target', 'out', 'message'),
    [
        ('timm', 'vit', 'ends in .pth or .safetensors'),
        ('mmdet', 'r50.safetensors', 'ends in .pth, got'),
        ('hf', 'vit.pth', 'hf reads a folder'),
        ('mmpose', 'vit.pth', "'mmpose'"),
    ],
)
def test_a_file_that_the_target_cannot_read(target, out, message, tmp_path):
    torch.save(ResNet(18, width=0.125).state_dict(), tmp_path / 'in.pth')
    with pytest.raises(ValueError, match=message):
        convert_file(tmp_path / 'in.pth', tmp_path / out, target)


def test_a_checkpoint_is_not_replaced_by_its_conversion(file, tmp_path):
    before = file.read_bytes()
    (tmp_path / 'link.pth').symlink_to(file)
    for out in (file, tmp_path / 'link.pth'):
        with pytest.raises(UserError, match='is the file to convert, and would be lost'):
            convert_file(file, out, 'mmssl')
    assert file.read_bytes() == before


@pytest.mark.parametrize('part', ['neck', '', 'backbone.blocks', 5])
def test_a_part_that_is_no_backbone(part, file, tmp_path):
    content = torch.load(file, weights_only=True)
    content['state_dict'] = {
        **{name: x for name, x in content['state_dict'].items() if name.startswith('backbone.')},
        'neck.layers.0.weight': torch.zeros(2, 48),
    }
    torch.save(content, file)
    with pytest.raises(UserError, match="part must be one of backbone, teacher.backbone, all|no tensor under '5'"):
        convert_file(file, tmp_path / 'out.pth', 'mmssl', part=part)
    assert not (tmp_path / 'out.pth').exists()


@pytest.mark.parametrize(
    ('heads', 'message'),
    [
        (4, 'contradicts the config in the checkpoint, which has 3 heads: omit it'),
        (5, 'num_heads=5 does not divide the width 48'),
        (0, 'whole number of at least 1, got 0'),
        ('3', "whole number of at least 1, got '3'"),
    ],
)
@pytest.mark.parametrize('target', ['mmssl', 'timm'])
def test_numbers_of_heads_that_do_not_fit(target, heads, message, file, tmp_path):
    with pytest.raises(UserError, match=message):
        convert_file(file, tmp_path / 'out.pth', target, num_heads=heads)
    assert convert_file(file, tmp_path / 'out.pth', target, num_heads=3)


def test_a_file_without_names(tmp_path):
    torch.save([torch.zeros(1)], tmp_path / 'in.pth')
    with pytest.raises(UserError, match='contains a list instead of tensors by name'):
        convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth', 'timm')
    with pytest.raises(UserError, match='to must be one of .*, got None'):
        mmssl.convert(tmp_path / 'in.pth', tmp_path / 'out.pth', None)
