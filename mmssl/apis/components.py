"""The names that a config can use as ``type``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.registry import Registry
from mmengine.utils import import_modules_from_strings

from mmssl import registry
from mmssl.utils.errors import UserError


def components(custom_imports: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Returns the registered names and their classes or functions: role -> name -> class or function.

    Args:
        custom_imports: Modules of plugins to import first.

    Raises:
        UserError: A module of ``custom_imports`` cannot be imported.
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
