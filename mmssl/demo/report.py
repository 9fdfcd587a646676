"""The table and the figures of the demo's report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from mmssl.engine.runner import PretrainRunner
from mmssl.evaluation.extract import Features
from mmssl.evaluation.linear_probe import LinearProbe
from mmssl.evaluation.weighted_knn import WeightedKNN
from mmssl.utils.scalars import read_scalars
from mmssl.visualization.augmented_views import augmented_views
from mmssl.visualization.correspondence import correspondence_figure
from mmssl.visualization.curves import plot_curves
from mmssl.visualization.embedding_map import embedding_map, project_tsne
from mmssl.visualization.masks import mask_figure
from mmssl.visualization.neighbours import neighbour_sheet
from mmssl.visualization.reconstruction import reconstruction_figure
from mmssl.visualization.region_windows import window_figure
from mmssl.visualization.report import Section
from mmssl.visualization.saliency import saliency_figure
from mmssl.visualization.style import spread
from mmssl.visualization.word_bags import word_bag_figure

METRICS = {'knn_top1': 'kNN', 'linear_top1': 'linear', 'linear10_top1': 'linear, 10 labels per class'}


MAX_MAPPED = 1500  # points of the map


NUM_SHOWN = 8  # images in a figure
NUM_BAGS = 3  # images in a figure of words, which has several rows for each


@dataclass
class Representation:
    """The features of the training and test images in one representation, and their scores.

    Args:
        name: Name in the table.
        bank: Features of the training images.
        queries: Features of the test images.
        results: Name of a metric -> value, from the evaluator.
    """

    name: str
    bank: Features
    queries: Features
    results: dict[str, float]


def results_table(representations: Sequence[Representation]) -> list[list[str]] | None:
    """Returns the accuracies as rows of cells: a head, then one row per representation; None without accuracies."""
    keys = [key for key in METRICS if key in representations[0].results]
    if not keys:
        return None
    head = ['accuracy in %', *(METRICS[key] for key in keys)]
    return [head, *([r.name, *(f'{r.results[key]:.1f}' for key in keys)] for r in representations)]


def accuracy_text(metrics: Sequence[Any], representation: Representation) -> str:
    """Returns a paragraph on the columns of the accuracy table.

    Args:
        metrics: Metrics that gave the results.
        representation: Features that were evaluated.
    """
    labels = representation.queries.labelled().labels
    number = len(labels.unique())
    parts = [f'Test images classified from frozen features: {len(labels):,} images, {number} classes.']
    for metric in metrics:
        if isinstance(metric, WeightedKNN):
            parts.append(f'kNN: weighted vote of the {metric.k[0]} nearest training images.')
        elif isinstance(metric, LinearProbe) and metric.labels_per_class is None:
            parts.append('Linear: logistic regression on all training labels.')
        elif isinstance(metric, LinearProbe) and metric.labels_per_class == 10:
            parts.append(f'10 labels per class: the same on ten of each class, mean of {metric.num_draws} draws.')
    return ' '.join(parts)


def report_sections(
    runner: PretrainRunner, representations: Sequence[Representation], table: list[list[str]] | None
) -> list[Section]:
    """Returns the sections of the report.

    Args:
        runner: Runner of the last training.
        representations: Raw pixels, random initialisation, then the networks after each training.
        table: Rows of cells of the accuracy table; None leaves out the table.
    """
    before, after = representations[1], representations[-1]
    algorithm = runner.algorithm
    classes = runner.val_dataloader.dataset.classes
    train = runner.train_dataloader.dataset
    shown = torch.linspace(0, len(train) - 1, NUM_SHOWN).long().tolist()
    scalars = read_scalars(Path(runner.log_dir, 'vis_data', 'scalars.json'))
    hides = hasattr(algorithm, 'reconstruct')
    knows_classes = hasattr(algorithm, 'predict')
    relates = algorithm.views is None or algorithm.views.count > 1
    sections = []
    if table:
        text = accuracy_text(runner.val_loop.evaluator.metrics, after)
        sections.append(Section('Accuracy', text, table=table))
    return [
        *sections,
        Section(
            'Training',
            'Loss and evaluation while pre-training.',
            plot_curves(scalars, ['loss', 'lr', 'accuracy', 'rank', 'clusters']),
        ),
        Section(
            'What the network sees',
            'Training images and, below them, the augmented views that the model gets. '
            + ('The method learns that views of one image belong together.' if relates else ''),
            augmented_views(train, algorithm.data_preprocessor, shown, shown=algorithm.shown_views),
        ),
        *([reconstruction_section(runner)] if hides else []),
        *([correspondence_section(runner, shown)] if hasattr(algorithm, 'match_views') else []),
        *([masks_section(runner)] if hasattr(algorithm, 'masker') and not hides else []),
        *([words_section(runner)] if hasattr(getattr(algorithm, 'target', None), 'nearest_words') else []),
        *([window_section(runner, shown)] if hasattr(algorithm, 'windows') else []),
        *([saliency_section(runner, shown)] if hasattr(train, 'mask') and hasattr(algorithm, 'attention') else []),
        Section(
            'Nearest neighbours',
            'Test images and the training images whose features are most similar, before and after.'
            + (' Green frame: the same class.' if classes else ''),
            neighbours_figure(runner, before, after),
        ),
        Section(
            'Map of the test images',
            'Features before and after pre-training, laid out by t-SNE'
            + (', coloured by class.' if classes else '.')
            + (' The classes were not used for training.' if classes and not knows_classes else ''),
            map_figure(before, after, classes),
        ),
    ]


def shown_images(runner: PretrainRunner) -> Tensor:
    """Returns test images, spread evenly over the test set, uint8 (N, 3, H, W)."""
    dataset = runner.val_dataloader.dataset
    return torch.stack([dataset[row]['inputs'] for row in spread(len(dataset), NUM_SHOWN).tolist()])


def masks_section(runner: PretrainRunner) -> Section:
    """Returns a section with test images and the parts of them that the masker draws."""
    text = 'Test images and the parts that the method draws: it predicts what it does not see, as features or words.'
    return Section('Masks', text, mask_figure(runner.algorithm.masker, shown_images(runner)))


def words_section(runner: PretrainRunner) -> Section:
    """Returns a section with test images, the visual words that they hold most often, and examples of these words."""
    text = (
        'Test images, the places of the words that occur most often in each, and for each of these words the patches '
        'of training images whose features are nearest to it: the method learns to predict which words an image holds.'
    )
    bank = runner.val_loop.bank_dataloader.dataset
    return Section('Visual words', text, word_bag_figure(runner.algorithm, shown_images(runner)[:NUM_BAGS], bank))


def reconstruction_section(runner: PretrainRunner) -> Section:
    """Returns a section with test images, their visible patches and the network's reconstructions."""
    text = 'Test images, what the network gets of them, and its reconstruction: the method learns to fill in the rest.'
    return Section('Reconstructions', text, reconstruction_figure(runner.algorithm, shown_images(runner)))


