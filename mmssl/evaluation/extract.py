"""Feature extraction: every image of a dataloader through a frozen model, once and in order."""

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
from torch.utils.data import DataLoader, Subset

from mmssl.distributed.collectives import gather_constant, rank, world_size
from mmssl.distributed.unwrap import unwrap

_ROWS_AT_A_TIME = 4096


@dataclass
class Features:
    """Embeddings of a dataset.

    Args:
        vectors: (N, D) float32, one row per image in dataset order.
        labels: (N,) int64, -1 where an image has none.
        indices: (N,) int64, positions of the rows in the dataset.
    """

    vectors: Tensor
    labels: Tensor
    indices: Tensor

    def __len__(self) -> int:
        return len(self.vectors)

    def labelled(self) -> Features:
        """The rows that have a label.

        Raises:
            ValueError: None has.
        """
        if not (self.labels >= 0).any():
            raise ValueError(
                f'none of the {len(self)} images has a label: accuracies need some; without labels use '
                'EmbeddingStatistics alone'
            )
        return self.select(self.labels >= 0)

    def select(self, rows: Tensor) -> Features:
        """The rows named by a bool mask (N,) or by positions (K,) int64."""
        return Features(self.vectors[rows], self.labels[rows], self.indices[rows])

    def to(self, device: torch.device | str) -> Features:
        """The same rows on ``device``."""
        return Features(self.vectors.to(device), self.labels.to(device), self.indices.to(device))


def number_classes(bank: Features, queries: Features) -> tuple[Features, Features, int]:
    """Numbers the classes of the labelled rows 0 .. C - 1, in the order of their ids, which may have gaps.

    Args:
        bank: Features to learn from; C counts their classes.
        queries: Features to classify.

    Returns:
        The labelled rows of both, and C. A query whose class the bank lacks has the label -1, which no prediction is.

    Raises:
        ValueError: Neither the bank nor the queries have labels.
    """
    bank, queries = bank.labelled(), queries.labelled()
    ids, labels = bank.labels.unique(return_inverse=True)
    places = torch.searchsorted(ids, queries.labels).clamp(max=len(ids) - 1)
    places = places.where(ids[places] == queries.labels, -1)
    return replace(bank, labels=labels), replace(queries, labels=places), len(ids)


