"""What parts must share is compared before the first iteration, and the message names both of them."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn
from torch.utils.data import DataLoader

from mmssl.distributed.collectives import rank
from mmssl.engine import agreement
from mmssl.engine.agreement import check_banks, check_classes, check_training, check_units
from mmssl.engine.sizes import check_sizes
from mmssl.models.components.batch_mix import BatchMix
from mmssl.models.components.batch_shuffle import BatchShuffle
from mmssl.models.components.feature_queue import FeatureQueue
from mmssl.models.components.memory_bank import MemoryBank
from mmssl.models.losses.koleo_loss import KoLeoLoss
from mmssl.models.necks.bottleneck_attention import BottleneckAttention
from mmssl.registry import ALGORITHMS, BACKBONES, PREPROCESSORS, TARGETS, TRANSFORMS
from mmssl.utils.errors import UserError
from tests.support.distributed import run_distributed
from tests.support.recipes import CONFIGS, loaded, whole_text
from tests.support.shrink import shrink
from tests.support.tiny_run import tiny_config, train

RECIPES = {path.stem.split('_')[0]: path for path in sorted(CONFIGS.glob('[!_]*/*_cifar10.py'))}


RESNET = dict(type='ResNet', depth=10, stem='small', width=0.125)
TOWER = dict(embed_dim=32, depth=1, num_heads=2, patch_size=8)


def small(method: str) -> Config:
    init_default_scope('mmssl')
    return shrink(loaded(RECIPES[method]))


def check(cfg: Config) -> None:
    views = [TRANSFORMS.build(dict(view)) for view in cfg.train_dataloader.dataset.views]
    check_sizes(ALGORITHMS.build(cfg.model), SimpleNamespace(views=views))


def test_no_other_gpu_is_asked_for_its_random_state(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, fork = [], torch.random.fork_rng
    monkeypatch.setattr(torch.random, 'fork_rng', lambda devices=None: (asked.append(devices), fork(devices))[1])
    check(small('simclr'))
    assert asked and None not in asked  # None stands for every GPU


class _TwoInputs(nn.Module):
    def forward(self, features: object, more: object) -> None: ...


def test_a_part_that_cannot_be_called_is_named_and_is_no_error() -> None:
    model = ALGORITHMS.build(small('simclr').model)
    views = [SimpleNamespace(size=16)] * 2
    assert check_sizes(model, SimpleNamespace(views=views)) == []
    model.neck = _TwoInputs()
    (note,) = check_sizes(model, SimpleNamespace(views=views))
    assert 'not checked whether model.neck' in note and "missing 1 required positional argument: 'more'" in note
    (note,) = check_sizes(model, SimpleNamespace(views=[SimpleNamespace()]))
    assert 'not every view has an attribute size' in note


@pytest.mark.parametrize('method', [name for name, path in RECIPES.items() if '\nstages = ' not in whole_text(path)])
def test_recipes_fit_and_are_left_as_they_were(method: str) -> None:
    cfg = small(method)
    if 'views' not in cfg.train_dataloader.dataset:
        pytest.skip('the views of this recipe stand elsewhere')
    model = ALGORITHMS.build(cfg.model)
    modes = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    before = torch.random.get_rng_state()
    check_sizes(model, SimpleNamespace(views=[TRANSFORMS.build(dict(v)) for v in cfg.train_dataloader.dataset.views]))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ('method', 'changes', 'message'),
    [
        (
            'mae',
            {'train_dataloader.dataset.views.0.size': 64},
            r'views.0.size=64 and model.masker.patch_size=8 give 8 x 8 patches, but model.neck.grid_size has '
            r'4 x 4: set model.neck.grid_size=8',
        ),
        ('itpn', {'model.neck.grid_size': 3}, r'4 x 4 patches, but model.neck.grid_size has 3 x 3'),
        ('mae', {'model.neck.grid_size': (2, 8)}, r'4 x 4 patches, but model.neck.grid_size has 2 x 8: set'),
        ('cae', {'model.head.grid_size': 5}, r'4 x 4 patches, but model.head.grid_size has 5 x 5: set model.head.grid'),
        ('mae', {'model.masker.patch_size': 16}, r'model.masker.patch_size=16 and the patches of model.backbone, 8'),
        ('maskfeat', {'model.target.patch_size': 16}, r'patch_size=8 and the patches of model.target, 16 pixels'),
        ('mae', {'train_dataloader.dataset.views.0.size': 36}, r'views.0.size=36 is not a multiple of model.masker'),
        ('simmim', {'model.masker.unit_size': 24}, r'views.0.size=32 is not a multiple of model.masker.unit_size=24'),
        ('mae', {'model.neck.out_channels': 48}, r'predicts 48 values per patch, but model.target has 192: set'),
        ('mae', {'model.masker.ratio': 0.95}, r'model.masker hides all 4 x 4 patches of an image: lower'),
        ('simmim', {'model.masker.ratio': 0.95}, r'model.masker hides all \d x \d patches of an image: lower'),
        ('simmim', {'model.neck.out_channels': 1}, r'model.target has (\d+): set model.neck.out_ch.*=3$'),
        ('maskfeat', {'model.neck.out_channels': 5}, r'model.neck predicts 5 values per patch, but model.target has'),
        ('beit', {'model.target.tokenizer.patch_size': 16}, r'model.target returns 4 targets for a view of 32 pixels'),
        ('simmim', {'model.neck.stride': 16}, r'with stride=16 predicts 64 patches, but the masker has 16'),
        (
            'simclr',
            {'model.neck.in_channels': 99},
            r'model.neck does not take the output of model.backbone \(feature_d',
        ),
        ('ibot', {'model.neck.in_channels': 99}, r'model.neck does not take the tokens of model.backbone'),
        ('dinov2', {'model.neck.patches.in_channels': 99}, r'model.neck does not take the tokens of model.backbone'),
        ('colorization', {'model.target.stride': 8}, r'has 4 x 4 colours with model.target.stride=8, but the network'),
        ('contextencoder', {'model.head.rim': 8}, r'model.head.rim=8 leaves nothing of the hole in images of 32'),
        (
            'simclr',
            {'model.neck': dict(_delete_=True, type='Identity')},
            r'neck returns the shape .*, and SimCLR takes vectors',
        ),
        (
            'odc',
            {'model.neck': dict(_delete_=True, type='Identity')},
            r'and ODC takes vectors .*: use a projector',
        ),
        ('odc', {'model.clusters.dim': 99}, r'vectors of 32 numbers: set model.clusters.dim=32, got 99'),
        ('odc', {'model.head.in_channels': 99}, r'vectors of 32 numbers: set model.head.in_channels=32, got 99'),
        ('swav', {'model.head.in_channels': 99}, r'vectors of 32 numbers: set model.head.in_channels=32, got 99'),
        ('byol', {'model.neck.out_channels': 99}, r'^model.head.predictor does not take the 99 .*in_channels=99: '),
        ('care', {'model.head.predictor.in_channels': 99}, r'^model.head.predictor does not take the 32 '),
        ('nnclr', {'model.head.predictor.out_channels': 99}, r'predicts 99 numbers, but .* set model.head.pr.*=32$'),
        ('npid', {'model.bank.dim': 99}, r'vectors of 32 numbers: set model.bank.dim=32, got 99'),
        ('mocov2', {'model.queue.dim': 99}, r'numbers: set model.queue.dim='),
        ('densecl', {'model.queue.dim': 99}, r'numbers: set model.queue.dim='),
        ('resim', {'model.queue.dim': 99}, r'numbers: set model.queue.dim='),
        ('amdim', {'model.neck.out_channels': 2048}, r'the vector has .* numbers: set model.neck.out_channels'),
        ('pirl', {'model.tile_neck.in_channels': 99}, r'model.tile_neck does not take the output of model.backbone'),
        ('beit', {'model.masker.num_hidden': 99}, r'the parts of BEiT do not fit images of .*views.0.size=32'),
        ('cae', {'model.backbone.patch_size': 4}, r'patch_size=8 and the patches of model.backbone, 4 pixels'),
        ('simmim', {'model.neck.out_channels': 2}, r'but model.target has 192: set model.neck.out_channels=3'),
        ('ibot', {'model.neck.norm': True}, r'hidden patches cannot pass batch norms'),
        ('distillation', {'model.neck.out_channels': 99}, r'set model.neck.out_channels=\d+, and'),
    ],
)
def test_parts_that_do_not_fit(method: str, changes: dict[str, Any], message: str) -> None:
    cfg = small(method)
    cfg.merge_from_dict(changes)
    with pytest.raises(UserError, match=message):
        check(cfg)


@pytest.mark.parametrize('method', ['simclr', 'npid'])
def test_a_method_without_a_projector_contrasts_the_pooled_features(method: str) -> None:
    cfg = small(method)
    width = BACKBONES.build(cfg.model.backbone).feature_dim
    cfg.merge_from_dict({'model.neck': dict(_delete_=True, type='GlobalAveragePooling')})
    if 'bank' in cfg.model:
        cfg.model.bank.dim = width
    check(cfg)
    model, images = ALGORITHMS.build(cfg.model), torch.randn(2, 3, 32, 32)
    assert torch.equal(model.neck(model.backbone(images)), model.extract_feat(images))


@pytest.mark.parametrize(
    ('method', 'changes', 'message'),
    [
        ('ibot', {'model.backbone.output': 'cls'}, r"reads the tokens .* set model.backbone.output='tokens'"),
        ('cae', {'model.backbone.output': 'mean'}, r"reads the tokens .* set model.backbone.output='tokens'"),
        ('ijepa', {'model.backbone.type': 'VisionTransformer'}, r"set model.backbone.type='PatchViT'"),
        ('greenmim', {'model.masker.patch_size': 16}, r'must be the side of a unit of the backbone, 8 pixels'),
        ('cae', {'model.head.in_channels': 36}, r'model.head.in_channels=36 must be model.neck.embed_dim='),
    ],
)
def test_algorithms_refuse_parts_that_do_not_fit(method: str, changes: dict[str, Any], message: str) -> None:
    cfg = small(method)
    cfg.merge_from_dict(changes)
    with pytest.raises(ValueError, match=message):
        ALGORITHMS.build(cfg.model)


@pytest.mark.parametrize(('method', 'part'), [('beit', 'target'), ('igpt', 'backbone.colors')])
def test_targets_know_how_images_were_normalised(method: str, part: str) -> None:
    cfg = small(method)
    check_units(ALGORITHMS.build(cfg.model))
    cfg.model.data_preprocessor.mean = [120, 120, 120]
    with pytest.raises(UserError, match=rf'model\.{part}\.mean=.* must be the mean of model.data_preproc.*120'):
        check_units(ALGORITHMS.build(cfg.model))


@pytest.mark.parametrize(
    'target', [dict(type='CLIPTarget', img_size=32, options=TOWER), dict(type='FeatureTarget', backbone=RESNET)]
)
def test_teachers_know_how_images_were_normalised(target: dict[str, Any]) -> None:
    model = nn.Module()
    model.data_preprocessor = PREPROCESSORS.build(dict(type='SelfSupDataPreprocessor', std=[80, 60, 60]))
    model.target = TARGETS.build(target)
    with pytest.raises(UserError, match=r'model\.target\.(mean|std)='):
        check_units(model)


def classifier(**changes: Any) -> torch.nn.Module:
    init_default_scope('mmssl')
    backbone = dict(type='ResNet', depth=18, stem='small', width=0.125)
    head = dict(type='LinearClsHead', in_channels=64, num_classes=3)
    return ALGORITHMS.build(
        dict(type='ImageClassifier', backbone=backbone, neck=dict(type='Identity'), head=head) | changes
    )


def labelled(classes: tuple[str, ...] | None, labels: list[int]) -> SimpleNamespace:
    return SimpleNamespace(
        classes=classes, labels=torch.tensor(labels), label=labels.__getitem__, describe=lambda: 'somewhere'
    )


def test_classes_of_data_and_head() -> None:
    model = classifier()
    check_classes(model, labelled(('a', 'b', 'c'), [0, 1, 2]))
    check_classes(model, labelled(None, [0, 2]))
    for data in (labelled(('a', 'b', 'c', 'd'), [0]), labelled(None, [0, 3])):
        with pytest.raises(UserError, match=r'has 4 classes.* and the head 3: set model.head.num_classes=4'):
            check_classes(model, data)
    with pytest.raises(UserError, match=r'learns from labels, and the images of .* \(somewhere\) have none'):
        check_classes(model, labelled(None, [-1]))
    mixed = classifier(mix=dict(type='BatchMix', num_classes=5))
    with pytest.raises(UserError, match=r'model.mix.num_classes=5 and model.head.num_classes=3 must be the same'):
        check_classes(mixed, labelled(('a', 'b', 'c'), [0]))


def test_a_bank_has_a_row_for_each_image(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.ModuleDict(dict(bank=MemoryBank(length=4, dim=2)))
    check_banks(model, range(4))
    with pytest.raises(UserError, match='model.bank has 4 rows, and .* 5 images: set model.bank.length=5'):
        check_banks(model, range(5))
    said: list[str] = []
    monkeypatch.setattr(agreement, 'print_log', lambda text, **options: said.append(text))
    check_banks(model, range(3))
    assert 'only 3 images: the other rows stay random' in said[0]


def test_the_last_batch_of_an_epoch_fits_into_the_queue() -> None:
    model = nn.ModuleDict(dict(queue=FeatureQueue(8, 2)))
    for images, drop_last in ((10, False), (11, True)):
        check_training(model, DataLoader(range(images), 4, drop_last=drop_last))
    with pytest.raises(ValueError, match='last batch of an epoch: model.queue: queue length 8 .* batch size 3'):
        check_training(model, DataLoader(range(11), 4))


@pytest.mark.parametrize(
    ('part', 'message'),
    [
        (BatchMix(2), 'model.part: mixing needs an even number of images per process, got 3'),
        (BatchShuffle(2), 'model.part: norm_group_size=2 must divide the 3 images'),
        (KoLeoLoss(group_size=2), 'model.part: group_size=2 must divide the 3 images'),
        (BottleneckAttention(4, 4, 4, 1, 1, 2, norm_group_size=2), 'model.part: norm_group_size=2 must divide the 3'),
    ],
)
def test_every_batch_fits_the_groups_of_a_part(part: nn.Module, message: str) -> None:
    model = nn.ModuleDict(dict(part=part))
    for images, drop_last in ((10, False), (11, True)):
        check_training(model, DataLoader(range(images), 4, drop_last=drop_last))
    with pytest.raises(ValueError, match=message):
        check_training(model, DataLoader(range(9), 3))
    with pytest.raises(ValueError, match=f'the last batch of an epoch: {message}'):
        check_training(model, DataLoader(range(11), 4))


def test_a_last_batch_of_one_image_per_process_is_refused_unless_norms_are_synchronised(tmp_path: Path) -> None:
    for problem in run_distributed(_last_batch_of_one, 2, str(tmp_path), False):
        assert 'epoch of 9 images per process is a single one: set train_dataloader.drop_last=True' in problem
    assert run_distributed(_last_batch_of_one, 2, str(tmp_path), True) == [None, None]


def _last_batch_of_one(work_dir: str, sync_bn: bool) -> str | None:
    torch.set_default_dtype(torch.float32)
    os.environ['LOCAL_RANK'] = str(rank())
    cfg = tiny_config(work_dir, 'byol', max_epochs=1, launcher='pytorch', sync_bn=sync_bn)
    cfg['train_dataloader'].update(drop_last=False)
    cfg['train_dataloader']['dataset']['num_images'] = 18
    try:
        train(cfg)
    except UserError as error:
        return str(error)
    return None
