"""List the names that a config can use: ``tools/misc/list_components.py [ROLE ...] [--custom-imports PACKAGE ...]``."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Sequence

from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError, did_you_mean


@tool
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description='List the registered names of each role')
    parser.add_argument('roles', nargs='*', metavar='ROLE', help='e.g. algorithm, backbone, loss (default: all)')
    parser.add_argument('--custom-imports', nargs='+', default=[], metavar='MODULE', help='plugins to import first')
    args = parser.parse_args(argv)
    # after the arguments, because importing torch is slow
    from mmssl.apis.components import components

    found = components(args.custom_imports)
    for role in args.roles:
        if role not in found:
            raise UserError(f'no role {role!r}{did_you_mean(role, found)}; there are {", ".join(found)}')
    for role in args.roles or found:
        print(role)
        for name, part in sorted(found[role].items()):
            summary = (inspect.getdoc(part) or '').partition('\n')[0]
            print(f'  {name:<28} {part.__module__:<52} {summary}')


if __name__ == '__main__':
    main()
