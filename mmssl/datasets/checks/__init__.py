"""Checks annotated data before a run: class names, files and labels."""

from __future__ import annotations

import inspect
from typing import Any

from mmengine.config import Config

from mmssl.config.classes import dataset_class, datasets, heads_with_classes
from mmssl.datasets.checks.coco import check_coco
from mmssl.datasets.checks.findings import Findings, some
from mmssl.datasets.checks.masks import check_masks
from mmssl.datasets.checks.voc import check_voc
from mmssl.distributed.collectives import rank
from mmssl.utils.errors import UserError

_IGNORED = 255


def check_annotations(cfg: Config, loaders: tuple[str, ...] = ('train', 'val')) -> Findings:
    """Compares the data of a detection or segmentation config with its classes, and the classes with its heads.

    Data in the layouts of Pascal VOC, COCO and masks are read; for other dataset classes only the class names are
    checked.

    Args:
        cfg: Config of mmdet or mmseg; a config of another library has no findings.
        loaders: Dataloaders to check, some of ``'train'``, ``'val'`` and ``'test'``.
    """
    found = Findings()
    if cfg.get('default_scope') not in ('mmdet', 'mmseg'):
        return found
    seen: list[tuple[str, dict]] = []
    names: dict[str, tuple[str, ...]] = {}
    for loader in loaders:
        for dataset in datasets(cfg, [loader]):
            place = f'{loader}_dataloader'
            try:
                names[place] = class_names(dataset, cfg.default_scope)
            except UserError as error:
                found.problems.append(f'{place}: {error}')
                continue
            source = _source(dataset)
            if source not in seen:  # a test set is often the validation set
                found.add(_check(dataset, names[place], cfg.default_scope, loader == 'train'), place)
            seen.append(source)
    for place, own in names.items():
        first = next(iter(names))
        if own != names[first]:
            found.problems.append(
                f'{place} has the classes {some(own, 8)}, and {first} has {some(names[first], 8)}: they must be equal; '
                'the option classes sets both'
            )
    if names:
        found.problems += wrong_heads(cfg, names[next(iter(names))])
    return found


def check_data(cfg: Config, loaders: tuple[str, ...] = ('train', 'val')) -> None:
    """Runs ``check_annotations``, prints its notes, and raises its problems as an error.

    With several processes only the first one checks, because all read the same files.

    Raises:
        UserError: There are problems; the message lists all of them.
    """
    if rank() > 0:
        return
    found = check_annotations(cfg, loaders)
    for note in found.notes:
        print(f'note: {note}')
    if found.problems:
        head = [f'{len(found.problems)} problems with the data'] if len(found.problems) > 1 else []
        raise UserError('\n  '.join([*head, *found.problems]))


def class_names(dataset: dict[str, Any], scope: str) -> tuple[str, ...]:
    """Returns the class names of a dataset, from its ``metainfo`` or the ``METAINFO`` of its Python class.

    Args:
        dataset: Config of the dataset.
        scope: Library of the dataset, ``'mmdet'`` or ``'mmseg'``.

    Raises:
        UserError: There are no names, or ``metainfo.classes`` is a single name without a comma.
    """
    given = (dataset.get('metainfo') or {}).get('classes')
    if isinstance(given, str):
        try:
            with open(given, encoding='utf-8') as file:
                return tuple(line.rstrip('\n\r') for line in file)
        except OSError:
            raise UserError(
                f'metainfo.classes is the text {given!r}, not a list of names: write ({given!r},), with a comma'
            ) from None
    classes = given or getattr(dataset_class(dataset, scope), 'METAINFO', {}).get('classes')
    if not classes:
        raise UserError(
            f'{dataset.get("type")} has no class names: set them with --cfg-options classes="(\'NAME\', ...)" for all '
            'datasets, or with metainfo=dict(classes=(...)) for one dataset'
        )
    return tuple(classes)


def wrong_heads(cfg: Config, classes: tuple[str, ...]) -> list[str]:
    """Returns one sentence for each head of the config whose number of classes differs from that of the data."""
    problems = [
        f'{place}.num_classes is {head["num_classes"]}, and the data has {len(classes)} classes ({some(classes, 8)}): '
        'the option classes sets both'
        for place, head in heads_with_classes(cfg.model)
        if head['num_classes'] != len(classes) and not place.endswith('rpn_head')
    ]
    if cfg.default_scope == 'mmseg' and len(classes) == 1:
        problems.append(f'a segmenter needs at least two classes, got only {classes[0]}: name the background as well')
    return problems


def _source(dataset: dict[str, Any]) -> tuple[str, dict]:
    keys = ('data_root', 'ann_file', 'data_prefix', 'metainfo', 'img_suffix', 'seg_map_suffix')
    return str(dataset.get('type')), {key: dataset.get(key) for key in keys}


def _check(dataset: dict[str, Any], classes: tuple[str, ...], scope: str, is_training: bool) -> Findings:
    cls = dataset_class(dataset, scope)
    bases = {base.__name__ for base in inspect.getmro(cls)} if inspect.isclass(cls) else set()
    if 'XMLDataset' in bases:
        return check_voc(dataset, classes, is_training)
    if 'CocoDataset' in bases:
        return check_coco(dataset, classes, is_training)
    if 'BaseSegDataset' not in bases:
        return Findings()
    complete = _defaults(cls) | dataset
    published = cls.METAINFO.get('classes', ())
    num_labels = len(published) or len(classes)
    num_labels += bool(complete.get('reduce_zero_label'))  # it ignores label 0, and classes begin with label 1
    ignored = [complete.get('ignore_index', _IGNORED), _IGNORED]
    for step in dataset.get('pipeline') or ():
        if str(step['type']).endswith('IgnoreLabels'):
            ignored += step['labels']
    return check_masks(complete, num_labels, ignored)


def _defaults(cls: type) -> dict[str, Any]:
    """Returns the defaults of the arguments of a dataset class; those of a subclass replace those of its bases."""
    defaults: dict[str, Any] = {}
    for base in reversed(inspect.getmro(cls)):
        if '__init__' in vars(base):
            parameters = inspect.signature(vars(base)['__init__']).parameters.values()
            defaults |= {p.name: p.default for p in parameters if p.default is not p.empty}
    return defaults
