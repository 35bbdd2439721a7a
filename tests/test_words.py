"""The code base uses the standard terms of machine learning; forbidden_words.toml lists the words not to use."""

import ast
import io
import json
import re
import tokenize
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from aegen.cli import cli as aegen_command

ROOT = Path(__file__).resolve().parent.parent
WORDS = tomllib.loads((ROOT / "tests" / "forbidden_words.toml").read_text())["word"]
IGNORED = ("__pycache__", "build", "dist", "runs")
FOLDERS = sorted(
    path.name
    for path in ROOT.iterdir()
    if path.is_dir() and not path.name.startswith(".") and not path.name.endswith(".egg-info")
    if path.name not in IGNORED
)
CAPITALS = re.compile(r"_?[A-Z][A-Z0-9_]*$")
CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Phrase(NamedTuple):
    """A text to check, with its file and line. kind: "names", "texts" or "prose", as in forbidden_words.toml."""

    source: str
    line: int
    kind: str
    text: str


class Hit(NamedTuple):
    """A forbidden word, the file and line where it was found, and the word to use instead."""

    source: str
    line: int
    word: str
    replacement: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {self.word} -> {self.replacement}"


@pytest.mark.parametrize("folder", [".", *FOLDERS])
def test_no_file_uses_a_forbidden_word(folder):
    found = sorted({hit for phrase in phrases_of_folder(ROOT, folder) for hit in hits(phrase)})
    assert not found, "\n" + "\n".join(map(str, found))


def test_no_command_uses_a_forbidden_word_in_its_options_or_help():
    found = sorted({hit for phrase in phrases_of_command(aegen_command, "aegen") for hit in hits(phrase)})
    assert not found, "\n" + "\n".join(map(str, found))


@pytest.mark.parametrize("entry", WORDS, ids=lambda entry: entry["examples"][0])
def test_a_forbidden_word_is_found_with_its_line_and_replacement(entry):
    for example in entry["examples"]:
        for kind in entry["where"]:
            phrases = list(phrases_of_python("module.py", module_with(example, kind)))
            found = [hit for phrase in phrases for hit in hits(phrase)]
            assert ("module.py", 2, entry["replacement"]) in [(hit.source, hit.line, hit.replacement) for hit in found]


@pytest.mark.parametrize("example", sorted({phrase for entry in WORDS for phrase in entry["allowed"]}))
def test_an_allowed_phrase_is_accepted(example):
    folder, _, phrase = example.rpartition(": ")
    for kind in ("names", "texts", "prose"):
        phrases = phrases_of_python(f"{folder}module.py", module_with(phrase.strip("^$"), kind))
        assert [hit for phrase in phrases for hit in hits(phrase)] == []


def test_an_allowed_phrase_does_not_hide_the_same_word_elsewhere():
    found = list(hits(Phrase("module.py", 1, "texts", "The exit code is 2;\nthe code has 12 numbers.")))
    assert [(hit.line, hit.word) for hit in found] == [(2, "code")]


def test_words_are_found_in_every_kind_of_file(tmp_path):
    folder = tmp_path / "docs"
    (folder / "pictures").mkdir(parents=True)
    (folder / "page.md").write_text("# Title\n\nA knob and\na latent\naxis: `draw` it.\n")
    (folder / "manifest.json").write_text('{"data": [{"multiply_adds": 3, "kind": "a judge"}]}')
    (folder / "recipe.toml").write_text("[training]\nanchor = 1  # a verb\n")
    with zipfile.ZipFile(folder / "latents.npz", "w") as archive:
        archive.writestr("label_shares.npy", b"")
    (folder / "pictures" / "module.py").write_text("async def load(*, codes): ...\n")
    found = [(*hit[:2], hit.word) for phrase in phrases_of_folder(tmp_path, "docs") for hit in hits(phrase)]
    assert sorted(set(found)) == [
        ("docs/latents.npz", 1, "shares"),
        ("docs/manifest.json", 1, "judge"),
        ("docs/manifest.json", 1, "multiply adds"),
        ("docs/page.md", 3, "knob"),
        ("docs/page.md", 4, "latent axis"),
        ("docs/page.md", 5, "draw"),
        ("docs/pictures/module.py", 1, "codes"),
        ("docs/pictures/module.py", 1, "pictures"),
        ("docs/recipe.toml", 1, "anchor"),
        ("docs/recipe.toml", 2, "verb"),
    ]


