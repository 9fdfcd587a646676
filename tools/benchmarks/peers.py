"""Train the same methods in mmssl, lightly and solo-learn: ``python tools/benchmarks/peers.py``.

All have the same images, views, network, initial weights, optimizer and schedule; head, loss, teacher and queue are
each toolbox's own. Writes ``peers.md``, ``peers.json`` and ``peers.png`` after every run. A comparison that was stopped
continues with the next run when called again. Exit code 1 means that a run failed; the others are still made.

A toolbox need not be installed in the environment of mmssl: a folder of packages in ``PYTHONPATH`` is enough, see
docs/howto/profiling.md. The table says which ones are missing.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from mmssl.demo.peers.comparison import PeerRun

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'demo'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train the same methods in several toolboxes, and compare the curves')
    parser.add_argument('--methods', nargs='+', metavar='NAME', help='names as in tools/demo.py (default: all seven)')
    parser.add_argument('--toolboxes', nargs='+', metavar='NAME', help='mmssl, lightly, solo, float64 (default: all)')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2], help='default: 0 1 2')
    parser.add_argument('--epochs', type=int, default=2, help='length of a run in epochs, 2 or more (default: 2)')
    parser.add_argument('--photos', type=int, default=18, help='photographs whose patches are the images (default: 18)')
    parser.add_argument('--data', help='folder of class folders instead of the photographs')
    parser.add_argument('--work-dir', default='work_dirs/peers', help='default: work_dirs/peers')
    return parser.parse_args(argv)


def write(runs: Sequence[PeerRun], missing: Sequence[str], work_dir: Path, command: str) -> None:
    """Writes the table as Markdown and JSON, and the figure."""
    from mmssl.demo.peers.table import as_markdown, curves
    from mmssl.visualization.peer_curves import plot_peer_curves
    from mmssl.visualization.style import save_figure

    (work_dir / 'peers.md').write_text(as_markdown(runs, missing, command))
    content = dict(command=command, missing=list(missing), runs=[vars(run) for run in runs])
    (work_dir / 'peers.json').write_text(json.dumps(content, indent=2) + '\n')
    if table := curves(runs):
        save_figure(plot_peer_curves(table), work_dir / 'peers.png')


def chosen(given: Sequence[str] | None, offered: Sequence[str], what: str) -> list[str]:
    """Returns the names that were given, each once, or all that are offered."""
    for name in given or []:
        if name not in offered:
            raise UserError(f'there is no {what} {name!r}{did_you_mean(name, offered)}: {", ".join(offered)}')
    return list(dict.fromkeys(given or offered))


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmssl.demo.peers import run as peer
    from mmssl.demo.peers.comparison import EXACT, Comparison

    methods = chosen(args.methods, list(peer.RECIPES), 'method')
    toolboxes = chosen(args.toolboxes, ['mmssl', *peer.TOOLBOXES, EXACT], 'toolbox')
    missing = [name for name in peer.TOOLBOXES if peer.missing_package(name)]
    if args.epochs < 2:
        raise UserError(f'--epochs must be at least 2, because lightly changes a momentum per epoch, got {args.epochs}')
    if not 2 <= args.photos <= peer.PHOTOS:
        raise UserError(f'--photos must be 2 to {peer.PHOTOS}, got {args.photos}')
    for name in peer.TOOLBOXES.keys() - missing:
        peer.methods_of(name)  # imported once, before the process forks

    def train(method: str, toolbox: str, seed: int, folder: Path) -> dict[str, Any]:
        cfg = peer.read_recipe(CONFIGS / f'{method}_photos.py', method, args.epochs, seed, args.photos, args.data)
        cfg.work_dir = str(folder)
        if toolbox == EXACT:
            return peer.differences_in_float64(cfg, method, [name for name in peer.TOOLBOXES if name not in missing])
        return peer.train(peer.build(cfg, method, toolbox))

    work_dir = Path(args.work_dir).resolve()
    work_dir.mkdir(parents=True, exist_ok=True)
    command = shlex.join(['python', 'tools/benchmarks/peers.py', *(sys.argv[1:] if argv is None else argv)])
    options = dict(epochs=args.epochs, photos=args.photos, data=args.data and str(Path(args.data).resolve()))
    present = [name for name in toolboxes if name not in missing]
    runs = Comparison(train, options, work_dir).run(
        methods, present, list(dict.fromkeys(args.seeds)), lambda runs: write(runs, missing, work_dir, command)
    )
    print((work_dir / 'peers.md').read_text())
    print(f'peers.md, peers.json and peers.png are in {work_dir}')
    sys.exit(1 if any(run.error for run in runs) else 0)


if __name__ == '__main__':
    main()
