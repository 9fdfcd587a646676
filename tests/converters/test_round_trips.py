"""A file of every source, written for every target, gives the features of the model that it was made from."""

from __future__ import annotations

import itertools
import re
from functools import cache
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from mmengine.registry import MODELS
from torch import Tensor, nn

from mmssl.compat.mmcv_ext import provide_mmcv_ops
from mmssl.converters import LIBRARIES
from mmssl.converters.files import convert_backbone
from mmssl.models.backbones.capi_vit import CAPIViT
from mmssl.models.backbones.conv_vit import ConvViT
from mmssl.models.backbones.hivit import HiViT
from mmssl.models.layers.pooling import to_vector
from mmssl.registry import ALGORITHMS

SMALL = dict(img_size=32, patch_size=8, embed_dim=48, depth=2, num_heads=3)
# mmdet and mmseg shift windows even where a map is one window, the others do not: one block there.
SWIN = dict(img_size=32, patch_size=2, window_size=4, embed_dim=12, depths=(1, 2, 1), num_heads=(1, 2, 3))
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))

# What precedes the names of the backbone in a file of the source, and a tensor that is none of the backbone's.
FILES = {
    ('torchvision', 'ResNet'): ('', 'fc.bias'),
    ('timm', 'ResNet'): ('', 'fc.bias'),
    ('mocov3', 'ResNet'): ('module.base_encoder.', 'module.predictor.0.weight'),
    ('moco', 'ResNet'): ('module.encoder_q.', 'module.queue'),
    ('simsiam', 'ResNet'): ('module.encoder.', 'module.predictor.0.weight'),
    ('care', 'ResNet'): ('module.student_encoder.', 'module.teacher_encoder.conv1.weight'),
    ('barlowtwins', 'ResNet'): ('module.backbone.', 'module.bn.weight'),
    ('vicreg', 'ResNet'): ('module.backbone.', 'module.projector.0.bias'),
    ('a2mim', 'ResNet'): ('backbone.', 'neck.decoder_pred.0.bias'),
    ('dino', 'ResNet'): ('student.module.backbone.', 'teacher.head.mlp.0.weight'),
    ('mmssl', 'ResNet'): ('backbone.', 'neck.layers.0.weight'),
    ('torchvision', 'VisionTransformer'): ('', 'heads.head.bias'),
    ('timm', 'VisionTransformer'): ('', 'head.bias'),
    ('mocov3', 'VisionTransformer'): ('module.base_encoder.', 'module.predictor.0.weight'),
    ('dino', 'VisionTransformer'): ('student.module.backbone.', 'teacher.head.mlp.0.weight'),
    ('mae', 'VisionTransformer'): ('', 'decoder_embed.weight'),
    ('mmssl', 'VisionTransformer'): ('backbone.', 'teacher.backbone.cls_token'),
    ('ijepa', 'PatchViT'): ('encoder.module.', 'predictor.module.predictor_proj.bias'),
    ('mmssl', 'PatchViT'): ('backbone.', 'neck.predict.bias'),
    ('mmssl', 'ConvViT'): ('backbone.', 'neck.norm.bias'),
    ('cae', 'CAEViT'): ('encoder.', 'pretext_neck.norm2.bias'),
    ('mmssl', 'CAEViT'): ('backbone.', 'neck.norm.bias'),
    ('mmssl', 'CAPIViT'): ('backbone.', 'neck.mask_token'),
    ('beit', 'BEiTViT'): ('', 'lm_head.bias'),
    ('simmim', 'BEiTViT'): ('encoder.', 'decoder.0.bias'),
    ('mmssl', 'BEiTViT'): ('backbone.', 'neck.layer.bias'),
    ('greenmim', 'Swin'): ('encoder.', 'decoder_embed.bias'),
    ('simmim_swin', 'Swin'): ('encoder.', 'decoder.0.bias'),
    ('mmssl', 'Swin'): ('backbone.model.', 'neck.layers.0.bias'),
    ('maskfeat', 'VisionTransformer'): ('', 'pred_head.projections.0.bias'),
    ('hivit', 'HiViT'): ('', 'decoder_pred.bias'),
    ('itpn', 'HiViT'): ('', 'decoder_pred.bias'),
    ('itpn_clip', 'HiViT'): ('', 'lm_head.bias'),
    ('fast_itpn', 'HiViT'): ('', 'head.bias'),
}
LACKING = {
    *itertools.product(('mmdet',), ('VisionTransformer', 'BEiTViT')),
    *itertools.product(('torchvision',), ('BEiTViT', 'Swin')),
    *itertools.product(('hf', 'mmdet', 'mmseg', 'torchvision'), ('PatchViT', 'CAEViT')),
    *itertools.product(('hf', 'mmdet', 'mmseg', 'timm', 'torchvision'), ('CAPIViT', 'HiViT', 'ConvViT')),
}


