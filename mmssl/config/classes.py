"""The option ``classes``: names of classes that change datasets, heads and pipelines of an mmdet or mmseg config."""

from __future__ import annotations

import ast
import colorsys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS

from mmssl.utils.errors import UserError

_MASKS = 'LoadAnnotations'


def read_classes(value: Any) -> tuple[str, ...]:
    """Returns the class names that the option ``classes`` gives.

    Args:
        value: Names as a sequence or as text (``"('WBC', 'RBC')"``, ``'WBC,RBC'``, ``'raccoon'``), or a text file with
            one name per line.

    Raises:
        UserError: There is no name, a name occurs twice, or the file does not exist.
    """
    if isinstance(value, str):
        value = _read_text(value.strip())
    names = tuple(str(name).strip() for name in (value if isinstance(value, (list, tuple)) else [value]))
    if not names or not all(names):
        raise UserError(f'classes takes one or more names, such as classes="(\'raccoon\',)", got {value!r}')
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise UserError(f'classes names {", ".join(twice)} more than once: {", ".join(names)}')
    return names


def _read_text(text: str) -> Any:
    if Path(text).is_file():
        return [line.strip() for line in Path(text).read_text(encoding='utf-8-sig').splitlines() if line.strip()]
    if '/' in text or text.endswith('.txt'):
        raise UserError(f'classes={text!r}: this file does not exist; it has one name per line')
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):  # names without quotes
        return [name.strip(' \'"') for name in text.strip('()[]').split(',') if name.strip()]


def set_classes(cfg: Config, classes: Sequence[str], options: Mapping[str, Any] | None = None) -> None:
    """Changes the classes of a config: metainfo of every dataset, ``num_classes`` of every head.

    Metrics take their classes from the dataset. A segmentation mask must then contain 0 to C - 1, and 255 for pixels to
    ignore: steps of the config that change other labels are removed, because they belong to the original dataset.

    Args:
        cfg: Config of mmdet or mmseg, changed in place.
        classes: Class names, in the order of their labels.
        options: All options of the command line.

    Raises:
        UserError: The config belongs to another library, no head has classes, or an option sets another number of
            classes.
    """
    for key, value in (options or {}).items():
        if key.endswith('.num_classes') and value != len(classes):
            raise UserError(f'{key}={value} contradicts classes, which has {len(classes)} names: omit one of them')
    if cfg.get('default_scope') not in ('mmdet', 'mmseg'):
        raise UserError(
            'classes is an option of detection and segmentation configs; a classifier takes the names of the class '
            'folders, and their number as model.head.num_classes'
        )
    metainfo = dict(classes=tuple(classes), palette=palette(len(classes)))
    has_own_masks = False
    for dataset in datasets(cfg):
        if cfg.default_scope == 'mmseg' and not _knows(dataset, classes):
            has_own_masks = True
            _use_plain_masks(dataset)
        dataset['metainfo'] = ConfigDict(metainfo)
    if has_own_masks and cfg.get('test_pipeline'):
        _use_plain_masks(dict(pipeline=cfg.test_pipeline))
    heads = list(heads_with_classes(cfg.model))
    if not heads:
        raise UserError('no head of this model has num_classes in the config, so classes cannot be set')
    for _, head in heads:
        head['num_classes'] = len(classes)


def set_ignored_labels(cfg: Config, labels: Sequence[int] | int) -> None:
    """Makes a segmentation config ignore ``labels`` of the masks, instead of the labels that it ignored before."""
    labels = [labels] if isinstance(labels, int) else list(labels)
    if cfg.get('default_scope') != 'mmseg':
        raise UserError('ignore_labels is an option of segmentation configs')
    if not all(isinstance(label, int) and 0 <= label <= 255 for label in labels):
        raise UserError(f'ignore_labels takes labels of the masks, 0 to 255, such as ignore_labels=[11]; got {labels}')
    pipelines = [dataset['pipeline'] for dataset in datasets(cfg)]
    for pipeline in [*pipelines, *filter(None, [cfg.get('test_pipeline')])]:
        pipeline[:] = [step for step in pipeline if _name(step) != 'IgnoreLabels']
        place = next((i for i, step in enumerate(pipeline) if _name(step) == _MASKS), None)
        if place is not None and labels:
            pipeline.insert(place + 1, ConfigDict(type='mmssl.IgnoreLabels', labels=labels))


def datasets(cfg: Config, loaders: Sequence[str] = ('train', 'val', 'test')) -> Iterator[dict[str, Any]]:
    """Yields the config of every dataset of the loaders, also of those inside a concatenation or repetition."""
    for name in loaders:
        loader = cfg.get(f'{name}_dataloader')
        if loader and loader.get('dataset'):
            yield from _leaves(loader['dataset'])


def _leaves(dataset: dict[str, Any]) -> Iterator[dict[str, Any]]:
    inner = dataset.get('datasets') or ([dataset['dataset']] if 'dataset' in dataset else [])
    if not inner:
        yield dataset
    for part in inner:
        yield from _leaves(part)


def heads_with_classes(node: Any, place: str = 'model') -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (dotted key, config) of every part of the model whose config has ``num_classes``."""
    for key, value in enumerate(node) if isinstance(node, (list, tuple)) else node.items():
        if isinstance(value, (dict, list, tuple)):
            yield from heads_with_classes(value, f'{place}.{key}')
    if isinstance(node, dict) and isinstance(node.get('num_classes'), int) and 'backbone' not in place:
        yield place, node


def palette(number: int) -> list[tuple[int, int, int]]:
    """Returns colours that differ from their neighbours: hues by the golden ratio, alternating brightness."""
    golden = (5**0.5 - 1) / 2
    hues = [(0.02 + i * golden) % 1 for i in range(number)]
    colors = [colorsys.hsv_to_rgb(hue, 0.75, 0.95 if i % 2 == 0 else 0.7) for i, hue in enumerate(hues)]
    return [(round(255 * red), round(255 * green), round(255 * blue)) for red, green, blue in colors]


def _knows(dataset: dict[str, Any], classes: Sequence[str]) -> bool:
    """Returns whether the masks of a dataset have the labels of ``classes``, or its class in mmseg maps to them."""
    if tuple((dataset.get('metainfo') or {}).get('classes', ())) == tuple(classes):
        return True
    return set(classes) <= set(_published(dataset))


def dataset_class(dataset: dict[str, Any], scope: str) -> Any:
    """Returns the class of a dataset in a config of the library ``scope``; None for an unknown class."""
    name = dataset['type']
    return DATASETS.get(name if '.' in name else f'{scope}.{name}') if isinstance(name, str) else name


def _published(dataset: dict[str, Any]) -> Sequence[str]:
    return getattr(dataset_class(dataset, 'mmseg'), 'METAINFO', {}).get('classes', ())


def _use_plain_masks(dataset: dict[str, Any]) -> None:
    """Uses the labels of masks unchanged: without mmseg's class for the dataset, shifted or ignored labels."""
    if 'type' in dataset and _published(dataset):
        dataset['type'] = 'BaseSegDataset'
        dataset.pop('reduce_zero_label', None)
    pipeline = dataset.get('pipeline') or []
    pipeline[:] = [step for step in pipeline if _name(step) != 'IgnoreLabels']
    for step in pipeline:
        if _name(step) == _MASKS:
            step.pop('reduce_zero_label', None)


def _name(step: dict[str, Any]) -> str:
    return str(step['type']).rpartition('.')[2]
