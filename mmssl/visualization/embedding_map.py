"""Draws embeddings in the plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor
from torch.nn import functional as F

from mmssl.evaluation.extract import Features
from mmssl.visualization.style import FAINT, INK, LINES, class_colours, new_figure, spread

_SAME = 1e-6  # largest difference in an entry of unit vectors that are equal up to the rounding of float32


def project_tsne(vectors: Tensor, seed: int = 0) -> np.ndarray:
    """Projects embeddings to the plane with scikit-learn's t-SNE.

    Before t-SNE, embeddings are scaled to unit length and reduced to at most 50 dimensions by PCA. If all embeddings
    have the same direction, as after a complete collapse, all points lie at the origin, because scikit-learn would end
    the process with a segmentation fault.

    Args:
        vectors: Embeddings (N, D).
        seed: Seed of PCA and t-SNE.

    Returns:
        Coordinates (N, 2).

    Raises:
        ValueError: There are fewer than four embeddings, or one is not finite.
    """
    if len(vectors) < 4:
        raise ValueError(f't-SNE needs at least 4 embeddings, got {len(vectors)}')
    unit = F.normalize(vectors.float()).cpu().numpy()
    if not np.isfinite(unit).all():
        raise ValueError(
            'an embedding is NaN or infinite: the weights diverged or the checkpoint was loaded into the wrong model'
        )
    if np.ptp(unit, axis=0).max() < _SAME:
        return np.zeros((len(unit), 2), np.float32)
    reduced = PCA(min(50, *unit.shape), random_state=seed).fit_transform(unit)
    perplexity = min(30.0, (len(unit) - 1) / 3)
    return TSNE(perplexity=perplexity, init='pca', random_state=seed).fit_transform(reduced)


def choose_images(labels: Tensor, num_images: int, num_classes: int) -> Tensor:
    """Chooses images for a map that stays readable: at most ``num_images`` images of at most ``num_classes`` classes.

    Images and classes are spread evenly over those that exist. Images without a label are chosen only if no image has
    one.

    Args:
        labels: (N,) int64, -1 for an image without a label.
        num_images: Largest number of images.
        num_classes: Largest number of classes.

    Returns:
        Indices of the chosen images, (K,) int64, ascending.
    """
    classes = labels[labels >= 0].unique()
    if len(classes):
        classes = classes[spread(len(classes), num_classes)]
        rows = torch.isin(labels, classes).nonzero()[:, 0]
    else:
        rows = torch.arange(len(labels))
    return rows[spread(len(rows), num_images)]


def embedding_map(
    points: Mapping[str, np.ndarray], labels: Tensor | None = None, classes: Sequence[str] | None = None
) -> Figure:
    """Draws one scatter plot per set of coordinates, coloured by class.

    Args:
        points: Title of a plot -> coordinates (N, 2).
        labels: (N,) int64; None draws all points in one colour.
        classes: Names of the classes for a legend, which is drawn for at most 30 classes.
    """
    named = labels is not None and classes is not None and len(classes) <= 30
    figure = new_figure(4.2 * len(points) + (1.6 if named else 0), 4.2)
    if labels is None:
        colours: Any = LINES[0]
    else:
        if not named:  # class numbers may have gaps, colours may not
            labels = labels.unique(return_inverse=True)[1]
        palette: list[Any] = list(class_colours(int(labels.max()) + 1))
        colours = [palette[label] for label in labels.tolist()]
    for axes, (title, xy) in zip(figure.subplots(1, len(points), squeeze=False)[0], points.items()):
        axes.scatter(*xy.T, c=colours, s=11, linewidths=0, alpha=0.85)
        axes.set_title(title, loc='left', fontsize=11, color=INK, fontweight='bold')
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_color(FAINT)
    if named and classes is not None:
        handles = [Line2D([], [], color=colour, marker='o', linestyle='', markersize=5) for colour in palette]
        figure.legend(handles, classes, loc='outside right center', fontsize=8, frameon=False, handletextpad=0.1)
    return figure


def map_of_features(features: Mapping[str, Features], classes: Sequence[str] | None = None, seed: int = 0) -> Figure:
    """Draws one t-SNE plot per representation of the same images.

    Args:
        features: Title of a representation -> its features. The labels are read from the first.
        classes: Names of all classes of the dataset; the legend lists those that occur.
        seed: Seed of the layout.
    """
    points = {title: project_tsne(of.vectors, seed) for title, of in features.items()}
    labels = next(iter(features.values())).labels
    if (labels < 0).any():
        return embedding_map(points)
    present, labels = labels.unique(return_inverse=True)
    return embedding_map(points, labels, classes and [classes[label] for label in present])
