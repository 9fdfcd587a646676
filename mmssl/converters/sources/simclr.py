"""google-research/simclr: variables of TensorFlow, version 1 (``base_model/...``) and 2 (``resnet/...``).

Convolutions and norms are numbered in the order of the official code, where the projection of a block precedes its
other convolutions. See ``load_official_file`` for files. ``prepare`` translates to torchvision's names, to which the
patterns apply. Networks with basic blocks or selective kernels are not supported.
"""

from __future__ import annotations

import re

from mmssl.converters.source import RESNET, Source, Tensors, torch_layout, with_counters

_ENCODER = r'(?:resnet|base_model)/.*?(conv2d|(?:sync_)?batch_normalization)(?:_(\d+))?/(\w+)'
_HEAD = r'(?:projection_head|head_contrastive)/nl_(\d)/.*?(dense|(?:sync_)?batch_normalization)(?:_\d+)?/(\w+)'
_IGNORED = r'global_step|.*/Momentum|(?:head_supervised|supervised_head)/.*'  # counters, slots, a classifier
_VALUES = {
    'kernel': 'weight',
    'bias': 'bias',
    'gamma': 'weight',
    'beta': 'bias',
    'moving_mean': 'running_mean',
    'moving_variance': 'running_var',
}


def _torch_names(tensors: Tensors) -> Tensors:
    """Translates TensorFlow's names and layouts: kernels (height, width, in, out) and dense layers (in, out)."""
    tensors = {name.removesuffix(':0'): tensor for name, tensor in tensors.items()}
    places = _places(tensors)
    renamed = {}
    for name, tensor in tensors.items():
        encoder, head = re.fullmatch(_ENCODER, name), re.fullmatch(_HEAD, name)
        if re.fullmatch(_IGNORED, name):
            continue
        if encoder and int(encoder[2] or 0) in places:
            conv, norm = places[int(encoder[2] or 0)]
            part = f'encoder.{conv if encoder[1] == "conv2d" else norm}'
            renamed[f'{part}.{_VALUES[encoder[3]]}'] = torch_layout(tensor)
        elif head:
            part = f'projector.{3 * int(head[1]) + (head[2] != "dense")}'
            renamed[f'{part}.{_VALUES[head[3]]}'] = torch_layout(tensor)
        else:
            renamed[name] = tensor
    return with_counters(renamed)


def _places(tensors: Tensors) -> dict[int, tuple[str, str]]:
    """Maps the number of a convolution to torchvision's names of it and of its norm, by the sizes of kernels."""
    found = ((re.fullmatch(_ENCODER, name), tensor) for name, tensor in tensors.items())
    kernels = {int(match[2] or 0): tensor for match, tensor in found if match and match[3] == 'kernel'}
    sides = [kernels[number].shape[0] for number in sorted(kernels)]
    if not sides or sorted(kernels) != list(range(len(sides))):
        return {}
    places, stage, block, number = {0: ('conv1', 'bn1')}, 0, 0, 1
    while number < len(sides):
        block += 1
        if sides[number : number + 2] == [1, 1]:  # the projection, then a bottleneck
            stage, block = stage + 1, 0
            places[number] = (f'layer{stage}.0.downsample.0', f'layer{stage}.0.downsample.1')
            number += 1
        if sides[number : number + 3] != [1, 3, 1]:
            return {}
        for index in (1, 2, 3):
            places[number] = (f'layer{stage}.{block}.conv{index}', f'layer{stage}.{block}.bn{index}')
            number += 1
    return places


SOURCE = Source(
    patterns=(
        (rf'encoder\.({RESNET})', r'backbone.\1'),
        (r'projector\.(\d\.\w+)', r'neck.layers.\1'),
    ),
    prepare=_torch_names,
)