@cache
def original(library: str, kind: str) -> nn.Module:
    """A model of random weights as the authors of a file had it, timm's transformer except in torchvision's files."""
    torch.manual_seed(1)
    if kind == 'ResNet':
        model = torchvision.models.resnet18()
    elif kind == 'BEiTViT':
        tables = dict(use_rel_pos_bias=library == 'beit', use_shared_rel_pos_bias=library != 'beit')
        options = dict(init_values=0.1, use_abs_pos_emb=False, global_pool='token', num_classes=0)
        model = timm.models.beit.Beit(**SMALL, **options, **tables)
    elif kind == 'CAEViT':
        model = timm.models.beit.Beit(**SMALL, init_values=0.1, global_pool='token', num_classes=0)
    elif kind == 'CAPIViT':
        model = CAPIViT(dict(embed_dim=48, depth=2, num_heads=3), patch_size=8, registers=4)
    elif kind == 'ConvViT':
        model = ConvViT(dict(dims=(8, 12, 24), depths=(1, 2, 2), num_heads=3), img_size=32)
    elif kind == 'HiViT':  # the official names, for which there is no other library
        is_fast = dict(fast=True, mlp_ratio=3.0) if library == 'fast_itpn' else {}
        model = HiViT(dict(embed_dim=64, depths=(1, 1, 2), num_heads=1, **is_fast), img_size=32, output='mean')
    elif kind == 'Swin':
        model = timm.create_model('swin_tiny_patch4_window7_224', num_classes=0, **SWIN)
    elif library == 'torchvision':
        model = torchvision.models.VisionTransformer(32, 8, 2, 3, 48, 192)
    else:
        options = dict(class_token=False, global_pool='avg', fc_norm=False) if kind == 'PatchViT' else {}
        model = timm.models.VisionTransformer(**SMALL, num_classes=0, **options)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(
                torch.rand_like(tensor) + 0.5 if tensor.ndim == 1 else 2 * tensor + 0.01 * torch.randn_like(tensor)
            )
    if library == 'torchvision' or kind == 'ResNet':
        model.fc = model.heads = nn.Identity()
    return model.eval()


@cache
def maps(library: str, kind: str) -> Tensor:
    """The last feature map (N, D, h, w) of the original, of a transformer the patch tokens after its norm."""
    model, kept = original(library, kind), []
    layer = model.layer4 if kind == 'ResNet' else model.encoder if library == 'torchvision' else model.norm
    hook = layer.register_forward_hook(lambda module, args, output: kept.append(output))
    with torch.no_grad():
        model(IMAGES)
    hook.remove()
    if kind == 'Swin':
        return kept[0].permute(0, 3, 1, 2)
    return kept[0] if kind == 'ResNet' else kept[0][:, 1:].transpose(1, 2).unflatten(2, (4, 4))


def checkpoint(source: str, kind: str) -> dict:
    prefix, other = FILES[source, kind]
    tensors = {f'{prefix}{name}': tensor for name, tensor in original(source, kind).state_dict().items()}
    if source in ('greenmim', 'simmim_swin'):  # the official code merges patches at the end of a stage
        stage = re.compile(r'(?<=layers\.)(\d)(?=\.downsample)')
        tensors = {stage.sub(lambda match: str(int(match[0]) - 1), name): tensor for name, tensor in tensors.items()}
    if source == 'maskfeat':  # the last norm stands in the head
        tensors = {re.sub(r'^norm\.', 'pred_head.transforms.0.0.', name): tensor for name, tensor in tensors.items()}
    if source == 'fast_itpn':
        tensors['pos_embed'] = tensors.pop('absolute_pos_embed')
    return dict(state_dict={**tensors, other: torch.zeros(2, 2)}, epoch=3)


def build(target: str, model, tensors: dict[str, Tensor]) -> nn.Module:
    """The target's own model, by the code or the config that comes with the tensors, with these and no others."""
    if target == 'hf':
        transformers = pytest.importorskip('transformers')
        config = transformers.AutoConfig.for_model(**model)
        cls = getattr(transformers, config.architectures[0])
        built, info = cls.from_pretrained(None, config=config, state_dict=tensors, output_loading_info=True)
        made = re.compile(r'pooler\.|.*relative_position_index$')
        assert not info['unexpected_keys'] and all(made.match(name) for name in info['missing_keys'])
    elif target in ('timm', 'torchvision'):
        variables = dict(torch=torch, timm=timm, torchvision=torchvision)
        exec(model, variables)
        built = variables['model']
        built.load_state_dict(tensors)
    else:
        provide_mmcv_ops()
        config = eval(f'dict({model})')
        built = MODELS.build(config)
        missing = built.load_state_dict(tensors, strict=False)
        assert not missing.unexpected_keys
        # Indices are made, not learned; other maps than the last have norms that were not trained.
        assert all(re.search('relative_position_index$|^norm[01]', name) for name in missing.missing_keys)
    built.eval()  # which returns None in mmseg
    return built


def features(target: str, model: nn.Module) -> Tensor:
    """One vector per image, the class token of a transformer where the target gives it."""
    with torch.no_grad():
        output = model(IMAGES)
    if target == 'hf':
        last = output.last_hidden_state
        return last.mean(1) if model.config.model_type == 'swin' else last[:, 0] if last.ndim == 3 else to_vector(last)
    return to_vector(tuple(output) if isinstance(output, list) else output)


