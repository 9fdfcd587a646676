"""Cost of what methods that learn from clusters do beside training: features, k-means, codes."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from mmssl.clustering.kmeans import KMeans
from mmssl.datasets.collate_views import collate_views
from mmssl.evaluation.extract import evaluating, extract_features, extract_rows
from mmssl.profiling.machine import device_name
from mmssl.profiling.step_cost import TrainingStep, view_sizes
from mmssl.profiling.timing import Task, time_in_turns
from mmssl.registry import ALGORITHMS, DATASETS
from mmssl.utils.errors import UserError


def measure_extraction(cfg: Config, num_batches: int = 8, repeats: int = 5) -> dict[str, Any]:
    """Measures the extraction of features beside plain inference with the same loader.

    Plain inference is a loop over the loader that calls ``extract_feat`` and drops what it returns.

    Args:
        cfg: Config of a training; the images are the first ones of its ``val_dataloader``.
        num_batches: Number of batches of a measurement.
        repeats: Number of rounds.

    Returns:
        The result of ``_in_turns`` for ``plain``, ``features`` (``extract_features``, for evaluations) and ``rows``
        (``extract_rows``, for labellings), compared with ``plain``.
    """
    device = torch.device(get_device())
    algorithm = ALGORITHMS.build(cfg.model).to(device)
    config = cfg.val_dataloader
    dataset = DATASETS.build(config.dataset)
    count = min(num_batches * config.batch_size, len(dataset))
    loader: DataLoader = DataLoader(
        Subset(dataset, range(count)),
        config.batch_size,
        num_workers=config.get('num_workers', 0),
        collate_fn=collate_views,
    )

    @torch.no_grad()
    def plain() -> None:
        with evaluating(algorithm):
            for batch in loader:
                algorithm.extract_feat(algorithm.data_preprocessor(batch, False)['inputs'])

    def rows() -> None:
        allocate = partial(np.zeros, dtype=np.float32)
        extract_rows(algorithm, loader, feature=algorithm.extract_feat, allocate=lambda *shape: allocate(shape))

    tasks = dict(plain=plain, features=lambda: extract_features(algorithm, loader), rows=rows)
    return dict(_in_turns(tasks, 'plain', repeats, device), images=count)


def measure_kmeans(
    num_rows: int = 50_000, dim: int = 256, num_clusters: int = 1000, num_iterations: int = 20, repeats: int = 3
) -> dict[str, Any]:
    """Measures ``KMeans`` with faiss beside faiss alone, on the same rows of overlapping groups.

    Args:
        num_rows: Number of rows.
        dim: Numbers of a row.
        num_clusters: Number of clusters.
        num_iterations: Number of iterations.
        repeats: Number of rounds.

    Returns:
        The result of ``_in_turns`` for ``faiss`` and ``mmssl``, compared with ``faiss``; ``iterations`` of both.

    Raises:
        UserError: faiss is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise UserError('k-means is compared with faiss: pip install faiss-cpu') from error
    rng = np.random.default_rng(0)
    groups = rng.normal(size=(num_clusters, dim))[rng.integers(num_clusters, size=num_rows)]
    rows = (groups + 2 * rng.normal(size=groups.shape)).astype(np.float32)
    alone = faiss.Kmeans(dim, num_clusters, niter=num_iterations, seed=0, max_points_per_centroid=num_rows)
    ours = KMeans(num_clusters, num_iterations=num_iterations, backend='faiss')
    tasks = dict(faiss=lambda: alone.train(rows), mmssl=lambda: ours.fit(rows))
    figures = _in_turns(tasks, 'faiss', repeats, torch.device('cpu'))
    return dict(figures, iterations=dict(faiss=len(alone.iteration_stats or ()), mmssl=len(ours.objectives)))


def measure_codes(cfg: Config, batch_size: int | None = None, size: int | None = None, repeats: int = 5) -> dict:
    """Measures the codes of a SwAV, with the queue and Sinkhorn-Knopp, beside a whole training step.

    Args:
        cfg: Config of a training by SwAV; its data is not read.
        batch_size: Number of images of the step; None uses the config's.
        size: Side of the largest views in pixels, see ``view_sizes``.
        repeats: Number of rounds.

    Returns:
        The result of ``_in_turns`` for ``step`` and ``codes``, compared with ``step``; ``views`` and ``batch_size``.

    Raises:
        UserError: The method of the config has no codes.
    """
    device = torch.device(get_device())
    sizes, batch_size = view_sizes(cfg, size), batch_size or cfg.train_dataloader.batch_size
    step = TrainingStep(cfg, [torch.randn(batch_size, 3, side, side, device=device) for side in sizes], device)
    algorithm: Any = step.algorithm
    if not hasattr(algorithm, 'codes'):
        raise UserError(f'{type(algorithm).__name__} computes no codes: give a config of SwAV')
    compute, given = algorithm.codes, []

    def record(*args: Tensor) -> Tensor:
        given.append([tensor.detach() for tensor in args])
        return compute(*args)

    algorithm.codes = record
    step.run()
    algorithm.codes = compute
    tasks = dict(step=step.run, codes=lambda: compute(*given[0]))
    figures = _in_turns(tasks, 'step', repeats, device, between=lambda: algorithm.on_step_end(0.5))
    return dict(figures, views=sizes, batch_size=batch_size)


def _in_turns(
    tasks: dict[str, Callable[[], Any]],
    reference: str,
    repeats: int,
    device: torch.device,
    between: Callable[[], Any] | None = None,
) -> dict[str, Any]:
    """Times tasks in turns.

    Returns:
        ``wall`` and ``processor``, see ``time_in_turns``: median ``seconds`` of each task, and ``ratio`` of each other
        task to ``reference``, the median of the ratios within a round. Also ``device``.
    """
    laps = time_in_turns({name: Task(between, run) for name, run in tasks.items()}, repeats, device)
    clocks = {}
    for clock, label in enumerate(('wall', 'processor')):
        rounds = [{name: lap[name][clock] for name in tasks} for lap in laps]
        clocks[label] = dict(
            seconds={name: statistics.median(lap[name] for lap in rounds) for name in tasks},
            ratio={
                name: statistics.median(lap[name] / lap[reference] for lap in rounds)
                for name in tasks
                if name != reference
            },
        )
    return dict(**clocks, device=device_name(device))
