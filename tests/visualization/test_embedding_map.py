"""Embedding maps: t-SNE keeps clusters apart, points carry the colours of their classes."""

import numpy as np
import pytest
import torch

from mmssl.evaluation.extract import Features
from mmssl.visualization.embedding_map import choose_images, embedding_map, map_of_features, project_tsne
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


@pytest.mark.parametrize('vector', [torch.zeros(6), torch.rand(6)])
def test_equal_embeddings_lie_at_the_origin(vector: torch.Tensor) -> None:
    lengths = torch.arange(1.0, 21.0)[:, None]
    assert (project_tsne(vector * lengths) == np.zeros((20, 2))).all()


def test_embeddings_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match='an embedding is NaN or infinite'):
        project_tsne(torch.tensor([[1.0], [2.0], [float('nan')], [3.0]]))


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


def test_few_classes_and_few_images_of_each_are_chosen() -> None:
    labels = torch.arange(100) % 10
    rows = choose_images(labels, num_images=12, num_classes=2)
    assert labels[rows].unique().tolist() == [2, 7]
    assert len(rows) == 12 and (rows.diff() > 0).all()
    assert choose_images(torch.tensor([-1, 3, -1, 0]), 9, 9).tolist() == [1, 3]
    assert choose_images(torch.full((6,), -1), 3, 1).tolist() == [1, 3, 5]


def test_map_of_features_names_the_classes_that_occur() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors, labels = torch.randn(8, 3, generator=generator), torch.tensor([4, 1] * 4)
    features = Features(vectors, labels, torch.arange(8))
    figure = map_of_features(dict(a=features, b=features), list('pqrstu'))
    assert [axes.get_title(loc='left') for axes in figure.axes] == ['a', 'b']
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['q', 't']
    colours = figure.axes[0].collections[0].get_facecolors()
    np.testing.assert_allclose(colours[:2, :3], np.array(class_colours(2))[[1, 0], :3])
    assert not map_of_features(dict(a=Features(vectors, -labels, torch.arange(8)))).legends
