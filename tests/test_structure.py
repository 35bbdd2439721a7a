"""The structure of the repository: imports go one way, files and functions are short, private names stay private."""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Folders of the package that each folder may import. The modules at the top of the package are not checked.
ALLOWED_IMPORTS = {
    "runtime": set(),
    "files": {"runtime"},
    "recipes": {"runtime", "files"},
    "images": {"runtime", "files"},
    "evaluation": {"runtime", "files", "images", "recipes"},
    "data": {"runtime", "files", "images", "evaluation"},
    "search": {"runtime", "files"},
    "plots": {"runtime", "files", "images", "evaluation", "data", "recipes"},
    "report": {"runtime", "files", "images", "evaluation", "data", "recipes", "plots"},
    "train": {"runtime", "files", "images", "evaluation", "data", "recipes"},
    "export": {"runtime", "files", "images", "evaluation", "data", "train", "recipes"},
    "cli": {
        *("runtime", "files", "images", "evaluation", "data", "train", "export", "recipes"),
        *("search", "plots", "report"),
    },
}
NOT_INSTALLED = {"", "tests", "benchmarks", "examples", "findings", "docs"}
LIBRARY = [folder for folder in ALLOWED_IMPORTS if folder != "cli"]
HEAVY = {"numpy", "onnxruntime", "PIL", "torch", "onnx", "onnxscript", "sklearn", "pooch", "tqdm", "matplotlib"}
PRIVATE_IN_LIBRARIES = {  # private names of other packages that may be used, because no public name exists
    "_exit",  # os._exit is a documented function, which ends a process at once
    "_thread",  # a documented module of Python
    "_mmap",  # attribute of numpy.memmap: its mmap object, whose method madvise is needed
    "_foreach_lerp_",  # torch._foreach_lerp_, which torch's own AveragedModel uses too
    "_repr_html_",  # notebooks call these two methods to display an object
    "_repr_png_",
    "_didModify",  # attribute of ZipFile: if it is set, closing writes the changed list of members
}
MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS_FOR_ONE_CALLER = 5


class Module(NamedTuple):
    """A Python file: its path relative to the repository's root, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def folder(self) -> str:
        return self.path.partition("/")[0] if "/" in self.path else ""


class Finding(NamedTuple):
    """A violation of a rule: the file, the line, and what is wrong."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def imports_go_one_way(module: Module) -> Iterator[Finding]:
    """A folder imports only itself and the folders that ALLOWED_IMPORTS lists for it, so that no import is circular."""
    # A __main__.py may import every folder: no module imports it, so it cannot make an import circular.
    if module.folder not in ALLOWED_IMPORTS or module.path.endswith("__main__.py"):
        return
    for line, folder in own_imports(module):
        if folder not in ALLOWED_IMPORTS[module.folder] | {module.folder}:
            yield Finding(module.path, line, f"{module.folder} imports {folder}")


def runtime_needs_numpy_and_onnxruntime_alone(module: Module) -> Iterator[Finding]:
    """The folder runtime imports no installed packages but numpy and onnxruntime, so using a model needs no others."""
    if module.folder == "runtime":
        for node in ast.walk(module.tree):
            for name in imported_libraries(node) & (HEAVY - {"numpy", "onnxruntime"} | {"click"}):
                yield Finding(module.path, node.lineno, f"runtime imports {name}")


def commands_import_late(module: Module) -> Iterator[Finding]:
    """Modules in the folder cli import heavy packages, train and export only inside functions, to start fast."""
    if module.folder != "cli":
        return
    for node in executed_on_import(module.tree):
        for name in imported_libraries(node) & HEAVY:
            yield Finding(module.path, node.lineno, f"imports {name} at the top of a command")
        for name in {*imported_folders(module, node)} & {"train", "export"}:
            yield Finding(module.path, node.lineno, f"imports {name} at the top of a command")


