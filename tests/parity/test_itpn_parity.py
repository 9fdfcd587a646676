"""iTPN against numbers recorded from its official implementation."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch
from torch import nn

from mmssl.config.load import load_config
from mmssl.models.targets.clip_target import CLIPTarget
from tests.parity.golden import Golden, summary
from tests.parity.test_hivit_parity import build_classifier
from tests.support.tools import ROOT
from tests.support.undrawn import Undrawn


def test_clip_teacher(goldens_dir, tmp_path):
    golden = Golden(goldens_dir, 'itpn_clip_teacher')
    images = (0.5 + 0.25 * golden.inputs()['images01']).clip(0, 1)
    torch.save(golden.state_dict(), tmp_path / 'clip.pt')
    options = dict(checkpoint=str(tmp_path / 'clip.pt'), mean=(0, 0, 0), std=(255, 255, 255))
    with Undrawn():
        official, corrected = (CLIPTarget(scaling=scaling, **options) for scaling in ('official', 'corrected'))
    official.double().init_weights()
    corrected.teacher = official.teacher
    tokens, outputs = [], {}
    official.teacher.norm.register_forward_hook(lambda module, args, output: tokens.append(output[:, 1:]))
    for name, target in (('faithful', official), ('corrected', corrected)):
        with torch.no_grad():
            found = dict(scaled=target.rescale(images), target=target(images), ln_post=tokens.pop())
        outputs |= {f'{name}_{part}': summary(value) for part, value in found.items()}
    golden.check({'outputs': outputs}, ['outputs'])


def test_classifier(goldens_dir):
    golden = Golden(goldens_dir, 'itpn_base_classifier')
    images, labels = golden.inputs()['imgs'], torch.tensor(golden.literals['labels'])
    model = golden.load(build_classifier('itpn-base', golden), 'itpn')
    tokens = model.backbone(images)[-1]
    loss = model.head(tokens.mean(dim=1), labels)
    loss.backward()
    outputs = dict(features=tokens, logits=model.head.predict(tokens.mean(dim=1)))
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': {'total': loss.item()},
            'grads': golden.gradients(model, 'itpn'),
        }
    )


@pytest.mark.parametrize('kind', ['pixel', 'clip'])
def test_detection(goldens_dir, kind):
    golden = Golden(goldens_dir, f'itpn_base_det_{kind}')
    # The official detector leaves half of the pyramid's blocks that pixel pre-training gave behind.
    options = {'model.neck.fpn_depth': 1}
    model = golden.load(EncoderAndPyramid(f'mmdetection/mask-rcnn_itpn-base-{kind}_3x_coco', options), 'itpn')
    outputs = {}
    for name, images in golden.inputs().items():
        maps = model(images)
        outputs |= {f'{name.removeprefix("imgs_")}_P{level}': m for level, m in enumerate(maps, 2)}
    golden.check({'outputs': {name: summary(value) for name, value in outputs.items()}}, ['outputs'])


def test_segmentation(goldens_dir):
    golden = Golden(goldens_dir, 'itpn_base_seg')
    ((name, images),) = golden.inputs().items()
    # Absolute positions have 14 rows whatever the image, relative ones as many as the training image.
    options = {'model.backbone.img_size': 224}
    model = EncoderAndPyramid('mmsegmentation/upernet_itpn-base-pixel_160k_ade20k-512x512', options)
    grid = images.shape[-1] // 16
    for block in model.backbone.blocks[-24:]:
        block.attn.grid = (grid, grid)
        block.attn.relative_position_bias_table = nn.Parameter(torch.zeros((2 * grid - 1) ** 2, 8))
    maps = golden.load(model, 'itpn')(images)
    outputs = {f'{name.removeprefix("imgs_")}_S{stride}': m for stride, m in zip((4, 8, 16, 32), maps)}
    golden.check({'outputs': {name: summary(value) for name, value in outputs.items()}}, ['outputs'])


class EncoderAndPyramid(nn.Module):
    """Backbone and neck of a benchmark config as mmdet or mmseg builds them, the neck under its name of pre-training.

    Args:
        config: File below configs/benchmarks, without its ending.
        options: Settings that override it.
    """

    def __init__(self, config: str, options: dict) -> None:
        super().__init__()
        cfg = load_config(ROOT / 'configs' / 'benchmarks' / f'{config}.py', options)
        registry = import_module(f'{cfg.default_scope}.registry').MODELS
        with Undrawn():
            self.backbone = registry.build(cfg.model.backbone)
            self.neck = nn.ModuleDict(dict(pyramid=registry.build(cfg.model.neck)))

    def forward(self, images):
        with torch.no_grad():
            return self.neck['pyramid'](self.backbone(images))
