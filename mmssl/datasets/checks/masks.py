"""Checks segmentation data: each image has a mask, an image of its labels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from mmssl.datasets.checks.findings import Findings, missing_files, other_endings, some

_SAMPLE = 64  # number of masks that are opened
_ORIENTATION = 274  # EXIF tag; for values from 5 width and height are exchanged


def check_masks(dataset: dict[str, Any], num_labels: int, ignored: Sequence[int]) -> Findings:
    """Checks the data of a ``BaseSegDataset`` of mmseg: the existence of all files, the contents of a sample of masks.

    Args:
        dataset: Config of the dataset, with ``data_root``, ``data_prefix``, ``ann_file``, ``img_suffix`` and
            ``seg_map_suffix``.
        num_labels: Number of labels; a mask may hold 0 to ``num_labels`` - 1.
        ignored: Further labels that a mask may hold because the pipeline ignores them, such as 255.
    """
    found = Findings()
    root, prefix = dataset.get('data_root') or '', dataset.get('data_prefix') or {}
    reads_masks = any(str(step['type']).endswith('LoadAnnotations') for step in dataset.get('pipeline') or ())
    if prefix and 'seg_map_path' not in prefix and reads_masks:
        found.problems.append('data_prefix.seg_map_path is missing, the folder of the masks')
    if prefix and 'seg_map_path' not in prefix:
        return found
    image_ending, mask_ending = dataset['img_suffix'], dataset['seg_map_suffix']
    images = os.path.join(root, prefix.get('img_path') or '')
    masks = os.path.join(root, prefix.get('seg_map_path') or '')
    for folder in (images, masks):
        if not os.path.isdir(folder):
            found.problems.append(f'the folder {folder} does not exist')
    if found.problems:
        return found
    names = _names(os.path.join(root, dataset['ann_file']) if dataset.get('ann_file') else None, images, image_ending)
    if not names:
        others = other_endings(images, image_ending)
        found.problems.append(f'no *{image_ending} in {images}{others}: set img_suffix to the ending of the images')
        return found
    pairs = [(os.path.join(images, name + image_ending), os.path.join(masks, name + mask_ending)) for name in names]
    for what, ending, folder, paths, key in (
        ('images', image_ending, images, [image for image, _ in pairs], 'img_suffix'),
        ('masks', mask_ending, masks, [mask for _, mask in pairs], 'seg_map_suffix'),
    ):
        if missing := missing_files(paths):
            others = other_endings(folder, ending)
            hint = f'; {folder} has no *{ending}{others}: set {key} to the part after the name' if others else ''
            found.problems.append(f'{len(missing):,} of {len(paths):,} {what} are missing: {some(missing)}{hint}')
    if not found.problems:
        _check_sample(pairs, num_labels, ignored, found)
    return found


def _names(listing: str | None, folder: str, ending: str) -> list[str]:
    if listing is not None and os.path.isfile(listing):
        with open(listing, encoding='utf-8') as file:
            return [line.strip() for line in file]
    paths = (  # as mmseg does, with folders that are linked and without hidden files
        os.path.join(place, name)
        for place, _, names in os.walk(folder, followlinks=True)
        for name in names
        if not name.startswith('.')
    )
    return sorted(os.path.relpath(path, folder)[: -len(ending)] for path in paths if path.endswith(ending))


def _check_sample(pairs: Sequence[tuple[str, str]], num_labels: int, ignored: Sequence[int], found: Findings) -> None:
    chosen = [pairs[i] for i in np.linspace(0, len(pairs) - 1, min(len(pairs), _SAMPLE)).astype(int)]
    labels: Counter[int] = Counter()
    beyond, sizes, colored, unreadable = [], [], [], []
    for image, mask in chosen:
        try:
            size, values = _upright_size(image), np.asarray(Image.open(mask))
        except (OSError, ValueError) as error:
            unreadable.append(f'{mask} ({error})')
            continue
        if values.ndim > 2:
            colored.append(mask)
            continue
        if values.shape[::-1] != size:
            sizes.append(f'{mask} is {values.shape[1]} x {values.shape[0]}, its image {size[0]} x {size[1]}')
        present = np.unique(values).astype(int).tolist()
        labels.update(present)
        beyond += [mask] if any(not 0 <= label < num_labels and label not in ignored for label in present) else []
    of_sample = f'of {len(chosen)} masks that were opened'
    if unreadable:
        found.problems.append(f'{len(unreadable)} {of_sample} or their images cannot be read: {some(unreadable)}')
    if colored:
        found.problems.append(
            f'{len(colored)} {of_sample} are in colour: {some(colored)}; a mask is a grey or palette image of the '
            f'labels 0 to {num_labels - 1}'
        )
    if sizes:
        found.problems.append(f'{len(sizes)} {of_sample} have another size than their image: {some(sizes)}')
    if beyond:
        wrong = {label: number for label, number in sorted(labels.items()) if label >= num_labels or label < 0}
        shown = ', '.join(f'{label} (in {number})' for label, number in wrong.items() if label not in ignored)
        found.problems.append(
            f'{len(beyond)} {of_sample} hold labels beyond the {num_labels} classes 0 to {num_labels - 1}: {shown}; '
            f'e.g. {some(beyond)}. Add these classes, or ignore them: --cfg-options ignore_labels=[...]'
        )
    used = {label for label in labels if 0 <= label < num_labels and label not in ignored}
    if len(used) == 1 and 255 in labels and num_labels > 1 and not found.problems:
        found.problems.append(
            f'the {len(chosen)} masks that were opened hold only {used.pop()} and 255, and 255 is ignored: '
            'replace 255 by the number of the class'
        )
    if len(chosen) < len(pairs):
        found.notes.append(f'sizes and labels were checked in {len(chosen)} of {len(pairs):,} masks')


def _upright_size(path: str) -> tuple[int, int]:
    """Returns (width, height) of an image after its EXIF orientation is applied; the pixels are not decoded."""
    with Image.open(path) as image:
        width, height = image.size
        return (height, width) if image.getexif().get(_ORIENTATION, 1) >= 5 else (width, height)
