"""The time of one CPU core for two augmented views of an image."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageFilter, ImageOps
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from mmssl.datasets.collate_views import collate_views
from mmssl.datasets.image_folder import ImageFolder
from mmssl.models.preprocessing.selfsup_data_preprocessor import SelfSupDataPreprocessor

PHOTOGRAPHS = ('astronaut.png', 'chelsea.png', 'coffee.png', 'rocket.jpg', 'ihc.png')
VIEW: dict[str, Any] = dict(type='AugmentedView', size=224, min_scale=0.08, jitter=(0.4, 0.4, 0.2, 0.1), grayscale=0.2)
VIEWS = (dict(VIEW, blur=1.0), dict(VIEW, blur=0.1, solarize=0.2))  # MoCo v3's
JITTER = v2.ColorJitter(0.4, 0.4, 0.2, 0.1)


def write_photographs(folder: Path, copies: int = 8) -> None:
    """Writes 500x375 JPEGs of quality 90, about the size of ImageNet's images.

    Args:
        folder: Folder for the files.
        copies: Number of files of each of five photographs, rotated by 3 degrees each, so that files differ.
    """
    import skimage

    for name in PHOTOGRAPHS:
        image = Image.open(Path(skimage.__file__).parent / 'data' / name).convert('RGB')
        for copy in range(copies):
            shifted = image.rotate(copy * 3).resize((500, 375), Image.Resampling.LANCZOS)
            shifted.save(folder / f'{Path(name).stem}_{copy}.jpg', quality=90)


def _on_pil(image: Image.Image, blur: float, solarize: float) -> torch.Tensor:
    """Applies the photometric part of a view to one image, with torchvision and Pillow."""
    chance = torch.rand(4).tolist()
    if chance[0] < 0.8:
        image = JITTER(image)
    if chance[1] < 0.2:
        image = functional.rgb_to_grayscale(image, 3)
    if chance[2] < blur:
        image = image.filter(ImageFilter.GaussianBlur(0.1 + 1.9 * float(torch.rand(()))))
    if chance[3] < solarize:
        image = ImageOps.solarize(image)
    pixels = functional.to_dtype(functional.pil_to_tensor(image), torch.float32, scale=True)
    return functional.normalize(pixels, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def measure_augmentation(folder: Path, batch_size: int, repeats: int) -> dict[str, float]:
    """Times decoding and cropping, and the photometric part in a batch and by Pillow, on this thread.

    Args:
        folder: Folder of images.
        batch_size: Number of image pairs in one measurement.
        repeats: Number of measurements of each part, in turns.

    Returns:
        Medians of the processor time: pairs per second, milliseconds per pair, and the ratio batch over Pillow.
    """
    dataset, preprocessor = ImageFolder(str(folder), views=list(VIEWS)), SelfSupDataPreprocessor()
    rounds = iter(range(10**6))

    def load() -> dict[str, Any]:
        epoch = next(rounds)
        return collate_views([dataset[epoch, index % len(dataset)] for index in range(batch_size)])

    batch = load()
    pictures = [[functional.to_pil_image(image) for image in view] for view in batch['inputs']]
    parts: dict[str, Callable[[], Any]] = dict(
        load=load,
        batched=lambda: preprocessor(batch, True),
        pil=lambda: [
            torch.stack([_on_pil(image, view['blur'], view.get('solarize', 0)) for image in images])
            for view, images in zip(VIEWS, pictures)
        ],
    )
    seconds: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(repeats):
        for name, part in parts.items():
            start = time.thread_time()
            part()
            seconds[name].append(time.thread_time() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    return dict(
        decode_and_crop_pairs_per_second=batch_size / median['load'],
        batched_milliseconds_per_pair=1000 * median['batched'] / batch_size,
        pil_milliseconds_per_pair=1000 * median['pil'] / batch_size,
        batched_over_pil=statistics.median(a / b for a, b in zip(seconds['batched'], seconds['pil'])),
    )
