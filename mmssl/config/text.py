"""Parsing of literals and whole configs from text without executing code."""

from __future__ import annotations

import ast
from typing import Any

from mmengine.config import Config

from mmssl.config.preprocessor import place_preprocessor
from mmssl.utils.errors import UserError


def read_literal(text: str) -> Any:
    """Returns the value of ``text``, a literal in which a dict may be written as ``dict(a=1)``.

    Raises:
        ValueError, SyntaxError: ``text`` is not such a literal.
    """
    return ast.literal_eval(DictCalls().visit(ast.parse(text.strip(), mode='eval')).body)


class DictCalls(ast.NodeTransformer):
    """Converts ``dict(a=1)`` and ``dict({'a': 1})`` to ``{'a': 1}``."""

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
    """Reads a config in the form that MMEngine prints, without executing code, because a checkpoint may be malicious.

    Args:
        text: Python text of assignments, whose values are literals and calls of ``dict``.
        source: Origin of the text, for messages.

    Raises:
        UserError: The text contains anything else, such as a class instead of its name.
    """
    try:
        statements = DictCalls().visit(ast.parse(text)).body
        cfg = Config({target.id: ast.literal_eval(s.value) for s in statements for target in s.targets})
    except (SyntaxError, ValueError, AttributeError) as error:
        raise UserError(
            f'the config in {source} contains more than plain values and is not read ({error}): '
            'give the config of its training with --config'
        ) from error
    place_preprocessor(cfg)
    return cfg
