"""Benchmark configs of detection and segmentation: what they say, what they build, and that the small ones run."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from torch import Tensor, nn

from mmssl.config.check import check_config
from mmssl.config.load import load_config
from mmssl.converters.transfer import transfer_weights
from mmssl.models.backbones.resnet import ResNet
from mmssl.registry import MODELS
from tests.support.downstream import shrink_options, write_camvid, write_coco, write_voc
from tests.support.tools import ROOT, load_tool

pytestmark = pytest.mark.skipif(
    any(find_spec(package) is None for package in ('mmcv', 'mmdet', 'mmseg')), reason='needs mmdet and mmseg'
)

CONFIGS = sorted((ROOT / 'configs' / 'benchmarks').glob('mm*/*.py'))
configs = pytest.mark.parametrize('path', CONFIGS, ids=[path.stem for path in CONFIGS])
WRITERS: dict[str, Callable[[Path], Path]] = {
    'coco-small': write_coco,
    'coco-polygons': write_coco,
    'bccd': lambda root: write_voc(root, ('WBC', 'RBC', 'Platelets')),
    'camvid': write_camvid,
}
METRICS = {'coco-small': 'coco/bbox_mAP', 'coco-polygons': 'coco/segm_mAP', 'bccd': 'pascal_voc/mAP', 'camvid': 'mIoU'}
RESNETS = [path for path in CONFIGS if re.search(r'_r\d+', path.stem)]
SMALL = [path for path in CONFIGS if path.stem.rpartition('_')[2] in WRITERS]


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    yield
    init_default_scope('mmssl')


@cache
def config(stem: str) -> Config:
    """A config, which nobody changes."""
    (path,) = (path for path in CONFIGS if path.stem == stem)
    return load_config(path)


@cache
def build(stem: str) -> nn.Module:
    """The model of a config, without weights."""
    init_default_scope(config(stem).default_scope)
    with torch.device('meta'):
        return MODELS.build(config(stem).model)


def narrow_resnet(cfg: Config) -> ResNet:
    """The backbone of a config, whole and with an eighth of its width."""
    backbone = cfg.model.backbone
    return ResNet(backbone.depth, backbone.get('width', 1) / 8)


def pretraining(cfg: Config) -> dict[str, Tensor]:
    """What pre-training would have saved for the model of a config."""
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    has_neck = getattr(getattr(model, 'neck', None), 'pretrained_with_backbone', False)
    parts = ('backbone.', 'neck.') if has_neck else ('backbone.',)
    return {name: value for name, value in model.state_dict().items() if name.startswith(parts)}


@configs
def test_config_is_valid_and_builds(path: Path) -> None:
    cfg, model = config(path.stem), build(path.stem)
    check_config(cfg, data=False)
    fixed = {name for name, parameter in model.backbone.named_parameters() if not parameter.requires_grad}
    assert fixed == ({'pos_embed'} if '_cae-' in path.stem else set())
    assert cfg.auto_scale_lr.base_batch_size
    assert cfg.get('sync_bn') == 'torch' or not any(isinstance(part, nn.BatchNorm2d) for part in model.modules())


@configs
def test_docstring_gives_command_source_and_published_number(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    pattern = r'^    (?:python |)(tools/\S+) (\S+)(?: \d+)? (?:\\\n +)?--pretrained CHECKPOINT$'
    command = re.search(pattern, docstring, re.M)
    assert (ROOT / command[1]).is_file() and ROOT / command[2] == path
    assert re.search(r'^Source: \S', docstring, re.M) and re.search(r'^Published\b.*: \S', docstring, re.M)


@pytest.mark.parametrize('path', RESNETS, ids=[path.stem for path in RESNETS])
def test_a_checkpoint_of_the_whole_backbone_fills_the_model(path: Path, tmp_path: Path) -> None:
    cfg = load_config(path)
    whole = narrow_resnet(cfg)
    cfg.model.backbone.width = whole.conv1.out_channels / 64
    if shared_head := cfg.model.get('roi_head', {}).get('shared_head'):
        shared_head.width = cfg.model.backbone.width
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    state = {name: torch.full_like(value, 2) for name, value in whole.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'backbone.pth')
    transfer_weights(model, tmp_path / 'backbone.pth')
    stages = [model.backbone, *([model.roi_head.shared_head.layer4] if shared_head else [])]
    assert sum(len(stage.state_dict()) for stage in stages) == len(state)
    assert all((value == 2).all() for stage in stages for value in stage.state_dict().values())


@pytest.mark.parametrize('path', SMALL, ids=[path.stem for path in SMALL])
def test_small_config_trains_evaluates_and_is_tested(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = path.stem.rpartition('_')[2]
    root, run = WRITERS[data](tmp_path / 'data'), tmp_path / 'run'
    options = shrink_options(config(path.stem))
    options.pop('model.test_cfg.rcnn.score_thr', None)  # mmdet's CocoMetric reports nothing if no score is above it
    state = pretraining(load_config(path, options))
    torch.save(dict(state_dict=state), tmp_path / 'pretrained.pth')
    options['data_root'] = str(root)
    arguments = ['--work-dir', str(run), '--cfg-options', *(f'{key}={value}' for key, value in options.items())]
    load_tool('train.py').main([str(path), '--pretrained', str(tmp_path / 'pretrained.pth'), *arguments])
    log = ''.join(file.read_text() for file in run.glob('*/*.log'))
    for part in ('backbone', 'neck'):
        number = sum(name.startswith(f'{part}.') for name in state)
        assert not number or f'{part}: {number}/{number} tensors from {tmp_path}' in log
    losses = [float(value) for value in re.findall(r'Epoch\(train\).* loss: (\S+)', log)]
    (validated,) = map(float, re.findall(rf'Epoch\(val\).* {METRICS[data]}: (\S+)', log))
    assert losses and all(map(math.isfinite, losses))
    assert not list(run.glob('*_backbone.pth'))

    results = load_tool('test.py').main([str(path), str(run / 'epoch_1.pth'), *arguments])
    assert 0 <= results[METRICS[data]] == pytest.approx(validated, abs=1e-3)
    assert f'{METRICS[data]}: {results[METRICS[data]]:.4f}' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('recipe', 'stem'),
    [
        ('mae_caltech101', 'faster-rcnn_vit-tiny_bccd'),
        ('itpn_caltech101', 'faster-rcnn_itpn-tiny_bccd'),
        ('resim_caltech101', 'faster-rcnn_resim-r18_bccd'),
    ],
)
def test_checkpoints_of_small_recipes_fit(recipe: str, stem: str, tmp_path: Path) -> None:
    cfg = load_config(ROOT / 'configs' / 'demo' / f'{recipe}.py')
    check_config(cfg, data=False)
    init_default_scope('mmssl')
    trained = MODELS.build(cfg.model)
    parts = dict(backbone=trained.backbone, neck=getattr(trained.neck, 'pyramid', nn.Identity()))
    state = {f'{part}.{name}': value for part, module in parts.items() for name, value in module.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'epoch_1.pth')
    init_default_scope(config(stem).default_scope)
    transfer_weights(MODELS.build(config(stem).model), tmp_path / 'epoch_1.pth')


def test_a_loss_that_is_not_finite_stops_a_segmenter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = (path for path in CONFIGS if path.stem == 'fpn_r18_camvid')
    options = shrink_options(config(path.stem)) | {'optim_wrapper.optimizer.lr': 1e30}
    options['data_root'] = str(WRITERS['camvid'](tmp_path / 'data'))
    with pytest.raises(SystemExit) as exit_:
        load_tool('train.py').main(
            [str(path), '--work-dir', str(tmp_path), '--cfg-options', *(f'{k}={v}' for k, v in options.items())]
        )
    assert exit_.value.code == 2
    assert 'the loss is not finite at iteration 2' in capsys.readouterr().err
    assert not list(tmp_path.glob('*.pth'))


def test_a_box_that_is_a_point_is_ignored(tmp_path: Path) -> None:
    root = WRITERS['bccd'](tmp_path / 'data')
    for file in (root / 'Annotations').iterdir():
        file.write_text(file.read_text().replace('<xmax>40</xmax><ymax>44</ymax>', '<xmax>4</xmax><ymax>6</ymax>'))
    for path in CONFIGS:
        if path.stem.endswith('_bccd'):
            cfg = load_config(path, {'data_root': str(root)})
            init_default_scope('mmdet')
            info = DATASETS.build(cfg.train_dataloader.dataset).get_data_info(0)
            assert [instance['ignore_flag'] for instance in info['instances']] == [1, 0]


def test_2x_trains_24_epochs_and_1x_12() -> None:
    for path in CONFIGS:
        times = re.search(r'_([12])x_coco$', path.stem)
        if times and config(path.stem).model.backbone.type == 'mmssl.ResNet':
            cfg, epochs = config(path.stem), 12 * int(times[1])
            _, steps = cfg.param_scheduler
            assert cfg.train_cfg.max_epochs == steps.end == epochs
            assert [step / epochs for step in steps.milestones] == pytest.approx([2 / 3, 11 / 12], abs=0.01)
            lr = 0.01 if path.stem.startswith('retinanet') else 0.02
            assert cfg.optim_wrapper.optimizer.lr == lr and cfg.auto_scale_lr.base_batch_size == 16


def test_c4_models_normalise_after_the_last_stage() -> None:
    for stem in ('faster-rcnn_r50-c4_24k_voc0712', 'mask-rcnn_r50-c4_1x_coco', 'mask-rcnn_r50-c4_2x_coco'):
        model = build(stem)
        assert isinstance(model.roi_head.shared_head.norm, nn.BatchNorm2d)
        assert not hasattr(model.backbone, 'layer4') and model.data_preprocessor._channel_conversion
        assert config(stem).optim_wrapper.paramwise_cfg == dict(norm_decay_mult=0)
    assert {scale[0] for scale in config(stem).train_dataloader.dataset.pipeline[2].scales} == {1333}


def test_voc_is_measured_as_in_mocos_table() -> None:
    for stem in ('faster-rcnn_r50-c4_24k_voc0712', 'faster-rcnn_r50-fpn_bccd'):
        evaluator = config(stem).test_evaluator
        assert evaluator.eval_mode == '11points'
        assert evaluator.iou_thrs == pytest.approx([0.5 + 0.05 * i for i in range(10)])
    cfg = config('faster-rcnn_r50-c4_24k_voc0712')
    warmup, steps = cfg.param_scheduler
    assert cfg.train_cfg.max_iters == steps.end == 24000 and steps.milestones == [18000, 22000] and warmup.end == 100
    scales = cfg.train_dataloader.dataset.datasets[0].pipeline[2].scales
    assert [side for _, side in scales] == list(range(480, 801, 32))


def test_segmenters_keep_the_stem_that_was_pre_trained() -> None:
    for path in CONFIGS:
        cfg = config(path.stem)
        if cfg.default_scope == 'mmseg' and cfg.model.backbone.type == 'mmssl.ResNet':
            assert build(path.stem).backbone.conv1.kernel_size == (7, 7) and cfg.model.pretrained is None


def test_camvid_ignores_void(tmp_path: Path) -> None:
    (path,) = (path for path in CONFIGS if path.stem == 'fcn_r50-d8_camvid')
    cfg = load_config(path, {'data_root': str(write_camvid(tmp_path / 'data'))})
    init_default_scope('mmseg')
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    labels = {int(label) for item in dataset for label in item['data_samples'].gt_sem_seg.data.unique()}
    assert labels == {*range(11), 255} and len(dataset.metainfo['classes']) == 11


def test_data_root_moves_the_annotations_of_the_metric_too() -> None:
    (path,) = (path for path in CONFIGS if path.stem == 'mask-rcnn_r50-fpn_1x_coco')
    cfg = load_config(path, {'data_root': '/data/coco'})
    assert cfg.val_evaluator.ann_file == cfg.test_evaluator.ann_file == '/data/coco/annotations/instances_val2017.json'
    assert cfg.train_dataloader.dataset.data_root == '/data/coco'


def test_the_page_lists_every_config() -> None:
    linked = re.findall(r'\]\((\.\./\.\./configs/\S+\.py)\)', (ROOT / 'docs' / 'howto' / 'transfer.md').read_text())
    files = {(ROOT / 'docs' / 'howto' / link).resolve() for link in linked}
    assert files == set(CONFIGS)
