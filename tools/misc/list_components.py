"""List what a config can name: ``python tools/misc/list_components.py [ROLE ...] [--custom-imports PACKAGE ...]``."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Sequence
from typing import Any

from mmengine.registry import Registry
from mmengine.utils import import_modules_from_strings

from mmssl import registry
from mmssl.cli.tool import tool
from mmssl.utils.errors import UserError, did_you_mean


def components(custom_imports: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Returns for each role the registered names and their classes or functions.

    Args:
        custom_imports: Modules of plugins, imported first.

    Raises:
        UserError: One of ``custom_imports`` cannot be imported.
    """
    tables = [table for table in vars(registry).values() if isinstance(table, Registry)]
    for table in tables:
        table.import_from_location()
    try:
        import_modules_from_strings(list(custom_imports))
    except ImportError as error:
        raise UserError(f'--custom-imports: {error}') from error
    found = {name: role.members for name, role in registry.ROLES.items()}
    named = {cls for members in found.values() for cls in members.values()}
    for table in tables:
        found[table.name] = {name: part for name, part in table.module_dict.items() if part not in named}
    return {role: members for role, members in found.items() if members}


@tool
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description='List what is registered under each role')
    parser.add_argument('roles', nargs='*', metavar='ROLE', help='e.g. algorithm, backbone, loss (default: all)')
    parser.add_argument('--custom-imports', nargs='+', default=[], metavar='MODULE', help='plugins to import first')
    args = parser.parse_args(argv)
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
