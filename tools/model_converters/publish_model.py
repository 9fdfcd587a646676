"""Write a checkpoint for publication: ``python tools/model_converters/publish_model.py epoch_9.pth byol.pth``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmssl.cli.tool import tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Write the tensors of a checkpoint, without the state of its training')
    parser.add_argument('file', help='training checkpoint or backbone file')
    parser.add_argument('out', help='file to write; date and hash are added to the name: NAME_YYYYMMDD-sha256.pth')
    parser.add_argument(
        '--part', help='part to write: backbone, or teacher.backbone for the averaged one (default: everything)'
    )
    parser.add_argument('--safetensors', action='store_true', help='write .safetensors instead of .pth')
    return parser.parse_args(argv)


@tool
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmssl.converters.publish import publish

    print(publish(args.file, args.out, args.part, args.safetensors))


if __name__ == '__main__':
    main()
