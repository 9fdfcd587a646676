"""Reading literals and whole configs from text without executing anything."""

from __future__ import annotations

import ast
from typing import Any

from mmengine.config import Config

from mmssl.utils.errors import UserError


def read_literal(text: str) -> Any:
    """Returns the value of ``text``, a literal in which dicts may be written ``dict(a=1)``.

    Raises:
        ValueError, SyntaxError: It is anything else.
    """
    return ast.literal_eval(DictCalls().visit(ast.parse(text.strip(), mode='eval')).body)


class DictCalls(ast.NodeTransformer):
    """Turns ``dict(a=1)`` and ``dict({'a': 1})`` into ``{'a': 1}``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Name) or node.func.id != 'dict':
            return node
        if len(node.args) == 1 and not node.keywords:
            return node.args[0]
        if node.args or not all(keyword.arg for keyword in node.keywords):
            return node
        return ast.Dict([ast.Constant(keyword.arg) for keyword in node.keywords], [k.value for k in node.keywords])


def read_config_text(text: str, source: str) -> Config:
    """Reads a config as MMEngine prints it, without executing anything: a checkpoint may come from anywhere.

    Args:
        text: Assignments of literals and calls of ``dict``.
        source: Where the text comes from, for messages.

    Raises:
        UserError: The text holds something else, such as a class in place of its name.
    """
    try:
        statements = DictCalls().visit(ast.parse(text)).body
        return Config({target.id: ast.literal_eval(s.value) for s in statements for target in s.targets})
    except (SyntaxError, ValueError, AttributeError) as error:
        raise UserError(
            f'the config in {source} holds more than plain values and is not read ({error}): '
            'name the file that it was trained with by --config'
        ) from error
