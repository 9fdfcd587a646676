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

    Optimizers are built as MMEngine does, because those configs are written for its constructors. A top-level
    ``max_epochs`` sets the length of a run by epochs; with several processes ``sync_bn=True`` synchronises every norm.
    """

    writes_backbone_files = False  # a whole model is what was trained

    def build_optim_wrapper(self, optim_wrapper: OptimWrapper | dict) -> OptimWrapper:
        """Builds the optimizer with MMEngine's defaults."""
        return Runner.build_optim_wrapper(self, optim_wrapper)

    def register_default_hooks(self, hooks: dict[str, Hook | dict | None] | None = None) -> None:
        """Registers MMEngine's default hooks and a progress bar."""
        Runner.register_default_hooks(self, dict(progress=dict(type='mmssl.ProgressBarHook')) | dict(hooks or {}))
