"""Options that the command-line tools share; importing this module is fast, so that ``--help`` is."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmssl.config.dtypes import DTYPES, read_dtype
from mmssl.distributed.launchers import LAUNCHERS
from mmssl.utils.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config

    from mmssl.config.options import Options


# Endings of pictures and drawings that every version of matplotlib writes.
_FIGURES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.webp', '.pdf', '.svg', '.eps', '.ps')


class CfgOptions(argparse.Action):
    """Parses ``KEY=VALUE ...`` on the command line to ``Options``."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: Any = None) -> None:
        wrong = [value for value in values if '=' not in value]
        if wrong:
            taken = f'{option_string} takes KEY=VALUE, got {" ".join(wrong)!r}'
            parser.error(f'{taken}: write other arguments before {option_string}')
        from mmssl.config.options import Options

        options = getattr(namespace, self.dest, None) or Options()
        try:
            for value in values:
                options.add(*value.split('=', maxsplit=1))
        except UserError as error:
            parser.error(str(error))
        setattr(namespace, self.dest, options)


class MixedPrecision(argparse.Action):
    """Parses ``--amp [bf16|fp16]`` to the name of torch's dtype."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, read_dtype(values))


def whole_number(text: str, least: int = 0) -> int:
    """Parses an option that takes a whole number of at least ``least``."""
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f'takes a whole number of at least {least}, such as 7, got {text!r}')
    return number


def count(text: str) -> int:
    """Parses an option that takes 1, 2, 3 and so on."""
    return whole_number(text, least=1)


def output_file(text: str) -> str:
    """Checks an option that is the path of a file to write, before the work whose result goes there.

    Returns:
        ``text``, unchanged.
    """
    path = Path(text)
    folder = next(parent for parent in path.absolute().parents if parent.exists())  # missing folders are created
    if not text:
        raise argparse.ArgumentTypeError('takes the path of a file, got an empty string')
    if path.is_dir():
        raise argparse.ArgumentTypeError(f'takes the path of a file, got {text!r}, which is a folder')
    if not folder.is_dir():
        raise argparse.ArgumentTypeError(f'{text!r} cannot be written, because {folder} is a file: give another path')
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise argparse.ArgumentTypeError(f'{text!r} cannot be written (no right to write): give another path')
    return text


def figure_file(text: str) -> str:
    """Checks an option that is the path of a figure to write, see ``output_file``."""
    if Path(text).suffix.lower() not in _FIGURES:
        raise argparse.ArgumentTypeError(f'takes a file that ends in {", ".join(_FIGURES)}, got {text!r}')
    return output_file(text)


def _add_cfg_options(parser: argparse.ArgumentParser) -> None:
    help = 'settings that override the config'
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', help=help)


def add_config_options(parser: argparse.ArgumentParser, in_checkpoint: bool = False) -> None:
    """Adds ``config`` and ``--cfg-options``, for ``load_run``.

    Args:
        parser: Parser; ``config`` becomes its next positional argument.
        in_checkpoint: Whether the config comes from a checkpoint; the option ``--config`` can then replace it.
    """
    if in_checkpoint:
        parser.add_argument('--config', help='config file to use instead of the config in the checkpoint')
    else:
        parser.add_argument('config', help='config file, or the name of a recipe')
    _add_cfg_options(parser)


def add_amp_option(parser: argparse.ArgumentParser) -> None:
    """Adds ``--amp [bf16|fp16]``; the value is ``'bfloat16'``, ``'float16'`` or None."""
    choices = list(DTYPES)
    help = 'mixed precision (type without a value: bf16)'
    parser.add_argument('--amp', nargs='?', const='bf16', choices=choices, action=MixedPrecision, help=help)


def load_run(
    config: str,
    cfg_options: Options | None = None,
    change: Callable[[Config], Any] | None = None,
    data: bool = True,
    needed: Sequence[str] = (),
) -> Config:
    """Loads and checks the config of a run, and sets MMEngine's default scope to the scope of the config.

    Args:
        config: Config file, or the name of a recipe.
        cfg_options: Dotted keys and values that override the config.
        change: Function that changes the config in place before the check.
        data: Whether missing data and missing weights of a target are mistakes, see ``check_config``.
        needed: Top-level keys that the config must have.

    Raises:
        UserError: The config cannot be loaded, lacks a key or has mistakes.
    """
    from mmengine.registry import init_default_scope

    from mmssl.config.check import check_config, check_present
    from mmssl.config.load import load_config

    cfg = load_config(config, cfg_options)
    check_present(cfg, *needed)
    init_default_scope(cfg.default_scope)
    if change is not None:
        change(cfg)
    check_config(cfg, data)
    return cfg


def write_json(content: Any, file: str | Path | None) -> None:
    """Writes ``content`` as JSON and creates the folder of the file; does nothing if ``file`` is None."""
    if file is not None:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(json.dumps(content, indent=2) + '\n')


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of tools that run a config: ``--work-dir --cfg-options --launcher --local_rank``."""
    parser.add_argument('--work-dir', help='where logs and checkpoints go (default: work_dirs/<config name>)')
    _add_cfg_options(parser)
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='program that started this process')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by some launchers')


