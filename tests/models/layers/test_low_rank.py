from __future__ import annotations

import pytest
import torch
from torch import nn

from mmssl.checkpoints.low_rank import folded
from mmssl.checkpoints.matching import load_matching
from mmssl.models.backbones.beit_vit import BEiTViT
from mmssl.models.backbones.capi_vit import CAPIViT
from mmssl.models.backbones.resnet import ResNet
from mmssl.models.backbones.timm_backbone import TimmBackbone
from mmssl.models.backbones.vision_transformer import VisionTransformer
from mmssl.models.components.ema_teacher import EMATeacher
from mmssl.models.layers.low_rank import add_low_rank, restrict_training
from mmssl.utils.errors import UserError

SMALL = dict(embed_dim=24, depth=3, num_heads=2)


class _Method(nn.Module):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone


def _vit() -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(SMALL, img_size=16, patch_size=8).eval()


def test_updates_change_nothing_at_first_and_fold_into_the_weights() -> None:
    images, plain = torch.randn(2, 3, 16, 16), _vit()
    before = plain(images)
    updated = _vit()
    restrict_training(_Method(updated), low_rank=2)
    torch.testing.assert_close(updated(images), before)
    trained = [name for name, parameter in updated.named_parameters() if parameter.requires_grad]
    assert len(trained) == 3 * 4 * 2 and all('low_rank_' in name for name in trained)
    with torch.no_grad():
        for name in trained:
            updated.get_parameter(name).normal_(std=0.1)
    after = updated(images)
    assert (after - before).abs().max() > 0.1
    plain.load_state_dict(folded(updated.state_dict()))  # strict: the names are those of the plain network
    torch.testing.assert_close(plain(images), after, atol=1e-5, rtol=1e-5)


def test_an_updated_network_loads_a_plain_file_and_its_own_checkpoint() -> None:
    source, updated = VisionTransformer(SMALL, img_size=16, patch_size=8), _vit()
    restrict_training(_Method(updated), low_rank=2)
    with torch.no_grad():
        updated.blocks[0].attn.qkv.low_rank_up.fill_(1.0)
    own = {name: tensor.clone() for name, tensor in updated.state_dict().items()}
    load_matching(updated, source.state_dict(), 'file', prefix='')
    assert torch.equal(updated.blocks[0].attn.qkv.weight, source.blocks[0].attn.qkv.weight)
    assert not updated.blocks[0].attn.qkv.low_rank_up.any()
    updated.load_state_dict(own)
    assert (updated.blocks[0].attn.qkv.low_rank_up == 1).all()


def test_the_first_blocks_are_frozen_with_the_embedding() -> None:
    backbone = _vit()
    restrict_training(_Method(backbone), frozen_blocks=2)
    trained = {name.split('.')[0] + name.split('.')[1] for name, p in backbone.named_parameters() if p.requires_grad}
    assert trained == {'blocks2', 'normweight', 'normbias'}


@pytest.mark.parametrize(
    ('backbone', 'settings', 'message'),
    [
        (ResNet(18, width=0.125), dict(low_rank=2), 'frozen_blocks instead'),
        (BEiTViT(SMALL, img_size=16, patch_size=8), dict(low_rank=2), 'frozen_blocks instead'),
        (ResNet(18, width=0.125), dict(frozen_blocks=9), 'more than the 8 blocks'),
        (ResNet(18, width=0.125), dict(frozen_blocks=1, low_rank=1), 'give either'),
    ],
)
def test_what_is_not_possible_is_refused(backbone: nn.Module, settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        restrict_training(_Method(backbone), **settings)


@pytest.mark.parametrize('settings', [dict(frozen_blocks=-1), dict(low_rank=-1), dict(low_rank=2.5)])
def test_numbers_that_mean_nothing(settings):
    with pytest.raises(UserError, match='must be a whole number of at least 0'):
        restrict_training(None, **settings)


@pytest.mark.parametrize('name', ['vit_small_patch16_dinov3', 'eva02_base_patch14_224'])
def test_rotary_transformers_of_timm_are_updated_in_every_linear_layer(name: str) -> None:
    size = dict(img_size=112, depth=1, embed_dim=48, num_heads=2)
    backbone = TimmBackbone(name, **size)
    linear = [m for n, m in backbone.named_modules() if isinstance(m, nn.Linear) and '.blocks.' in n]
    assert add_low_rank(backbone, 2) == len(linear) > 3
    backbone(torch.randn(1, 3, 112, 112)).sum().backward()
    assert all(layer.low_rank_up.grad is not None for layer in linear)


def test_all_projections_of_rotary_attention_are_updated() -> None:
    backbone = CAPIViT(SMALL, patch_size=8, registers=4)
    restrict_training(_Method(backbone), low_rank=2)
    trained = {name.split('.', 2)[2] for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    assert len(trained) == 6 * 2 and 'attn.q.low_rank_up' in trained and 'attn.v.low_rank_down' in trained


def test_student_and_teacher_begin_with_the_same_factors() -> None:
    method = _Method(_vit())
    method.teacher = EMATeacher(backbone=_vit())
    restrict_training(method, low_rank=2)
    name = 'blocks.0.attn.qkv.low_rank_down'
    assert torch.equal(method.teacher.backbone.get_parameter(name), method.backbone.get_parameter(name))