def test_words_are_found_in_options_and_their_help():
    size = click.Option(["--size"], type=click.Choice(["picture"]), help="The spread.", metavar="LOT")
    group = click.Group(
        "aegen", commands=[click.Command("paint", params=[click.Option(["--knob"]), size], help="Told")]
    )
    found = [hit for phrase in phrases_of_command(group, "aegen") for hit in hits(phrase)]
    assert {hit.source for hit in found} == {"aegen paint --help"}
    assert {hit.word for hit in found} == {"knob", "picture", "spread", "lot", "told"}


@pytest.mark.parametrize(
    "code",
    [
        "def sample(knob): ...",
        "def knob(): ...",
        "async def f(*, knob=1): ...",
        "class BigKnob: ...",
        "knob: int = 1",
        "self.knob = 1",
        "for knob in (): ...",
        "import numpy as knob",
        "f = lambda knob: 1",
        "if (knob := 1): ...",
        "print({'knob': 1})",
        "raise ValueError(f'a {1} knob')",
        "def f():\n    'A knob.'",
        "f()  # a knob",
    ],
)
def test_words_are_found_everywhere_in_a_module(code):
    found = [hit for phrase in phrases_of_python("module.py", code) for hit in hits(phrase)]
    assert {hit.word for hit in found} == {"knob"}


def module_with(phrase: str, kind: str) -> str:
    """Make Python source code whose second line has the phrase as an identifier, string or comment, as `kind` says."""
    name = re.sub(r"\W+", "_", phrase)
    line = {
        "names": f"{name.lower()} = 1",
        "constants": f"{name.upper()} = 1",
        "texts": f"print({phrase!r})",
        "prose": f"f()  # {phrase}",
    }[kind]
    return f'"""A module."""\n{line}\n'


def hits(phrase: Phrase) -> Iterator[Hit]:
    """Yield a Hit for every forbidden word in a phrase, except those within an allowed phrase."""
    kinds = {phrase.kind}
    text = phrase.text
    if phrase.kind == "names":
        kinds |= {"constants"} if CAPITALS.match(text) else set()
        text = " ".join(CAMEL_CASE.sub(" ", text).split("_")).strip()
    text = text.lower()
    if not any_word().search(text):
        return
    for pattern, allowed, entry in patterns():
        if kinds.isdisjoint(entry["where"]):
            continue
        for match in pattern.finditer(text):
            if not any(
                phrase.source.startswith(folder) and _holds(context, text, match) for folder, context in allowed
            ):
                line = phrase.line + text.count("\n", 0, match.start())
                yield Hit(phrase.source, line, re.sub(r"[\s_-]+", " ", match.group()), entry["replacement"])


def _holds(context: re.Pattern[str], text: str, match: re.Match[str]) -> bool:
    """Whether a forbidden word found in `text` lies within an allowed phrase. context: pattern of that phrase."""
    return any(found.start() <= match.start() and match.end() <= found.end() for found in context.finditer(text))


@cache
def patterns() -> list[tuple[re.Pattern[str], list[tuple[str, re.Pattern[str]]], dict]]:
    """Compile each entry of forbidden_words.toml to (pattern, [(folder, pattern of an allowed phrase)], entry)."""
    compiled = []
    for entry in WORDS:
        allowed = [phrase.rpartition(": ") for phrase in entry["allowed"]]
        contexts = [(folder, _words(phrase)) for folder, _, phrase in allowed]
        compiled.append((_words(entry["pattern"]), contexts, entry))
    return compiled


@cache
def any_word() -> re.Pattern[str]:
    """Compile one pattern that matches any forbidden word. Most phrases hold none, so this one search is enough."""
    return _words("|".join(f"(?:{entry['pattern']})" for entry in WORDS))


def _words(pattern: str) -> re.Pattern[str]:
    """Compile a pattern so that it matches only whole words, and a space in it also matches _, - or a line break."""
    spaced = pattern.replace(" ", r"[\s_-]+")
    return re.compile(rf"(?<![a-z0-9])(?:{spaced})(?![a-z0-9])")


