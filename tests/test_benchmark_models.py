"""Every model of the ResNet benchmarks takes a step and predicts, narrow and on noise."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from torch import nn

from mmssl.config.load import load_config
from mmssl.engine.optimizers.local_rate import check_param_options
from mmssl.models.layers.adder2d import Adder2d
from mmssl.registry import MODELS
from mmssl.utils.errors import UserError
from tests.support.downstream import SIZE, shrink_options
from tests.support.tools import ROOT

pytestmark = pytest.mark.skipif(
    any(find_spec(package) is None for package in ('mmcv', 'mmdet', 'mmseg')), reason='needs mmdet and mmseg'
)

BOXES = torch.tensor([[4.0, 6, 40, 44], [20, 10, 60, 30]])
CONFIGS = sorted(
    path
    for path in (ROOT / 'configs' / 'benchmarks').glob('mm*/*_r50*.py')
    if path.stem.rpartition('_')[2] in ('coco', 'voc0712', 'voc12aug', 'ade20k')
)


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    yield
    init_default_scope('mmssl')


def narrow(path: Path) -> Config:
    """A config whose model has an eighth of its channels."""
    options = shrink_options(load_config(path))
    return load_config(path, {key: value for key, value in options.items() if key.startswith('model.')})


def batch(cfg: Config) -> dict[str, list]:
    """Two images of noise with two boxes and their masks, or with a map of classes."""
    samples = []
    for _ in range(2):
        meta = dict(img_shape=(SIZE, SIZE), ori_shape=(SIZE, SIZE), scale_factor=(1.0, 1.0), img_id=0, flip=False)
        if cfg.default_scope == 'mmseg':
            from mmseg.structures import SegDataSample

            sample = SegDataSample(metainfo=dict(meta, pad_shape=(SIZE, SIZE)))
            sample.gt_sem_seg = PixelData(data=torch.randint(0, 20, (1, SIZE, SIZE)))
        else:
            from mmdet.structures import DetDataSample
            from mmdet.structures.mask import BitmapMasks

            sample = DetDataSample(metainfo=meta)
            masks = np.zeros((2, SIZE, SIZE), dtype=np.uint8)
            for mask, (x1, y1, x2, y2) in zip(masks, BOXES.int().tolist()):
                mask[y1:y2, x1:x2] = 1
            sample.gt_instances = InstanceData(
                bboxes=BOXES.clone(), labels=torch.tensor([0, 1]), masks=BitmapMasks(masks, SIZE, SIZE)
            )
            sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
        samples.append(sample)
    images = [torch.randint(0, 256, (3, SIZE, SIZE), dtype=torch.uint8) for _ in samples]
    return dict(inputs=images, data_samples=samples)


@pytest.mark.parametrize('path', CONFIGS, ids=[path.stem for path in CONFIGS])
def test_loss_gradient_and_prediction(path: Path) -> None:
    check_step(narrow(path))


@pytest.mark.parametrize('name', ['mmdetection/retinanet_r50-fpn_1x_coco', 'mmsegmentation/upernet_r50_160k_ade20k'])
def test_a_backbone_of_adder_layers(name: str) -> None:
    cfg = narrow(ROOT / 'configs' / 'benchmarks' / f'{name}.py')
    cfg.model.backbone.type = 'mmssl.AdderResNet'
    model = check_step(cfg)
    optimizer = dict(type='SGD', lr=0.01)
    wrapper = dict(type='OptimWrapper', constructor='mmssl.GroupedOptimWrapperConstructor', optimizer=optimizer)
    check_param_options(model, build_optim_wrapper(model, wrapper).optimizer)  # local rates
    with pytest.raises(UserError, match='no local_rate for backbone.layer1'):
        check_param_options(model, build_optim_wrapper(model, dict(type='OptimWrapper', optimizer=optimizer)).optimizer)


def check_step(cfg: Config) -> nn.Module:
    """Checks loss, gradients and predictions of the model of a config, and returns the model."""
    init_default_scope(cfg.default_scope)
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    data = model.data_preprocessor(batch(cfg), training=True)
    total, _ = model.parse_losses(model(**data, mode='loss'))
    total.backward()
    stages = [model.backbone]
    if 'shared_head' in cfg.model.get('roi_head', {}):
        stages.append(model.roi_head.shared_head)
    assert total.isfinite()
    assert all(parameter.grad.isfinite().all() for stage in stages for parameter in stage.parameters())
    assert sum(isinstance(module, (nn.Conv2d, Adder2d)) for stage in stages for module in stage.modules()) == 53

    with torch.no_grad():
        samples = model.eval()(**model.data_preprocessor(batch(cfg)), mode='predict')
    if cfg.default_scope == 'mmseg':
        assert samples[0].pred_sem_seg.data.shape == (1, SIZE, SIZE)
    else:
        found = samples[0].pred_instances
        assert 0 < len(found) <= 100 and found.bboxes.isfinite().all() and found.bboxes.max() <= SIZE
        if 'mask_head' in cfg.model.get('roi_head', {}):
            assert found.masks.shape[1:] == (SIZE, SIZE)
    return model
