"""Pre-trained weights into models: which files are understood, which part goes where, and what stops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from mmssl.checkpoints import matching
from mmssl.checkpoints.content import below
from mmssl.converters import transfer as transfer_module
from mmssl.converters.transfer import load_trained_weights, transfer_weights
from mmssl.models.backbones.beit_vit import BEiTViT
from mmssl.models.backbones.cae_vit import CAEViT
from mmssl.models.backbones.patch_vit import PatchViT
from mmssl.models.backbones.resnet import ResNet
from mmssl.models.backbones.timm_backbone import TimmBackbone
from mmssl.models.backbones.vision_transformer import VisionTransformer
from mmssl.models.heads.last_stage_head import LastStageHead
from mmssl.models.necks import top_down_neck
from mmssl.models.necks.top_down_neck import TopDownNeck
from mmssl.utils.errors import UserError

State = dict[str, Tensor]
SMALL = dict(embed_dim=48, depth=2, num_heads=3)


class Pyramid(nn.Module):
    """A neck that pre-training trains."""

    pretrained_with_backbone = True

    def __init__(self) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(64, 8, 1)


class Detector(nn.Module):
    """What mmdet, mmseg and a classifier have in common.

    Args:
        backbone: The backbone.
        neck: The neck.
        shared_head: Of the C4 kind.
    """

    def __init__(self, backbone: nn.Module, neck: nn.Module | None = None, shared_head: nn.Module | None = None):
        super().__init__()
        self.backbone = backbone
        if neck is not None:
            self.neck = neck
        self.roi_head = nn.Module()
        if shared_head is not None:
            self.roi_head.shared_head = shared_head


def backbone(**options: object) -> ResNet:
    return ResNet(**dict(depth=18, width=0.125) | options)


def filled(module: nn.Module, value: float, prefix: str = '') -> State:
    return {prefix + name: torch.full_like(tensor, value) for name, tensor in module.state_dict().items()}


def is_filled(module: nn.Module, value: float) -> bool:
    return all((tensor == value).all() for tensor in module.state_dict().values())


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def save(*states: State, key: str | None = 'state_dict') -> Path:
        merged = {name: tensor for state in states for name, tensor in state.items()}
        path = tmp_path / 'file.pth'
        torch.save({key: merged} if key else merged, path)
        return path

    return save


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is logged."""
    lines: list[str] = []
    for module in (matching, transfer_module, top_down_neck):
        monkeypatch.setattr(module, 'print_log', lambda message, **kwargs: lines.append(message))
    return lines


def test_resims_pyramid_becomes_the_neck_of_a_detector(save: Callable, lines: list) -> None:
    widths = (8, 16, 32, 64)
    stages = dict(levels=(2, 3, 4, 5), out_levels=(2, 3, 4, 5), num_outs=5)
    model = Detector(backbone(out_indices=(0, 1, 2, 3)), TopDownNeck(widths, 8, **stages))
    trained = filled(TopDownNeck(widths[1:], 8), 4, 'neck.pyramid.') | filled(backbone(), 2, 'backbone.')
    file = save(trained, {'neck.projector.layers.0.weight': torch.ones(4, 64)})
    transfer_weights(model, file)
    new = [name for name, value in model.neck.state_dict().items() if not (value == 4).all()]
    assert {name[:9] for name in new} == {'laterals.', 'outputs.2', 'outputs.5'} and is_filled(model.backbone, 2)
    assert any('keep their initial values: laterals.2, outputs.2, outputs.5' in line for line in lines)
    with pytest.raises(UserError, match='neck'):
        transfer_weights(model, save(filled(backbone(), 2, 'backbone.')))


def algorithm(**options: object) -> tuple[State, ...]:
    """A training checkpoint: student filled with 2, teacher with 3, and a projector."""
    student, teacher = filled(backbone(**options), 2, 'backbone.'), filled(backbone(**options), 3, 'teacher.backbone.')
    return teacher, student, {'neck.layers.0.weight': torch.ones(4, 64), 'queue.features': torch.ones(4, 4)}


@pytest.mark.parametrize(('use_teacher', 'value'), [(False, 2), (True, 3)])
def test_student_unless_the_teacher_is_asked_for(save: Callable, lines: list, use_teacher: bool, value: int) -> None:
    model, file = Detector(backbone()), save(*algorithm())
    transfer_weights(model, file, use_teacher)
    assert is_filled(model.backbone, value)
    assert lines == [f'backbone: 120/120 tensors from {file}']


