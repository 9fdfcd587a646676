"""Images as a caller has them: paths, folders, pictures of Pillow, arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from mmengine.config import Config
from PIL import Image
from torch.utils.data import Dataset

from mmssl.datasets.decode import UnreadableImageError, decode_image
from mmssl.datasets.image_files import find_images
from mmssl.registry import TRANSFORMS
from mmssl.utils.errors import UserError

Picture: TypeAlias = 'str | Path | np.ndarray | Image.Image'


def list_images(images: Picture | Sequence[Picture]) -> Iterator[str | np.ndarray]:
    """Yields all images of the argument: paths as text, folders as all images below them, others as arrays.

    Args:
        images: A path, a folder, a picture of Pillow, an array uint8 RGB (H, W, 3) or grey (H, W), or several of them.

    Raises:
        UserError: There is no such file or folder, or an array is no such image.
    """
    for item in images if isinstance(images, (list, tuple)) else [images]:
        if isinstance(item, Image.Image):
            yield np.array(item.convert('RGB'))
        elif isinstance(item, np.ndarray):
            yield _checked(item)
        elif not isinstance(item, (str, Path)):
            raise UserError(f'an image is a path, a picture of Pillow or an array, got {type(item).__name__}')
        elif Path(item).expanduser().is_dir():
            folder = Path(item).expanduser()
            yield from (str(folder / name) for name in find_images(str(folder)))
        elif Path(item).expanduser().is_file():
            yield str(Path(item).expanduser())
        else:
            raise UserError(f'{item} is no image file and no folder')


def _checked(image: np.ndarray) -> np.ndarray:
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.ndim == 3 and image.shape[2] != 3:
        raise UserError(
            f'an image is an array uint8 (H, W, 3) in RGB, or (H, W) in grey, got {image.dtype} {image.shape}'
        )
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def read_image(source: str | np.ndarray) -> np.ndarray:
    """Returns the image as uint8 RGB (H, W, 3).

    Raises:
        UnreadableImageError, OSError: The file is no image, or is damaged.
    """
    return source if isinstance(source, np.ndarray) else decode_image(Path(source).read_bytes())


def plain_view(cfg: Config, size: int | None = None) -> Any:
    """Builds the transform that gives an image its size for evaluation.

    Args:
        cfg: A config of mmssl, whose test set or validation set says it.
        size: Side of the view in pixels, where the config does not count; the shorter side is scaled to 8/7 of it.

    Raises:
        UserError: The config has no such data, and ``size`` is None.
    """
    if size is not None:
        return TRANSFORMS.build(dict(type='CenterCropView', size=size, resize=size * 8 // 7))
    for name in ('test_dataloader', 'val_dataloader'):
        transform = ((cfg.get(name) or {}).get('dataset') or {}).get('transform')
        if transform is not None:
            return TRANSFORMS.build(transform)
    raise UserError(
        'the config has no validation set, whose transform says how large images are; the config in the checkpoint of '
        'a run without validation lacks it: name the recipe, or for features the size'
    )


class GivenImages(Dataset):
    """Images of a caller as the items of a dataset; see ``mmssl.datasets.base.ImageDataset`` for their form.

    Args:
        images: What ``list_images`` yields.
        transform: Maps uint8 (H, W, 3) to uint8 (3, S, S).
    """

    def __init__(self, images: Sequence[str | np.ndarray], transform: Any) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        source = self.images[index]
        try:
            image = read_image(source)
        except (UnreadableImageError, OSError) as error:
            raise UserError(f'{source} cannot be read ({error})') from error
        return dict(inputs=self.transform(image), data_samples=dict(index=index, label=-1), skipped=[])
