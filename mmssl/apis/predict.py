"""Images into a trained classifier, detector or segmenter."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope

from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.config.classes import datasets
from mmssl.config.load import load_config
from mmssl.converters.transfer import load_trained_weights
from mmssl.datasets.checks import class_names
from mmssl.datasets.decode import decode_image
from mmssl.datasets.image_files import find_images
from mmssl.registry import MODELS, TRANSFORMS
from mmssl.utils.errors import UserError
from mmssl.visualization.predictions import Prediction, best_classes, from_sample

_ANNOTATIONS = ('LoadAnnotations', 'IgnoreLabels', 'LoadDepthAnnotation', 'LoadPanopticAnnotations')


class Predictor:
    """A trained model that is given images: ``for prediction in Predictor(config, checkpoint)('photos/')``.

    Args:
        config: Config file of a classifier of mmssl, a detector of mmdet or a segmenter of mmseg.
        checkpoint: Its training checkpoint.
        cfg_options: Dotted keys and values that override the config.
        num_best: Classes that a classifier names for an image.

    Raises:
        UserError: The checkpoint does not fit, or the config is of a model that predicts nothing.
    """

    def __init__(
        self, config: str | Path, checkpoint: str | Path, cfg_options: dict[str, Any] | None = None, num_best: int = 5
    ) -> None:
        self.cfg = load_config(config, cfg_options)
        if not Path(checkpoint).is_file():
            raise UserError(f'checkpoint {str(checkpoint)!r} does not exist')
        init_default_scope(self.cfg.default_scope)
        model = revert_sync_batchnorm(MODELS.build(self.cfg.model))
        if not hasattr(model, 'predict'):
            raise UserError(
                f'{type(model).__name__} predicts no classes; its features: tools/extract_features.py --images FOLDER'
            )
        content = load_checkpoint_file(checkpoint)
        load_trained_weights(model, str(checkpoint), content)
        self.model: Any = model.to(get_device()).eval()
        self.num_best = num_best
        self.classes, self.colors = _classes(self.cfg, content, model)
        self.pipeline: Any = None if self.cfg.default_scope == 'mmssl' else Compose(_image_steps(self.cfg))
        self.transform: Any = _plain_view(self.cfg) if self.pipeline is None else None

    def __call__(self, images: str | Path | np.ndarray | Sequence[str | Path | np.ndarray]) -> Iterator[Prediction]:
        """Yields a prediction for each image.

        Args:
            images: A path, a folder, an array uint8 RGB (H, W, 3), or several of them.
        """
        for source in list_images(images):
            yield self.predict(source)

    @torch.no_grad()
    def predict(self, source: str | np.ndarray) -> Prediction:
        """The prediction for one image, a path or an array uint8 RGB (H, W, 3)."""
        if self.transform is not None:
            return self._classify(read_image(source))
        if isinstance(source, np.ndarray):
            data = Compose(_from_array(self.pipeline))(dict(img=source[..., ::-1].copy(), img_id=0))
        else:
            data = self.pipeline(dict(img_path=source, img_id=0))
        (sample,) = self.model.test_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))
        prediction = from_sample(sample, self.classes, self.colors)
        assert prediction is not None, 'the sample of a detector or segmenter'
        return prediction

    def _classify(self, image: np.ndarray) -> Prediction:
        index = torch.zeros(1, dtype=torch.long)
        batch = dict(inputs=self.transform(image)[None], data_samples=dict(index=index, label=index - 1))
        logits = self.model.predict(self.model.data_preprocessor(batch, False)['inputs'])[0]
        return best_classes(logits, self.classes, self.num_best)


def predict(
    config: str | Path, checkpoint: str | Path, images: str | Path | np.ndarray | Sequence, **options: Any
) -> list[Prediction]:
    """Predicts all ``images`` at once; the arguments are those of ``Predictor`` and of a call of it."""
    return list(Predictor(config, checkpoint, **options)(images))


def list_images(images: Any) -> Iterator[str | np.ndarray]:
    """All images of the argument: paths as text, folders as all images below them, arrays unchanged.

    Raises:
        UserError: There is no such file or folder.
    """
    for item in images if isinstance(images, (list, tuple)) else [images]:
        if isinstance(item, np.ndarray):
            yield item
        elif Path(item).expanduser().is_dir():
            folder = Path(item).expanduser()
            yield from (str(folder / name) for name in find_images(str(folder)))
        elif Path(item).expanduser().is_file():
            yield str(Path(item).expanduser())
        else:
            raise UserError(f'{item} is no image file and no folder')


def read_image(source: str | np.ndarray) -> np.ndarray:
    """The image as uint8 RGB (H, W, 3)."""
    return source if isinstance(source, np.ndarray) else decode_image(Path(source).read_bytes())


def _classes(cfg: Config, checkpoint: Any, model: Any) -> tuple[Sequence[str], Sequence]:
    """Names and colours from the checkpoint, else from the config, else numbers."""
    meta = checkpoint.get('meta', {}).get('dataset_meta') or {}
    if meta.get('classes'):
        colors = meta.get('palette') or ()
        return tuple(meta['classes']), colors if len(colors) >= len(meta['classes']) else ()
    if cfg.default_scope == 'mmssl':
        return tuple(str(label) for label in range(model.head.num_classes)), ()
    return class_names(next(datasets(cfg, ['test', 'val', 'train'])), cfg.default_scope), ()


def _image_steps(cfg: Config) -> list[dict]:
    """The steps of the test pipeline that an image without annotation passes through."""
    dataset = next(datasets(cfg, ['test', 'val']), None)
    if dataset is None:
        raise UserError('the config has neither a test nor a validation set, whose pipeline images would pass through')
    return [step for step in copy.deepcopy(dataset['pipeline']) if _name(step) not in _ANNOTATIONS]


def _from_array(pipeline: Compose) -> list[Any]:
    from mmcv.transforms import LoadImageFromFile

    # An array is what the first step would have read.
    reader, *others = pipeline.transforms
    assert isinstance(reader, LoadImageFromFile)
    return [TRANSFORMS.build(dict(type='LoadImageFromNDArray')), *others]


def _plain_view(cfg: Config) -> Any:
    for name in ('test_dataloader', 'val_dataloader'):
        transform = ((cfg.get(name) or {}).get('dataset') or {}).get('transform')
        if transform is not None:
            return TRANSFORMS.build(transform)
    raise UserError('the config has no validation set, whose transform says how large images are')


def _name(step: dict) -> str:
    return str(step['type']).rpartition('.')[2]
