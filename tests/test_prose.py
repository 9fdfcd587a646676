"""The prose of docstrings, comments, messages and pages is plain English: noun phrases for arguments, no riddles."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# The text of an argument is a noun phrase, so it does not begin with one of these words.
NOT_A_NOUN_PHRASE = re.compile(
    r'(?:Of|As of|As in|As for|As many|Likewise|That of|Those of|Whose|Whether or not|What|Where|How|Their|Its)\b'
)

# Fragment -> plain form.
FRAGMENTS = {
    r'anew': 'again, a new ...',
    r'(?:is|are|was|were) told': 'reads, gets',
    r'(?:code|libraries|models|those) of others': 'other libraries',
    r'(?:as (?:it is|they are|it was|they were)|how (?:it is|they are))[.,;:)]': 'unchanged, does not change',
    r'(?:stand|stands|stood) in for': 'replaces',
    r'in (?:the|its|their) place of': 'instead of',
    r'(?:has|have) not[.,;:)]': 'does not have',
    r'(?:became|become|becomes|came|comes) of (?:it|them|the|a)': 'the result of',
    r'for want of': 'because there is no',
    r'lets? go of': 'removes, releases',
    r'(?:given|gives?|giving) back': 'restores, returns',
    r'(?:goes|go|going|went) on (?:from|with|within|where)': 'continues',
    r'passed over': 'skipped, ignored',
    r'(?<!there )(?:is|are) no (?!longer|more|fewer|less|greater|larger|smaller|later|earlier|way|help)': 'is not a',
    r'is none of (?:these|those|the)': 'is unknown, is not one of',
    r'where there (?:is|are|was|were)': 'if there is',
    r'where (?:it|they|he) (?:has|have|is|are) (?:none|no|not|some)': 'if it has no',
    r'makes? of (?:it|them|that|this)': 'the result of',
    r'(?:as|than) those of (?:the )?others': 'the noun itself',
    r'what (?:it|they|he) (?:says|say|wants?|needs?|asks?) of': 'the noun itself',
    r'comes? (?:too )?late': 'is delayed by',
    r'for ever': 'forever',
    r'(?:thereof|therein|whereof|whereon|thereon)': 'the noun itself',
    r'without a word': 'silently',
    r'(?:had|have) to do without': 'lacks',
    r'data sets?': 'dataset',
}
FRAGMENT = re.compile('|'.join(rf'\b(?:{fragment})(?!\w)' for fragment in FRAGMENTS), re.IGNORECASE)


def sources() -> Iterator[Path]:
    for folder in ('mmssl', 'tools', 'tests/support', 'configs', 'examples'):
        yield from (file for file in (ROOT / folder).rglob('*.py') if '.mim' not in file.parts)


def pages() -> Iterator[Path]:
    yield from [*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md'), *ROOT.glob('configs/**/README.md')]


def arguments(docstring: str) -> Iterator[tuple[str, str]]:
    """Yields name and text of every entry of the section ``Args``."""
    section = re.search(r'^( *)Args:\n(.*?)(?=^\1\S|\Z)', docstring, re.MULTILINE | re.DOTALL)
    if section:
        indent = len(section[1]) + 4
        yield from re.findall(rf'^ {{{indent}}}(\**\w+): (.+)', section[2], re.MULTILINE)


def docstrings(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield ast.get_docstring(node) or ''


def test_the_text_of_an_argument_is_a_noun_phrase() -> None:
    wrong = [
        f'{file.relative_to(ROOT)}: {name}: {text}'
        for file in sources()
        for docstring in docstrings(file)
        for name, text in arguments(docstring)
        if NOT_A_NOUN_PHRASE.match(text)
    ]
    assert not wrong, '\n'.join(wrong)


def test_no_riddles() -> None:
    """Reads whole files, with wrapped lines joined, so it finds fragments in comments and messages too."""
    wrong = []
    for file in [*sources(), *pages()]:
        text = re.sub(r"\s*\n\s*(?:# |> |')?|(?<=\w) +'\n\s*f?'", ' ', file.read_text())
        for match in FRAGMENT.finditer(text):
            around = text[max(match.start() - 50, 0) : match.end() + 30]
            plain = next(
                plain for key, plain in FRAGMENTS.items() if re.match(rf'\b(?:{key})', match[0], re.IGNORECASE)
            )
            wrong.append(f'{file.relative_to(ROOT)}: ...{around}... ({match[0]!r}: write {plain!r})')
    assert not wrong, '\n'.join(wrong)


@pytest.mark.parametrize('text', ['Of the masks.', 'As of ``run``.', 'Likewise.', 'Those of the model.'])
def test_fragments_are_found(text: str) -> None:
    found = dict(
        arguments(f'Draws.\n\nArgs:\n    images: Images (N, 3, H, W).\n    seed: {text}\n\nReturns:\n    A figure.')
    )
    assert [name for name, words in found.items() if NOT_A_NOUN_PHRASE.match(words)] == ['seed']