def correspondence_section(runner: PretrainRunner, indices: Sequence[int]) -> Section:
    """Returns a section with two views of training images and the positions that the network matches."""
    text = (
        'Two views of training images. A line joins each position of the first view with the most similar position of '
        'the second, if the place lies in both: green if it is at most one position from the right one.'
    )
    figure = correspondence_figure(runner.algorithm, runner.train_dataloader.dataset, indices)
    return Section('Correspondence', text, figure)


def window_section(runner: PretrainRunner, indices: Sequence[int]) -> Section:
    """Returns a section with two views of training images and regions that the network compares."""
    text = (
        'Two views of training images. The network learns that a window of the first view and the same region of the '
        'second, drawn in one colour, belong together. The numbers count the windows that lie in both views.'
    )
    return Section('Windows', text, window_figure(runner.algorithm, runner.train_dataloader.dataset, indices))


def saliency_section(runner: PretrainRunner, indices: Sequence[int]) -> Section:
    """Returns a section with salient parts of training images, crops around them, and what the network looks at."""
    text = (
        'Training images, what is salient in them, two crops that show enough of it, and where the network looks in '
        'the first crop to match it with the salient part of the second, from blue (least) to red (most).'
    )
    return Section('Saliency', text, saliency_figure(runner.algorithm, runner.train_dataloader.dataset, indices))


def neighbours_figure(runner: PretrainRunner, before: Representation, after: Representation) -> Figure:
    """Draws test images, spread evenly over the test set, with their nearest training images before and after."""
    features = {title: (of.bank, of.queries) for title, of in (('before', before), ('after', after))}
    datasets = runner.val_dataloader.dataset, runner.val_loop.bank_dataloader.dataset
    return neighbour_sheet(*datasets, features, num_queries=NUM_SHOWN)


def map_figure(before: Representation, after: Representation, classes: Sequence[str] | None) -> Figure:
    """Draws t-SNE maps of the test images before and after pre-training."""
    rows = torch.linspace(0, len(after.queries) - 1, min(MAX_MAPPED, len(after.queries))).long()
    points = {
        title: project_tsne(representation.queries.vectors[rows])
        for title, representation in (('Random initialisation', before), ('After pre-training', after))
    }
    return embedding_map(points, after.queries.labels[rows] if classes else None, classes)
