"""make mutants: changes the deciding modules in one small place at a time, and looks whether a test notices.

    python -m tools.mutants --modules "streams events"

The changes are mutmut's operators, and four of our own: a call or a raise left out, None returned, a condition negated.
mutmut's own runner leaves out what stands outside of functions (the thresholds), properties and whatever else has a
decorator, can't be told which strings are texts for people, and starts a pytest session for each mutant: two seconds
each, more than two hours for these modules. Here one session collects the tests and is forked for each mutant. The
child exchanges the code of one function, or a constant, and runs the tests that reach the changed lines until one
fails: those that killed its neighbours first, and those of the module before all others. What is neither (a default,
a field of a class) is mutated before it is imported, in a session of its own.

The tests are those of the handlers on the fast fake of AWS (WORLD=fast; tests/fake_aws.py). What survives them meets
generated histories (tests/histories) with a fixed seed. What survives these too must be in tests/mutants/survivors.toml
with a reason, or counts against its module. Ends with status 1 where fewer than 90 % of a module's mutants were killed,
those in that list set aside.

Not mutated: texts for people (strings with a space, what an exception says), logging, metrics, annotations, imports,
decorators.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import gc
import importlib
import importlib.machinery
import json
import os
import platform
import selectors
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NoReturn

import libcst as cst
import pytest
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
TESTS = ("tests/lambdas",)
#: What decides, and the tests that each mutant of it meets first. The only list of them.
MODULES = {
    "lambdas/aws/multipart.py": "tests/lambdas/test_multipart.py",
    "lambdas/model/events.py": "tests/lambdas/test_events.py",
    "lambdas/model/routing.py": "tests/lambdas/test_choosing.py",
    "lambdas/aws/upload_choice.py": "tests/lambdas/test_choosing.py",
    "lambdas/model/blocking.py": "tests/lambdas/test_scopes.py",
    "lambdas/model/shares.py": "tests/lambdas/test_shares.py",
    "lambdas/model/budget.py": "tests/lambdas/test_budget.py",
    "lambdas/aws/videos.py": "tests/lambdas/test_videos.py",
    "lambdas/aws/queue.py": "tests/lambdas/test_queue.py",
    "lambdas/aws/event_bus.py": "tests/lambdas/test_outcome.py",
    "lambdas/aws/rekognition.py": "tests/lambdas/test_rekognition.py",
    "lambdas/model/page.py": "tests/lambdas/test_rekognition.py",
    "lambdas/model/job.py": "tests/lambdas/test_job.py",
    "lambdas/aws/dynamodb.py": "tests/lambdas/test_job_table.py",
    "lambdas/aws/job_table.py": "tests/lambdas/test_job_table.py",
    "lambdas/aws/scheduler_record.py": "tests/lambdas/test_job_table.py",
    "lambdas/logic/faults.py": "tests/lambdas/test_faults.py",
    "lambdas/logic/polling.py": "tests/lambdas/test_polling.py",
    "lambdas/logic/enqueue.py": "tests/lambdas/test_enqueue.py",
    "lambdas/logic/dispatch.py": "tests/lambdas/test_scheduler.py",
    "lambdas/logic/scheduler.py": "tests/lambdas/test_scheduler.py",
    "lambdas/logic/results.py": "tests/lambdas/test_results.py",
    "lambdas/logic/collector.py": "tests/lambdas/test_collector.py",
}
LEFT_OUT = (
    "tests/lambdas/test_least_boto3.py",  # starts other interpreters
    # needs moto's storage classes
    "tests/lambdas/test_blocking.py::TestTroubleOfSomeObjects::test_an_archived_object_is_rejected_before_its_start",
)
SURVIVORS = ROOT / "tests/mutants/survivors.toml"
RESULTS = ROOT / "tests/mutants/results.json"
BAR = 0.9  # of a module's mutants that are not listed
HISTORIES = 100
SECONDS = 60.0  # of tests that a mutant meets; all of them take less

# What is printed or counted, and not decided.
TELEMETRY = {"logger", "count"}
TEXTS = {"str", "repr", "_text"}  # calls whose value, as an argument of an exception, is a text for people
AS_IT_IS = {"len", "isinstance", "cast"}


# mutants


@dataclass(frozen=True, slots=True)
class Mutant:
    """One small change of one module.

    Attributes:
        module: path of it, from the root.
        function: qualified name of the function, or of the class; "" for the module itself.
        before: the changed lines as they are.
        after: the same as they become.
        lines: first and last line of what is changed.
        around: first and last line of the function.
        swappable: whether it is inside of a function, or a module's constant: then that can be exchanged.
        source: the whole module as it becomes.
    """

    module: str
    function: str
    before: str
    after: str
    lines: tuple[int, int]
    around: tuple[int, int]
    swappable: bool
    source: str = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        return Path(self.module).stem

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What survivors.toml knows it by: no line numbers, which change with every edit."""
        return self.name, self.function, self.before, self.after


