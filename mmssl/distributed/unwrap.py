"""Access to the model inside the wrapper of distributed training."""

from __future__ import annotations

from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn


def unwrap(model: nn.Module) -> Any:
    """Returns the module in a wrapper such as ``DistributedDataParallel``, or ``model`` if it is not a wrapper.

    The return type is ``Any`` because callers use methods of their kind of model, such as ``extract_feat``.
    """
    return model.module if is_model_wrapper(model) else model
