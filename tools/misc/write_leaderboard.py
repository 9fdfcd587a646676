"""Write a leaderboard into the cards and the documentation: ``python tools/misc/write_leaderboard.py FOLDER``.

FOLDER is the work directory of ``tools/benchmarks/leaderboard.py``. The table of a method stands in its card between
``<!-- demo NAME -->`` and ``<!-- end of demo -->``, that of all methods in docs/methods/leaderboard.md, and the figure
is docs/images/leaderboard.png. Methods without a finished run keep what their card says.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
DEMO = re.compile(r'(<!-- demo (\S+) -->\n).*?(<!-- end of demo -->)', re.DOTALL)
BOARD = re.compile(r'(<!-- leaderboard -->\n).*?(<!-- end of leaderboard -->)', re.DOTALL)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Write the results of a leaderboard into cards and documentation')
    parser.add_argument('folder', help='work directory of tools/benchmarks/leaderboard.py')
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    from mmssl.demo.leaderboard import Run, as_markdown, method_table

    folder = Path(args.folder)
    if not (folder / 'leaderboard.json').is_file():
        raise UserError(f'{folder} has no leaderboard.json: make it with tools/benchmarks/leaderboard.py')
    content = json.loads((folder / 'leaderboard.json').read_text())
    runs = [Run(**run) for run in content['runs']]
    done = {run.method: [other for other in runs if other.method == run.method] for run in runs if run.results}
    for card in sorted((ROOT / 'configs').glob('*/README.md')):
        rewrite(card, DEMO, lambda found: f'{method_table(done[found[2]])}\n' if found[2] in done else None)
    command = re.sub(r' --work-dir \S+', '', content['command'])
    page, table = ROOT / 'docs' / 'methods' / 'leaderboard.md', as_markdown(runs, command)
    rewrite(page, BOARD, lambda found: table.partition('\n\n')[2])  # without its title
    shutil.copy(folder / 'leaderboard.png', ROOT / 'docs' / 'images' / 'leaderboard.png')


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