def _own_operators(node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
    """What mutmut doesn't do: nodes, and what to write in their place."""
    if isinstance(node, cst.Expr) and isinstance(node.value, cst.Call):
        yield node, cst.Pass()
    if isinstance(node, cst.Return) and node.value and not _named(node.value, "None"):
        yield node, cst.Return(cst.Name("None"))
    if isinstance(node, cst.If | cst.While | cst.IfExp):
        test = node.test
        if not isinstance(test, cst.Comparison | cst.BooleanOperation | cst.UnaryOperation):
            yield (
                test,
                cst.UnaryOperation(cst.Not(), test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])),
            )


def _operators(node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            changed = list(operator(node))
            # Of a string one change is enough: mutmut also writes it in small letters and in capitals.
            for mutated in changed[:1] if isinstance(node, cst.SimpleString) else changed:
                if not (isinstance(node, cst.Call) and (_text_changed(node, mutated) or _twice(node, mutated))):
                    yield node, mutated
    yield from _own_operators(node)


def _named(node: cst.CSTNode, *names: str) -> bool:
    return isinstance(node, cst.Name) and node.value in names


def _root(node: cst.CSTNode) -> cst.CSTNode:
    while isinstance(node, cst.Attribute):
        node = node.value
    return node


def _for_people(node: cst.CSTNode) -> bool:
    """Whether it is a text for people: a string with a space."""
    if isinstance(node, cst.SimpleString):
        return " " in node.value
    if isinstance(node, cst.FormattedString):
        return any(isinstance(part, cst.FormattedStringText) and " " in part.value for part in node.parts)
    if isinstance(node, cst.ConcatenatedString):
        return _for_people(node.left) or _for_people(node.right)
    return isinstance(node, cst.Call) and _named(node.func, *TEXTS)


def _text_changed(call: cst.Call, mutated: cst.CSTNode) -> bool:
    """Whether a call lost no more than a text for people."""
    kept = {id(argument.value) for argument in mutated.args} if isinstance(mutated, cst.Call) else set()
    lost = [argument.value for argument in call.args if id(argument.value) not in kept]
    return any(_for_people(value) for value in lost)


def _twice(call: cst.Call, mutated: cst.CSTNode) -> bool:
    """Whether an argument by name is given as None: it is also left out, which is enough."""
    if not isinstance(mutated, cst.Call) or len(call.args) != len(mutated.args) or len(call.args) == 1:
        return False
    return any(a.keyword and a.value is not b.value for a, b in zip(call.args, mutated.args, strict=True))


def _left_alone(node: cst.CSTNode) -> bool:
    """Whether neither this nor anything in it is mutated."""
    match node:
        case cst.Raise(exc=cst.Call(args=[_])):  # its one argument is what it says
            return True
        case cst.Annotation() | cst.Decorator() | cst.Import() | cst.ImportFrom() | cst.TypeAlias():
            return True
        case cst.If(test=cst.Name(value="TYPE_CHECKING")):
            return True
        case cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString()):  # a docstring
            return True
        case cst.Expr(value=cst.Call(func=called)) | cst.Call(func=called) if _named(_root(called), *TELEMETRY):
            return True
        case cst.Call(func=called) if _named(called, *AS_IT_IS):
            return True
        case cst.SimpleString() | cst.FormattedString() | cst.ConcatenatedString():
            return _for_people(node)
    return False