def library_texts_name_no_flags(module: Module) -> Iterator[Finding]:
    """No string outside the folder cli mentions a command-line option, because the library is also used from Python.

    An option is allowed within a whole command that is in backticks or on its own line. Strings without a space are not
    checked, because the commands that the library records are assembled from such strings.
    """
    if module.folder in LIBRARY:
        for line, text in texts(module):
            outside = re.sub(
                r"`(aegen|pip|python|torchrun) [^`]*`|^ *(aegen|torchrun) .*$", "", text, flags=re.MULTILINE
            )
            if " " in text and (flag := re.search(r"(?<![\w-])--[a-z][\w-]*", outside)):
                yield Finding(module.path, line, f"a text of the library names {flag.group()}")


def functions_are_short(module: Module) -> Iterator[Finding]:
    """No function has more than MAX_FUNCTION_LINES lines, including its docstring."""
    for node in functions(module):
        lines = node.end_lineno - node.lineno + 1
        if lines > MAX_FUNCTION_LINES:
            yield Finding(module.path, node.lineno, f"{node.name} has {lines} lines, over {MAX_FUNCTION_LINES}")


def functions_are_not_cut_in_two(module: Module) -> Iterator[Finding]:
    """No private function with a single caller has more than MAX_PARAMETERS_FOR_ONE_CALLER parameters.

    Such a function is usually the second half of a function that was too long and was cut at an arbitrary line: it has
    many parameters because it needs the local variables of the first half.
    """
    uses = Counter(node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name))
    uses += Counter(node.attr for node in ast.walk(module.tree) if isinstance(node, ast.Attribute))
    for node in functions(module):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        names = [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]
        count = len(names) + bool(node.args.vararg) + bool(node.args.kwarg)
        private = node.name.startswith("_") and not node.name.startswith("__")
        if private and uses[node.name] == 1 and count > MAX_PARAMETERS_FOR_ONE_CALLER:
            yield Finding(module.path, node.lineno, f"{node.name} has one caller and {count} parameters")


def files_are_short(module: Module) -> Iterator[Finding]:
    """No file has more than MAX_FILE_LINES lines."""
    lines = module.text.count("\n")
    if lines > MAX_FILE_LINES:
        yield Finding(module.path, lines, f"has {lines} lines, over {MAX_FILE_LINES}")


def names_say_what_things_are(module: Module) -> Iterator[Finding]:
    """No module is called utils, and no class Base... or ...Manager: such names do not say what the thing does."""
    if Path(module.path).stem in ("util", "utils", "helpers", "common", "misc"):
        yield Finding(module.path, 1, "a module has one subject, and its name says which")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef) and re.search(r"^_?Base[A-Z_]|^_?Base$|Manager$", node.name):
            yield Finding(module.path, node.lineno, f"class {node.name}: its name does not say what it is")


def private_names_stay_in_their_module(module: Module) -> Iterator[Finding]:
    """A name that begins with an underscore is used only in the module that defines it.

    Uses are found in imports, in attributes and in the strings given to getattr, setattr and delattr.
    """
    own = {*defined_names(module)}
    for node in ast.walk(module.tree):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names if is_private(alias.name)]
            names += [part for part in (node.module or "").split(".") if is_private(part)]
        elif isinstance(node, ast.Import):
            names = [part for alias in node.names for part in alias.name.split(".") if is_private(part)]
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            of_itself = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            names = [] if of_itself or node.attr in own else [node.attr]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("setattr", "getattr", "delattr")):
            texts = [item.value for item in node.args if isinstance(item, ast.Constant) and isinstance(item.value, str)]
            names = [part for text in texts for part in text.split(".") if is_private(part) and part not in own]
        for name in {*names} - PRIVATE_IN_LIBRARIES:
            yield Finding(module.path, node.lineno, f"uses {name}, a private name of another module")


PRODUCT_RULES = [
    imports_go_one_way,
    runtime_needs_numpy_and_onnxruntime_alone,
    commands_import_late,
    library_texts_name_no_flags,
    functions_are_short,
    functions_are_not_cut_in_two,
    files_are_short,
    names_say_what_things_are,
]
RULES_EVERYWHERE = [private_names_stay_in_their_module]
Rule = Callable[[Module], Iterator[Finding]]


def findings(rule: Rule, root: Path = ROOT) -> list[Finding]:
    """List the violations of a rule. Files in the folder tests are only checked for the rules in RULES_EVERYWHERE."""
    return [
        finding
        for module in modules(root)
        if rule in RULES_EVERYWHERE or module.folder != "tests"
        for finding in rule(module)
    ]


