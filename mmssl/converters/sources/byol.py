"""google-deepmind/deepmind-research, byol: parameters of haiku's modules, and averages in its norms.

A name consists of the network, the path of the module and the parameter: ``online/res_net50/~/initial_conv/w``; see
``load_official_file``. ``prepare`` translates to torchvision's names, to which the patterns apply.
"""

from __future__ import annotations

import re

from mmssl.converters.source import RESNET, Source, Tensors, torch_layout, with_counters

_BLOCK = r'block_group_(\d+)/~/block_(\d+)/~/'
_MODULES = (
    (r'res_net\d+/~/initial_conv', lambda: 'encoder.conv1'),
    (r'res_net\d+/~/initial_batchnorm', lambda: 'encoder.bn1'),
    (rf'res_net\d+/~/{_BLOCK}conv_(\d)', lambda g, b, i: f'encoder.layer{int(g) + 1}.{b}.conv{int(i) + 1}'),
    (rf'res_net\d+/~/{_BLOCK}batchnorm_(\d)', lambda g, b, i: f'encoder.layer{int(g) + 1}.{b}.bn{int(i) + 1}'),
    (rf'res_net\d+/~/{_BLOCK}shortcut_conv', lambda g, b: f'encoder.layer{int(g) + 1}.{b}.downsample.0'),
    (rf'res_net\d+/~/{_BLOCK}shortcut_batchnorm', lambda g, b: f'encoder.layer{int(g) + 1}.{b}.downsample.1'),
    (r'(projector|predictor)/linear', lambda part: f'{part}.0'),
    (r'(projector|predictor)/batch_norm', lambda part: f'{part}.1'),
    (r'(projector|predictor)/linear_1', lambda part: f'{part}.3'),
    (r'classifier', lambda: 'classifier'),
)
_VALUES = {
    'w': 'weight',
    'scale': 'weight',
    'b': 'bias',
    'offset': 'bias',
    '~/mean_ema/average': 'running_mean',
    '~/var_ema/average': 'running_var',
}
_IGNORED = re.compile(r'.*/~/(mean|var)_ema/(hidden|counter)')  # state from which the averages are computed


def _torch_names(tensors: Tensors) -> Tensors:
    """Translates haiku's names and layouts: convolutions (height, width, in, out) and linear layers (in, out)."""
    renamed = {}
    for name, tensor in tensors.items():
        if not _IGNORED.fullmatch(name):
            ours = _torch_name(name)
            renamed[ours or name] = tensor if ours is None else torch_layout(tensor)
    return with_counters(renamed)


def _torch_name(name: str) -> str | None:
    network, _, path = name.partition('/')
    for value, leaf in _VALUES.items():
        for pattern, make in _MODULES:
            if network in ('online', 'target') and (found := re.fullmatch(f'{pattern}/{re.escape(value)}', path)):
                return f'{network}.{make(*found.groups())}.{leaf}'
    return None


SOURCE = Source(
    patterns=(
        (rf'online\.encoder\.({RESNET})', r'backbone.\1'),
        (r'online\.projector\.(\d\.\w+)', r'neck.layers.\1'),
        (r'online\.predictor\.(\d\.\w+)', r'head.predictor.layers.\1'),
        (rf'target\.encoder\.({RESNET})', r'teacher.backbone.\1'),
        (r'target\.projector\.(\d\.\w+)', r'teacher.neck.layers.\1'),
        (r'target\.predictor\.\d\.\w+', None),
        (r'(online|target)\.classifier\.\w+', None),
    ),
    prepare=_torch_names,
)
