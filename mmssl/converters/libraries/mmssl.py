"""mmssl itself: backbone files like those of a training, for any backbone, and whole algorithms."""

from collections.abc import Mapping
from typing import Any

from mmssl.converters.library import Layout, Library
from mmssl.models.backbones.vision_transformer import ARCHS

_DEFAULTS = dict(
    width=1,
    width_per_group=64,
    stem='imagenet',
    conv_stem=False,
    final_norm=True,
    stem_stride=4,
    position_bias='off',
)


def _config(backbone: Mapping[str, Any]) -> str:
    options = {k: v for k, v in backbone.items() if k != 'init_cfg' and (k not in _DEFAULTS or v != _DEFAULTS[k])}
    named = [name for name, arch in ARCHS.items() if dict(mlp_ratio=4.0) | arch == options.get('arch')]
    if named:
        options['arch'] = named[0]
    if '.' not in options.get('type', '.'):
        options['type'] = f'mmssl.{options["type"]}'  # with the scope, for configs of mmdet and mmseg
    in_order = sorted(options.items(), key=lambda option: option[0] != 'type')
    return ', '.join(f'{name}={value!r}' for name, value in in_order)


def _usage(model: str, file: str) -> str:
    if not model:  # a whole algorithm, or an unknown backbone
        return f'load_from = {file!r}'
    return f"backbone=dict({model}, init_cfg=dict(type='Pretrained', checkpoint={file!r}))"


LIBRARY = Library(
    layouts={'any': Layout(patterns=((r'.+', r'\g<0>'),), model=_config)},
    usage=_usage,
    instead='',
)
