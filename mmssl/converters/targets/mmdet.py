"""mmdet: residual networks; any other backbone comes from mmssl by its name."""

from collections.abc import Mapping
from typing import Any

from mmssl.converters.source import RESNET
from mmssl.converters.target import Layout, Target
from mmssl.utils.errors import UserError


def resnet(backbone: Mapping[str, Any]) -> str:
    """The config of mmdet's and mmseg's ``ResNet`` without its ``type``."""
    if backbone['stem'] != 'imagenet' or backbone['width_per_group'] != 64:
        raise UserError(
            "the ResNet of mmdet and mmseg has neither another stem nor another inner width: write type='mmssl.ResNet' "
            'into the config and give it the file of --to mmssl'
        )
    wide = f', stem_channels={round(64 * backbone["width"])}, base_channels={round(64 * backbone["width"])}'
    return f'depth={backbone["depth"]}{wide if backbone["width"] != 1 else ""}'


def _usage(model: str, file: str) -> str:
    return f"backbone=dict({model}, init_cfg=dict(type='Pretrained', checkpoint='{file}'))"


TARGET = Target(
    layouts={
        'ResNet': Layout(
            patterns=((RESNET, r'\g<0>'),), model=lambda backbone: f"type='mmdet.ResNet', {resnet(backbone)}"
        ),
    },
    usage=_usage,
    instead="write type='mmssl.<the backbone>' into mmdet's config and give it the file of --to mmssl",
)
