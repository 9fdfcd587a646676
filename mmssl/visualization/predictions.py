"""Draws the predictions of detectors, segmenters and classifiers on their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

from mmssl.config.classes import palette
from mmssl.datasets.decode import UnreadableImageError

_ALPHA = 0.5
_LINE = 15  # height of a line of text in pixels


@dataclass
class Prediction:
    """The prediction of a model for one image, or the annotation of that image.

    A detector fills ``boxes``, ``labels``, ``scores`` and perhaps ``masks``; a classifier ``labels`` and ``scores``; a
    segmenter ``label_map``.

    Args:
        classes: Names of the classes.
        boxes: (K, 4) corners x1, y1, x2, y2 in pixels.
        labels: (K,) int64, the class of each box; from a classifier the most likely classes, the best first.
        scores: (K,) in [0, 1]; None in an annotation.
        masks: (K, H, W) bool, the mask of each box.
        label_map: (H, W) int64, the class of each pixel; numbers that are no class mark ignored pixels.
        colors: One (red, green, blue) per class, 0 to 255; with fewer, the colours of ``palette`` are used.
    """

    classes: Sequence[str]
    boxes: Tensor | None = None
    labels: Tensor | None = None
    scores: Tensor | None = None
    masks: Tensor | None = None
    label_map: Tensor | None = None
    colors: Sequence[tuple[int, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        enough = len(self.colors) >= len(self.classes)  # a dataset whose names alone were changed keeps its old colours
        self.colors = [tuple(color) for color in self.colors] if enough else palette(len(self.classes))

    @property
    def captions(self) -> list[str]:
        """Class names of ``labels``, each followed by its score if there are scores."""
        if self.scores is None:
            return self.names
        return [f'{name} {score:.2f}' for name, score in zip(self.names, self.scores.tolist())]

    @property
    def names(self) -> list[str]:
        """Class names of ``labels``."""
        return [] if self.labels is None else [self.classes[label] for label in self.labels.tolist()]

    def above(self, score: float) -> Prediction:
        """Returns the prediction with only the boxes whose score is at least ``score``.

        A prediction without boxes or without scores is returned unchanged.
        """
        if self.boxes is None or self.labels is None or self.scores is None:
            return self
        keep = self.scores >= score
        masks = None if self.masks is None else self.masks[keep]
        return Prediction(
            self.classes, self.boxes[keep], self.labels[keep], self.scores[keep], masks, None, self.colors
        )

    def summary(self) -> dict[str, Any]:
        """Returns the prediction as plain values for JSON.

        Returns:
            ``shares`` (class name -> share of the image's pixels) for a label map; otherwise ``names`` and ``scores``,
            and ``boxes`` for a detector.
        """
        if self.label_map is not None:
            labels, number = self.label_map.flatten(), self.label_map.numel()
            found = torch.bincount(labels[(labels >= 0) & (labels < len(self.classes))], minlength=len(self.classes))
            shares = {name: int(count) / number for name, count in zip(self.classes, found)}
            return dict(shares={name: round(share, 4) for name, share in shares.items() if share})
        scores = None if self.scores is None else [round(score, 4) for score in self.scores.tolist()]
        boxes = [] if self.boxes is None else [[round(x, 1) for x in box] for box in self.boxes.tolist()]
        return dict(names=self.names, scores=scores) | (dict(boxes=boxes) if self.boxes is not None else {})

    def draw(self, image: np.ndarray) -> np.ndarray:
        """Draws the prediction on a copy of ``image``, uint8 RGB (H, W, 3).

        The result is higher than ``image`` where class names are written below it: for classifiers and label maps.
        """
        if self.label_map is not None:
            return self._draw_map(image, self.label_map)
        captions = self.captions
        if self.boxes is None or self.labels is None:
            return below(image, captions)
        drawn = torch.from_numpy(image).permute(2, 0, 1)
        colors = [self.colors[label] for label in self.labels.tolist()]
        if self.masks is not None and len(self.masks):
            drawn = draw_segmentation_masks(drawn, self.masks.bool(), alpha=_ALPHA, colors=colors)
        if len(self.boxes):
            drawn = draw_bounding_boxes(drawn, self.boxes, labels=captions, colors=colors, width=2)
        return drawn.permute(1, 2, 0).contiguous().numpy()

    def _draw_map(self, image: np.ndarray, label_map: Tensor) -> np.ndarray:
        present = [label for label in label_map.unique().tolist() if 0 <= label < len(self.classes)]
        drawn = torch.from_numpy(image).permute(2, 0, 1)
        if present:
            masks = torch.stack([label_map == label for label in present])
            colors = [self.colors[label] for label in present]
            drawn = draw_segmentation_masks(drawn, masks, alpha=_ALPHA, colors=colors)
        pixels = drawn.permute(1, 2, 0).contiguous().numpy()
        return below(pixels, [self.classes[label] for label in present], [self.colors[label] for label in present])


def best_classes(logits: Tensor, classes: Sequence[str], number: int) -> Prediction:
    """Returns the ``number`` most likely classes for the logits (C,) of one image.

    An output beyond the names in ``classes`` has its number as a name.
    """
    scores, labels = logits.float().softmax(0).topk(min(number, len(logits)))
    names = [*classes, *map(str, range(len(classes), len(logits)))]
    return Prediction(names, labels=labels.cpu(), scores=scores.cpu())


def from_sample(sample: Any, classes: Sequence[str], colors: Sequence = (), truth: bool = False) -> Prediction | None:
    """Reads a prediction from a data sample of mmdet or mmseg.

    Args:
        sample: ``DetDataSample`` or ``SegDataSample``.
        classes: Names of the classes.
        colors: One (red, green, blue) per class, 0 to 255; with fewer, the colours of ``palette`` are used.
        truth: True reads the annotation (``gt_*``) instead of the prediction (``pred_*``).

    Returns:
        The prediction or annotation, None if the sample has none.
    """
    key = 'gt' if truth else 'pred'
    if f'{key}_sem_seg' in sample:
        return Prediction(classes, label_map=getattr(sample, f'{key}_sem_seg').data[0].long().cpu(), colors=colors)
    if f'{key}_instances' not in sample:
        return None
    found = getattr(sample, f'{key}_instances').cpu()
    boxes, masks = getattr(found.bboxes, 'tensor', found.bboxes), found.get('masks')
    if masks is not None and not isinstance(masks, Tensor):
        masks = masks.to_tensor(torch.bool, 'cpu')
    if masks is not None and masks.shape[1:] != sample.ori_shape:  # mmdet resizes annotated masks with the image
        masks = None
    return Prediction(classes, boxes, found.labels, found.get('scores'), masks, None, colors)


def read_upright(path: str) -> np.ndarray:
    """Reads an image as mmdet and mmseg do, turned by its EXIF orientation: uint8 RGB (H, W, 3).

    Raises:
        UnreadableImageError: The file is not an image, or is damaged.
    """
    import mmcv

    try:
        image = mmcv.imread(path, channel_order='rgb')
    except cv2.error as error:  # of an operation on an image that is None
        raise UnreadableImageError('not an image file, or a damaged one') from error
    return np.ascontiguousarray(image)


def below(image: np.ndarray, lines: Sequence[str], colors: Sequence[tuple[int, ...]] = ()) -> np.ndarray:
    """Returns ``image`` with lines of text below it; with ``colors`` (one per line) a coloured square precedes each."""
    height, width = image.shape[:2]
    canvas = Image.new('RGB', (width, height + _LINE * len(lines)), 'white')
    canvas.paste(Image.fromarray(image), (0, 0))
    pen = ImageDraw.Draw(canvas)
    for row, line in enumerate(lines):
        top = height + _LINE * row
        if colors:
            pen.rectangle((3, top + 3, 12, top + 12), fill=colors[row])
        pen.text((18 if colors else 3, top + 1), line, fill='black')
    return np.array(canvas)


def side_by_side(left: np.ndarray, right: np.ndarray, titles: tuple[str, str]) -> np.ndarray:
    """Returns two pictures side by side, each with its title below."""
    pictures = [below(picture, [title]) for picture, title in zip((left, right), titles)]
    height = max(len(picture) for picture in pictures)
    padded = [np.pad(p, ((0, height - len(p)), (0, 0), (0, 0)), constant_values=255) for p in pictures]
    return np.concatenate(padded, axis=1)


def save_picture(picture: np.ndarray, folder: Path, source: str) -> Path:
    """Writes a picture into ``folder`` as a JPEG and returns its path.

    The file is named after the image ``source``; ``_2``, ``_3`` and so on is appended if the name exists.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem, number = Path(source).stem, 1
    while (path := folder / f'{stem}{"" if number == 1 else f"_{number}"}.jpg').exists():
        number += 1
    Image.fromarray(picture).save(path, quality=92)
    return path
