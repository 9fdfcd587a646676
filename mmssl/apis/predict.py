"""Predictions of a trained classifier, detector or segmenter for images."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from PIL import Image

from mmssl.apis.arguments import check_number, read_checkpoint, read_folder, read_path
from mmssl.apis.images import Picture, list_images, plain_range, plain_view, read_image
from mmssl.apis.recipes import get_recipe
from mmssl.checkpoints.content import trained_classes
from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.config.check import check_present
from mmssl.config.classes import datasets
from mmssl.config.published import model_of_checkpoint
from mmssl.converters.transfer import load_trained_weights
from mmssl.datasets.checks import class_names
from mmssl.datasets.decode import UnreadableImageError
from mmssl.datasets.image_files import is_image_name
from mmssl.registry import MODELS, TRANSFORMS
from mmssl.utils.errors import UserError
from mmssl.visualization.predictions import Prediction, best_classes, from_sample, read_upright, save_picture

_ANNOTATIONS = ('LoadAnnotations', 'IgnoreLabels', 'LoadDepthAnnotation', 'LoadPanopticAnnotations')


class Predictor:
    """A trained model that predicts images: ``for prediction in Predictor(recipe, checkpoint)('photos/')``.

    Args:
        recipe: Name of a recipe, path of a config file, or a config, of a classifier of mmssl, a detector of mmdet or
            a segmenter of mmseg.
        checkpoint: Training checkpoint of this model.
        cfg_options: Dotted keys and values that override the config.
        num_best: Number of classes in the prediction of a classifier, at least 1.

    Raises:
        UserError: ``num_best`` is less than 1, the checkpoint does not fit, or the model has no method ``predict``.
    """

    def __init__(
        self,
        recipe: str | Path | Config,
        checkpoint: str | Path,
        cfg_options: dict[str, Any] | None = None,
        num_best: int = 5,
    ) -> None:
        check_number('num_best', num_best, 1)
        self.cfg = get_recipe(recipe, cfg_options)
        check_present(self.cfg, 'model')
        file = read_checkpoint(checkpoint)
        self.num_best = num_best
        with DefaultScope.overwrite_default_scope(self.cfg.default_scope):
            self._load(file)

    def _load(self, checkpoint: str) -> None:
        """Builds the model and its pipelines, and loads the weights."""
        model = revert_sync_batchnorm(MODELS.build(model_of_checkpoint(self.cfg.model)))
        if not hasattr(model, 'predict'):
            raise UserError(
                f'{type(model).__name__} predicts no classes; its features: mmssl features, or mmssl.FeatureExtractor'
            )
        content = load_checkpoint_file(checkpoint)
        load_trained_weights(model, checkpoint, content)
        self.model: Any = model.to(get_device()).eval()
        self.classes, self.colors = _classes(self.cfg, content, model)
        self.pipeline: Any = None if self.cfg.default_scope == 'mmssl' else Compose(_image_steps(self.cfg))
        self.array_pipeline: Any = None if self.pipeline is None else Compose(_from_array(self.pipeline))
        self.transform: Any = plain_view(self.cfg) if self.pipeline is None else None
        self.value_range = plain_range(self.cfg) if self.pipeline is None else None

    def __call__(self, images: Picture | Iterable[Picture]) -> Iterator[Prediction]:
        """Yields a prediction for each image.

        Args:
            images: Path, folder, Pillow image, uint8 array RGB (H, W, 3) or grey (H, W), or a list of these.
        """
        for source in list_images(images):
            yield self.predict(source)

    def read(self, source: str | np.ndarray) -> np.ndarray:
        """Returns the image as the model reads it, uint8 RGB (H, W, 3)."""
        if isinstance(source, np.ndarray):
            return source
        return read_image(source, self.value_range) if self.transform is not None else read_upright(source)

    @torch.no_grad()
    def predict(self, source: str | np.ndarray) -> Prediction:
        """Returns the prediction for one image, a path or an array uint8 RGB (H, W, 3)."""
        if self.transform is not None:
            return self._classify(self.read(source))
        if isinstance(source, np.ndarray):
            pipeline, image = self.array_pipeline, dict(img=source[..., ::-1].copy(), img_id=0)
        else:
            pipeline, image = self.pipeline, dict(img_path=source, img_id=0)
        with DefaultScope.overwrite_default_scope(self.cfg.default_scope):
            data = pipeline(image)
            (sample,) = self.model.test_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))
        prediction = from_sample(sample, self.classes, self.colors)
        assert prediction is not None, 'a detector or segmenter gives a prediction'
        return prediction

    def _classify(self, image: np.ndarray) -> Prediction:
        index = torch.zeros(1, dtype=torch.long)
        batch = dict(inputs=self.transform(image)[None], data_samples=dict(index=index, label=index - 1))
        logits = self.model.predict(self.model.data_preprocessor(batch, False)['inputs'])[0]
        return best_classes(logits, self.classes, self.num_best)


def predict(
    recipe: str | Path | Config,
    checkpoint: str | Path,
    images: Picture | Iterable[Picture],
    out: str | Path | None = None,
    *,
    score: float = 0.3,
    num_best: int = 5,
    cfg_options: dict[str, Any] | None = None,
) -> list[Prediction]:
    """Predicts all ``images``, and with ``out`` draws the predictions.

    Args:
        recipe: Name of a recipe, path of a config file, or a config, of a classifier of mmssl, a detector of mmdet or
            a segmenter of mmseg, which run without compiled operators.
        checkpoint: Training checkpoint of this model.
        images: Path, folder, Pillow image, uint8 array RGB (H, W, 3) or grey (H, W), or a list of these.
        out: For one image the image file to write (``street_boxes.png``); else a folder for one drawing per image,
            ``predictions.json``, and the masks of a segmenter as ``NAME_mask.png``. None writes nothing.
        score: Smallest score of a box, in [0, 1].
        num_best: Number of classes in the prediction of a classifier.
        cfg_options: Dotted keys and values that override the config.

    Returns:
        One prediction per image, in the order of ``images``.

    Raises:
        UserError: There is no image, an image cannot be read, ``score`` is not in [0, 1], ``out`` cannot be written,
            the checkpoint does not fit, or the model has no method ``predict``.
    """
    check_score(score)
    sources = list(list_images(images))
    if not sources:
        raise UserError(f'there is no image in {images}')
    if out is not None:
        out = read_path(out, 'out')
    single = None if out is None else _picture_file(out, len(sources))
    writer = None if out is None or single else PredictionWriter(out)
    predictor = Predictor(recipe, checkpoint, cfg_options, num_best)
    predictions: list[Prediction] = []
    for number, source in enumerate(sources):
        try:
            image = predictor.read(source)
        except (UnreadableImageError, OSError) as error:
            raise UserError(f'{source} cannot be read ({error})') from error
        prediction = predictor.predict(source).above(score)
        predictions.append(prediction)
        if writer:
            writer.add(prediction, image, source if isinstance(source, str) else f'image_{number}')
        elif single:
            single.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(prediction.draw(image)).save(single)
    if writer:
        writer.close()
    return predictions


def check_score(score: float) -> None:
    """Checks the smallest score of a box.

    Raises:
        UserError: It is not a number in [0, 1].
    """
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= 1:
        raise UserError(f'score must be a number in [0, 1], got {score!r}')


def _picture_file(out: Path, number: int) -> Path | None:
    """Returns the path of the single image file to write; None if ``out`` is a folder.

    Raises:
        UserError: ``out`` is an image file, and there are several images, or it cannot be written.
    """
    if not is_image_name(str(out)) or out.is_dir():
        return None
    if number > 1:
        raise UserError(f'{number} images cannot be written to one file {str(out)!r}: give a folder')
    read_folder(out.parent, 'out')
    return out


class PredictionWriter:
    """Writes predictions into a folder: a drawing for each image, masks, and ``predictions.json`` at the end.

    Args:
        folder: Folder to write to, which is created if it does not exist.

    Raises:
        UserError: It is a file, or cannot be written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = read_folder(folder, 'out')
        self.results: list[dict[str, Any]] = []

    def add(self, prediction: Prediction, image: np.ndarray, source: str) -> None:
        """Writes the drawing of a prediction, and its mask if it has one.

        Args:
            prediction: Prediction for the image.
            image: (H, W, 3) uint8 RGB, the background of the drawing.
            source: Path or name of the image.
        """
        self.results.append(dict(image=source, **prediction.summary()))
        path = save_picture(prediction.draw(image), self.folder, source)
        if prediction.label_map is not None:
            labels = prediction.label_map.numpy()
            mask = Image.fromarray(labels.astype(np.uint8 if labels.max() < 256 else np.uint16))
            mask.save(path.with_name(f'{path.stem}_mask.png'))

    def close(self) -> None:
        """Writes ``predictions.json``."""
        if self.results:
            (self.folder / 'predictions.json').write_text(json.dumps(self.results, indent=1) + '\n')


