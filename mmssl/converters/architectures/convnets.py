"""Arguments of convolutional backbones, as far as they follow from the shapes of their tensors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from mmssl.converters.architectures.sides import square_side
from mmssl.converters.source import Tensors
from mmssl.models.backbones.adder_resnet import DEPTHS as ADDER_DEPTHS
from mmssl.models.backbones.preact_resnet import DEPTHS as PREACT_DEPTHS
from mmssl.models.backbones.resnet import DEPTHS
from mmssl.utils.errors import UserError

_FIRST = 'stages.0.0.conv.weight'


def resnet(tensors: Tensors) -> dict[str, Any]:
    """Returns ``depth``, ``width``, ``width_per_group`` and ``stem`` of a ResNet."""
    counts = _blocks(tensors)
    is_bottleneck = 'layer1.0.conv3.weight' in tensors
    depths = [depth for depth, (_, of_depth) in DEPTHS.items() if of_depth == counts and (depth >= 50) == is_bottleneck]
    if not depths or 'conv1.weight' not in tensors:
        raise UserError(
            f'no ResNet of the depths {sorted(DEPTHS)} has {counts} blocks in its four stages: '
            'give the file of a whole backbone'
        )
    channels, _, kernel, _ = tensors['conv1.weight'].shape
    inner = len(tensors['layer1.0.conv1.weight'])
    return dict(
        type='ResNet',
        depth=depths[0],
        width=channels / 64,
        width_per_group=inner * 64 // channels,
        stem='imagenet' if kernel == 7 else 'small',
    )


def adder_resnet(tensors: Tensors) -> dict[str, Any]:
    """Returns ``depth``, ``width`` and ``stem`` of a ResNet of adders."""
    counts = tuple(count for count in _blocks(tensors) if count)
    depths = [depth for depth, (_, of_depth, _) in ADDER_DEPTHS.items() if of_depth == counts]
    if not depths or 'conv1.weight' not in tensors:
        raise UserError(
            f'no AdderResNet of the depths {sorted(ADDER_DEPTHS)} has {counts} blocks in its stages: '
            'give the file of a whole backbone'
        )
    channels, _, kernel, _ = tensors['conv1.weight'].shape
    width = channels / ADDER_DEPTHS[depths[0]][2]
    return dict(type='AdderResNet', depth=depths[0], width=width, stem='imagenet' if kernel == 7 else 'small')


def adder_vgg(tensors: Tensors) -> dict[str, Any]:
    """Returns the ``width`` of a VGG of adders."""
    return dict(type='AdderVGG', width=len(tensors['stem.conv.weight']) / 128)


def lenet(tensors: Tensors) -> dict[str, Any]:
    """Returns the ``width`` of a LeNet-5."""
    return dict(type='LeNet5BN', width=len(tensors['stem.conv.weight']) / 6)


def alexnet(tensors: Tensors, known: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all arguments of an AlexNet that change its tensors; its dropout comes from ``known``."""
    if _stages(tensors) < 5:
        raise UserError(
            'the file has fewer than the five convolutions of an AlexNet: give the file of a whole backbone'
        )
    channels = tuple(len(tensors[f'stages.{index}.0.conv.weight']) for index in range(5))
    stem = 'imagenet' if tensors[_FIRST].shape[-1] == 11 else 'small'
    described: dict[str, Any] = dict(type='AlexNet', channels=channels, stem=stem, sobel='stem.0.weight' in tensors)
    if 'fc.fc6.weight' in tensors:
        side = square_side(tensors['fc.fc6.weight'].shape[1] // channels[-1])
        for _ in range(3):  # the smallest map that a pooling of 3 x 3 with stride 2 reduces to this side
            side = 2 * side + 1
        side = side if stem == 'small' else 4 * side + 3
        described.update(fc=_fc(tensors, known), img_size=side + -side % 8)
    return described


def vgg16(tensors: Tensors, known: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all arguments of a VGG-16 that change its tensors; its dropout comes from ``known``."""
    if _stages(tensors) < 5:
        raise UserError('the file has fewer than the five stages of a VGG16: give the file of a whole backbone')
    described: dict[str, Any] = dict(type='VGG16', width=len(tensors[_FIRST]) / 64, sobel='stem.0.weight' in tensors)
    if 'fc.fc6.weight' in tensors:
        pixels = tensors['fc.fc6.weight'].shape[1] // len(tensors['stages.4.0.conv.weight'])
        described.update(fc=_fc(tensors, known), img_size=32 * square_side(pixels))
    return described


def nin(tensors: Tensors) -> dict[str, Any]:
    """Returns ``num_stages`` and ``width`` of a network in network."""
    return dict(type='NIN', num_stages=_stages(tensors), width=len(tensors[_FIRST]) / 192)


def wide_resnet(tensors: Tensors) -> dict[str, Any]:
    """Returns ``depth``, ``width_factor`` and ``variant`` of a wide ResNet; its strides do not follow from tensors."""
    if _stages(tensors) < 3:
        raise UserError('the file has fewer than the three stages of a WideResNet: give the file of a whole backbone')
    blocks = 1 + max(int(name.split('.')[2]) for name in tensors if re.match(r'stages\.0\.\d+\.conv1', name))
    is_madry = 'stages.1.0.act1.bn.weight' in tensors
    return dict(
        type='WideResNet',
        depth=6 * blocks + (2 if is_madry else 4),
        width_factor=len(tensors['stages.0.0.conv1.weight']) // 16,
        variant='madry' if is_madry else 'zagoruyko',
    )


def preact_resnet(tensors: Tensors) -> dict[str, Any]:
    """Returns ``depth`` and ``width`` of a pre-activation ResNet."""
    stages = Counter(name.split('.')[1] for name in tensors if name.endswith('.conv1.weight'))
    blocks = tuple(stages[str(index)] for index in range(4))
    found = [depth for depth, numbers in PREACT_DEPTHS.items() if numbers == blocks]
    if not found:
        raise UserError(f'no PreActResNet has {blocks} blocks in its four stages: give the file of a whole backbone')
    return dict(type='PreActResNet', depth=found[0], width=len(tensors['stem.conv.weight']) / 64)


def _blocks(tensors: Tensors) -> tuple[int, ...]:
    """Returns the number of blocks in each of four stages."""
    blocks = Counter(name[5] for name in tensors if re.fullmatch(r'layer\d\.\d+\.conv1\.(weight|adder)', name))
    return tuple(blocks[stage] for stage in '1234')


def _stages(tensors: Tensors) -> int:
    return 1 + max(int(name.split('.')[1]) for name in tensors if name.startswith('stages.'))


def _fc(tensors: Tensors, known: Mapping[str, Any]) -> dict[str, Any]:
    return dict(known.get('fc') or {}, width=len(tensors['fc.fc7.weight']), norm='fc.bn6.weight' in tensors)
