"""Copies from the CPU to a device that neither of them waits for."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Returns a tensor of the CPU on a device; memory that is not pinned would make the CPU wait for a GPU."""
    return (tensor.pin_memory() if device.type == 'cuda' else tensor).to(device, non_blocking=True)
