"""Labels with clusters of equal size, by optimal transport."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

Chunks = Callable[[], Iterator[Tensor]]
CHECK_INTERVAL = 10


@dataclass
class Transport:
    """Factors that scale a matrix of probabilities to the assignment matrix Q (N, K), in the log domain.

    Args:
        log_rows: (N,) float64, log of the factor of each image.
        log_columns: (K,) float64, log of the factor of each cluster.
        error: Sum over the images of the relative change of their factors in the last iteration.
        iterations: Number of iterations that were run.
    """

    log_rows: Tensor
    log_columns: Tensor
    error: float
    iterations: int

    def matrix(self, log_probabilities: Tensor, power: float) -> Tensor:
        """Returns Q (N, K) float64 for the log-probabilities (N, K) and the ``power`` of ``sinkhorn``.

        The rows of Q sum to 1 / N.
        """
        return (power * log_probabilities.double() + self.log_columns + self.log_rows[:, None]).exp()


def sinkhorn(
    chunks: Chunks,
    num_clusters: int,
    *,
    power: float = 25.0,
    tolerance: float = 0.1,
    max_iterations: int = 10_000,
    on_check: Callable[[int, float], None] | None = None,
) -> Transport:
    """Scales ``p ** power`` so that its rows sum to 1 / N and its columns to 1 / K (SeLa, Algorithm 1 and Eq. 7).

    The rows are the N images, the columns the K clusters. As in the official code, an iteration computes the factors of
    the clusters from those of the images, then the factors of the images. It stops when the sum over the images of the
    relative changes of their factors is at most ``tolerance``, which is checked every tenth iteration. The iteration
    runs in the log domain and in float64, because ``(1 / 3000) ** 25`` underflows in float32 and because the error is
    a sum over all images. Each iteration reads the log-probabilities once.

    Args:
        chunks: Function that returns an iterator over the log-probabilities of all images in order, (n, K) at a time;
            called once per iteration, and three times before the first.
        num_clusters: Number of clusters K.
        power: Exponent of the probabilities > 0, lambda in the paper.
        tolerance: Largest ``Transport.error`` > 0; the official scripts use 0.1 (ImageNet) and 0.01 (CIFAR).
        max_iterations: Largest number of iterations.
        on_check: Function that is called at each check with the number of iterations and the error.

    Raises:
        ValueError: The iteration does not converge, or a log-probability is not finite.
    """
    count = sum(len(chunk) for chunk in chunks())
    device = next(chunks()).device
    log_rows = torch.full((count,), -math.log(count), dtype=torch.float64, device=device)
    sums = _column_sums(chunks, log_rows, power)
    for iteration in range(max_iterations):
        log_columns = -math.log(num_clusters) - sums  # r = (1 / K) / (A c)
        updated, sums = _update_rows(chunks, log_columns, power, count)
        error = math.inf
        if iteration % CHECK_INTERVAL == 0:
            error = float((log_rows - updated).expm1().abs().sum())
            if not math.isfinite(error):
                raise ValueError(
                    'a probability is 0 or not a number: the scores of the network are not finite. Has the training '
                    'diverged? Lower the learning rate'
                )
            if on_check is not None:
                on_check(iteration + 1, error)
        log_rows = updated
        if error <= tolerance:
            return Transport(log_rows, log_columns, error, iteration + 1)
    raise ValueError(
        f'optimal transport did not converge in {max_iterations} iterations: lower the power, now {power}, or raise '
        f'the tolerance, now {tolerance}'
    )


def _column_sums(chunks: Chunks, log_rows: Tensor, power: float) -> Tensor:
    """Returns log(A c), (K,): the sums over the images before the clusters are scaled."""
    parts, start = [], 0
    for chunk in chunks():
        rows = log_rows[start : start + len(chunk)]
        parts.append(torch.logsumexp(power * chunk.double() + rows[:, None], 0))
        start += len(chunk)
    return torch.logsumexp(torch.stack(parts), 0)


def _update_rows(chunks: Chunks, log_columns: Tensor, power: float, count: int) -> tuple[Tensor, Tensor]:
    """Returns the new log factors c of the images (N,) and log(A c) (K,), reading the log-probabilities once."""
    rows, parts = [], []
    for chunk in chunks():
        scaled = power * chunk.double()
        rows.append(-math.log(count) - torch.logsumexp(scaled + log_columns, 1))  # c = (1 / N) / (A^T r)
        parts.append(torch.logsumexp(scaled + rows[-1][:, None], 0))
    return torch.cat(rows), torch.logsumexp(torch.stack(parts), 0)


def transport_labels(chunks: Chunks, transport: Transport, power: float) -> Tensor:
    """Returns the cluster with the largest entry in each row of Q, (N,) int64, on the CPU.

    Args:
        chunks: Function that iterates over the log-probabilities, see ``sinkhorn``.
        transport: Result of ``sinkhorn``.
        power: Exponent that was given to ``sinkhorn``.
    """
    return torch.cat([(power * chunk.double() + transport.log_columns).argmax(1).cpu() for chunk in chunks()])
