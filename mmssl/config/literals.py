"""Python literals, among them calls of ``dict``, without executing anything."""

from __future__ import annotations

import ast
from typing import Any


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
