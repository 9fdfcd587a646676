"""Memory of a ViT detector's backbone with and without windows: ``python tools/profiling/detection_memory.py``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from mmssl.cli.options import output_file, write_json
from mmssl.cli.tool import tool
from mmssl.models.backbones.vision_transformer import ARCHS
from mmssl.models.backbones.windowed_vit import WindowedViT
from mmssl.profiling.activation_memory import kept_bytes, peak_bytes


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Activation memory of a ViT for one image in float32, forward and backward'
    )
    parser.add_argument('--arch', default='base', choices=list(ARCHS), help='default: base')
    parser.add_argument('--sizes', nargs='+', type=int, default=[512, 1024], help='sides in pixels (default: 512 1024)')
    parser.add_argument(
        '--window-size', type=int, default=14, help='side of a window in patches of 16 pixels (default: 14)'
    )
    parser.add_argument(
        '--peak', action='store_true', help='also run the passes, on one thread of the CPU, and print their peaks'
    )
    parser.add_argument('--limit', type=float, default=8.0, help='GiB above which a pass is not run (default: 8)')
    parser.add_argument('--out', type=output_file, help='JSON file to write the figures, in bytes, to')
    return parser.parse_args(argv)


def variants(arch: str, size: int, window_size: int) -> dict[str, tuple[partial, bool]]:
    """Returns name -> (function that builds the backbone, whether attention computes its matrix of scores)."""
    depth = ARCHS[arch]['depth']
    build = partial(WindowedViT, arch, window_size=window_size, final_norm=False)
    four, every = tuple(range(depth // 4 - 1, depth, depth // 4)), tuple(range(depth))
    found = {}
    for name, indices in (('windows alone', ()), ('4 global blocks', four), ('every block global', every)):
        found[name] = partial(build, global_indices=indices), False
        found[f'{name}, attention as a matrix'] = partial(build, global_indices=indices), True
        if indices == four:
            found[f'{name}, relative positions'] = (
                partial(build, global_indices=indices, relative_size=size // 16), False
            )  # fmt: skip
    return found


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    figures: dict[str, dict[str, dict[str, int | None]]] = {}
    print(f'{"GiB of one image":<56}{"kept":>8}{"peak":>8}')
    for size in args.sizes:
        figures[str(size)] = {}
        for name, (build, as_matrix) in variants(args.arch, size, args.window_size).items():
            kept = kept_bytes(build, (1, 3, size, size), as_matrix)
            runs = args.peak and kept < args.limit * 2**30
            peak = peak_bytes(build, (1, 3, size, size), as_matrix) if runs else None
            figures[str(size)][name] = dict(kept=kept, peak=peak)
            shown = '-' if peak is None else f'{peak / 2**30:.2f}'
            print(f'{size:>5} px  {name:<46}{kept / 2**30:>8.2f}{shown:>8}', flush=True)
    write_json(dict(arch=args.arch, window_size=args.window_size, sizes=figures), args.out)


if __name__ == '__main__':
    main()