class _Mutations(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, module: str, source: str, tree: cst.Module) -> None:
        super().__init__()
        self.mutants: list[Mutant] = []
        self._module = module
        self._source = source
        self._lines = source.splitlines(keepends=True)
        self._tree = tree
        self._seen: set[str] = set()
        self._path: list[cst.FunctionDef | cst.ClassDef] = []
        self._statements: list[cst.CSTNode] = []
        self._params = 0  # inside the parameters of a function that is itself outermost

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Raise):
            self._add(node, cst.Pass())
        if _left_alone(node) or (isinstance(node, cst.Assign) and not self._path and _is_type(node.value)):
            return False
        for original, mutated in _operators(node):
            self._add(original, mutated)
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self._path.append(node)
        if isinstance(node, cst.Parameters) and len(self._functions) == 1:
            self._params += 1
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if self._path and self._path[-1] is original_node:
            self._path.pop()
        if isinstance(original_node, cst.Parameters) and len(self._functions) == 1:
            self._params -= 1

    @property
    def _functions(self) -> list[cst.FunctionDef]:
        return [node for node in self._path if isinstance(node, cst.FunctionDef)]

    def _span(self, node: cst.CSTNode) -> tuple[int, int, int, int]:
        span: Any = self.get_metadata(PositionProvider, node)
        return span.start.line, span.start.column, span.end.line, span.end.column

    def _add(self, node: cst.CSTNode, mutated: cst.CSTNode) -> None:
        path = list(self._path)
        # Down to the outermost function: what is in it is part of its code.
        outer = next((n for n, it in enumerate(path) if isinstance(it, cst.FunctionDef)), None)
        names = [it.name.value for it in (path if outer is None else path[: outer + 1])]
        first, left, last, right = self._span(node)
        top, _, bottom, _ = self._span(path[outer]) if outer is not None else (1, 0, len(self._lines), 0)
        lines = self._lines
        head = "".join(lines[top - 1 : first - 1]) + lines[first - 1][:left]
        tail = lines[last - 1][right:] + "".join(lines[last:bottom])
        code = head + self._tree.code_for_node(mutated) + tail
        as_it_is = "".join(lines[top - 1 : bottom])
        if (meaning := _meaning(code)) is None or meaning in self._seen or meaning == _meaning(as_it_is):
            return
        self._seen.add(meaning)
        source = "".join(lines[: top - 1]) + code + "".join(lines[bottom:])
        if outer is None:
            top, bottom = first, last
        before, after = _difference(self._source, source)
        swappable = not self._params if outer is not None else not self._path
        self.mutants.append(
            Mutant(self._module, ".".join(names), before, after, (first, last), (top, bottom), swappable, source)
        )


def _meaning(code: str) -> str | None:
    """A function, or a module, without its looks; None if it can't be compiled."""
    try:
        return ast.dump(ast.parse(f"if True:\n{code}" if code.startswith(" ") else code))
    except SyntaxError:
        return None


def _is_type(value: cst.CSTNode) -> bool:
    return isinstance(value, cst.Subscript) and _named(value.value, "Callable", "Mapping", "Sequence", "Literal")


def _difference(one: str, other: str) -> tuple[str, str]:
    """The lines that differ, of each."""
    lines, others = one.splitlines(), other.splitlines()
    before: list[str] = []
    after: list[str] = []
    for _, a, b, c, d in (it for it in _opcodes(lines, others) if it[0] != "equal"):
        before += [line.strip() for line in lines[a:b]]
        after += [line.strip() for line in others[c:d]]
    return " ".join(before), " ".join(after)


