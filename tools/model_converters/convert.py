"""Convert a backbone: ``python tools/model_converters/convert.py --to timm work_dirs/NAME/epoch_100.pth vit.pth``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmssl.apis.convert import convert
from mmssl.cli.tool import tool
from mmssl.converters import LIBRARIES
from mmssl.converters.programs import PROGRAMS
from mmssl.converters.sources import SOURCES


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Convert the backbone in a checkpoint to another library or to a program'
    )
    parser.add_argument(
        'file',
        help='training checkpoint, backbone file, or a file of an official code (.pth, .safetensors; .pkl of BYOL; '
        '.npz, .index or the folder of a SavedModel of SimCLR)',
    )
    parser.add_argument(
        'out',
        help='file to write: .pth, for timm and torchvision also .safetensors; .onnx; .pt2 for torch-export; for hf a '
        'new folder',
    )
    parser.add_argument(
        '--to', required=True, metavar='LIBRARY', help=f'one of {", ".join(LIBRARIES)}; or {", ".join(PROGRAMS)}'
    )
    parser.add_argument('--size', type=int, help='side of the images of onnx and torch-export (default: the usual one)')
    parser.add_argument(
        '--from', dest='source', metavar='SOURCE', help=f'one of {", ".join(SOURCES)} (default: found by the names)'
    )
    parser.add_argument(
        '--part',
        default='backbone',
        help='backbone (default); teacher.backbone for the averaged one; all: the whole algorithm, for mmssl, and for '
        'hf if it is MAE',
    )
    parser.add_argument(
        '--num-heads',
        type=int,
        help='number of attention heads of a transformer of unusual size, which does not follow from tensors',
    )
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    options = dict(source=args.source, part=args.part, num_heads=args.num_heads, size=args.size)
    written = convert(args.file, args.out, args.to, **options)
    print(f'{args.out}: {written.num_tensors} tensors, read as {written.source}. To load them:\n\n{written.usage}')


if __name__ == '__main__':
    main()
