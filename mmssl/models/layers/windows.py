"""Division of a grid of tokens into windows, so that the cost of attention depends on the size of a window."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad


def to_windows(tokens: Tensor, size: int) -> Tensor:
    """Cuts a grid into windows that do not overlap, and pads it with zeros at the bottom and on the right.

    Args:
        tokens: (N, rows, columns, D).
        size: Side of a window in tokens.

    Returns:
        (N * W, size, size, D), the W windows of each image in row-major order.
    """
    rows, columns = tokens.shape[1:3]
    tokens = pad(tokens, (0, 0, 0, -columns % size, 0, -rows % size))
    cells = tokens.unflatten(2, (-1, size)).unflatten(1, (-1, size))  # (N, rows, size, columns, size, D)
    return cells.transpose(2, 3).flatten(0, 2)


def from_windows(windows: Tensor, grid: tuple[int, int]) -> Tensor:
    """Joins windows to a grid and removes the padding: the inverse of ``to_windows``.

    Args:
        windows: (N * W, size, size, D).
        grid: Rows and columns of tokens, without padding.

    Returns:
        (N, rows, columns, D).
    """
    rows, columns = grid
    size = windows.shape[1]
    cells = windows.unflatten(0, (-1, -(-rows // size), -(-columns // size)))  # (N, rows, columns, size, size, D)
    return cells.transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, :rows, :columns]
