"""The visualizer of a pre-training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from mmengine.visualization import Visualizer

from mmssl.registry import VISUALIZERS


@VISUALIZERS.register_module()
class RunVisualizer(Visualizer):
    """MMEngine's ``Visualizer``, which makes its matplotlib canvas when an image is set, and not when it is built.

    A pre-training gives numbers and finished images to the backends and draws nothing on the canvas, so it need not
    wait for the import of matplotlib. Arguments are those of ``Visualizer``.
    """

    has_canvas = False

    def set_image(self, image: np.ndarray) -> None:
        """Sets the image (H, W, 3) to draw on, with values in 0-255."""
        if not self.has_canvas:
            self.has_canvas = True
            self.fig_save_canvas, self.fig_save, self.ax_save = super()._initialize_fig(self.fig_save_cfg)
            self.dpi = self.fig_save.get_dpi()
        super().set_image(image)

    def _initialize_fig(self, fig_cfg: dict) -> tuple[None, Any, None]:
        """Returns what the constructor needs: no canvas, no axes, and a figure that only answers ``get_dpi``."""
        return None, SimpleNamespace(get_dpi=lambda: None), None
