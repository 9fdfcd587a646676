"""CLIPTarget on a small tower: where its weights come from, what it makes of images, that it stays what it is."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torch.testing import assert_close

from mmssl.models.targets.clip_target import CLIP_MEAN, CLIP_STD, CLIPTarget
from mmssl.utils.errors import UserError

TOWER = dict(embed_dim=32, depth=2, num_heads=2, patch_size=8)
SMALL = dict(img_size=32, out_channels=12, options=TOWER)


def small(**options) -> CLIPTarget:
    return CLIPTarget(**SMALL | options)


def openai_names(tower: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors of timm's ``tower`` as OpenAI's code calls them."""
    state = {name: tensor.clone() for name, tensor in tower.state_dict().items()}
    renamed = {
        'visual.class_embedding': state.pop('cls_token')[0, 0],
        'visual.positional_embedding': state.pop('pos_embed')[0],
        'visual.proj': state.pop('head.weight').T,
        'visual.conv1.weight': state.pop('patch_embed.proj.weight'),
    }
    del state['head.bias']
    swaps = [('blocks.', 'transformer.resblocks.'), ('norm_pre', 'ln_pre'), ('norm1', 'ln_1'), ('norm2', 'ln_2')]
    swaps += [('attn.qkv.', 'attn.in_proj_'), ('attn.proj', 'attn.out_proj'), ('fc1', 'c_fc'), ('fc2', 'c_proj')]
    for name, tensor in state.items():
        for ours, theirs in [*swaps, ('norm.', 'ln_post.')]:
            name = name.replace(ours, theirs)
        renamed[f'visual.{name}'] = tensor
    return renamed | {'token_embedding.weight': torch.zeros(3, 2), 'logit_scale': torch.zeros(())}  # of the text tower


@pytest.fixture(scope='module')
def tower() -> nn.Module:
    torch.manual_seed(0)
    tower = timm.create_model('vit_base_patch16_clip_quickgelu_224', num_classes=12, img_size=32, **TOWER)
    for parameter in tower.parameters():
        nn.init.normal_(parameter, std=0.1)
    nn.init.zeros_(tower.head.bias)
    return tower.eval()


def test_every_patch_gets_a_standardised_feature(tower):
    target = small()
    target.teacher.load_state_dict(tower.state_dict())
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    pixels = (images + 1) / 2
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    with torch.no_grad():
        features = tower.forward_features((pixels - mean) / std)[:, 1:] @ tower.head.weight.T
    variance, center = torch.var_mean(features, dim=-1, correction=0, keepdim=True)
    expected = (features - center) / (variance + 1e-5).sqrt()
    found = target(images)
    assert found.shape == (2, 16, 12) and not found.requires_grad
    assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_norm_without_parameters():
    values = nn.functional.layer_norm(torch.tensor([1.0, 2.0, 3.0, 4.0]), (4,))
    assert_close(values.tolist(), [-1.341635, -0.447212, 0.447212, 1.341635], rtol=0, atol=1e-6)


def test_official_scaling_squeezes_pixels():
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    for pixel, squeezed in ((0.0, 0.5), (0.5, 0.75), (1.0, 1.0)):
        images = torch.full((1, 3, 2, 2), 2 * pixel - 1)
        for scaling, expected in (('corrected', pixel), ('official', squeezed)):
            assert_close(small(scaling=scaling).rescale(images) * std + mean, torch.full_like(images, expected))


@pytest.mark.parametrize('kind', ['openai', 'compiled', 'timm', 'safetensors', 'another size'])
def test_weights_come_from_a_file(kind, tower, tmp_path):
    expected = small()
    expected.teacher.load_state_dict(tower.state_dict())
    names, file = openai_names(tower), tmp_path / 'weights.pt'
    if kind == 'timm':
        names = tower.state_dict()
    if kind == 'compiled':
        torch.jit.save(torch.jit.script(_Holder(names)), file)
    elif kind == 'safetensors':
        from safetensors.torch import save_file

        file = tmp_path / 'weights.safetensors'
        save_file({name: tensor.contiguous() for name, tensor in names.items()}, file)
    else:
        torch.save(names, file)
    target = small(checkpoint=str(file), img_size=48 if kind == 'another size' else 32)
    target.init_weights()
    if kind == 'another size':
        assert target(torch.rand(1, 3, 48, 48)).shape == (1, 36, 12)
        return
    images = torch.rand(2, 3, 32, 32)
    assert_close(target(images), expected(images))


class _Holder(nn.Module):
    """Tensors by dotted names, as a module that can be compiled."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            *path, leaf = name.split('.')
            owner = self
            for part in path:
                if part not in owner._modules:
                    owner.add_module(part, _Empty())
                owner = owner._modules[part]
            owner.register_buffer(leaf, tensor)

    def forward(self) -> None:
        pass


class _Empty(nn.Module):
    def forward(self) -> None:
        pass


def test_a_file_that_is_missing_or_holds_something_else(tower, tmp_path):
    missing = tmp_path / 'ViT-B-16.pt'
    with pytest.raises(UserError, match=rf'expected in {missing}.*model\.target\.checkpoint=FILE'):
        small(checkpoint=str(missing)).init_weights()
    torch.save(openai_names(tower), missing)
    with pytest.raises(UserError, match='shared space of 10 dimensions: 2 of 33 tensors.*head'):
        small(checkpoint=str(missing), out_channels=10).init_weights()
    torch.save({'a': torch.zeros(1)}, missing)
    with pytest.raises(UserError, match='33 of 33'):
        small(checkpoint=str(missing)).init_weights()


def test_what_timm_cannot_find_is_said(monkeypatch):
    target = small(pretrained=True)

    def offline(*args, **kwargs):
        raise OSError('no connection')

    monkeypatch.setattr(timm, 'create_model', offline)
    with pytest.raises(UserError, match=r'timm/vit_base_patch16_clip.*checkpoint=FILE: no connection'):
        target.init_weights()


def test_the_teacher_neither_trains_nor_stands_in_checkpoints(tower):
    target = small().train()
    assert target.training and not target.teacher.training
    assert not any(parameter.requires_grad for parameter in target.parameters())
    assert target.state_dict() == {}
    model = nn.ModuleDict(dict(target=target, student=nn.Linear(2, 2)))
    before = target.teacher.cls_token.clone()
    state = model.state_dict()
    assert set(state) == {'student.weight', 'student.bias'}
    model.load_state_dict(state, strict=True)
    assert torch.equal(target.teacher.cls_token, before)
    with pytest.raises(RuntimeError, match=r'Missing key.*student\.bias'):
        model.load_state_dict({'student.weight': state['student.weight']})


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(scaling='none'), "got 'none'"),
        (dict(model='vit_tiny_clip'), 'no model'),
        (dict(checkpoint='a.pt', pretrained=True), 'not both'),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        small(**wrong)
