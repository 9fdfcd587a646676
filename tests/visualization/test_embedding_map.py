"""Embedding maps: t-SNE keeps clusters apart, points carry the colours of their classes."""

import numpy as np
import pytest
import torch

from mmssl.visualization.embedding_map import embedding_map, project_tsne
from mmssl.visualization.style import class_colours


def test_tsne_keeps_clusters_together_whatever_the_length_of_vectors() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 2
    vectors = torch.eye(2, 8)[labels] + 0.05 * torch.randn(40, 8, generator=generator)
    points = project_tsne(vectors * torch.rand(40, 1, generator=generator).add(0.1))
    centres = np.stack([points[labels == label].mean(0) for label in (0, 1)])
    nearest = np.linalg.norm(points[:, None] - centres, axis=2).argmin(1)
    assert (nearest == labels.numpy()).all()


def test_too_few_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match='at least 4 embeddings, got 3'):
        project_tsne(torch.eye(3))


def test_colours_and_legend_follow_labels() -> None:
    labels = torch.tensor([0, 2, 1, 2])
    figure = embedding_map(dict(before=np.zeros((4, 2)), after=np.ones((4, 2))), labels, ['a', 'b', 'c'])
    before, after = figure.axes
    assert [axes.get_title(loc='left') for axes in (before, after)] == ['before', 'after']
    colours = after.collections[0].get_facecolors()[:, :3]
    expected = np.array([class_colours(3)[label] for label in labels])[:, :3]
    np.testing.assert_allclose(colours, expected)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['a', 'b', 'c']


def test_without_labels_there_is_one_colour_and_no_legend() -> None:
    figure = embedding_map(dict(map=np.zeros((4, 2))))
    assert len(np.unique(figure.axes[0].collections[0].get_facecolors(), axis=0)) == 1
    assert not figure.legends


@pytest.mark.parametrize('count', [2, 20, 57])
def test_every_class_has_its_own_colour(count: int) -> None:
    assert len(set(class_colours(count))) == count