def _opcodes(one: Sequence[str], other: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest = min(len(one), len(other)) - same
    end = next((n for n in range(rest) if one[-1 - n] != other[-1 - n]), rest)
    matcher = difflib.SequenceMatcher(None, one[same : len(one) - end], other[same : len(other) - end], autojunk=False)
    return [(tag, a + same, b + same, c + same, d + same) for tag, a, b, c, d in matcher.get_opcodes()]


def mutants_of(module: str, source: str) -> list[Mutant]:
    """All mutants of a module. Two that mean the same are one.

    Args:
        module: path of it, from the root.
        source: its text.
    """
    wrapper = MetadataWrapper(cst.parse_module(source))
    visitor = _Mutations(module, source, wrapper.module)
    wrapper.visit(visitor)
    return visitor.mutants


@cache
def names_used_at_import(folder: Path = ROOT / "lambdas") -> frozenset[str]:
    """Names that are read outside of functions: as a default, say, or in another constant."""

    def outside(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        inner: Iterable[ast.AST] = ast.iter_child_nodes(node)
        if isinstance(node, ast.FunctionDef):
            inner = (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults))
        for child in inner:
            yield from outside(child)

    return frozenset(name for file in folder.rglob("*.py") for name in outside(ast.parse(file.read_text())))


def _swap_constant(mutant: Mutant) -> bool:
    """Bind the name of a constant anew, wherever it was imported. False if more than that depends on it."""
    module = sys.modules[_dotted(mutant.module)]
    for statement in ast.parse(mutant.source).body:
        if not statement.lineno <= mutant.lines[0] <= (statement.end_lineno or 0):
            continue
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=value)
            ):
                if value is None or name in names_used_at_import():
                    return False
                old = module.__dict__[name]
                new = eval(compile(ast.Expression(value), mutant.module, "eval"), module.__dict__)  # noqa: S307
                for other in list(sys.modules.values()):
                    if other.__name__.startswith(("lambdas", "tests")) and other.__dict__.get(name, _NOTHING) == old:
                        setattr(other, name, new)
                return True
    return False


_NOTHING = object()


def _dotted(module: str) -> str:
    return module.removesuffix(".py").replace("/", ".")


def functions_of(thing: Any, module: str = "") -> Iterator[FunctionType]:
    """The functions and methods that stand in a module, whatever decorates them."""
    module = module or thing.__name__
    for it in list(vars(thing).values()):
        if isinstance(it, type) and it.__module__ == module:
            yield from functions_of(it, module)
        elif (function := _undecorated(it)) and function.__module__ == module:
            yield function


def _undecorated(thing: Any) -> FunctionType | None:
    while True:
        inner = next(filter(None, (getattr(thing, name, None) for name in ("fget", "__func__", "__wrapped__"))), None)
        if inner is None:
            return thing if isinstance(thing, FunctionType) else None
        thing = inner


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for it in code.co_consts:
        if isinstance(it, CodeType):
            yield from _with_inner(it)


def swap(mutant: Mutant) -> bool:
    """Give the function, as it is imported, the mutant's code. False if that can't be done."""
    if not mutant.function:
        return _swap_constant(mutant)
    module = sys.modules[_dotted(mutant.module)]
    thing: Any = module
    for name in mutant.function.split("."):
        thing = thing.__dict__[name]
    function = _undecorated(thing)
    if function is None:
        return False
    code = compile(mutant.source, function.__code__.co_filename, "exec", dont_inherit=True)
    for name in mutant.function.split("."):
        code = next(it for it in code.co_consts if isinstance(it, CodeType) and it.co_name == name)
    if code.co_freevars != function.__code__.co_freevars:
        return False
    function.__code__ = code
    return True


# running


@dataclass
class Outcome:
    """What became of a mutant: `killed_by` names a test, "histories" or "time"; None: it survived."""

    mutant: Mutant
    killed_by: str | None


@dataclass
class Baseline:
    """How the tests run on the code as it is.

    Attributes:
        reach: for each module and line, the tests that run it.
        seconds: of computing that each test takes.
        files: where each test stands.
        failing: tests that fail.
    """

    reach: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    seconds: dict[str, float] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    failing: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """As JSON."""
        reach = [[module, line, sorted(tests)] for (module, line), tests in self.reach.items()]
        return {"reach": reach, "seconds": self.seconds, "files": self.files, "failing": self.failing}

    def hear(self, told: Mapping[str, Any]) -> None:
        """The opposite of ``told``."""
        self.seconds.update(told["seconds"])
        self.files.update(told["files"])
        for module, line, tests in told["reach"]:
            self.reach[module, line].update(tests)

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests that may notice `mutant`, the quickest first."""
        reached = self._reaching(mutant, *mutant.lines)
        if mutant.swappable and mutant.function:
            return self._quickest(reached or self._reaching(mutant, *mutant.around))
        # What is computed at import has no line that a test runs: first what runs others of the module, and then what
        # stands beside that.
        module = set().union(*(tests for (path, _), tests in self.reach.items() if path == mutant.module))
        module = module or set(self.seconds)
        files = {self.files[test] for test in module}
        beside = {test for test, file in self.files.items() if file in files} - module
        return [*self._quickest(module), *self._quickest(beside)]

    def _reaching(self, mutant: Mutant, first: int, last: int) -> set[str]:
        return set().union(*(self.reach.get((mutant.module, line), set()) for line in range(first, last + 1)))

    def _quickest(self, tests: Iterable[str]) -> list[str]:
        return sorted(tests, key=lambda test: self.seconds[test])


class Session:
    """A pytest plugin that takes the place of pytest's loop over the tests."""

    def __init__(self, loop: Callable[[Session], None]) -> None:
        self.items: dict[str, pytest.Item] = {}
        self._loop = loop
        self._failed = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("the tests can't be imported")
        self.items = {item.nodeid: item for item in session.items}
        self._loop(self)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed = self._failed or report.failed

    def passes(self, test: str) -> bool:
        """Run one test."""
        self._failed = False
        item = self.items[test]
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return not self._failed


