"""Runs several trainings one after the other from a config with ``stages=[...]``; see docs/howto/stages.md."""

from __future__ import annotations

import gc
import logging
import re
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from mmssl.config.check import check_config
from mmssl.config.load import apply_options, load_config
from mmssl.config.options import option_path, renamed
from mmssl.config.paths import move_data
from mmssl.config.recipes import find_config
from mmssl.distributed.collectives import patient_barrier, rank
from mmssl.engine.checkpoint_runner import resumable_checkpoints
from mmssl.engine.resume import compared_settings
from mmssl.engine.stage_record import check_artefact, move_aside, read_record, sha256, write_record
from mmssl.registry import RUNNERS, STEPS
from mmssl.utils.errors import UserError, did_you_mean, some

_KEYS = {'name', 'recipe', 'config', 'step', 'takes', 'leaves'}
_LEFT_BY_TRAININGS = {'backbone': 'backbone.pth', 'checkpoint': 'checkpoint.pth'}


class Step(Protocol):
    """The protocol of a stage without training: a class in the registry ``STEPS``, built from the key ``step``.

    Every process of a run builds the class and calls its methods. The constructor must take ``seed``.
    """

    def run(self, folder: Path) -> None:
        """Writes all artefacts of the stage to ``folder``."""

    def dry_run(self, folder: Path) -> StepReport:
        """Writes placeholders of the same shape to ``folder``, and reports the cost and the problems of ``run``.

        Every process has a folder of its own here, so every process must write.
        """


@dataclass
class StepReport:
    """The report of a dry run of a step.

    Args:
        lines: Lines of text for the user.
        problems: Reasons why the step cannot run.
    """

    lines: list[str]
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return '\n'.join([*self.lines, *(f'PROBLEM: {problem}' for problem in self.problems)])


@dataclass
class Stage:
    """One stage of a run: a training, or a step without training.

    Args:
        name: Name of the stage and of its folder below the work directory.
        config: Config of the training, or ``Config(dict(step=...))``.
        takes: Dotted key of ``config`` -> ``'stage.artefact'``; before the stage starts, the key is set to the path of
            this artefact of an earlier stage.
        leaves: Name of an artefact -> file in the folder of the stage.
    """

    name: str
    config: Config
    takes: dict[str, str]
    leaves: dict[str, str]

    @property
    def trains(self) -> bool:
        """True if the stage is a training."""
        return 'step' not in self.config


def read_stages(path: str | Path, cfg_options: dict[str, Any] | None = None, seed: int | None = None) -> list[Stage]:
    """Reads the stages of a config file and applies command-line options to them.

    An option ``NAME.key`` changes only the stage NAME, and replaces an artefact that the stage takes for this key.
    Other options change every training, and ``data_root`` changes every stage. The seed of a stage is ``seed``, or that
    of its config and the options, plus its position, so that two stages never start with the same weights.

    Args:
        path: Config file with ``stages``, or the name of such a recipe.
        cfg_options: Dotted key -> value.
        seed: Seed of the whole run; None takes the seeds of the configs.

    Raises:
        UserError: There is no stage, a stage has no name, an unknown key or keys of a step and of a training, takes an
            artefact that no earlier stage leaves, or is a training that leaves something else than a backbone or a
            checkpoint.
    """
    path = find_config(path)
    own = load_config(path)
    if not own.stages:
        raise UserError(f'{path}: stages is empty: name at least one training or step')
    stages: list[Stage] = []
    for number, entry in enumerate(own.pop('stages')):
        stages.append(_read(dict(entry), number, own, path, stages))
    names, options = [stage.name for stage in stages], cfg_options or {}
    if 'data_root' in options:
        move_data([stage.config for stage in stages], option_path(options, 'data_root'))
    for number, stage in enumerate(stages):
        mine = renamed(options, partial(_key_in_stage, stage, names))
        apply_options(stage.config, mine)
        stage.takes = {key: artefact for key, artefact in stage.takes.items() if key not in mine}
        _set_seed(stage, number, seed)
    return stages


