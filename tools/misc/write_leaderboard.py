"""Write a leaderboard into the cards and the documentation: ``python tools/misc/write_leaderboard.py FOLDER``.

FOLDER is the work directory of ``tools/benchmarks/leaderboard.py``. Its finished runs join those of earlier folders in
docs/methods/leaderboard.json, where a run replaces an earlier one of the same method and seed. From this file come the
table of a method, in its card between ``<!-- demo NAME -->`` and ``<!-- end of demo -->``, that of all methods in
docs/methods/leaderboard.md, and the figures leaderboard.png and gains.png of docs/images.

``--page cifar10`` writes another page, docs/methods/cifar10.md, with its own file of runs and its own figure, for runs
on other images (``--data``) or of another budget. The cards do not change.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
PAGE = 'leaderboard'  # whose runs also stand in the cards
DEMO = re.compile(r'(<!-- demo (\S+) -->\n).*?(<!-- end of demo -->)', re.DOTALL)
COMMAND = re.compile(r'^ {4}(python tools/benchmarks/leaderboard\.py.*)$', re.MULTILINE)
BOARD = re.compile(r'(<!-- leaderboard -->\n).*?(<!-- end of leaderboard -->)', re.DOTALL)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Write the results of a leaderboard into cards and documentation')
    parser.add_argument('folder', help='work directory of tools/benchmarks/leaderboard.py')
    parser.add_argument('--page', default=PAGE, help=f'page of docs/methods that shows the runs (default: {PAGE})')
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    from mmssl.demo.leaderboard import Run, as_markdown, method_table, save_chart, save_gains

    folder, docs = Path(args.folder), ROOT / 'docs'
    if not (folder / 'leaderboard.json').is_file():
        raise UserError(f'{folder} has no leaderboard.json: make it with tools/benchmarks/leaderboard.py')
    content = json.loads((folder / 'leaderboard.json').read_text())
    page = docs / 'methods' / f'{args.page}.md'
    file = page.with_suffix('.json')
    if not page.is_file():
        raise UserError(f'{page} does not exist: write the page, with the marks of a leaderboard, before its table')
    command = check_command(content['command'], page)
    earlier = [Run(**run) for run in json.loads(file.read_text())] if file.is_file() else []
    runs = {(run.method, run.seed): run for run in earlier + [Run(**run) for run in content['runs']] if run.results}
    ordered = [runs[key] for key in sorted(runs)]
    lines = ',\n'.join(json.dumps(vars(run)) for run in ordered)
    file.write_text(f'[\n{lines}\n]\n')
    table = as_markdown(ordered, command)
    rewrite(page, BOARD, lambda found: table.partition('\n\n')[2])  # without its title
    save_chart(ordered, docs / 'images' / f'{args.page}.png')
    if args.page != PAGE:
        return
    save_gains(ordered, docs / 'images' / 'gains.png')
    tables = {
        method: method_table([run for run in ordered if run.method == method]) + '\n'
        for method in {run.method for run in ordered}
    }
    for card in sorted((ROOT / 'configs').glob('*/README.md')):
        rewrite(card, DEMO, lambda found: tables.get(found[2]))


def settings(command: str) -> dict[str, Any]:
    """Returns the options of a leaderboard's command that set the budget and the images."""
    parser = argparse.ArgumentParser()  # the options may be shortened, or joined to their values with "="
    parser.add_argument('--full', action='store_true')
    for option in ('--minutes', '--epochs', '--data'):
        parser.add_argument(option)
    return vars(parser.parse_known_args(shlex.split(command))[0])


def check_command(command: str, page: Path) -> str:
    """Returns the command of a page.

    Args:
        command: Command that made the runs.
        page: Page with its command in a line of its own, indented by four spaces.

    Raises:
        UserError: The runs have another budget or other images than those of the page.
    """
    shown = COMMAND.search(page.read_text())
    if shown is None:
        raise UserError(f'{page} does not name the command of its table')
    if settings(shown[1]) != settings(command):
        raise UserError(f'the runs were made by {command!r}, but {page.name} has those of {shown[1]!r}: see --page')
    return shown[1]


def rewrite(path: Path, pattern: re.Pattern[str], text: Callable[[re.Match[str]], str | None]) -> None:
    """Replaces what stands between the marks of a file; what ``text`` has no answer for stays."""
    before = path.read_text()
    after = pattern.sub(
        lambda found: found[0] if (new := text(found)) is None else f'{found[1]}{new}{found[found.lastindex]}', before
    )
    if after != before:
        path.write_text(after)
        print(path.relative_to(ROOT))


if __name__ == '__main__':
    main()
