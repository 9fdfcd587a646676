"""The visualizer of a pre-training draws like MMEngine's, with a canvas that is made when it is needed."""

from __future__ import annotations

import numpy as np
from mmengine.visualization import Visualizer

from mmssl.engine.run_visualizer import RunVisualizer


def test_it_draws_what_mmengine_draws() -> None:
    image = np.random.default_rng(0).integers(0, 256, (12, 20, 3)).astype(np.uint8)
    drawn = []
    for cls in (Visualizer, RunVisualizer):
        visualizer = cls()
        for number in range(2):
            visualizer.set_image(image[::-1] if number else image)
            visualizer.draw_bboxes(np.array([2, 3, 9, 8]))
            drawn.append(visualizer.get_image())
    assert drawn[0].std() > 0 and (drawn[0] != drawn[1]).any()
    for expected, found in zip(drawn[:2], drawn[2:], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_it_has_no_canvas_before_an_image() -> None:
    assert not RunVisualizer().has_canvas
