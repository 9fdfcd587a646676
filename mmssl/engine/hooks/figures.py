"""Draws figures of the model's features while it trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmssl.datasets.collate_views import stack_images
from mmssl.distributed.collectives import rank
from mmssl.engine.sharding import is_sharded
from mmssl.evaluation.extract import extract_chosen
from mmssl.registry import HOOKS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Figures are imported where they are drawn, because matplotlib and scikit-learn are slow to import.


@HOOKS.register_module()
class FiguresHook(Hook):
    """Draws figures of validation images before training, every ``interval`` epochs and after the last epoch.

    The figures are those of the tools in ``tools/visualization``: ``'attention'`` (where the backbone looks),
    ``'tsne'`` (embeddings in the plane), ``'neighbors'`` (queries and their nearest images in the bank) and
    ``'reconstruction'`` (hidden patches, the same each time). They go to all visualisation backends; their step is the
    number of finished epochs. The main process draws, and the others wait for it in the next iteration. Weights, modes
    and random state do not change. The figures before training raise an error if the model does not support one of
    them.

    Args:
        interval: Number of epochs between figures.
        figures: Names of the figures to draw.
        num_images: Number of images in the attention and reconstruction figures, and number of queries.
        num_points: Number of images in the t-SNE map, of at most 20 classes.
        num_bank: Number of bank images among which neighbours are searched.

    Raises:
        ValueError: The name of a figure is unknown, or a number is less than 1.
    """

    priority = 'LOW'

    def __init__(
        self,
        interval: int = 10,
        figures: Sequence[str] = ('attention', 'tsne', 'neighbors'),
        num_images: int = 6,
        num_points: int = 1000,
        num_bank: int = 5000,
    ) -> None:
        self.drawing = dict(
            attention=self._attention,
            tsne=self._tsne,
            neighbors=self._neighbors,
            reconstruction=self._reconstruction,
        )
        if not figures or not set(figures) <= set(self.drawing):
            raise ValueError(f'figures must be among {", ".join(self.drawing)}, got {figures}')
        if min(interval, num_images, num_points, num_bank) < 1:
            raise ValueError(
                'interval, num_images, num_points and num_bank must be at least 1, got '
                f'{interval}, {num_images}, {num_points} and {num_bank}'
            )
        self.interval = interval
        self.figures = tuple(figures)
        self.num_images, self.num_points, self.num_bank = num_images, num_points, num_bank

    def before_train(self, runner: Runner) -> None:
        """Draws the figures before training, or logs why no figures are drawn."""
        reason = None
        if not hasattr(runner.val_loop, 'bank_dataloader'):
            reason = 'it needs an EmbeddingValLoop, whose images it draws, and this run has none'
        elif not runner.visualizer._vis_backends:
            reason = 'the visualizer has no vis_backends'
        elif is_sharded(runner.algorithm):
            reason = "one process draws, and with strategy='fsdp2' it has only its share of the model"
        self.active = reason is None
        if reason:
            runner.logger.warning(f'FiguresHook draws nothing: {reason}')
        self._draw(runner, runner.epoch)

    def after_train_epoch(self, runner: Runner) -> None:
        """Draws the figures every ``interval`` epochs and after the last epoch."""
        if self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner):
            self._draw(runner, runner.epoch + 1)

    def _draw(self, runner: Runner, step: int) -> None:
        from mmssl.visualization.style import figure_pixels

        if self.active and rank() == 0:
            for name in self.figures:
                runner.visualizer.add_image(name, figure_pixels(self.drawing[name](runner)), step)

    def _attention(self, runner: Runner) -> Figure:
        from mmssl.visualization.attention import attention_figure, attention_maps

        model, images = runner.algorithm, self._images(runner)
        maps = attention_maps(model.backbone, model.data_preprocessor.prepare(images))
        return attention_figure(model.data_preprocessor.picture(images), {'': maps})

    def _reconstruction(self, runner: Runner) -> Figure:
        from mmssl.visualization.reconstruction import reconstruction_figure

        return reconstruction_figure(runner.algorithm, self._images(runner))

    def _images(self, runner: Runner) -> Tensor:
        """Returns (``num_images``, C, H, W), spread evenly over the validation images."""
        from mmssl.visualization.style import spread

        dataset = runner.val_dataloader.dataset
        return stack_images([dataset[row]['inputs'] for row in spread(len(dataset), self.num_images).tolist()])

    def _tsne(self, runner: Runner) -> Figure:
        from mmssl.visualization.embedding_map import choose_images, map_of_features

        loop = runner.val_loop
        dataset = loop.dataloader.dataset
        labels = torch.tensor([dataset.label(row) for row in range(len(dataset))])
        rows = choose_images(labels, self.num_points, num_classes=20).tolist()
        features = extract_chosen(runner.model, loop.dataloader, rows, dtype=loop.dtype)
        return map_of_features({'': features}, dataset.classes)

    def _neighbors(self, runner: Runner) -> Figure:
        from mmssl.visualization.neighbours import neighbour_sheet
        from mmssl.visualization.style import spread

        loop = runner.val_loop
        bank, queries = (
            extract_chosen(runner.model, loader, spread(len(loader.dataset), count).tolist(), dtype=loop.dtype)
            for loader, count in ((loop.bank_dataloader, self.num_bank), (loop.dataloader, self.num_images))
        )
        datasets = loop.dataloader.dataset, loop.bank_dataloader.dataset
        picture = runner.algorithm.data_preprocessor.picture
        return neighbour_sheet(*datasets, {'neighbours': (bank, queries)}, self.num_images, picture=picture)