def random_state_kept() -> AbstractContextManager:
    """Restores torch's random state, on the CPU and the current GPU, when the context ends."""
    return torch.random.fork_rng(devices=[torch.cuda.current_device()] if torch.cuda.is_available() else [])


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Puts ``model`` in evaluation mode and back, module by module, and leaves the random state as it was.

    A dataloader draws a seed from the global generator whenever it is iterated: without the restoration, validating
    would change what is trained afterwards.
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
    """Shows a bar over ``batches`` on the main process when the output is a terminal and ``description`` is given."""
    shown = description is not None and rank() == 0 and sys.stdout.isatty()
    return track(batches, description, total=total, transient=True) if shown else batches


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

    Each process embeds its share and the main process collects batch by batch, so that no other process and no GPU
    ever holds the whole set. Rows are placed by the dataset index of their image: what a sampler repeats to make the
    shares equal is kept once.

    Args:
        model: An algorithm, wrapped for distributed training or not; its ``data_preprocessor`` prepares the batches.
        dataloader: Yields ``dict(inputs=uint8 (N, 3, H, W), data_samples=dict(index=(N,), label=(N,)))``, the same
            number of batches of the same sizes in every process.
        feature: Maps prepared images (N, 3, H, W) to vectors (N, D); default ``model.extract_feat``.
        dtype: 'bfloat16' or 'float16' runs the model under autocast, None in the type of its weights.
        description: Label of a progress bar, which a terminal gets; None shows none.

    Returns:
        On the main process the features on the CPU, None elsewhere.

    Raises:
        ValueError: The processes have different numbers of images, which would make them wait for each other for ever.
    """
    algorithm = unwrap(model)
    feature = feature or algorithm.extract_feat
    shares = gather_constant(torch.tensor([len(dataloader), len(dataloader.sampler)]).to(_device(algorithm))).tolist()
    if shares != shares[:2] * world_size():
        raise ValueError(
            f'batches and images per process must be equal, got {shares}; set drop_last=False in the sampler'
        )

    parts: list[tuple[Tensor, ...]] = []
    with evaluating(algorithm):
        for batch in progress(dataloader, description, len(dataloader)):
            columns = [gather_constant(column) for column in _embed(algorithm, batch, feature, dtype)]
            if rank() == 0:
                parts.append(tuple(column.cpu() for column in columns))
    return _in_dataset_order(parts, len(dataloader.dataset)) if rank() == 0 else None


@torch.no_grad()
def extract_to_file(
    model: nn.Module,
    dataloader: DataLoader,
    file: Path,
    *,
    dtype: str | None = None,
    description: str | None = None,
) -> Features | None:
    """Embeds every image as ``extract_features`` does, and keeps the vectors in a memory-mapped ``.npy`` file.

    Args:
        model: As in ``extract_features``, and so are ``dataloader``, ``dtype`` and ``description``.
        file: Written by the main process: (number of images, D) float32.

    Returns:
        On the main process the features, whose ``vectors`` are pages of the file, None elsewhere.
    """
    algorithm = unwrap(model)
    size = len(dataloader.dataset)
    labels, seen, vectors = torch.full((size,), -1), torch.zeros(size, dtype=torch.bool), None
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
    assert vectors is not None, 'a dataset holds at least one image'
    rows = seen.nonzero().squeeze(1)
    if len(rows) < size:  # those of unreadable images are closed up
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
    """Embeds some images of ``dataloader``'s dataset, in the process that calls: others need not take part.

    Args:
        model: As in ``extract_features``, and so are ``dtype`` and ``description``.
        dataloader: Whose dataset, batch size, collate function and number of workers are used.
        rows: Positions in the dataset.

    Returns:
        The features on the CPU, in the order of ``rows``.
    """
    algorithm = unwrap(model)
    loader: DataLoader = DataLoader(
        Subset(dataloader.dataset, rows),
        dataloader.batch_size,
        num_workers=dataloader.num_workers,
        collate_fn=dataloader.collate_fn,
    )
    with evaluating(algorithm):
        parts = [
            [column.cpu() for column in _embed(algorithm, batch, algorithm.extract_feat, dtype)]
            for batch in progress(loader, description, len(loader))
        ]
    return Features(*(torch.cat(column) for column in zip(*parts)))


@dataclass
class Rows:
    """Features of a training set, one row per image.

    Args:
        vectors: (N, D) float32 in dataset order, in memory or memory-mapped.
        seen: (N,) bool, False for images that gave no features; their rows are 0.
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
    """Embeds the images of ``dataloader`` as ``extract_features`` does, for sets whose features may be large.

    Rows are written where they belong as they arrive, so the features exist once. The copy of a batch to the host
    waits until the next batch is under way, so the device does not wait for the host.

    Args:
        model: As in ``extract_features``, and so are ``dataloader``, ``dtype`` and ``description``.
        dataloader: Its batches may hold views instead of images.
        feature: Maps prepared images or views to vectors (N, D).
        allocate: Makes the array of zeros (N, D) float32, given N and D.
        training: Leaves ``model`` in training mode: its norms use, and its running statistics follow, the batches.

    Returns:
        On the main process the features, None elsewhere.
    """
    algorithm = unwrap(model)
    size, vectors, seen = len(dataloader.dataset), None, np.zeros(len(dataloader.dataset), bool)
    waiting: tuple[Tensor, ...] | None = None

    def write(columns: tuple[Tensor, ...]) -> None:
        nonlocal vectors
        values, indices = (column.cpu().numpy() for column in columns)
        if vectors is None:
            vectors = allocate(size, values.shape[1])
        vectors[indices], seen[indices] = values, True

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


def _embed(
    model: Any, batch: dict, feature: Callable[[Any], Tensor], dtype: str | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors, labels and indices of a batch, on the device of the model."""
    batch = model.data_preprocessor(batch, False)
    images, samples = batch['inputs'], batch['data_samples']
    device = _device(model)
    with _autocast(device, dtype):
        vectors = feature(images).float()
    return vectors, samples['label'].to(device), samples['index'].to(device)


def _in_dataset_order(parts: list[tuple[Tensor, ...]], size: int) -> Features:
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


def _device(model: nn.Module) -> torch.device:
    return next((parameter.device for parameter in model.parameters()), torch.device('cpu'))


def _autocast(device: torch.device, dtype: str | None) -> torch.autocast:
    return torch.autocast(device.type, dtype=getattr(torch, dtype or 'bfloat16'), enabled=dtype is not None)