def _classes(cfg: Config, checkpoint: Any, model: Any) -> tuple[Sequence[str], Sequence]:
    """Returns names and colours of classes from the checkpoint, else names from the config, else numbers."""
    if classes := trained_classes(checkpoint):
        return classes, checkpoint['meta']['dataset_meta'].get('palette') or ()
    if cfg.default_scope == 'mmssl':
        return tuple(str(label) for label in range(model.head.num_classes)), ()
    return class_names(next(datasets(cfg, ['test', 'val', 'train'])), cfg.default_scope), ()


def _image_steps(cfg: Config) -> list[dict]:
    """Returns the steps of the test pipeline without those that load annotations."""
    dataset = next(datasets(cfg, ['test', 'val']), None)
    if dataset is None:
        raise UserError('the config has neither a test nor a validation set, whose pipeline is needed for images')
    return [step for step in copy.deepcopy(dataset['pipeline']) if _name(step) not in _ANNOTATIONS]


def _from_array(pipeline: Compose) -> list[Any]:
    from mmcv.transforms import LoadImageFromFile

    # An array replaces the result of the first step.
    reader, *others = pipeline.transforms
    assert isinstance(reader, LoadImageFromFile)
    return [TRANSFORMS.build(dict(type='LoadImageFromNDArray')), *others]


def _name(step: dict) -> str:
    return str(step['type']).rpartition('.')[2]
