"""What AlexNet, VGG16, NIN, WideResNet and PreActResNet share, on every one of them."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmssl.config.load import load_config
from mmssl.registry import ALGORITHMS, BACKBONES
from tests.support.checkpoints import load_file
from tests.support.shrink import shrink
from tests.test_configs import CONFIGS

SMALL = {
    'AlexNet': dict(channels=(4, 8, 8, 12, 16), stem='small', sobel=True),
    'VGG16': dict(width=0.0625),
    'NIN': dict(width=0.0625),
    'WideResNet': dict(depth=10, width_factor=1),
    'WideResNet madry': dict(depth=14, width_factor=1, variant='madry'),
    'PreActResNet': dict(width=0.125),
}
each_backbone = pytest.mark.parametrize('name', SMALL)


def build(name: str, **options: object) -> nn.Module:
    return BACKBONES.build(dict(type=name.split()[0], **SMALL[name], **options))


def images() -> torch.Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@each_backbone
def test_maps_are_those_of_a_deeper_build_and_every_parameter_that_trains_receives_a_gradient(name):
    whole, first = build(name), build(name, out_indices=(0, 1))
    first.load_state_dict(whole.state_dict(), strict=True)
    assert not hasattr(first.stages, '2') and whole.num_stages > 2
    maps = first.eval()(images())
    both = build(name, out_indices=(1, 0, whole.num_stages - 1)).eval()
    both.load_state_dict(whole.state_dict())
    for one, other in zip(maps, both(images())):
        assert torch.equal(one, other)
    assert first.feature_dim == maps[-1].shape[1] and whole.feature_dim == both(images())[-1].shape[1]
    first.train()
    sum(m.sum() for m in first(images())).backward()
    assert all((p.grad is not None) == p.requires_grad for p in first.parameters())


@each_backbone
def test_what_is_frozen_stays_and_norm_eval_fixes_statistics(name):
    backbone = build(name, frozen_stages=1).train()
    before = {key: tensor.clone() for key, tensor in backbone.state_dict().items()}
    backbone(images())
    frozen = ('stem.', 'stages.0.')
    for key, tensor in backbone.state_dict().items():
        if key.endswith('running_mean'):
            assert torch.equal(tensor, before[key]) == key.startswith(frozen), key
    assert all(p.requires_grad != key.startswith(frozen) for key, p in backbone.named_parameters())
    backbone = build(name, norm_eval=True).train()
    backbone(images())
    assert all(m.num_batches_tracked == 0 for m in backbone.modules() if isinstance(m, nn.BatchNorm2d))


@each_backbone
def test_distances_count_blocks_from_the_output(name):
    distances = build(name).layers_to_output()
    blocks = {'AlexNet': 5, 'VGG16': 13, 'NIN': 12, 'WideResNet': 3, 'WideResNet madry': 6, 'PreActResNet': 16}[name]
    assert set(distances.values()) - {blocks + 1, 0} == set(range(1, blocks + 1))


@each_backbone
def test_a_method_and_a_classifier_train_them_and_a_backbone_file_goes_from_one_to_the_other(name, tmp_path):
    config = dict(type=name.split()[0], **SMALL[name])
    width = BACKBONES.build(config).feature_dim
    neck = dict(type='MLPProjector', in_channels=width, hidden_channels=8, out_channels=4)
    simclr = ALGORITHMS.build(dict(type='SimCLR', backbone=config, neck=neck, head=dict(type='NTXentLoss')))
    simclr.loss([images(), images().flip(3)])['loss'].backward()
    assert all((p.grad is not None) == p.requires_grad for p in simclr.parameters())
    file = tmp_path / 'backbone.pth'
    torch.save(dict(state_dict=simclr.backbone.state_dict(), meta=dict(backbone=config)), file)

    head = dict(type='LinearClsHead', in_channels=width, num_classes=3)
    classifier = ALGORITHMS.build(
        dict(type='ImageClassifier', backbone=config, neck=dict(type='Identity'), head=head, frozen=True)
    )
    load_file(classifier.backbone, file)
    for key, tensor in classifier.backbone.state_dict().items():
        assert torch.equal(tensor, simclr.backbone.state_dict()[key]), key
    classifier.loss([images()], dict(label=torch.tensor([0, 2])))['loss'].backward()
    assert {key for key, p in classifier.named_parameters() if p.grad is not None} == {'head.fc.weight', 'head.fc.bias'}
    assert classifier.extract_feat(images()).shape == (2, width)


@pytest.mark.parametrize('recipe', ['bownet', 'clusterfit', 'deepcluster', 'deepclusterv2', 'sela', 'swav'])
def test_methods_of_clusters_and_words_train_them(recipe):
    (path,) = CONFIGS.glob(f'*/{recipe}_resnet18_*_cifar10.py')
    for name in (*SMALL, 'AdderResNet', 'AdderVGG'):
        cfg = load_config(path)
        variant = {'variant': 'madry'} if name.endswith('madry') else {}
        cfg.model.backbone = ConfigDict(type=name.split()[0], **variant)
        if 'target' in cfg.model:
            cfg.model.target.backbone = cfg.model.backbone
        cfg = shrink(cfg)
        algorithm = ALGORITHMS.build({**cfg.model, 'data_preprocessor': None})
        if hasattr(algorithm, 'before_labels'):
            algorithm.before_labels(2)
        views = [torch.randn(2, 3, view.size, view.size) for view in cfg.train_dataloader.dataset.views]
        labels = dict(pseudo_label=torch.zeros(2, cfg.model.head.get('num_heads', 1), dtype=torch.int64))
        algorithm.loss(views, dict(labels, label=torch.tensor([0, 1]), index=torch.arange(2)))['loss'].backward()
        assert all((p.grad is not None) == p.requires_grad for p in algorithm.parameters()), name


@each_backbone
def test_wrong_stages_are_named(name):
    with pytest.raises(ValueError, match='out_indices must name stages 0 to'):
        build(name, out_indices=(7,))
    with pytest.raises(ValueError, match='frozen_stages must lie in -1 to'):
        build(name, frozen_stages=9)


def test_other_toolboxes_build_them_by_their_scoped_names():
    for name in SMALL:
        assert type(ROOT_MODELS.build(dict(type=f'mmssl.{name.split()[0]}', **SMALL[name]))).__name__ in name