def _set_seed(stage: Stage, number: int, seed: int | None) -> None:
    if stage.trains:
        stage.config.randomness = dict(stage.config.get('randomness') or {})
    settings = stage.config.randomness if stage.trains else stage.config.step
    chosen = settings.get('seed') if seed is None else seed
    chosen = 0 if chosen is None else chosen
    settings.seed = chosen + number if isinstance(chosen, int) else chosen  # check_stages reports another type


def _key_in_stage(stage: Stage, names: Sequence[str], key: str) -> str | None:
    """Returns the key that a command-line option has in the config of a stage, None if it is for another stage."""
    name, _, rest = key.partition('.')
    if name == stage.name:
        return rest if stage.trains else f'step.{rest}'
    return key if stage.trains and name not in names and key != 'data_root' else None


def _read(entry: dict, number: int, own: Config, path: Path, before: Sequence[Stage]) -> Stage:
    """Checks one entry of ``stages`` and returns it as a stage."""
    name = entry.get('name')
    if not (isinstance(name, str) and re.fullmatch(r'[A-Za-z][\w-]*', name)):
        raise UserError(f'{path}: stages[{number}] needs a name of letters, digits, - and _, got {name!r}')
    if name in [stage.name for stage in before] or name in own:
        raise UserError(
            f'{path}: {name!r} is the name of two stages or a key of the config; give stage {number} another name'
        )
    if unknown := entry.keys() - _KEYS:
        wrong = sorted(unknown)[0]
        raise UserError(f'{path}: stage {name!r} has no key {wrong!r}{did_you_mean(wrong, _KEYS)}')
    if 'step' in entry:
        if of_trainings := sorted(entry.keys() & {'recipe', 'config'}):
            raise UserError(
                f'{path}: stage {name!r} has a step, which takes no {" and no ".join(of_trainings)}: write the '
                'arguments into step, or remove step for a training'
            )
        config, prefix = Config(dict(step=entry['step']), filename=str(own.filename)), 'step.'
        config.step.setdefault('seed', (own.get('randomness') or {}).get('seed'))
        leaves = dict(entry.get('leaves', {}))
    else:
        config, prefix = _training(entry, own, path), ''
        leaves = dict(entry.get('leaves', {'backbone': _LEFT_BY_TRAININGS['backbone']}))
        if unknown := leaves.keys() - _LEFT_BY_TRAININGS.keys():
            raise UserError(
                f"{path}: training {name!r} can leave 'backbone' and 'checkpoint', got {sorted(unknown)[0]!r}"
            )
    offered = {f'{stage.name}.{artefact}': None for stage in before for artefact in stage.leaves}
    for artefact in entry.get('takes', {}).values():
        if artefact not in offered:
            raise UserError(
                f'{path}: stage {name!r} takes {artefact!r}, but the stages before it leave '
                f'{", ".join(offered) or "nothing"}{did_you_mean(artefact, offered)}'
            )
    return Stage(name, config, {prefix + key: value for key, value in entry.get('takes', {}).items()}, leaves)


def _training(entry: dict, own: Config, path: Path) -> Config:
    """Returns the config of a training: that of ``recipe`` or of the file itself, changed by the entry's ``config``."""
    config = load_config(path.parent / entry['recipe']) if 'recipe' in entry else deepcopy(own)
    config.pop('stages', None)
    apply_options(config, entry.get('config'), f'stage {entry["name"]!r}: config')
    config.experiment_name = f'{path.stem}_{entry["name"]}'  # MMEngine names the logger of a run after it
    return config


