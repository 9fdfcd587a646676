"""``--cfg-options``: parsing of values, writing them into a config, and errors for options without effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from mmengine.config import Config, DictAction

from mmssl.config.keys import ACTING_OPTIONS, CUSTOMARY_VARIABLES, READ_KEYS, REPLACEMENTS
from mmssl.config.paths import paths_as_text
from mmssl.config.text import read_literal
from mmssl.utils.errors import UserError, did_you_mean

_PATHS = {
    'ann_file', 'checkpoint', 'data_prefix', 'data_root', 'experiment_name', 'img_path', 'load_from', 'out_dir',
    'seg_map_path', 'seg_prefix', 'work_dir',
}  # fmt: skip
_MAX_PLACES = 6


class Options(dict):
    """Dotted keys and parsed values; ``texts`` has the original text of each value."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.texts: dict[str, str] = {}

    def add(self, key: str, text: str) -> None:
        """Parses ``text`` and adds it under ``key``.

        Raises:
            UserError: A part of the key is empty, or the text cannot be parsed.
        """
        if not all(part.strip() for part in key.split('.')):
            raise UserError(f'{key}={text}: a part of the key is empty, write KEY=VALUE, such as max_epochs=50')
        if text.startswith('='):
            raise UserError(f'{key}={text}: write {key}={text.lstrip("=")}, with one equals sign')
        self[key] = parse_value(key, text)
        self.texts[key] = text


def renamed(options: dict[str, Any], rename: Callable[[str], str | None]) -> Options:
    """Returns the options under the keys that ``rename`` returns, without those for which it returns None."""
    chosen = Options()
    for key in sorted(options, key=lambda key: rename(key) != key):  # an option that gets another key has priority
        if (new := rename(key)) is not None:
            chosen[new] = options[key]
            if key in getattr(options, 'texts', {}):
                chosen.texts[new] = options.texts[key]  # type: ignore[attr-defined]
    return chosen


def parse_value(key: str, text: str) -> Any:
    """Parses the value of an option: a Python literal, which may contain ``dict(a=1)``, or plain words and numbers.

    The words in ``[a,b]``, ``a,b`` and ``(1,c)`` need no quotes, as in the tools of MMEngine.

    Args:
        key: Dotted key, for the message.
        text: Text after the equals sign.

    Raises:
        UserError: Brackets or quotes do not match, or a dict contains more than plain values.
    """
    is_dict = text.lstrip().startswith(('{', 'dict('))
    if is_dict or text.lstrip().startswith(('[', '(')):
        try:
            return read_literal(text)
        except (ValueError, SyntaxError) as error:
            if is_dict or 'dict(' in text or '{' in text:
                raise UserError(
                    f'{key}={text} cannot be read: words in a dict need quotes; or write one option '
                    f'for each entry, such as {key}.NAME=VALUE'
                ) from error
    try:
        return DictAction._parse_iterable(text)
    except AssertionError as error:
        raise UserError(f'{key}={text} cannot be read: its brackets do not match') from error


def write_options(cfg: Config, options: dict[str, Any], source: str = '--cfg-options') -> None:
    """Writes options into ``cfg``; options of paths, and of keys whose value is text, keep their original text.

    Args:
        cfg: Config, changed in place.
        options: Dotted keys and values, preferably ``Options``, which keep the original text.
        source: Origin of the options, for messages.

    Raises:
        UserError: An option would change nothing, or sets a key of a value that is not a dict.
    """
    problems = [problem for key, value in options.items() if (problem := _unread(cfg, key, value))]
    if problems:
        raise UserError('\n  '.join(f'{source} {problem}' for problem in problems))
    try:
        cfg.merge_from_dict({key: paths_as_text(deepcopy(_value(cfg, options, key))) for key in options})
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        raise UserError(f'{source} do not fit the config: {error}') from error


def option_path(options: dict[str, Any], key: str) -> Any:
    """Returns the original text of an option that is a path, or a list of paths."""
    value, text = options[key], getattr(options, 'texts', {}).get(key)
    if isinstance(value, (list, tuple)) and (text is None or text.lstrip().startswith(('[', '('))):
        return [str(item) for item in value]
    return value if text is None or value is None or isinstance(value, dict) else text.strip('\'"')


