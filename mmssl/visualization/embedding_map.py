"""Embeddings in the plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


def project_tsne(vectors: Tensor, seed: int = 0) -> np.ndarray:
    """Coordinates (N, 2) of embeddings (N, D) by t-SNE on unit vectors, after PCA to at most 50 dimensions.

    Raises:
        ValueError: There are fewer than four embeddings.
    """
    if len(vectors) < 4:
        raise ValueError(f't-SNE needs at least 4 embeddings, got {len(vectors)}')
    unit = F.normalize(vectors.float()).cpu().numpy()
    reduced = PCA(min(50, *unit.shape), random_state=seed).fit_transform(unit)
    perplexity = min(30.0, (len(unit) - 1) / 3)
    return TSNE(perplexity=perplexity, init='pca', random_state=seed).fit_transform(reduced)


def choose_images(labels: Tensor, num_images: int, num_classes: int) -> Tensor:
    """Positions of images for a map that can be read: of few classes, and not too many of each.

    Args:
        labels: (N,) int64, -1 where an image has none.
        num_images: At most so many are chosen, spread evenly.
        num_classes: Of so many classes, spread evenly; images without a label are left out if others have one.

    Returns:
        (K,) int64, ascending.
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
        points: Title -> (N, 2).
        labels: (N,) int64; None draws all points in one colour.
        classes: Names of the classes; at most 30 are listed.
    """
    named = labels is not None and classes is not None and len(classes) <= 30
    figure = new_figure(4.2 * len(points) + (1.6 if named else 0), 4.2)
    if labels is None:
        colours = LINES[0]
    else:
        if not named:  # ids may have gaps
            labels = labels.unique(return_inverse=True)[1]
        palette = class_colours(int(labels.max()) + 1)
        colours = [palette[label] for label in labels.tolist()]
    for axes, (title, xy) in zip(figure.subplots(1, len(points), squeeze=False)[0], points.items()):
        axes.scatter(*xy.T, c=colours, s=11, linewidths=0, alpha=0.85)
        axes.set_title(title, loc='left', fontsize=11, color=INK, fontweight='bold')
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_color(FAINT)
    if named:
        handles = [Line2D([], [], color=colour, marker='o', linestyle='', markersize=5) for colour in palette]
        figure.legend(handles, classes, loc='outside right center', fontsize=8, frameon=False, handletextpad=0.1)
    return figure


def map_of_features(features: Mapping[str, Features], classes: Sequence[str] | None = None, seed: int = 0) -> Figure:
    """Draws the t-SNE of features of the same images, one plot per representation.

    Args:
        features: Title -> features; labels are those of the first.
        classes: Names of all classes of the dataset; the legend has those that occur.
        seed: Of the layout.
    """
    points = {title: project_tsne(of.vectors, seed) for title, of in features.items()}
    labels = next(iter(features.values())).labels
    if (labels < 0).any():
        return embedding_map(points)
    present, labels = labels.unique(return_inverse=True)
    return embedding_map(points, labels, classes and [classes[label] for label in present])