def select(stages: Sequence[Stage], only: str | None = None, first: str | None = None) -> list[Stage]:
    """Returns the stages to run: all, a single one, or all from a given one.

    Args:
        stages: All stages of the config.
        only: Name of the single stage to run.
        first: Name of the first stage to run.

    Raises:
        UserError: Both names are given, or no stage has the name.
    """
    names = [stage.name for stage in stages]
    if only is not None and first is not None:
        raise UserError('give --only-stage or --from-stage, not both')
    wanted = only if only is not None else first
    if wanted is None:
        return list(stages)
    if wanted not in names:
        raise UserError(f'there is no stage {wanted!r}; the stages are {", ".join(names)}{did_you_mean(wanted, names)}')
    position = names.index(wanted)
    return [stages[position]] if only is not None else list(stages[position:])


def check_stages(stages: Sequence[Stage], selected: Sequence[Stage], work_dir: str | Path, data: bool = True) -> None:
    """Checks the selected stages before the first of them starts.

    Args:
        stages: All stages of the config.
        selected: Stages to run.
        work_dir: Folder of the whole run, with the artefacts of earlier stages.
        data: True also checks that the data exists, see ``check_config``.

    Raises:
        UserError: A config has a mistake, or an artefact of a stage that is not selected does not exist or is not
            complete.
    """
    left = artefacts(stages, work_dir)
    will_be_made = {f'{stage.name}.{artefact}' for stage in selected for artefact in stage.leaves}
    for stage in selected:
        config = deepcopy(stage.config)
        for key, artefact in stage.takes.items():
            apply_options(config, {key: ''})  # check_config does not look for a file with an empty path
            if artefact not in will_be_made:
                check_artefact(stage.name, artefact, left[artefact])
        try:
            check_config(config, data)
        except UserError as error:
            raise UserError(f'stage {stage.name!r}: {error}') from error


def run_stages(
    stages: Sequence[Stage],
    selected: Sequence[Stage],
    work_dir: str | Path,
    resume: bool = False,
    run: Callable[[Stage, Path, bool], Any] | None = None,
) -> None:
    """Runs the selected stages one after the other, each in its own folder below the work directory.

    Args:
        stages: All stages of the config.
        selected: Stages to run.
        work_dir: Folder of the whole run.
        resume: True skips finished stages and resumes the stage that was interrupted. False moves checkpoints and
            records of an earlier run in the folders of all selected stages aside.
        run: Function (stage, folder, resume) that runs one stage; default ``run_stage``.

    Raises:
        UserError: A config has a mistake, or an artefact is missing or has changed since the stage started.
    """
    check_stages(stages, selected, work_dir)
    wait = patient_barrier()  # one process may work alone for hours
    left = artefacts(stages, work_dir)
    if rank() == 0 and not resume:  # all of them now, so that a resume after an early stop does not meet old records
        for stage in selected:
            move_aside(Path(work_dir, stage.name))
    wait()
    for stage in selected:
        folder = Path(work_dir, stage.name)
        taken = take_artefacts(stage, left)
        has_finished = resume and _has_finished(stage, folder, taken)
        wait()  # all processes must read the record before the first one overwrites it
        if has_finished:
            print_log(f'stage {stage.name}: skipped, it has finished', logger='current')
            _warn_of_other_settings(stage, folder)
            continue
        print_log(f'stage {stage.name}: starts in {folder}', logger='current')
        started = time.perf_counter()
        if rank() == 0:
            folder.mkdir(parents=True, exist_ok=True)
            write_record(folder, taken=taken, finished=False, settings=_settings(stage))
        wait()
        (run or run_stage)(stage, folder, resume)
        wait()
        if rank() == 0:
            minutes = round((time.perf_counter() - started) / 60, 2)
            results: dict[str, Any] = dict(leaves=stage.leaves, minutes=minutes, settings=_settings(stage))
            write_record(folder, taken=taken, finished=True, **results)
        wait()


