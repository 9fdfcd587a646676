"""Entry points for ``torch.hub``: ``torch.hub.load('path/of/this/repository', 'backbone', 'FILE', source='local')``."""

from __future__ import annotations

from typing import Any

dependencies = [
    'cv2', 'matplotlib', 'mmengine', 'numpy', 'PIL', 'rich', 'safetensors', 'scipy', 'skimage', 'sklearn', 'timm',
    'torch', 'torchvision',
]  # fmt: skip


def backbone(name: str, **options: Any) -> Any:
    """Builds a backbone from a file, or by the name of its class with random weights; see ``mmssl.get_backbone``."""
    import mmssl

    return mmssl.get_backbone(name, **options)


def model(recipe: str, checkpoint: str | None = None, **options: Any) -> Any:
    """Builds the whole model of a recipe, with the weights of a checkpoint or random ones; see ``mmssl.get_model``."""
    import mmssl

    return mmssl.get_model(recipe, checkpoint, **options)
