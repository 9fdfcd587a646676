"""iTPN against numbers recorded from its official implementation."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch
from torch import nn
from torch.nn.functional import layer_norm

from mmssl.models.targets.clip_target import CLIPTarget
from mmssl.utils.config import load_config
from tests.parity.golden import Golden, Trace, in_recorded_order, summary
from tests.parity.test_hivit_parity import build_classifier
from tests.support.tools import ROOT

CLIP = 'itpn/itpn_hivit-base-clip_32xb64-300e_in1k.py'
PIXEL = 'itpn/itpn_hivit-base-pixel_64xb64-400e_in1k.py'
LEVELS = ('P4', 'P8', 'P16')


def test_pixel(goldens_dir, monkeypatch):
    golden = Golden(goldens_dir, 'itpn_base_pixel')
    images, noise = golden.inputs().values()
    # The official code takes units that were left out for an image of another size, and resamples the positions.
    overrides = {'model.backbone.resample': 'itpn', 'model.masker.ratio': golden.literals['mask_ratio']}
    model = golden.build(PIXEL, 'itpn', overrides)
    monkeypatch.setattr(torch, 'rand', lambda *size, device: noise)
    levels = keep_levels(model.neck.pyramid)
    trace = Trace(prediction=model.neck.decoder.predict)
    mask = model.masker(images)
    loss = model.loss([images])['loss']
    loss.backward()
    keep, recorded = model.masker.visible(mask), golden.literals['ids_keep']
    outputs = {name: in_recorded_order(level, keep, recorded) for name, level in levels.items()}
    outputs |= {'pred': trace['prediction'][0], 'target_mask': mask}
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': {'total': loss.item()},
            'grads': golden.gradients(model, 'itpn'),
        }
    )


def test_clip(goldens_dir, monkeypatch):
    golden = Golden(goldens_dir, 'itpn_base_clip')
    inputs = golden.inputs()
    images, teacher_tokens = inputs['imgs'], inputs['teacher_tokens']
    # The encoder drops no paths in the recording; the teacher's features are drawn.
    overrides = {'model.backbone.drop_path_rate': 0.0, 'model.neck.drop_path_rates': (0.0, 0.0)}
    tower = dict(embed_dim=48, depth=1, num_heads=4)
    overrides |= {'model.target.checkpoint': None, 'model.target.options': tower}
    overrides |= {'model.neck.out_channels': teacher_tokens.shape[-1]}
    model = golden.build(CLIP, 'itpn_clip', overrides)
    labels = layer_norm(teacher_tokens, teacher_tokens.shape[-1:])
    (shape,) = (shape for name, shape, _ in golden.record['inputs'] if name == 'bool_masked_pos')
    mask = torch.zeros(shape, dtype=torch.bool)
    for row, hidden in zip(mask, golden.literals['masked_ids']):
        row[hidden] = True
    monkeypatch.setattr(model.target, 'forward', lambda rendering: labels)
    monkeypatch.setattr(model.masker, 'forward', lambda images: mask)
    levels = keep_levels(model.neck.pyramid)
    trace = Trace(main=model.neck.predict, early=model.neck.early_predict, tokens=model.neck.early_blocks[-1])
    losses = model.loss([images, images])
    total = sum(losses.values())
    total.backward()
    outputs = dict(levels, labels=labels, aux_tokens=trace['tokens'][0])
    outputs |= dict(lm_head=trace['main'][0], lm_cls_head=trace['early'][0])
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': dict(loss_1=losses['loss'].item(), loss_2=losses['loss_early'].item(), total=total.item()),
            'grads': golden.gradients(model, 'itpn_clip'),
        }
    )


def test_clip_teacher(goldens_dir, tmp_path):
    golden = Golden(goldens_dir, 'itpn_clip_teacher')
    images = (0.5 + 0.25 * golden.inputs()['images01']).clip(0, 1)
    torch.save(golden.state_dict(), tmp_path / 'clip.pt')
    outputs = {}
    for ours, theirs in (('official', 'faithful'), ('corrected', 'corrected')):
        target = CLIPTarget(checkpoint=str(tmp_path / 'clip.pt'), mean=(0, 0, 0), std=(255, 255, 255), scaling=ours)
        target.double().init_weights()
        with torch.no_grad():
            found = dict(
                scaled=target.rescale(images), ln_post=target.features(images), target=target(images)
            )
        outputs |= {f'{theirs}_{name}': summary(value) for name, value in found.items()}
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
        self.backbone = registry.build(cfg.model.backbone)
        self.neck = nn.ModuleDict(dict(pyramid=registry.build(cfg.model.neck)))

    def forward(self, images):
        with torch.no_grad():
            return self.neck['pyramid'](self.backbone(images))


def keep_levels(pyramid: nn.Module) -> dict[str, torch.Tensor]:
    """Returns what the pyramid's next call will return, by the names of the recordings."""
    levels: dict[str, torch.Tensor] = {}
    pyramid.register_forward_hook(lambda module, args, outputs: levels.update(zip(LEVELS, outputs)))
    return levels