def test_a_file_without_a_teacher(save: Callable) -> None:
    with pytest.raises(UserError, match=r'no averaged \(teacher\) backbone; its names begin with backbone.bn1'):
        transfer_weights(Detector(backbone()), save(filled(backbone(), 2, 'backbone.')), use_teacher=True)


@pytest.mark.parametrize(
    ('prefix', 'key'),
    [
        ('', 'state_dict'),  # a backbone file of mmssl
        ('', None),
        ('module.backbone.', 'state_dict'),
        ('module.encoder_q.', 'state_dict'),  # MoCo
        ('module.base_encoder.', 'state_dict'),  # MoCo v3
        ('module.encoder.', 'state_dict'),  # SimSiam
    ],
)
def test_kinds_of_files(save: Callable, prefix: str, key: str | None) -> None:
    model = Detector(backbone())
    transfer_weights(model, save(filled(backbone(), 2, prefix), key=key))
    assert is_filled(model.backbone, 2)


def test_keys_and_queries_of_an_official_file_are_told_apart(save: Callable) -> None:
    states = filled(backbone(), 3, 'module.encoder_k.'), filled(backbone(), 2, 'module.encoder_q.')
    for use_teacher, value in ((False, 2), (True, 3)):
        model = Detector(backbone())
        transfer_weights(model, save(*states), use_teacher)
        assert is_filled(model.backbone, value)


def test_student_and_teacher_as_dicts_of_their_own(tmp_path: Path) -> None:
    parts = dict(student=filled(backbone(), 2, 'module.backbone.'), teacher=filled(backbone(), 3, 'backbone.'))
    torch.save(dict(parts, epoch=3), tmp_path / 'dino.pth')
    model = Detector(backbone())
    transfer_weights(model, tmp_path / 'dino.pth', use_teacher=True)
    assert is_filled(model.backbone, 3)


def test_a_file_of_torchvision(save: Callable, lines: list) -> None:
    network = torchvision.models.resnet50()
    model = Detector(ResNet(50, out_indices=(0, 1, 2, 3)))
    file = save(network.state_dict(), key=None)
    transfer_weights(model, file)
    assert lines == [f'backbone: 318/318 tensors from {file}']
    images = torch.randn(1, 3, 32, 32)
    network.fc = network.avgpool = nn.Identity()
    expected = network.eval()(images)
    torch.testing.assert_close(model.backbone.eval()(images)[-1].flatten(1), expected)


def test_wrong_prefix_stops_with_the_list_and_names_the_right_one(save: Callable) -> None:
    model, file = Detector(backbone()), save(filled(backbone(), 2, 'trunk.net.'))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(UserError) as error:
        transfer_weights(model, file)
    for part in ('missing: conv1.weight', 'unexpected: trunk.net.conv1.weight', '--prefix trunk.net', '(120 in all)'):
        assert part in str(error.value)
    with pytest.raises(UserError, match="no tensor in .* has the prefix 'trunk.other.'"):
        transfer_weights(model, file, prefix='trunk.other')
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    transfer_weights(model, file, prefix='trunk.net')
    assert is_filled(model.backbone, 2)


def test_the_prefix_of_the_message_leads_to_the_weights_in_a_file_of_several_gpus(save: Callable) -> None:
    model, file = Detector(backbone()), save(filled(backbone(), 2, 'module.trunk.net.'))
    with pytest.raises(UserError, match=r'give --prefix trunk\.net\n'):
        transfer_weights(model, file)
    for prefix in ('trunk.net', 'module.trunk.net.'):
        transfer_weights(model, file, prefix=prefix)
    assert is_filled(model.backbone, 2)


@pytest.mark.parametrize('prefix', ['trunk.', 'trunk.model.'])
def test_a_prefix_before_names_of_timm(save: Callable, prefix: str) -> None:
    model = Detector(TimmBackbone('resnet10t'))
    file = save(filled(model.backbone.model, 2, prefix) | {f'{prefix}fc.bias': torch.zeros(5)})
    with pytest.raises(UserError, match=r'give --prefix trunk\n'):
        transfer_weights(model, file)
    transfer_weights(model, file, prefix='trunk')
    assert is_filled(model.backbone, 2)