class NotCollected(Exception):
    """Pytest could not import the tests, or was called in a wrong way: its exit status."""


def collect(loop: Callable[[Session], None], tests: Sequence[str]) -> None:
    """Have pytest collect the tests, and call `loop`."""
    options = ["-q", "--capture=no", "--timeout=0", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib"]
    options += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    left_out = [f"--deselect={path}" if "::" in path else f"--ignore={path}" for path in LEFT_OUT]
    status = pytest.main([*options, *left_out, *tests], plugins=[Session(loop)])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise NotCollected(status)


def histories_hold(number: int) -> bool:
    """Whether generated histories keep every promise."""
    from hypothesis import seed
    from hypothesis.stateful import run_state_machine_as_test

    from tests.histories.__main__ import profile
    from tests.histories.machine import Histories

    try:
        run_state_machine_as_test(seed(1)(Histories), settings=profile(number, shrink=False))
    except BaseException:
        return False
    return True


def in_child(work: Callable[[], Any]) -> tuple[int, int]:
    """Do `work` in a fork of this process, which says nothing. Its process id, and a pipe with what it returned."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        _be_the_child(work, writer)
    os.close(writer)
    return pid, reader


def _be_the_child(work: Callable[[], Any], writer: int) -> NoReturn:
    try:
        quiet = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(quiet, number)
        answer = {"answer": work()}
    except BaseException:
        answer = {"broken": traceback.format_exc()}
    finally:
        os.write(writer, json.dumps(answer).encode()[:60_000])  # as much as a pipe holds
        os._exit(0)


def limit(seconds: float) -> None:
    """End this process after so many seconds of computing, or ten times as many of anything."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 10 * seconds)


def measure(session: Session, modules: Iterable[str]) -> Baseline:
    """Run all tests once, and note which lines each of them reaches."""
    reached: set[tuple[str, int]] = set()
    watch = sys.monitoring
    watch.use_tool_id(4, "mutants")
    module_of: dict[CodeType, str] = {}
    for module in modules:
        for function in functions_of(sys.modules[_dotted(module)]):
            for code in _with_inner(function.__code__):
                module_of[code] = module
                watch.set_local_events(4, code, watch.events.LINE)

    def line(code: CodeType, number: int) -> Any:
        reached.add((module_of[code], number))
        return watch.DISABLE

    watch.register_callback(4, watch.events.LINE, line)
    baseline = Baseline(files={test: str(item.path) for test, item in session.items.items()})
    for test in session.items:
        reached.clear()
        watch.restart_events()
        begun = time.process_time()
        if not session.passes(test):
            baseline.failing.append(test)
        baseline.seconds[test] = time.process_time() - begun
        for place in reached:
            baseline.reach[place].add(test)
    return baseline


@dataclass
class Runner:
    """Runs mutants, several at a time."""

    baseline: Baseline
    histories: int
    seconds: float
    at_a_time: int
    tell: Callable[[Outcome], None]
    killers: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def order(self, mutant: Mutant) -> list[str]:
        """Its tests: what killed its neighbours first."""
        tests = self.baseline.tests(mutant)
        latest = [test for test in reversed(self.killers[mutant.function]) if test in set(tests)]
        return list(dict.fromkeys([*latest[:20], *tests]))

    def test(self, mutant: Mutant, session: Session) -> str | None:
        """In a child: what kills the mutant."""
        spent = 0.0
        for test in self.order(mutant):
            spent += self.baseline.seconds[test]
            if spent > self.seconds:
                break
            if not session.passes(test):
                return test
        if self.histories:
            limit(10 + 0.3 * self.histories)
            if not histories_hold(self.histories):
                return "histories"
        return None

    def swapped(self, mutant: Mutant, session: Session) -> str | None:
        """In a child of the session: as `test`, after the function's code was exchanged."""
        self.limit(mutant)
        try:
            if not swap(mutant):
                return "not swappable"
        except StopIteration:
            return "not swappable"
        except Exception:  # a constant that can't be computed
            return "import"
        return self.test(mutant, session)

    def imported(self, mutant: Mutant) -> str | None:
        """In a child that has imported nothing of ours: as `test`, with the mutant imported."""
        self.limit(mutant)
        path = str(ROOT / mutant.module)
        original = importlib.machinery.SourceFileLoader.get_code

        def get_code(loader: importlib.machinery.SourceFileLoader, name: str) -> CodeType | None:
            if loader.path == path:
                return compile(mutant.source, path, "exec", dont_inherit=True)
            return original(loader, name)

        importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]
        killed: list[str | None] = []
        try:
            tests = sorted({self.baseline.files[test] for test in self.order(mutant)})
            collect(lambda session: killed.append(self.test(mutant, session)), tests)
        except NotCollected as refused:
            if refused.args[0] != pytest.ExitCode.INTERRUPTED:  # an error while importing
                raise
            return "import"
        return killed[0]

    def limit(self, mutant: Mutant) -> None:
        """A few times what its tests take."""
        limit(3 + 5 * min(self.seconds, sum(self.baseline.seconds[test] for test in self.order(mutant))))

    def run(self, mutants: Sequence[Mutant], work: Callable[[Mutant], str | None]) -> list[Mutant]:
        """Run them all, each in a child. Those whose code can't be exchanged are returned."""
        waiting = list(reversed(mutants))
        running: dict[int, tuple[int, Mutant]] = {}  # by pipe
        left: list[Mutant] = []
        with selectors.DefaultSelector() as ended:
            while waiting or running:
                while waiting and len(running) < self.at_a_time:
                    mutant = waiting.pop()
                    pid, pipe = in_child(lambda mutant=mutant: work(mutant))  # type: ignore[misc]
                    running[pipe] = pid, mutant
                    ended.register(pipe, selectors.EVENT_READ)
                for key, _ in ended.select():
                    pipe = int(key.fd)
                    ended.unregister(pipe)
                    pid, mutant = running.pop(pipe)
                    text = os.read(pipe, 65536)
                    os.close(pipe)
                    os.waitpid(pid, 0)
                    answer = json.loads(text) if text else {"answer": "time"}
                    if "broken" in answer:
                        raise SystemExit(f"{mutant}\n{answer['broken']}")
                    killed_by = answer["answer"]
                    if killed_by == "not swappable":
                        left.append(mutant)
                        continue
                    if killed_by:
                        self.killers[mutant.function].append(killed_by)
                    self.tell(Outcome(mutant, killed_by))
        return left