def add_transfer_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a training on pre-trained weights: ``--pretrained --use-teacher --prefix``."""
    parser.add_argument(
        '--pretrained',
        metavar='CHECKPOINT',
        help='start from the backbone (and its neck) of a checkpoint of any kind, or of a model of timm by its name',
    )
    parser.add_argument('--use-teacher', action='store_true', help='use the averaged networks of the checkpoint')
    parser.add_argument('--prefix', help="prefix of the backbone's names in a checkpoint of an unknown kind")


def transfer_options(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the arguments of ``TransferHook`` from the command line; none without ``--pretrained``.

    Raises:
        UserError: ``--use-teacher`` or ``--prefix`` is given without ``--pretrained``.
    """
    if args.pretrained is None:
        if args.use_teacher or args.prefix is not None:
            raise UserError('--use-teacher and --prefix need a checkpoint: give it with --pretrained')
        return {}
    return dict(checkpoint=args.pretrained, use_teacher=args.use_teacher, prefix=args.prefix)


def add_trained_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of tools that read checkpoints: ``--compare --names --config --prefix --cfg-options``."""
    parser.add_argument('--compare', nargs='+', default=[], metavar='CHECKPOINT', help='additional checkpoints')
    parser.add_argument('--names', nargs='+', metavar='NAME', help='titles, one per checkpoint (default: file names)')
    parser.add_argument(
        '--config',
        nargs='+',
        metavar='CONFIG',
        help='configs to use instead of those in the checkpoints: one for all, or one each',
    )
    parser.add_argument('--prefix', help="prefix of the backbone's names in the file, such as teacher.backbone")
    _add_cfg_options(parser)


def trained_options(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Returns title -> arguments of ``load_trained`` for all checkpoints, in their order.

    Raises:
        UserError: The number of titles or configs does not fit the checkpoints, or two titles are equal.
    """
    checkpoints = [args.checkpoint, *args.compare]
    names = args.names or _short_names(checkpoints)
    configs = args.config or [None]
    configs = configs * len(checkpoints) if len(configs) == 1 else configs
    if not len(set(names)) == len(names) == len(configs) == len(checkpoints):
        raise UserError(
            f'{len(checkpoints)} checkpoints need as many different titles (--names has {len(names)}: '
            f'{", ".join(names)}) and one config or as many (--config has {len(args.config or ())})'
        )
    shared = dict(cfg_options=args.cfg_options, prefix=args.prefix)
    return {
        name: dict(checkpoint=checkpoint, config=config, **shared)
        for name, checkpoint, config in zip(names, checkpoints, configs)
    }


def _short_names(checkpoints: list[str]) -> list[str]:
    """Returns file names, with as many parent folders as needed to make them different."""
    parts = [Path(checkpoint).with_suffix('').parts for checkpoint in checkpoints]
    longest = max(map(len, parts))
    for length in range(1, longest + 1):
        names = ['/'.join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            break
    return names
