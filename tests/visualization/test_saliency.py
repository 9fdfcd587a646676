from __future__ import annotations

from mmssl.datasets.salient_images import SalientImages
from mmssl.models.preprocessing.selfsup_data_preprocessor import SelfSupDataPreprocessor
from mmssl.visualization.saliency import saliency_figure
from tests.models.algorithms.test_cast import _cast
from tests.support.tiny_run import NoiseImages


def test_the_figure_has_a_row_for_each_step_and_leaves_the_network_alone():
    view = dict(type='SalientView', size=16)
    dataset = SalientImages(dict(type=NoiseImages.__name__, num_images=5), views=[view, view])
    algorithm = _cast().float()
    algorithm.data_preprocessor = SelfSupDataPreprocessor()
    figure = saliency_figure(algorithm, dataset, [0, 2, 4])
    assert len([axes for axes in figure.axes if axes.images]) == 7 * 3
    assert algorithm.training and all(p.grad is None for p in algorithm.parameters())