def _value(cfg: Config, options: dict[str, Any], key: str) -> Any:
    value, name = options[key], key.rpartition('.')[2]
    if name in _PATHS or name.endswith(('_file', '_dir', '_root', '_path')):
        return option_path(options, key)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    is_text = is_number and isinstance(_find(cfg, key), str)
    return getattr(options, 'texts', {}).get(key, value) if is_text else value


def _find(cfg: Config, key: str) -> Any:
    """Returns the value at a dotted key; None if there is none."""
    node: Any = cfg
    for part in key.split('.'):
        if isinstance(node, (list, tuple)):
            node = node[int(part)] if part.isdigit() and int(part) < len(node) else None
        else:
            node = node.get(part) if hasattr(node, 'get') else None
    return node


def _unread(cfg: Config, key: str, value: Any) -> str | None:
    """Returns the reason why an option changes nothing; None if it may change something."""
    top, _, rest = key.partition('.')
    if shadow := _shadow(cfg, key):
        return f'{key}={value} changes nothing: {shadow}'
    if key == 'max_iters' and 'max_iters' in (cfg.get('train_cfg') or {}):  # the length of an iteration-based run
        return None
    stages = {stage.get('name') for stage in cfg.get('stages') or ()}
    if top in READ_KEYS and top != 'launcher' or key in ACTING_OPTIONS or top in stages:
        return None
    old = cfg.get(top)
    places = [f'{place}.{rest}' if rest else place for place in _uses(cfg, old)] if old not in (None, {}, []) else []
    places = places or [place for place, _ in _nodes(cfg) if place.endswith(f'.{key}')]
    if places:
        hint = ', '.join(f'{place}={value}' for place in places[:_MAX_PLACES])
        hint = f'write {hint}' + (' ...' if len(places) > _MAX_PLACES else '')
    elif top in REPLACEMENTS:
        hint = f'write {REPLACEMENTS[top]}'
    else:
        hint = did_you_mean(top, READ_KEYS, cutoff=0.7).removeprefix('; ') or 'no part of the run has this key'
    is_variable = top.startswith('_') or top in cfg or top in CUSTOMARY_VARIABLES
    why = f'{top} is a variable, whose value was used when the file was read' if is_variable else f'nothing reads {top}'
    return f'{key}={value} changes nothing: {why}; {hint}'


def _shadow(cfg: Config, key: str) -> str | None:
    """Returns the reason why another key overrides an option; None if there is none."""
    loop = cfg.get('train_cfg') or {}
    by_iterations = loop.get('by_epoch') is False or loop.get('type') == 'IterBasedTrainLoop'
    if key == 'max_epochs' and by_iterations and cfg.get('default_scope') != 'mmssl':
        return 'the length of this run is train_cfg.max_iters; write train_cfg.max_iters=NUMBER'
    counts_epochs = 'max_epochs' in loop and cfg.get('default_scope', 'mmssl') != 'mmssl'
    if counts_epochs and key in ('max_iters', 'train_cfg.max_iters', 'train_cfg.by_epoch'):
        new = "dict(_delete_=True,type='IterBasedTrainLoop',max_iters=NUMBER,val_interval=NUMBER)"
        return f'this run counts epochs; write max_epochs=NUMBER, or train_cfg="{new}"'
    if key.startswith('data_preprocessor') and (cfg.get('model') or {}).get('data_preprocessor') is not None:
        return f'the model has its own preprocessor; write model.{key}=VALUE'
    return None


def _nodes(node: Any, place: str = '') -> Iterator[tuple[str, Any]]:
    """Yields every (dotted key, value) of the config, below keys that are read."""
    for key, value in enumerate(node) if isinstance(node, (list, tuple)) else node.items():
        if not place and key not in READ_KEYS:
            continue
        inner = f'{place}.{key}' if place else str(key)
        yield inner, value
        if isinstance(value, (dict, list, tuple)):
            yield from _nodes(value, inner)


def _uses(cfg: Config, value: Any) -> list[str]:
    """Returns the dotted keys at which a variable of the config with this value is used."""
    if isinstance(value, dict):
        return [place for place, node in _nodes(cfg) if isinstance(node, dict) and _contains(node, value)]
    return [place for place, node in _nodes(cfg) if type(node) is type(value) and node == value]


def _contains(node: dict, part: dict) -> bool:
    return all(key in node and node[key] == value for key, value in part.items())