def test_another_depth_stops_with_the_list(save: Callable) -> None:
    file = save(*algorithm())
    with pytest.raises(UserError, match='backbone: 120/200 tensors') as error:
        transfer_weights(Detector(backbone(depth=34)), file)
    assert 'missing: layer1.2.conv1.weight' in str(error.value) and '(80 in all)' in str(error.value)
    with pytest.raises(UserError, match='contains a deeper backbone') as error:
        transfer_weights(Detector(backbone()), save(*algorithm(depth=34)))
    assert 'unexpected: layer1.2.conv1.weight' in str(error.value)


@pytest.mark.parametrize(
    ('file', 'config', 'message'),
    [
        (
            VisionTransformer(dict(SMALL, registers=4), img_size=32),
            VisionTransformer(SMALL, img_size=32),
            'unexpected: reg_token(.|\n)*model.backbone.arch.registers=4',
        ),
        (
            CAEViT(SMALL, img_size=32, relative_table='per-block'),
            BEiTViT(SMALL, img_size=32, relative_table='per-block'),
            'holds a CAEViT, the config has a BEiTViT(.|\n)*unexpected: pos_embed',
        ),
    ],
)
def test_registers_and_positions_that_the_model_lacks_stop(
    save: Callable, file: nn.Module, config: nn.Module, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        transfer_weights(Detector(config), save(file.state_dict()))


def test_registers_that_the_file_lacks_stop(save: Callable) -> None:
    arch = dict(embed_dim=12, depth=12, num_heads=2)
    model = Detector(VisionTransformer(dict(arch, registers=4), img_size=32))
    with pytest.raises(UserError, match='missing: reg_token(.|\\n)*model.backbone.arch.registers=0'):
        transfer_weights(model, save(VisionTransformer(arch, img_size=32).state_dict()))


@pytest.mark.parametrize('owner', ['', 'teacher.'])
def test_official_registers_below_backbone_are_those_of_dinov2(save: Callable, owner: str) -> None:
    model = Detector(VisionTransformer(dict(SMALL, registers=4), img_size=32))
    state = filled(model.backbone, 2, f'{owner}backbone.')
    state[f'{owner}backbone.register_tokens'] = state.pop(f'{owner}backbone.reg_token')
    transfer_weights(model, save(state), use_teacher=bool(owner))
    assert is_filled(model.backbone, 2)


def test_a_teacher_without_heads_alone_in_a_file(save: Callable) -> None:
    model = Detector(VisionTransformer(SMALL, img_size=32))
    transfer_weights(model, save(filled(model.backbone, 3, 'backbone.'), key='teacher'), use_teacher=True)
    assert is_filled(model.backbone, 3)


@pytest.mark.parametrize('prefix', ['model.', 'model.backbone.'])
def test_names_below_model_are_not_taken_for_those_of_timm(save: Callable, prefix: str) -> None:
    model = Detector(VisionTransformer(SMALL, img_size=32))
    file = save(filled(model.backbone, 2, prefix))
    with pytest.raises(UserError, match=f'give --prefix {prefix[:-1]}\\n'):
        transfer_weights(model, file)
    transfer_weights(model, file, prefix=prefix)
    assert is_filled(model.backbone, 2)


def test_a_class_token_or_positions_that_the_file_lacks_stop(save: Callable) -> None:
    arch = dict(embed_dim=12, depth=12, num_heads=2)  # 152 tensors, one of which is less than a percent
    model = Detector(VisionTransformer(arch, img_size=32))
    with pytest.raises(UserError, match='holds a PatchViT(.|\\n)*missing: cls_token'):
        transfer_weights(model, save(PatchViT(arch, img_size=32).state_dict()))
    whole = model.backbone.state_dict()
    with pytest.raises(UserError, match='missing: pos_embed'):
        transfer_weights(model, save({name: tensor for name, tensor in whole.items() if name != 'pos_embed'}))


def test_another_kind_of_backbone_is_called_by_its_name(save: Callable) -> None:
    transformer = VisionTransformer(arch=dict(embed_dim=16, depth=2, num_heads=2), img_size=32, patch_size=16)
    for prefix in ('backbone.', ''):
        with pytest.raises(UserError, match='holds a VisionTransformer, the config has a ResNet'):
            transfer_weights(Detector(backbone()), save(filled(transformer, 2, prefix)))
    with pytest.raises(UserError, match='holds a ResNet, the config has a VisionTransformer'):
        transfer_weights(Detector(transformer), save(*algorithm()))


def test_another_width_stops_with_the_shapes(save: Callable) -> None:
    with pytest.raises(UserError, match=r'of another shape: conv1.weight \(8, 3, 7, 7\) instead of \(16, 3, 7, 7\)'):
        transfer_weights(Detector(backbone(width=0.25)), save(*algorithm()))


def test_one_percent_may_be_missing_and_no_more(save: Callable, lines: list) -> None:
    state = filled(backbone(), 2, 'backbone.')
    del state['backbone.bn1.bias']
    transfer_weights(Detector(backbone()), save(state))
    assert lines[0].startswith('backbone: 119/120') and lines[1].endswith('they keep their initial values: bn1.bias')
    model = nn.Module()
    model.backbone = backbone()
    with pytest.raises(UserError, match='backbone: 119/120(.|\n)*missing: bn1.bias'):  # for features all are needed
        load_trained_weights(model, 'x.pth', below(state, 'backbone'))
    del state['backbone.bn1.weight']
    with pytest.raises(UserError, match='backbone: 118/120 tensors .* match, so nothing was loaded'):
        transfer_weights(Detector(backbone()), save(state))


@pytest.mark.parametrize('prefix', ['neck.', 'neck.pyramid.'])
@pytest.mark.parametrize(('owner', 'use_teacher'), [('', False), ('teacher.', True)])
def test_a_pyramid_that_was_trained_goes_with_its_backbone(
    save: Callable, lines: list, prefix: str, owner: str, use_teacher: bool
) -> None:
    model = Detector(backbone(), Pyramid())
    file = save(*algorithm(), filled(Pyramid(), 5, owner + prefix))
    transfer_weights(model, file, use_teacher)
    assert is_filled(model.neck, 5)
    assert lines[1] == f'neck: 2/2 tensors from {file}'


def test_a_missing_pyramid_stops_with_the_list(save: Callable) -> None:
    with pytest.raises(UserError, match='neck: 0/2 tensors') as error:
        transfer_weights(Detector(backbone(), Pyramid()), save(*algorithm()))
    assert 'missing: lateral.weight, lateral.bias' in str(error.value) and 'layers.0.weight' in str(error.value)


def test_another_neck_is_loaded_if_it_is_there_and_begins_anew_if_not(save: Callable, lines: list) -> None:
    model = Detector(backbone(), nn.Sequential(nn.Conv2d(64, 8, 1)))
    before = model.neck[0].weight.clone()
    transfer_weights(model, save(*algorithm()))
    assert torch.equal(model.neck[0].weight, before)
    assert lines[1].startswith('neck: Sequential keeps its random weights')
    transfer_weights(model, save(*algorithm(), filled(model.neck, 5, 'neck.')))
    assert is_filled(model.neck, 5)


@pytest.mark.parametrize('extra_norm', [False, True])
def test_a_shared_head_gets_the_last_stage(save: Callable, lines: list, extra_norm: bool) -> None:
    options = dict(depth=50, width=0.125)
    model = Detector(backbone(depth=50, out_indices=(2,)), None, LastStageHead(**options, extra_norm=extra_norm))
    file = save(*algorithm(depth=50))
    transfer_weights(model, file, use_teacher=True)
    assert not hasattr(model.backbone, 'layer4') and is_filled(model.backbone, 3)
    assert is_filled(model.roi_head.shared_head.layer4, 3)
    assert not extra_norm or (model.roi_head.shared_head.norm.running_mean == 0).all()
    assert lines == [f'backbone: 258/258 tensors from {file}', f'shared head, layer4: 60/60 tensors from {file}']
    without = {name: value for name, value in algorithm(depth=50)[1].items() if 'layer4' not in name}
    with pytest.raises(UserError, match='shared head, layer4: 0/50 tensors'):
        transfer_weights(model, save(without))


def test_nothing_to_load_into_and_no_file(save: Callable, tmp_path: Path) -> None:
    with pytest.raises(UserError, match='Linear has no backbone'):
        transfer_weights(nn.Linear(2, 2), save(*algorithm()))
    with pytest.raises(UserError, match="'.*none.pth' does not exist"):
        transfer_weights(Detector(backbone()), tmp_path / 'none.pth')
    with pytest.raises(UserError, match='no tensors'):
        torch.save(dict(epoch=1), tmp_path / 'empty.pth')
        transfer_weights(Detector(backbone()), tmp_path / 'empty.pth')