@pytest.mark.parametrize(
    ('source', 'kind', 'target'), [(*file, target) for file in FILES for target in sorted(LIBRARIES)]
)
def test_features_survive(source, kind, target):
    heads = 3 if kind in ('VisionTransformer', 'PatchViT', 'CAEViT', 'ConvViT') else None
    file = checkpoint(source, kind)
    if (target, kind) in LACKING:
        with pytest.raises(ValueError, match=f'{target} has no model for {kind}, only for .*mmssl'):
            convert_backbone(file, target, source, num_heads=heads)
        return
    converted = convert_backbone(file, target, source, num_heads=heads)
    options = ", output='mean'" if kind == 'HiViT' else ''
    model = build(target, converted.model if target == 'hf' else converted.model + options, converted.tensors)
    if target == 'mmseg' or kind in ('ResNet', 'Swin'):
        expected = to_vector(maps(source, kind))
    else:
        with torch.no_grad():
            expected = original(source, kind)(IMAGES)
    assert expected.abs().mean() > 0.1
    torch.testing.assert_close(features(target, model), expected, rtol=0, atol=1e-5)


def test_the_page_counts_the_sources_of_these_files():
    page = Path(__file__).parents[2] / 'docs' / 'howto' / 'converters.md'
    assert f'has files of {len({source for source, _ in FILES})} sources' in page.read_text()


@pytest.mark.parametrize('target', ['mmseg', 'mmssl'])
def test_maps_of_a_transformer_survive(target):
    converted = convert_backbone(checkpoint('timm', 'VisionTransformer'), target, num_heads=3)
    output = ", output='maps'" if target == 'mmssl' else ''
    model = build(target, converted.model + output, converted.tensors)
    with torch.no_grad():
        (found,) = model(IMAGES)
    torch.testing.assert_close(found, maps('timm', 'VisionTransformer'), rtol=0, atol=1e-5)


def masked_autoencoder(**decoder) -> nn.Module:
    algorithm = ALGORITHMS.build(
        dict(
            type='MAE',
            backbone=dict(
                type='VisionTransformer',
                arch=dict(embed_dim=48, depth=2, num_heads=3),
                img_size=32,
                patch_size=8,
                output='tokens',
            ),
            masker=dict(type='UniformMasker', ratio=0.75, patch_size=8),
            neck=dict(type='MAEDecoder', in_channels=48, out_channels=192, grid_size=4, depth=1, **decoder),
            target=dict(type='PixelTarget', patch_size=8),
            head=dict(type='MaskedMSELoss'),
        )
    )
    return algorithm.eval()


@torch.no_grad()
def test_a_masked_autoencoder_predicts_the_same_in_hugging_face():
    algorithm = masked_autoencoder()
    converted = convert_backbone(algorithm.state_dict(), 'hf', part='all', num_heads=3)
    model = build('hf', converted.model, converted.tensors)
    noise = torch.rand(2, 16)
    keep = noise.argsort(dim=1)[:, :4].sort(dim=1).values
    expected = algorithm.neck(algorithm.backbone(IMAGES, keep=keep), keep)
    torch.testing.assert_close(model(IMAGES, noise=noise).logits, expected, rtol=0, atol=1e-5)


def test_the_names_of_a_masked_autoencoder_in_hugging_face():
    own = masked_autoencoder().state_dict()
    converted = convert_backbone(own, 'hf', part='all', num_heads=3)
    assert converted.model['architectures'] == ['ViTMAEForPreTraining']
    assert converted.model['decoder_num_hidden_layers'] == 1 and converted.model['decoder_hidden_size'] == 512
    tensors = converted.tensors
    assert len(tensors) == len(own) + 4 * 3  # q, k, v of weight and bias in three blocks
    layer = 'decoder.decoder_layers.0'
    assert torch.equal(tensors[f'{layer}.attention.attention.value.bias'], own['neck.blocks.0.attn.qkv.bias'][1024:])
    assert torch.equal(tensors[f'{layer}.output.dense.weight'], own['neck.blocks.0.mlp.fc2.weight'])
    assert torch.equal(tensors['vit.encoder.layer.1.layernorm_after.bias'], own['backbone.blocks.1.norm2.bias'])
    assert {'vit.layernorm.weight', 'decoder.mask_token', 'decoder.decoder_pos_embed', 'decoder.decoder_pred.bias'} <= (
        tensors.keys()
    )


def test_a_whole_algorithm_stays_as_it_is_and_is_none_of_another_library():
    own = masked_autoencoder().state_dict()
    converted = convert_backbone(own, 'mmssl', part='all')
    assert converted.tensors.keys() == own.keys() and not converted.model
    assert LIBRARIES['mmssl'].usage(converted.model, 'mae.pth') == "load_from = 'mae.pth'"
    with pytest.raises(ValueError, match='timm has no model for MAE'):
        convert_backbone(own, 'timm', part='all')
    small = masked_autoencoder(embed_dim=16, num_heads=1).state_dict()
    with pytest.raises(ValueError, match='this decoder has width 16'):
        convert_backbone(small, 'hf', part='all', num_heads=3)
