"""Feature extraction: embeds every image of a dataloader once with a frozen model, in dataset order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from rich.progress import track
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader, Subset

from mmssl.config.dtypes import read_dtype
from mmssl.datasets.workers import shield_workers
from mmssl.distributed.collectives import copy_first_process, gather_constant, rank, world_size
from mmssl.distributed.unwrap import unwrap

_ROWS_AT_A_TIME = 4096


@dataclass
class Features:
    """The embeddings and labels of N images.

    Args:
        vectors: (N, D) float32, one row per image.
        labels: (N,) int64, -1 for an image without a label.
        indices: (N,) int64, index of each image in its dataset.
    """

    vectors: Tensor
    labels: Tensor
    indices: Tensor

    def __len__(self) -> int:
        return len(self.vectors)

    def labelled(self) -> Features:
        """Returns the rows that have a label.

        Raises:
            ValueError: No row has a label.
        """
        if not (self.labels >= 0).any():
            raise ValueError(
                f'none of the {len(self)} images has a label, and accuracies need labels: without them, use '
                'EmbeddingStatistics as the only metric'
            )
        return self.select(self.labels >= 0)

    def check_finite(self, name: str) -> None:
        """Checks that all embeddings are finite.

        Args:
            name: Name of the images for the message, such as ``'bank'``.

        Raises:
            ValueError: An embedding is not finite.
        """
        if not self.vectors.isfinite().all():
            bad = int((~self.vectors.isfinite().all(1)).sum())
            raise ValueError(
                f'{bad} of {len(self)} embeddings of the {name} are NaN or infinite: '
                'the weights diverged or the checkpoint was loaded into the wrong model'
            )

    def select(self, rows: Tensor) -> Features:
        """Returns some rows, chosen by a bool mask (N,) or by row numbers (K,) int64."""
        return Features(self.vectors[rows], self.labels[rows], self.indices[rows])

    def to(self, device: torch.device | str) -> Features:
        """Returns the same rows on ``device``."""
        return Features(self.vectors.to(device), self.labels.to(device), self.indices.to(device))


def number_classes(bank: Features, queries: Features) -> tuple[Features, Features, int]:
    """Renumbers the classes of the bank 0 to C - 1 in ascending order, because class numbers can have gaps.

    Args:
        bank: Features to learn from, of C classes.
        queries: Features to classify.

    Returns:
        The labelled rows of the bank, the labelled rows of the queries, and C. A query of a class that the bank does
        not have gets the label -1, so no prediction is right for it.

    Raises:
        ValueError: No row of the bank or no row of the queries has a label.
    """
    bank, queries = bank.labelled(), queries.labelled()
    ids, labels = bank.labels.unique(return_inverse=True)
    places = torch.searchsorted(ids, queries.labels).clamp(max=len(ids) - 1)
    places = places.where(ids[places] == queries.labels, -1)
    return replace(bank, labels=labels), replace(queries, labels=places), len(ids)


def random_state_kept() -> AbstractContextManager:
    """Returns a context manager that restores torch's random state on the CPU and the current GPU at its end."""
    return torch.random.fork_rng(devices=[torch.cuda.current_device()] if torch.cuda.is_available() else [])


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Puts ``model`` in evaluation mode; restores the mode of every module and the random state at the end.

    The random state is restored because a dataloader draws a seed from the global generator each time it is iterated:
    otherwise validation would change the training after it.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with random_state_kept():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def progress(batches: Iterable, description: str | None, total: int) -> Iterable:
    """Iterates over ``batches``, with a progress bar on the main process if the output is a terminal.

    Args:
        batches: Batches to iterate over.
        description: Label of the bar; None shows no bar.
        total: Number of batches.
    """
    shown = description is not None and rank() == 0 and sys.stdout.isatty()
    return track(batches, description or '', total=total, transient=True) if shown else batches


