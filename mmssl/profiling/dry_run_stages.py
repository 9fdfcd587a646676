"""The dry run of a config with stages."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.registry import DefaultScope

from mmssl.checkpoints.files import save_checkpoint_file
from mmssl.engine.stages import Stage, StepReport, artefacts, check_stages, take_artefacts
from mmssl.profiling.dry_run import dry_run
from mmssl.registry import BACKBONES, MODELS, STEPS


def dry_run_stages(stages: Sequence[Stage], selected: Sequence[Stage], work_dir: str | Path) -> StepReport:
    """Builds every selected stage and measures its cost, with random weights instead of the results of earlier stages.

    Args:
        stages: All stages of the config.
        selected: Stages to measure.
        work_dir: Folder with the artefacts of stages that are not selected.

    Returns:
        The joint report of the stages.
    """
    check_stages(stages, selected, work_dir, data=False)
    whole, not_ready = StepReport([]), []
    with tempfile.TemporaryDirectory() as temporary:
        left = artefacts(stages, work_dir) | artefacts(selected, temporary)
        for stage in selected:
            folder = Path(temporary, stage.name)
            folder.mkdir()
            take_artefacts(stage, left)
            if stage.trains:
                report: Any = dry_run(stage.config)
                _write_stand_ins(stage, folder)
            else:
                with DefaultScope.overwrite_default_scope('mmssl'):
                    report = STEPS.build(stage.config.step).dry_run(folder)
            whole.lines.append(f'--- stage {stage.name}\n{report}')
            if report.problems:
                not_ready.append(stage.name)
    if not_ready:
        whole.problems.append(f'not ready: {", ".join(not_ready)}')
    return whole


def _write_stand_ins(stage: Stage, folder: Path) -> None:
    """Writes the artefacts of a training with random weights."""
    with DefaultScope.overwrite_default_scope('mmssl'):
        if 'backbone' in stage.leaves:
            state = BACKBONES.build(stage.config.model.backbone).state_dict()
            save_checkpoint_file(dict(state_dict=state), folder / stage.leaves['backbone'])
        if 'checkpoint' in stage.leaves:
            state = MODELS.build(stage.config.model).state_dict()
            meta = dict(cfg=stage.config.pretty_text)
            save_checkpoint_file(dict(state_dict=state, meta=meta), folder / stage.leaves['checkpoint'])
