"""Images as arguments: paths, folders, Pillow images, arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image
from torch.utils.data import Dataset

from mmssl.apis.arguments import check_number, read_path
from mmssl.datasets.bands import read_value_range
from mmssl.datasets.decode import UnreadableImageError, convert_picture, decode_image
from mmssl.datasets.image_files import find_images
from mmssl.registry import TRANSFORMS
from mmssl.utils.errors import UserError

Picture: TypeAlias = 'str | Path | np.ndarray | Image.Image'


def list_images(images: Picture | Iterable[Picture]) -> Iterator[str | np.ndarray]:
    """Yields all images of the argument: paths as text, folders as the paths of all images in them, others as arrays.

    Args:
        images: Path, folder, Pillow image, uint8 array RGB (H, W, 3) or grey (H, W), or a list or other iterable of
            these.

    Raises:
        UserError: A file or folder does not exist, or an array or Pillow image has no 8-bit or 16-bit samples.
    """
    is_one = isinstance(images, (str, Path, np.ndarray, Image.Image)) or not isinstance(images, Iterable)
    items: Any = [images] if is_one else images
    for item in items:
        if isinstance(item, Image.Image):
            yield _checked(_pixels(item))
        elif isinstance(item, np.ndarray):
            yield _checked(item)
        elif not isinstance(item, (str, Path)):
            raise UserError(f'an image must be a path, a Pillow image or an array, got {type(item).__name__}')
        elif (path := read_path(item, 'an image')).is_dir():
            yield from (str(path / name) for name in find_images(str(path)))
        elif path.is_file():
            yield str(path)
        else:
            raise UserError(f'{item} is neither an image file nor a folder')


def _pixels(image: Image.Image) -> np.ndarray:
    try:
        return convert_picture(image)
    except UnreadableImageError as error:
        raise UserError(f'a Pillow image of mode {image.mode!r} needs samples scaled to 0-255: {error}') from error


def _checked(image: np.ndarray) -> np.ndarray:
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.ndim == 3 and image.shape[2] != 3:
        raise UserError(
            f'an image must be a uint8 array (H, W, 3) in RGB, or (H, W) in grey, got {image.dtype} {image.shape}'
        )
    if not image.size:
        raise UserError(f'an image of shape {image.shape} has no pixels: leave it out')
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def read_image(source: str | np.ndarray, value_range: tuple[float, float] | None = None) -> np.ndarray:
    """Returns the image as uint8 RGB (H, W, 3).

    Args:
        source: Path, or an array uint8 RGB (H, W, 3), which is returned unchanged.
        value_range: Sample values of a file that become 0 and 255, see ``decode_image``.

    Raises:
        UnreadableImageError, OSError: The file is not an image, or is damaged.
    """
    return source if isinstance(source, np.ndarray) else decode_image(Path(source).read_bytes(), value_range)


def plain_range(cfg: Config) -> tuple[float, float] | None:
    """Returns the ``value_range`` with which the datasets of a config read files, None if they have none.

    Args:
        cfg: Config of mmssl, see ``plain_view``.
    """
    datasets = [(cfg.get(f'{name}_dataloader') or {}).get('dataset') or {} for name in ('test', 'val', 'train')]
    given = next((dataset['value_range'] for dataset in datasets if dataset.get('value_range')), None)
    return None if given is None else read_value_range(given, None)


def plain_view(cfg: Config, size: int | None = None) -> Any:
    """Builds the transform that resizes and crops an image for evaluation.

    Args:
        cfg: Config of mmssl, whose test or validation set has the transform.
        size: Side of the view in pixels; the shorter side of an image is scaled to 8/7 of it. None uses the transform
            of the config.

    Raises:
        UserError: The config has no test or validation set, and ``size`` is None; or its datasets have bands.
    """
    loaders = [cfg.get(name) or {} for name in ('test_dataloader', 'val_dataloader', 'train_dataloader')]
    if any((loader.get('dataset') or {}).get('bands') for loader in loaders):
        raise UserError(
            'this function reads pictures in RGB, and the recipe has datasets with bands: write the features of a '
            'folder with mmssl features CONFIG CHECKPOINT --images FOLDER --out features.npz'
        )
    if size is not None:
        check_number('size', size, 1)
        return _build(dict(type='CenterCropView', size=size, resize=size * 8 // 7))
    for name in ('test_dataloader', 'val_dataloader'):
        transform = ((cfg.get(name) or {}).get('dataset') or {}).get('transform')
        if transform is not None:
            return _build(transform)
    raise UserError(
        'the config has no validation set, whose transform sets the size of images; the config in the checkpoint of '
        'a run without validation lacks it: give the recipe, or for features the size'
    )


def _build(transform: dict[str, Any]) -> Any:
    with DefaultScope.overwrite_default_scope('mmssl'):  # the last model may be one of mmdet
        return TRANSFORMS.build(transform)


class GivenImages(Dataset):
    """Images of a caller as a dataset; see ``mmssl.datasets.base.ImageDataset`` for the form of an item.

    Args:
        images: Images from ``list_images``.
        transform: Function: image (H, W, 3) uint8 -> view (3, S, S) uint8.
        value_range: Sample values of files that become 0 and 255, see ``decode_image``.
    """

    def __init__(
        self, images: Sequence[str | np.ndarray], transform: Any, value_range: tuple[float, float] | None = None
    ) -> None:
        self.images, self.transform, self.value_range = images, transform, value_range

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        source = self.images[index]
        try:
            image = read_image(source, self.value_range)
        except (UnreadableImageError, OSError) as error:
            raise UserError(f'{source} cannot be read ({error})') from error
        return dict(inputs=self.transform(image), data_samples=dict(index=index, label=-1), skipped=[])
