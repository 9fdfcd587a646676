from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from torch import nn

from mmssl.converters import convert_backbone
from mmssl.converters.convert import convert, rename
from mmssl.models.backbones.resnet import ResNet
from mmssl.models.backbones.timm_backbone import TimmBackbone
from mmssl.models.backbones.vision_transformer import VisionTransformer
from mmssl.models.layers.pooling import to_vector
from mmssl.registry import ALGORITHMS

SMALL = dict(embed_dim=48, depth=2, num_heads=3)


def timm_small():
    return timm.models.vision_transformer.VisionTransformer(
        img_size=32, patch_size=8, num_classes=5, **SMALL
    ).eval()  # fmt: skip


def randomise(module: nn.Module) -> nn.Module:
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(
                torch.rand_like(tensor) + 0.5 if name.endswith('running_var') else torch.randn_like(tensor) * 0.1
            )
    return module


def exported(backbone: nn.Module, library: str) -> dict:
    return convert_backbone(backbone.state_dict(), library, 'mmssl', num_heads=3).tensors


def test_torchvision_round_trip_gives_the_same_features():
    source, target = randomise(torchvision.models.resnet18()).eval(), torchvision.models.resnet18().eval()
    backbone = ResNet(18).eval()
    backbone.load_state_dict(convert(source.state_dict(), 'torchvision', part='backbone'), strict=True)
    missing = target.load_state_dict(exported(backbone, 'torchvision'), strict=False)
    assert set(missing.missing_keys) == {'fc.weight', 'fc.bias'}
    assert not missing.unexpected_keys
    source.fc = target.fc = nn.Identity()
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(to_vector(backbone(images)), source(images), rtol=0, atol=1e-5)
    torch.testing.assert_close(target(images), source(images), rtol=0, atol=1e-5)


def test_timm_round_trip_gives_the_same_features():
    source, target = randomise(timm_small()), timm_small()
    backbone = VisionTransformer(SMALL, img_size=32, patch_size=8).eval()
    backbone.load_state_dict(convert(source.state_dict(), 'timm', part='backbone'), strict=True)
    target.reset_classifier(0)
    target.load_state_dict(exported(backbone, 'timm'), strict=True)
    source.reset_classifier(0)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(backbone(images), source(images), rtol=0, atol=1e-5)
    torch.testing.assert_close(target(images), source(images), rtol=0, atol=1e-5)


def test_timm_reads_our_residual_networks():
    backbone = randomise(ResNet(18)).eval()
    target = timm.create_model('resnet18', num_classes=0).eval()
    target.load_state_dict(exported(backbone, 'timm'), strict=True)
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(target(images), to_vector(backbone(images)), rtol=0, atol=1e-5)


def test_any_timm_model_comes_out_of_its_wrapper():
    backbone = randomise(TimmBackbone('convnext_atto')).eval()
    target = timm.create_model('convnext_atto', num_classes=0).eval()
    target.load_state_dict(exported(backbone, 'timm'))
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(target(images), to_vector(backbone(images)))


def test_the_student_or_the_teacher_comes_out_of_a_training_checkpoint():
    student, teacher = ResNet(18).state_dict(), ResNet(18).state_dict()
    tensors = {f'backbone.{name}': tensor for name, tensor in student.items()}
    tensors |= {f'teacher.backbone.{name}': tensor for name, tensor in teacher.items()}
    tensors['neck.layers.0.weight'] = torch.zeros(2, 2)
    assert convert_backbone({'state_dict': tensors}, 'torchvision').tensors.keys() == student.keys()
    chosen = convert_backbone({'state_dict': tensors}, 'torchvision', part='teacher.backbone').tensors
    assert all(torch.equal(chosen[name], tensor) for name, tensor in teacher.items())