def run(
    mutants: Sequence[Mutant],
    tests: Sequence[str] = TESTS,
    *,
    histories: int = HISTORIES,
    seconds: float = SECONDS,
    at_a_time: int = 1,
    tell: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Run all `mutants` against `tests`. The outcomes come in the order in which the mutants were killed, or not."""
    outcomes: list[Outcome] = []

    def told(outcome: Outcome) -> None:
        outcomes.append(outcome)
        tell(outcome)

    modules = sorted({mutant.module for mutant in mutants})
    runner = Runner(Baseline(), histories, seconds, at_a_time, told)
    unswappable = [mutant for mutant in mutants if not mutant.swappable]

    # The session is a child of its own, so that this process imports nothing of ours: the mutants of the second kind
    # are imported in its other children.
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        _the_session(runner, mutants, modules, tests, writer)
    os.close(writer)
    with os.fdopen(reader) as news:
        for line in news:
            kind, value = json.loads(line)
            if kind == "baseline":
                runner.baseline.hear(value)
            elif kind == "outcome":
                told(Outcome(mutants[value[0]], value[1]))
            elif kind == "failing":
                raise SystemExit(f"not begun: on the code as it is, these fail: {', '.join(value)}")
            else:
                unswappable.append(mutants[value])
    _, status = os.waitpid(pid, 0)
    if status:
        raise SystemExit("the tests could not be collected; do: WORLD=fast .venv/bin/python -m pytest tests/lambdas")
    runner.run(unswappable, runner.imported)
    return outcomes


def in_two_rounds(
    mutants: Sequence[Mutant],
    *,
    tell: Callable[[Outcome], None] = lambda _: None,
    save: Callable[[Sequence[Outcome]], None] = lambda _: None,
    **limits: Any,
) -> list[Outcome]:
    """As `run`, in two rounds: first the tests of each mutant's own module alone, which kill most in no time. `save` is
    given what is known so far, now and then."""
    own: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        own[MODULES[mutant.module]].append(mutant)

    def told(outcome: Outcome) -> None:
        if outcome.killed_by:
            tell(outcome)

    first: list[Outcome] = []
    for file, some in own.items():
        first += run(some, [file], tell=told, **{**limits, "histories": 0})
        save(first)
    left = [it.mutant for it in first if it.killed_by is None]
    return [it for it in first if it.killed_by] + (run(left, tell=tell, **limits) if left else [])


def _the_session(
    runner: Runner, mutants: Sequence[Mutant], modules: Sequence[str], tests: Sequence[str], writer: int
) -> NoReturn:
    number = {id(mutant): index for index, mutant in enumerate(mutants)}

    def say(kind: str, value: Any) -> None:
        os.write(writer, json.dumps([kind, value]).encode() + b"\n")

    def loop(session: Session) -> None:
        for module in modules:
            importlib.import_module(_dotted(module))  # some tests do so only when they run
        if runner.histories:
            importlib.import_module("tests.histories.machine")  # once, not in each child

        with tempfile.NamedTemporaryFile("w+") as file:
            pid, pipe = in_child(lambda: print(json.dumps(measure(session, modules).told()), file=file, flush=True))
            answer = os.read(pipe, 65536)
            os.waitpid(pid, 0)
            os.close(pipe)
            if b'"broken"' in answer:
                say("failing", [json.loads(answer)["broken"]])
                return
            told = json.loads(Path(file.name).read_text() or '{"failing": ["(the measuring itself)"]}')
        if told["failing"]:
            say("failing", told["failing"])
            return
        runner.baseline.hear(told)
        say("baseline", told)
        # The collector would touch every object, and so have each child copy the whole memory.
        gc.collect()
        gc.freeze()
        gc.disable()
        swappable = [mutant for mutant in mutants if mutant.swappable]
        for mutant in runner.run(swappable, lambda mutant: runner.swapped(mutant, session)):
            say("unswappable", number[id(mutant)])

    runner.tell = lambda it: say("outcome", [number[id(it.mutant)], it.killed_by])
    status = 1
    try:
        quiet = os.open(os.devnull, os.O_RDWR)
        os.dup2(quiet, 1)
        collect(loop, tests)
        status = 0
    finally:
        os._exit(status)


# telling


@dataclass(frozen=True, slots=True)
class Row:
    """A module's line of the table."""

    module: str
    mutants: int
    killed: int
    listed: int  # survivors in the list
    surviving: int  # survivors that are not

    @property
    def rate(self) -> float:
        """Killed, of those that are not listed."""
        return self.killed / (self.killed + self.surviving) if self.killed + self.surviving else 1.0


def listed_survivors(path: Path = SURVIVORS) -> dict[tuple[str, str, str, str], str]:
    """The survivors that are known, and why each is."""
    known = tomllib.loads(path.read_text()) if path.exists() else {}
    return {
        (module, it["function"], it["before"], it["after"]): it["why"]
        for module, entries in known.items()
        for it in entries
    }


def rows(
    outcomes: Sequence[Outcome],
    listed: Mapping[tuple[str, str, str, str], str],
    totals: Mapping[str, int] | None = None,
) -> list[Row]:
    """The table. `totals` says how many mutants each module has, where only those were run that survived before."""
    found = []
    for module in dict.fromkeys(outcome.mutant.name for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.mutant.name == module]
        total = totals[module] if totals else len(mine)
        known = sum(outcome.killed_by is None and outcome.mutant.key in listed for outcome in mine)
        surviving = sum(outcome.killed_by is None for outcome in mine) - known
        found.append(Row(module, total, total - known - surviving, known, surviving))
    return found


def table(lines: Sequence[Row]) -> Table:
    """For people."""
    shown = Table("module", "mutants", "killed", "equivalent", "survived", "rate", box=None, header_style="")
    for row in lines:
        figures = (row.mutants, row.killed, row.listed, row.surviving)
        shown.add_row(row.module, *map(str, figures), f"{100 * row.rate:.1f} %")
    return shown


def write_results(lines: Sequence[Row], outcomes: Sequence[Outcome], listed: Container[Any], path: Path) -> None:
    """Note the figures of the modules that were run; those of others stay."""
    known = json.loads(path.read_text()) if path.exists() else {"modules": {}}
    for row in lines:
        known["modules"][row.module] = {
            "mutants": row.mutants,
            "killed": row.killed,
            "equivalent": row.listed,
            "rate": round(row.rate, 4),
            "survived": [
                {"function": it.mutant.function, "before": it.mutant.before, "after": it.mutant.after}
                for it in outcomes
                if it.killed_by is None and it.mutant.name == row.module and it.mutant.key not in listed
            ],
        }
    known["modules"] = dict(sorted(known["modules"].items()))
    known["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    known["command"] = "make mutants"
    path.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n")


def chosen(names: Sequence[str]) -> list[str]:
    """The modules of these names; all without any."""
    by_name = {Path(module).stem: module for module in MODULES}
    for name in names:
        if name not in by_name:
            raise SystemExit(f"no module {name!r} is mutated; there are: {', '.join(by_name)}")
    return [by_name[name] for name in names or by_name]


def main() -> int:
    """Run them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", default="", help="some of the modules, by name (all)")
    parser.add_argument("--histories", type=int, default=HISTORIES, help="that a survivor meets (%(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of tests that a mutant meets (%(default)s)")
    parser.add_argument("--at-a-time", type=int, default=os.cpu_count() or 1, help="mutants (%(default)s)")
    parser.add_argument("--again", action="store_true", help="those only that survived last time")
    options = parser.parse_args()
    mutants = [m for module in chosen(options.modules.split()) for m in mutants_of(module, (ROOT / module).read_text())]
    listed = listed_survivors()
    totals = None
    if options.again:
        totals = Counter(mutant.name for mutant in mutants)
        last = json.loads(RESULTS.read_text())["modules"]
        keys = {
            (module, it["function"], it["before"], it["after"]) for module in last for it in last[module]["survived"]
        }
        keys |= set(listed)
        mutants = [mutant for mutant in mutants if mutant.key in keys and mutant.name in last]

    console = Console(stderr=True)
    columns = (TextColumn("mutants"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, auto_refresh=False) as bar:  # a thread of its own must not be forked
        task = bar.add_task("", total=len(mutants))

        def tell(outcome: Outcome) -> None:
            bar.update(task, advance=1, refresh=True)
            done = int(bar.tasks[0].completed)
            if not console.is_terminal and done % 100 == 0:
                print(f"{done} of {len(mutants)}", file=sys.stderr, flush=True)
            it = outcome.mutant
            if outcome.killed_by is None and it.key not in listed:
                where = f"survived: {it.module}:{it.lines[0]} {it.function}"
                bar.print(f"{where}\n  - {it.before}\n  + {it.after}", markup=False, soft_wrap=True)
            if outcome.killed_by and it.key in listed:
                bar.print(f"listed, and killed by {outcome.killed_by}: {it.key}", markup=False)

        def save(outcomes: Sequence[Outcome]) -> None:
            write_results(rows(outcomes, listed, totals), outcomes, listed, RESULTS)

        limits = {"histories": options.histories, "seconds": options.seconds, "at_a_time": options.at_a_time}
        outcomes = in_two_rounds(mutants, tell=tell, save=save, **limits)
    save(outcomes)
    lines = rows(outcomes, listed, totals)
    Console().print(table(lines))
    return int(any(row.rate < BAR for row in lines))


if __name__ == "__main__":
    os.environ["WORLD"] = "fast"
    os.chdir(ROOT)
    sys.exit(main())
