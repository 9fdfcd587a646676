"""iTPN on pixels: what may be seen, what is predicted, and that its pyramid lands in a detector."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.checkpoints.matching import load_matching
from mmssl.compat.downstream import prepare_downstream
from mmssl.config.load import load_config
from mmssl.models.backbones.hivit import HiViT
from mmssl.registry import ALGORITHMS, MODELS
from tests import test_world_size as every_method
from tests.parity.golden import CONFIGS
from tests.support.shrink import shrink

CIFAR = 'itpn/itpn_hivit-tiny_1xb512-400e_cifar10.py'
BASE = 'itpn/itpn_hivit-base-pixel_64xb64-400e_in1k.py'


def build(recipe: str = CIFAR, **options):
    torch.manual_seed(0)
    return ALGORITHMS.build(load_config(CONFIGS / recipe, options).model)


def test_a_hidden_unit_reaches_neither_encoder_nor_pyramid():
    model = build().eval()
    images = torch.randn(2, 3, 32, 32)
    mask = model.masker(images)
    keep = model.masker.visible(mask)
    unit = mask[0].nonzero()[0].item()
    row, column = unit // 8 * 4, unit % 8 * 4
    changed = images.clone()
    changed[0, :, row : row + 4, column : column + 4] = torch.randn(3, 4, 4)
    one, other = ((stages := model.backbone(x, keep=keep)) + model.neck.pyramid(stages) for x in (images, changed))
    assert all(torch.equal(*pair) for pair in zip(one, other))


def test_shapes_and_first_loss_of_the_base_model():
    model = build(BASE).eval()
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        mask = model.masker(images)
        keep = model.masker.visible(mask)
        pyramid = model.neck.pyramid(model.backbone(images, keep=keep))
        mask, prediction = model.reconstruct(images)
        loss = model.head(prediction, model.target(images), mask)
    assert keep.shape == (2, 49) and mask.sum(dim=1).tolist() == [147, 147]
    assert [tuple(level.shape) for level in pyramid] == [(2, 49, side, side, 256) for side in (4, 2, 1)]
    assert prediction.shape == (2, 196, 768)
    assert 1.0 < loss < 1.4


def test_features_are_predicted_with_one_option():
    plain, both = build(), build(**{'model.mfm': True})
    images = torch.randn(2, 3, 32, 32)
    assert set(plain.loss([images])) == {'loss'}
    losses = both.loss([images])
    assert set(losses) == {'loss', 'loss_features'}
    sum(losses.values()).backward()
    for name, parameter in both.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert parameter.requires_grad != (name.startswith('mfm.teacher.') or name == 'neck.decoder.pos_embed'), name
    weighted = build(**{'model.mfm': dict(weight=0.6, momentum=0.9)})
    weighted.load_state_dict(both.state_dict())
    torch.manual_seed(1)
    expected = 2 * both.loss([images])['loss_features']
    torch.manual_seed(1)
    assert_close(weighted.loss([images])['loss_features'], expected)


def test_the_teacher_of_features_starts_as_the_encoder_and_follows_it():
    model = build(**{'model.mfm': dict(momentum=0.9)})
    with torch.no_grad():
        model.backbone.absolute_pos_embed += 1
    model.on_train_start()
    teacher = model.mfm.teacher.backbone.absolute_pos_embed
    assert torch.equal(teacher, model.backbone.absolute_pos_embed)
    with torch.no_grad():
        model.backbone.absolute_pos_embed += 1
    model.on_step_end(0.0)
    assert_close(teacher, model.backbone.absolute_pos_embed - 0.9)


@pytest.fixture
def with_features(tmp_path) -> str:
    """Path of the CIFAR-10 recipe with masked feature modelling."""
    recipe = tmp_path / 'features.py'
    recipe.write_text(f"_base_ = ['{CONFIGS / CIFAR}']\nmodel = dict(mfm=True)\n")
    return str(recipe)


@pytest.mark.parametrize(
    'check',
    [
        every_method.test_processes_share_a_batch_without_changing_the_step,
        every_method.test_the_loss_changes_no_state_but_norm_statistics,
        every_method.test_a_step_never_waits_for_the_device,
        every_method.test_the_optimizer_moves_neither_teacher_nor_frozen_parameters,
    ],
)
def test_what_holds_for_every_method_holds_with_features(check, with_features):
    check(with_features)


def test_a_step_keeps_less_than_one_of_the_encoder_alone_on_whole_images():
    with torch.device('meta'):
        model, backbone = build(BASE), HiViT('base', output='mean')
        images = torch.empty(16, 3, 224, 224)
    kept = [bytes_kept(lambda: model.encode(images)), bytes_kept(lambda: backbone(images))]
    assert kept[0] < 0.8 * kept[1]


def bytes_kept(forward) -> int:
    """Size of what is kept for the backward pass, weights too."""
    sizes: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        sizes[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        outputs = forward()
    assert outputs is not None
    return sum(sizes.values())


def test_a_trained_pyramid_lands_in_a_detector():
    pytest.importorskip('mmdet')
    prepare_downstream()
    from mmdet.registry import MODELS as DETECTORS
    from mmdet.utils import register_all_modules

    cfg = shrink(load_config(CONFIGS / CIFAR))
    torch.manual_seed(0)
    model = ALGORITHMS.build(cfg.model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    textures = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    images = textures.repeat(1, 1, 4, 4)  # what is hidden looks like what is not, differently in every image
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = model.loss([images])['loss']
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.3 * sum(losses[:5])  # 0.9 without looking at the image

    register_all_modules(init_default_scope=False)
    neck = DETECTORS.build(dict(type='mmssl.ITPNPyramid', in_channels=(12, 24, 48), out_channels=16, num_outs=5))
    state = model.state_dict()
    load_matching(neck, state, 'iTPN', prefix='neck.pyramid', min_match=1.0, name='neck')
    for name, tensor in neck.state_dict().items():
        assert torch.equal(tensor, state[f'neck.pyramid.{name}'])
    found = MODELS.build(dict(type='mmssl.ITPNPyramid', in_channels=(12, 24, 48), out_channels=16))
    load_matching(found, state, 'iTPN', min_match=1.0, name='neck')  # the prefix is found, too
    backbone = DETECTORS.build(dict(cfg.model.backbone, type='mmssl.HiViT', output='maps'))
    backbone.load_state_dict({k[9:]: v for k, v in state.items() if k.startswith('backbone.')}, strict=True)
    maps = neck(backbone(torch.randn(1, 3, 96, 160)))
    assert [tuple(m.shape) for m in maps] == [(1, 16, 96 // s, 160 // s) for s in (2, 4, 8, 16, 32)]


def test_levels_are_reconstructed_alone_and_together_under_one_mask():
    model, images = build().eval(), torch.randn(2, 3, 32, 32)
    torch.manual_seed(1)
    mask, prediction = model.reconstruct(images)
    torch.manual_seed(1)
    same, levels = model.reconstruct_levels(images)
    assert torch.equal(same, mask) and list(levels) == ['P4', 'P8', 'P16', 'all levels']
    assert_close(levels['all levels'], prediction)
    assert all(levels[name].shape == prediction.shape for name in levels)