def phrases_of_folder(root: Path, folder: str) -> Iterator[Phrase]:
    """Yield the phrases in all files below a folder and in their names. "." means only the files in the root."""
    for path in sorted((root / folder).iterdir() if folder == "." else (root / folder).rglob("*")):
        source = path.relative_to(root).as_posix()
        if path.name == "forbidden_words.toml" or not path.is_file() or not {*IGNORED}.isdisjoint(path.parts):
            continue
        for part in Path(source).with_suffix("").parts:
            yield Phrase(source, 1, "names", re.sub(r"\W", "_", part))
        if path.suffix == ".py":
            yield from phrases_of_python(source, path.read_text())
        elif path.suffix == ".md":
            yield from phrases_of_markdown(source, path.read_text())
        elif path.suffix == ".json":
            yield from phrases_of_values(source, json.loads(path.read_text()))
        elif path.suffix == ".toml":
            yield from phrases_of_values(source, tomllib.loads(path.read_text()))
            for number, line in enumerate(path.read_text().splitlines(), start=1):
                yield Phrase(source, number, "prose", line.partition("# ")[2])
        elif path.suffix == ".npz":
            for name in zipfile.ZipFile(path).namelist():
                yield Phrase(source, 1, "names", re.sub(r"\W", "_", name))


def phrases_of_python(source: str, code: str) -> Iterator[Phrase]:
    """Yield a module's phrases: identifiers that it defines, docstrings, comments, and strings except in tests."""
    of_tests = source.startswith("tests/")
    nodes = list(ast.walk(ast.parse(code)))
    docstrings = {node.value for node in nodes if isinstance(node, ast.Expr)}
    parts = {part for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        line = getattr(node, "lineno", 1)
        for name in _defined_names(node):
            if name.startswith("__"):  # Python's own names, such as __enter__, are not checked
                continue
            yield Phrase(source, line, "prose" if name.startswith("test_") else "names", name)
        if isinstance(node, ast.JoinedStr):
            pieces = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            text = "".join(pieces)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            text = node.value
        else:
            continue
        if node in docstrings:
            yield Phrase(source, line, "prose", text)
        elif not of_tests:
            yield Phrase(source, line, "texts", text)
            if text.isidentifier():
                yield Phrase(source, line, "names", text)
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            yield Phrase(source, token.start[0], "prose", token.string.lstrip("# "))


def _defined_names(node: ast.AST) -> list[str]:
    """List the identifiers that a syntax node defines, but not those that it only uses, which may be a library's."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
            return [name]
        case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
            return [name]
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return [name]
    return []


def phrases_of_markdown(source: str, text: str) -> Iterator[Phrase]:
    """Yield the text of a Markdown page, and the identifiers in its code blocks, except in their comments.

    Blocks of `text` and `console` hold sentences, such as help texts and messages, and no identifiers.
    """
    yield Phrase(source, 1, "texts", text)
    text = re.sub(r"```(text|console)\n.*?```", lambda match: "\n" * match.group().count("\n"), text, flags=re.DOTALL)
    for match in re.finditer(r"```.*?```|`[^`]+`", text, re.DOTALL):
        line = 1 + text.count("\n", 0, match.start())
        for offset, code in enumerate(match.group().splitlines()):
            for name in re.findall(r"[A-Za-z_]\w*", code.partition(" #")[0]):
                yield Phrase(source, line + offset, "names", name)


def phrases_of_values(source: str, value: object) -> Iterator[Phrase]:
    """Yield the keys and strings in the decoded content of a JSON or TOML file."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield Phrase(source, 1, "names", re.sub(r"\W", "_", key))
            yield from phrases_of_values(source, item)
    elif isinstance(value, list):
        for item in value:
            yield from phrases_of_values(source, item)
    elif isinstance(value, str):
        yield Phrase(source, 1, "texts", value)


def phrases_of_command(command: click.Command, path: str) -> Iterator[Phrase]:
    """Yield the options and help texts of a command and, if it is a group, of all commands in it."""
    source = f"{path} --help"
    context = click.Context(command)
    for text in (command.help, command.short_help, command.epilog):
        yield Phrase(source, 1, "texts", text or "")
    for parameter in command.get_params(context):
        for name in (parameter.name, *parameter.opts, *parameter.secondary_opts):
            yield Phrase(source, 1, "names", (name or "").strip("-").replace("-", "_"))
        record = parameter.get_help_record(context) or ()
        choices = getattr(parameter.type, "choices", ())
        for text in (parameter.make_metavar(context), *record, *choices):
            yield Phrase(source, 1, "texts", text)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from phrases_of_command(child, f"{path} {name}")