@pytest.mark.parametrize(
    ('source', 'official', 'ours'),
    [
        ('mocov3', 'module.base_encoder.layer1.0.downsample.1.weight', 'backbone.layer1.0.downsample.1.weight'),
        ('mocov3', 'module.base_encoder.fc.4.running_var', 'neck.layers.4.running_var'),
        ('mocov3', 'module.base_encoder.head.6.weight', 'neck.layers.6.weight'),
        ('mocov3', 'base_encoder.patch_embed.proj.12.bias', 'backbone.patch_embed.proj.12.bias'),
        ('mocov3', 'momentum_encoder.blocks.11.attn.qkv.bias', 'teacher.backbone.blocks.11.attn.qkv.bias'),
        ('mocov3', 'momentum_encoder.head.0.weight', 'teacher.neck.layers.0.weight'),
        ('mocov3', 'predictor.3.weight', 'head.predictor.layers.3.weight'),
        ('mocov1', 'encoder_k.fc.bias', 'teacher.neck.layers.0.bias'),
        ('mocov2', 'encoder_q.fc.2.bias', 'neck.layers.2.bias'),
        ('moco', 'module.queue_ptr', 'queue.pointer'),
        ('simsiam', 'module.encoder.fc.6.bias', 'neck.layers.6.bias'),
        ('barlowtwins', 'module.projector.6.weight', 'neck.layers.6.weight'),
        ('barlowtwins', 'module.bn.running_var', 'neck.layers.7.running_var'),
        ('barlowtwins', 'module.backbone.bn1.weight', 'backbone.bn1.weight'),
        ('barlowtwins', 'layer4.2.bn3.weight', 'backbone.layer4.2.bn3.weight'),
        ('vicreg', 'module.projector.3.bias', 'neck.layers.3.bias'),
        ('vicreg', 'conv1.weight', 'backbone.conv1.weight'),
        ('dino', 'student.module.backbone.blocks.0.attn.qkv.weight', 'backbone.blocks.0.attn.qkv.weight'),
        ('dino', 'student.module.head.mlp.2.bias', 'neck.layers.2.bias'),
        ('dino', 'teacher.head.last_layer.weight_g', 'teacher.neck.last_layer.parametrizations.weight.original0'),
        ('dino', 'teacher.backbone.layer4.2.bn3.bias', 'teacher.backbone.layer4.2.bn3.bias'),
        ('dino', 'norm.weight', 'backbone.norm.weight'),
        ('timm', 'head.weight', None),
    ],
)
def test_names(source, official, ours):
    assert rename(official, source) == ours


def test_a_whole_checkpoint_of_dino():
    algorithm = ALGORITHMS.build(
        dict(
            type='DINO',
            backbone=dict(type='VisionTransformer', arch=SMALL, img_size=32, patch_size=8),
            neck=dict(type='DINOProjector', in_channels=48, hidden_channels=24, out_channels=16),
            head=dict(type='ViewCrossEntropyLoss'),
            teacher=dict(),
            targets=dict(),
        )
    )

    def official(name: str) -> str:
        name = name.replace('neck.layers', 'head.mlp').replace('neck.', 'head.')
        name = name.replace('parametrizations.weight.original0', 'weight_g')
        return name.replace('parametrizations.weight.original1', 'weight_v')

    own = {name: torch.randn_like(tensor) for name, tensor in algorithm.state_dict().items()}
    checkpoint = dict(
        student={f'module.{official(n)}': x for n, x in own.items() if n.startswith(('backbone.', 'neck.'))},
        teacher={official(n.removeprefix('teacher.')): x for n, x in own.items() if n.startswith('teacher.')},
        dino_loss=dict(center=own['targets.center']),
        epoch=100,
    )
    converted = convert(checkpoint, 'dino')
    assert own.keys() - converted.keys() == {'targets.progress'}
    assert all(torch.equal(own[name], tensor) for name, tensor in converted.items())
    algorithm.teacher.backbone.load_state_dict(convert(checkpoint, 'dino', part='teacher.backbone'), strict=True)


def test_the_three_parts_of_i_jepa_are_read():
    norm = {'module.norm.weight': torch.ones(2)}
    file = dict(
        encoder=norm, target_encoder={'module.norm.weight': torch.zeros(2)}, opt={}, epoch=3,
        predictor={'module.predictor_norm.weight': torch.ones(2)},
    )  # fmt: skip
    assert convert(file, 'ijepa').keys() == {'backbone.norm.weight', 'teacher.backbone.norm.weight', 'neck.norm.weight'}
    assert torch.equal(convert(file, 'ijepa', part='teacher.backbone')['norm.weight'], torch.zeros(2))


def test_columns_of_mocos_queue_become_rows():
    queue = torch.randn(8, 20)
    converted = convert({'module.queue': queue, 'module.queue_ptr': torch.tensor([4])}, 'moco')
    assert torch.equal(converted['queue.features'], queue.T)
    assert converted['queue.pointer'].shape == ()
    assert converted['queue.pointer'] == 4


def test_official_colours_of_igpt_become_pixels():
    (tensor,) = convert({'clusters': torch.tensor([[-1.0, 0.0, 1.0]])}, 'igpt').values()
    assert tensor.tolist() == [[0.0, 0.5, 1.0]]


def test_unknown_names_are_listed():
    tensors = {'conv1.weight': torch.zeros(1), 'bn1.wieght.x': torch.zeros(1), 'layer5.0.conv1.weight': torch.zeros(1)}
    with pytest.raises(
        ValueError, match=r"source 'torchvision' does not know 2 of the names: bn1.wieght.x, layer5.0.conv1"
    ):
        convert(tensors, 'torchvision')


def test_unknown_sources_libraries_and_parts_are_named():
    with pytest.raises(ValueError, match="'mocov4'"):
        convert({'a': torch.zeros(1)}, 'mocov4')
    with pytest.raises(ValueError, match=r"got 'mmpose'; did you mean 'mmseg'"):
        convert_backbone({'a': torch.zeros(1)}, 'mmpose')
    with pytest.raises(ValueError, match="no tensor under 'teacher.backbone'"):
        convert({'conv1.weight': torch.zeros(1)}, 'torchvision', part='teacher.backbone')
