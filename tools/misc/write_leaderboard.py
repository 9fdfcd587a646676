"""Write a leaderboard into the cards and the documentation: ``python tools/misc/write_leaderboard.py FOLDER``.

FOLDER is the work directory of ``tools/benchmarks/leaderboard.py``. Its finished runs join those of earlier folders in
docs/methods/leaderboard.json, where a run replaces an earlier one of the same method and seed. From this file come the
table of a method, in its card between ``<!-- demo NAME -->`` and ``<!-- end of demo -->``, that of all methods in
docs/methods/leaderboard.md, and the figure docs/images/leaderboard.png.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError

if TYPE_CHECKING:
    from mmssl.demo.leaderboard import Run

ROOT = Path(__file__).resolve().parents[2]
STORED = 'docs/methods/leaderboard.json'
DEMO = re.compile(r'(<!-- demo (\S+) -->\n).*?(<!-- end of demo -->)', re.DOTALL)
BOARD = re.compile(r'(<!-- leaderboard -->\n).*?(<!-- end of leaderboard -->)', re.DOTALL)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Write the results of a leaderboard into cards and documentation')
    parser.add_argument('folder', help='work directory of tools/benchmarks/leaderboard.py')
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    from mmssl.demo.leaderboard import Run, as_markdown, method_table, save_chart

    folder, docs = Path(args.folder), ROOT / 'docs'
    if not (folder / 'leaderboard.json').is_file():
        raise UserError(f'{folder} has no leaderboard.json: make it with tools/benchmarks/leaderboard.py')
    content = json.loads((folder / 'leaderboard.json').read_text())
    check_command(content['command'], folder)
    runs = {(run.method, run.seed): run for run in stored() + [Run(**run) for run in content['runs']] if run.results}
    ordered = [runs[key] for key in sorted(runs)]
    lines = ',\n'.join(json.dumps(vars(run)) for run in ordered)
    (ROOT / STORED).write_text(f'[\n{lines}\n]\n')
    tables = {
        method: method_table([run for run in ordered if run.method == method]) + '\n'
        for method in {run.method for run in ordered}
    }
    for card in sorted((ROOT / 'configs').glob('*/README.md')):
        rewrite(card, DEMO, lambda found: tables.get(found[2]))
    table = as_markdown(ordered, 'python tools/benchmarks/leaderboard.py --full')
    rewrite(docs / 'methods' / 'leaderboard.md', BOARD, lambda found: table.partition('\n\n')[2])  # without its title
    save_chart(ordered, docs / 'images' / 'leaderboard.png')


def check_command(command: str, folder: Path) -> None:
    """Checks that the runs of a folder had the budget and the images of the documentation.

    Raises:
        UserError: They had others.
    """
    parser = argparse.ArgumentParser()  # the options may be shortened, or joined to their values with "="
    parser.add_argument('--full', action='store_true')
    parser.add_argument('--data')
    options, _ = parser.parse_known_args(shlex.split(command))
    if not options.full or options.data:
        raise UserError(f'{folder} was made by {command!r}: the documentation has runs of --full without --data')


def stored() -> list[Run]:
    """Returns the runs of earlier folders."""
    from mmssl.demo.leaderboard import Run

    file = ROOT / STORED
    return [Run(**run) for run in json.loads(file.read_text())] if file.is_file() else []


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