@cache
def modules(root: Path) -> list[Module]:
    """Read every Python file below a folder, except in hidden folders and in folders called build, dist or runs."""
    found = []
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if not any(part.startswith(".") or part in ("build", "dist", "runs") for part in relative.parts):
            text = path.read_text()
            found.append(Module(relative.as_posix(), text, ast.parse(text)))
    return found


def texts(module: Module) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of every string except docstrings. In f-strings, {} stands for each inserted value."""
    nodes = [*ast.walk(module.tree)]
    skipped: set[ast.AST] = {node.value for node in nodes if isinstance(node, ast.Expr)}
    skipped |= {part for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in skipped:
            yield node.lineno, node.value


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function and method of a module."""
    yield from (node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def is_private(name: str) -> bool:
    """Whether a name begins with exactly one underscore and a letter."""
    return re.match(r"_[A-Za-z]", name) is not None


def defined_names(module: Module) -> Iterator[str]:
    """Yield the names of all functions, classes, variables and attributes of self that a module defines."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield from [node.attr] * (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))


def executed_on_import(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the syntax nodes that run when a module is imported: all but those in functions and `if TYPE_CHECKING:`."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def own_imports(module: Module) -> Iterator[tuple[int, str]]:
    """Yield (line, folder) for every import of a module from a folder of this package."""
    for node in ast.walk(module.tree):
        for folder in imported_folders(module, node):
            yield node.lineno, folder


def imported_folders(module: Module, node: ast.AST) -> Iterator[str]:
    """Yield the folders of this package that a syntax node imports: an import, or a string that names a module."""
    package = module.path.split("/")[:-1]
    names = []
    if isinstance(node, ast.ImportFrom):
        base = ["aegen", *package][: len(package) + 2 - node.level] if node.level else []
        start = [*base, *(node.module.split(".") if node.module else [])]
        names = [".".join([*start, alias.name]) for alias in node.names]
    elif isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        names = [node.value] if re.fullmatch(r"aegen(\.\w+)+", node.value) else []
    yield from (name.split(".")[1] for name in names if name.startswith("aegen."))


def imported_libraries(node: ast.AST) -> set[str]:
    """Return the top-level packages that a syntax node imports, if it is an absolute import statement."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and not node.level and node.module:
        return {node.module.partition(".")[0]}
    return set()


@pytest.mark.parametrize("rule", [*PRODUCT_RULES, *RULES_EVERYWHERE], ids=lambda rule: rule.__name__)
def test_the_repository_keeps_the_rule(rule):
    found = findings(rule)
    assert not found, "\n" + "\n".join(map(str, found))


def test_every_folder_of_the_package_has_a_rule_for_its_imports():
    package = {module.folder for module in modules(ROOT)} - NOT_INSTALLED
    assert package == {*ALLOWED_IMPORTS}


def test_the_allowed_imports_have_no_cycle():
    TopologicalSorter(ALLOWED_IMPORTS).prepare()  # raises CycleError if there is a cycle


def test_tests_are_no_package():
    assert not list((ROOT / "tests").rglob("__init__.py"))


BREACHES = [
    (imports_go_one_way, "runtime/x.py", "import aegen.train"),
    (imports_go_one_way, "runtime/x.py", "from .. import cli"),
    (imports_go_one_way, "runtime/graphs/x.py", "from ...images import grid"),
    (imports_go_one_way, "images/x.py", "from ..evaluation.metrics import Metric"),
    (imports_go_one_way, "data/x.py", "def f():\n    from aegen import recipes"),
    (imports_go_one_way, "train/x.py", "import_module('aegen.export.artifact')"),
    (runtime_needs_numpy_and_onnxruntime_alone, "runtime/x.py", "def f():\n    from PIL import Image"),
    (runtime_needs_numpy_and_onnxruntime_alone, "runtime/x.py", "import click"),
    (commands_import_late, "cli/x.py", "import numpy as np"),
    (commands_import_late, "cli/x.py", "try:\n    from torch.nn import Linear\nexcept ImportError: pass"),
    (commands_import_late, "cli/x.py", "from ..train.loop import train"),
    (library_texts_name_no_flags, "data/x.py", "Error('x', remedy='Give --data.')"),
    (library_texts_name_no_flags, "data/x.py", "Error('x', remedy=f'{1} with `--data`.')"),
    (functions_are_short, "data/x.py", "def f():\n" + "    x = 1\n" * 60),
    (functions_are_not_cut_in_two, "data/x.py", "_f(1)\ndef _f(a, b, c, *, d, e, f): ..."),
    (
        functions_are_not_cut_in_two,
        "data/x.py",
        "class A:\n def g(self): self._f()\n def _f(self, a, b, c, d, e, *f): ...",
    ),
    (files_are_short, "data/x.py", "x = 1\n" * 351),
    (names_say_what_things_are, "data/utils.py", ""),
    (names_say_what_things_are, "data/x.py", "class BaseModel: ..."),
    (names_say_what_things_are, "data/x.py", "class RunManager: ..."),
    (private_names_stay_in_their_module, "tests/x.py", "from aegen.runtime.session import _open"),
    (private_names_stay_in_their_module, "tests/x.py", "model._priors.read()"),
    (private_names_stay_in_their_module, "benchmarks/x.py", "monkeypatch.setattr(session, '_open', None)"),
    (private_names_stay_in_their_module, "data/x.py", "from .labels import _read"),
]
ACCEPTED = [
    (imports_go_one_way, "export/x.py", "from ..train import loop\nfrom ..runtime.errors import InputError"),
    (imports_go_one_way, "runtime/graphs/x.py", "from ..errors import InputError\nfrom .check import check_graph"),
    (imports_go_one_way, "train/__main__.py", "from ..cli import main"),
    (commands_import_late, "cli/x.py", "def f():\n    import numpy as np\n    from ..train import loop"),
    (commands_import_late, "cli/x.py", "if TYPE_CHECKING:\n    import numpy as np"),
    (library_texts_name_no_flags, "data/x.py", "Error('x', remedy='Run `aegen train --data mnist`.')"),
    (library_texts_name_no_flags, "data/x.py", "Error('x', remedy=f'Run `aegen info {1} --json`.')"),
    (library_texts_name_no_flags, "export/x.py", "command = ['aegen', '--data', 'x']"),
    (library_texts_name_no_flags, "cli/x.py", "Error('x', remedy='Give --data.')"),
    (functions_are_short, "data/x.py", "def f():\n" + "    x = 1\n" * 59),
    (functions_are_not_cut_in_two, "data/x.py", "_f(1)\n_f(2)\ndef _f(a, b, c, *, d, e, f): ..."),
    (functions_are_not_cut_in_two, "data/x.py", "_f(1)\ndef _f(a, b, c, *, d, e): ..."),
    (files_are_short, "data/x.py", "x = 1\n" * 350),
    (names_say_what_things_are, "data/x.py", "class Basement: ..."),
    (private_names_stay_in_their_module, "data/x.py", "class A:\n def f(self, o): self._a = o._a; os._exit(1)"),
    (private_names_stay_in_their_module, "data/x.py", "def _f(): ...\n_f()"),
]


@pytest.mark.parametrize(("rule", "path", "code"), BREACHES, ids=lambda value: getattr(value, "__name__", None))
def test_a_breach_is_found_with_its_line(rule, path, code, tmp_path):
    found = written_and_checked(rule, path, code, tmp_path)
    assert len(found) == 1
    assert found[0].path == path
    assert str(found[0]).startswith(f"{path}:{found[0].line}: ")


@pytest.mark.parametrize(("rule", "path", "code"), ACCEPTED, ids=lambda value: getattr(value, "__name__", None))
def test_what_the_rule_allows_is_accepted(rule, path, code, tmp_path):
    assert written_and_checked(rule, path, code, tmp_path) == []


def written_and_checked(rule: Rule, path: str, code: str, root: Path) -> list[Finding]:
    """Write one Python file into an empty folder, and return the violations of a rule that are found there."""
    file = root / path
    file.parent.mkdir(parents=True)
    file.write_text(code)
    return findings(rule, root)