def run_stage(stage: Stage, folder: Path, resume: bool = False, build: Callable[[Config], Any] = RUNNERS.build) -> Any:
    """Runs one stage and writes its artefacts to ``folder``.

    Args:
        stage: Stage whose config already holds the paths of the artefacts that it takes, see ``take_artefacts``.
        folder: Folder of the stage.
        resume: True resumes a training from its latest checkpoint.
        build: Function from the config of a training to its runner.

    Returns:
        The runner of a training, None for a step.

    Raises:
        UserError: A step did not write one of its artefacts.
    """
    if not stage.trains:
        with DefaultScope.overwrite_default_scope('mmssl'):
            STEPS.build(stage.config.step).run(folder)
        missing = [name for name, file in stage.leaves.items() if not (folder / file).is_file()]
        if missing:
            raise UserError(f'stage {stage.name!r} ended without writing {stage.leaves[missing[0]]!r} ({missing[0]})')
        return None
    stage.config.work_dir = str(folder)
    stage.config.resume = resume and bool(resumable_checkpoints(folder))
    if stage.config.resume:
        stage.config.load_from = None
    gc.collect()  # frees the model and the workers of the previous stage
    runner = build(stage.config)
    runner.train()
    if 'backbone' in stage.leaves:
        runner.save_backbone(folder / stage.leaves['backbone'])
    if 'checkpoint' in stage.leaves:
        position = dict(epoch=runner.epoch, iter=runner.iter)  # MMEngine would count an epoch more, see its method
        options = dict(meta=position, save_optimizer=False, save_param_scheduler=False)
        runner.save_checkpoint(str(folder), stage.leaves['checkpoint'], whole=True, **options)
    return runner


def artefacts(stages: Sequence[Stage], work_dir: str | Path) -> dict[str, Path]:
    """Returns ``'stage.artefact'`` -> path of its file."""
    return {f'{s.name}.{name}': Path(work_dir, s.name, file) for s in stages for name, file in s.leaves.items()}


def take_artefacts(stage: Stage, left: dict[str, Path]) -> dict[str, dict[str, str]]:
    """Writes the paths of the artefacts that a stage takes into its config.

    Args:
        stage: Stage; its config is changed.
        left: ``'stage.artefact'`` -> path, see ``artefacts``.

    Returns:
        Dotted key -> name, path and SHA-256 of the artefact, for the record of the stage.

    Raises:
        UserError: An artefact does not exist, or the stage that leaves it has not finished.
    """
    taken = {}
    for key, artefact in stage.takes.items():
        path = left[artefact]
        check_artefact(stage.name, artefact, path)
        apply_options(stage.config, {key: str(path)})
        taken[key] = dict(artefact=artefact, file=str(path), sha256=sha256(path))
    return taken


def _has_finished(stage: Stage, folder: Path, taken: dict[str, dict[str, str]]) -> bool:
    """Returns True if the record says that the stage has finished, and its artefacts exist.

    Raises:
        UserError: An artefact that the stage takes has changed since the stage started.
    """
    record = read_record(folder)
    if record is None:
        return False
    for key, now in taken.items():
        if record['taken'].get(key, {}).get('sha256') != now['sha256']:
            raise UserError(
                f'{now["artefact"]!r} ({now["file"]}) has changed since stage {stage.name!r} started from it: '
                f'start the stage again with --from-stage {stage.name}'
            )
    return record['finished'] and all((folder / file).is_file() for file in stage.leaves.values())


def _settings(stage: Stage) -> dict[str, str]:
    """Returns dotted key -> text of the settings of a stage that change its numbers, without artefacts."""
    return {key: repr(value) for key, value in compared_settings(stage.config).items() if key not in stage.takes}


def _warn_of_other_settings(stage: Stage, folder: Path) -> None:
    """Warns if a stage that has finished had other settings than those of this config."""
    before, now = (read_record(folder) or {}).get('settings', {}), _settings(stage)
    other = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if before and other:
        shown = some([f'{key}={before.get(key)}, now {now.get(key)}' for key in other], 5)
        print_log(
            f'stage {stage.name} had other settings ({shown}): to run it again give --from-stage {stage.name}',
            logger='current',
            level=logging.WARNING,
        )