@torch.no_grad()
def extract_features(
    model: nn.Module,
    dataloader: DataLoader,
    *,
    feature: Callable[[Tensor], Tensor] | None = None,
    dtype: str | None = None,
    description: str | None = None,
) -> Features | None:
    """Embeds every image of ``dataloader`` with ``model`` in evaluation mode, without autograd.

    Each process embeds its share, with the running statistics of the main process, which a checkpoint holds. The main
    process collects the results batch by batch, so no other process and no GPU holds the whole set. Rows are sorted by
    the dataset index of their image; an image that the sampler repeats to make the shares equal is kept once.

    Args:
        model: Algorithm, wrapped for distributed training or not; its ``data_preprocessor`` prepares the batches.
        dataloader: Dataloader that yields ``dict(inputs=uint8 (N, 3, H, W), data_samples=dict(index=(N,),
            label=(N,)))``, the same number of batches of the same sizes in every process.
        feature: Function from prepared images (N, 3, H, W) to vectors (N, D); default ``model.extract_feat``.
        dtype: ``'bfloat16'`` or ``'float16'`` runs the model under autocast; None uses the dtype of its weights.
        description: Label of a progress bar in a terminal; None shows no bar.

    Returns:
        The features on the CPU on the main process, None on the others.

    Raises:
        ValueError: The processes have different numbers of images, so they would wait for each other forever, or
            ``drop_last`` of the dataloader leaves no batch.
    """
    algorithm = unwrap(model)
    feature = feature or algorithm.extract_feat
    dataset, sampler = _sized(dataloader)
    shares = gather_constant(torch.tensor([len(dataloader), len(sampler)]).to(_device(algorithm))).tolist()
    if shares != shares[:2] * world_size():
        raise ValueError(
            f'batches and images per process must be equal, got {shares}; set drop_last=False in the sampler'
        )

    parts: list[tuple[Tensor, ...]] = []
    _share_statistics(algorithm)
    with evaluating(algorithm):
        for batch in progress(dataloader, description, len(dataloader)):
            columns = [gather_constant(column) for column in _embed(algorithm, batch, feature, dtype)]
            if rank() == 0:
                parts.append(tuple(column.cpu() for column in columns))
    return _in_dataset_order(parts, len(dataset)) if rank() == 0 else None


@torch.no_grad()
def extract_to_file(
    model: nn.Module,
    dataloader: DataLoader,
    file: Path,
    *,
    dtype: str | None = None,
    description: str | None = None,
) -> Features | None:
    """Embeds every image like ``extract_features`` and stores the vectors in a memory-mapped ``.npy`` file.

    Args:
        model: Algorithm, see ``extract_features`` also for ``dataloader``, ``dtype`` and ``description``.
        file: File that the main process writes, (number of images, D) float32.

    Returns:
        The features on the main process, with ``vectors`` memory-mapped from ``file``; None on the others.

    Raises:
        ValueError: ``drop_last`` of the dataloader leaves no batch.
    """
    algorithm = unwrap(model)
    size = len(_sized(dataloader)[0])
    labels, seen, vectors = torch.full((size,), -1), torch.zeros(size, dtype=torch.bool), None
    _share_statistics(algorithm)
    with evaluating(algorithm):
        for batch in progress(dataloader, description, len(dataloader)):
            columns = [gather_constant(column) for column in _embed(algorithm, batch, algorithm.extract_feat, dtype)]
            if rank() == 0:
                found, label, index = (column.cpu() for column in columns)
                if vectors is None:
                    vectors = np.lib.format.open_memmap(file, 'w+', np.float32, (size, found.shape[1]))
                vectors[index.numpy()], labels[index], seen[index] = found.numpy(), label, True
    if rank() != 0:
        return None
    if vectors is None:
        raise ValueError(_no_batch(size))
    rows = seen.nonzero().squeeze(1)
    if len(rows) < size:  # unreadable images left gaps: move the rows after a gap up
        print_log(f'{size - len(rows)} of {size} images gave no features', logger='current', level=30)
        for start in range(0, len(rows), _ROWS_AT_A_TIME):
            some = rows[start : start + _ROWS_AT_A_TIME]
            vectors[start : start + len(some)] = vectors[some.numpy()]
    return Features(torch.from_numpy(vectors[: len(rows)]), labels[rows], rows)


@torch.no_grad()
def extract_chosen(
    model: nn.Module,
    dataloader: DataLoader,
    rows: Sequence[int],
    *,
    dtype: str | None = None,
    description: str | None = None,
) -> Features:
    """Embeds some images of the dataset of ``dataloader`` in the calling process, without communication.

    Args:
        model: Algorithm, see ``extract_features`` also for ``dtype`` and ``description``.
        dataloader: Dataloader that supplies dataset, batch size, collate function and number of workers.
        rows: Indices of the images in the dataset.

    Returns:
        The features on the CPU, in the order of ``rows``.
    """
    algorithm = unwrap(model)
    chosen: DataLoader = DataLoader(
        Subset(dataloader.dataset, rows),
        dataloader.batch_size,
        num_workers=dataloader.num_workers,
        collate_fn=dataloader.collate_fn,
    )
    loader = shield_workers(chosen)
    with evaluating(algorithm):
        parts = [
            [column.cpu() for column in _embed(algorithm, batch, algorithm.extract_feat, dtype)]
            for batch in progress(loader, description, len(loader))
        ]
    return Features(*(torch.cat(column) for column in zip(*parts)))


