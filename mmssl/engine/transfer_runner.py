"""The runner of detectors and segmenters."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from mmssl.engine.runner import PretrainRunner
from mmssl.registry import RUNNERS


@RUNNERS.register_module()
class TransferRunner(PretrainRunner):
    """Trains configs of mmdet and mmseg with the safe checkpoints and loud loading of pre-training, also on CPUs.

    A run whose loss is not finite stops: a detector may go on for long after a degenerate box made a term NaN.

    Optimizers are built as MMEngine does, because those configs are written for its constructors. A top-level
    ``max_epochs`` sets the length of a run by epochs; with several processes ``sync_bn=True`` synchronises every norm.
    """

    writes_backbone_files = False  # a whole model is what was trained

    def build_optim_wrapper(self, optim_wrapper: OptimWrapper | dict) -> OptimWrapper:
        """Builds the optimizer with MMEngine's defaults."""
        return self._checked(Runner.build_optim_wrapper(self, optim_wrapper))

    def register_default_hooks(self, hooks: dict[str, Hook | dict | None] | None = None) -> None:
        """Registers MMEngine's default hooks, a progress bar, and the hook that looks at the losses."""
        own = dict(progress=dict(type='mmssl.ProgressBarHook'), runtime_info=dict(type='mmssl.RuntimeInfoHook'))
        Runner.register_default_hooks(self, own | dict(hooks or {}))