@dataclass
class Rows:
    """The features of a training set, one row per image.

    Args:
        vectors: (N, D) float32 in dataset order, in memory or memory-mapped.
        seen: (N,) bool, False for images without features (unreadable or dropped); their rows are 0.
    """

    vectors: np.ndarray
    seen: np.ndarray


@torch.no_grad()
def extract_rows(
    model: nn.Module,
    dataloader: DataLoader,
    *,
    feature: Callable[[Any], Tensor],
    allocate: Callable[[int, int], np.ndarray],
    training: bool = False,
    dtype: str | None = None,
    description: str | None = None,
) -> Rows | None:
    """Embeds the images of ``dataloader`` like ``extract_features``, into an array that the caller allocates.

    It suits datasets whose features are large: each batch is written to its rows at once, so the features exist only
    once. A batch is copied to the host after the next one was started, so the device does not wait for the host.

    Args:
        model: Algorithm, see ``extract_features`` also for ``dtype`` and ``description``.
        dataloader: Dataloader as for ``extract_features``; its batches may hold lists of views instead of images.
        feature: Function from prepared images or views to vectors (N, D).
        allocate: Function (N, D) -> array of zeros (N, D) float32.
        training: True leaves ``model`` in its mode, so in training mode batch norm uses the statistics of the batch and
            updates the running ones.

    Returns:
        The features on the main process, None on the others.
    """
    algorithm = unwrap(model)
    size = len(_sized(dataloader)[0])
    vectors: np.ndarray | None = None
    seen = np.zeros(size, bool)
    waiting: tuple[Tensor, ...] | None = None

    def write(columns: tuple[Tensor, ...]) -> None:
        nonlocal vectors
        values, indices = (column.cpu().numpy() for column in columns)
        if vectors is None:
            vectors = allocate(size, values.shape[1])
        vectors[indices], seen[indices] = values, True

    if not training:
        _share_statistics(algorithm)
    with random_state_kept() if training else evaluating(algorithm):
        for batch in progress(dataloader, description, len(dataloader)):
            rows, _, indices = _embed(algorithm, batch, feature, dtype)
            columns = gather_constant(rows), gather_constant(indices)
            if rank() == 0:
                if waiting is not None:
                    write(waiting)
                waiting = columns
        if waiting is not None:
            write(waiting)
    return Rows(vectors, seen) if vectors is not None else None


def _share_statistics(model: nn.Module) -> None:
    """Copies the running statistics of the first process to all processes; without ``sync_bn`` each has its own.

    Otherwise the features of an image would depend on the process that computes them, and a resumed run, in which all
    processes start with the statistics of the first one, would compute other features.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    copy_first_process(buffer for norm in norms for buffer in norm.buffers())


def _embed(
    model: Any, batch: dict, feature: Callable[[Any], Tensor], dtype: str | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the vectors (N, D) float32, labels (N,) and indices (N,) of a batch, on the device of the model."""
    batch = model.data_preprocessor(batch, False)
    images, samples = batch['inputs'], batch['data_samples']
    device = _device(model)
    with _autocast(device, dtype):
        vectors = feature(images).float()
    return vectors, samples['label'].to(device), samples['index'].to(device)


def _in_dataset_order(parts: list[tuple[Tensor, ...]], size: int) -> Features:
    if not parts:
        raise ValueError(_no_batch(size))
    vectors, labels, indices = (torch.cat(column) for column in zip(*parts))
    position = torch.full((size,), -1)
    position[indices] = torch.arange(len(indices))
    seen = position >= 0
    if not seen.all():
        print_log(
            f'{int((~seen).sum())} of {size} images gave no features (unreadable, or dropped by the sampler)',
            logger='current',
            level=30,
        )
    return Features(vectors, labels, indices).select(position[seen])


def _no_batch(size: int) -> str:
    return f'{size} images fill no batch: set drop_last=False in the dataloader, or a smaller batch_size'


def _sized(dataloader: DataLoader) -> tuple[Any, Any]:
    """Returns dataset and sampler, which have lengths here although torch does not promise it."""
    return dataloader.dataset, dataloader.sampler


def _device(model: nn.Module) -> torch.device:
    return next((parameter.device for parameter in model.parameters()), torch.device('cpu'))


def _autocast(device: torch.device, dtype: str | None) -> torch.autocast:
    return torch.autocast(device.type, dtype=getattr(torch, read_dtype(dtype) or 'bfloat16'), enabled=dtype is not None)
