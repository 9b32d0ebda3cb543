"""The rules of docs/explanation/architecture.md, read from the sources and kept true.

Nothing is imported here: the checks see only the text, so they hold for code that no other test reaches.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

PACKAGE = "katcp_aio"
ROOT = Path(__file__).parents[1] / "src" / PACKAGE

# A module imports only from its own floor and those below. A new module or package of the first level gets its floor
# here, and its place in the picture of docs/explanation/architecture.md.
FLOORS = {
    "errors": 0,
    "limits": 0,
    "clock": 0,
    "reports": 0,
    "version": 0,
    "wire": 1,
    "model": 2,
    "connection": 3,
    "server": 4,
    "client": 4,
    "": 5,  # katcp_aio/__init__.py: what all users import, above server and client, below the tools made with them
    "portal": 6,
    "blocking": 6,
    "testing": 6,
    "cli": 6,
    "__main__": 6,  # python -m katcp_aio
}

# Below this floor everything is decided without waiting and without knowing the time.
FIRST_WITH_IO = 3
IO_MODULES = {"asyncio", "async_timeout", "logging", "selectors", "socket", "ssl", "threading", "time"}
# (module, what it imports): why. Through each of these doors all that is below FIRST_WITH_IO goes.
DOORS = {
    ("clock", "time"): "the only reader of clocks",
    ("reports", "logging"): "the only way to the log",
    ("model.stream", "asyncio"): "`async for reading in sensor.readings()` waits for the next item, and for no I/O",
}
CLOCKS = {
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"},
    "datetime": {"now", "utcnow", "today"},
}
LONGEST = 400  # lines of one file

# (module, module above it): why its annotations name what is on a higher floor. Nothing of it is imported at run time.
TYPES_FROM_ABOVE = {("errors", "wire.message"): "an error carries the message that it is about"}

# (module, attribute): why it has to reach for a private name of somebody else's.
PRIVATE_ACCESS = {("wire.values", "_forget"): "a registry tells its children, which are registries too"}
# Underscored names that are public by their documentation.
PUBLIC_UNDERSCORES = {"_exit", "_asdict", "_fields", "_field_defaults", "_make", "_replace"}


class Import(NamedTuple):
    """One import of a module of this package, or of another one."""

    target: str  # "katcp_aio.wire.message", "asyncio"
    name: str | None  # what is taken from it: "Message"
    line: int
    only_for_types: bool


class Module:
    """One source file: its dotted name without the package ("wire.message"), its syntax tree and its imports."""

    def __init__(self, path: Path) -> None:
        parts = path.relative_to(ROOT).with_suffix("").parts
        self.is_package = parts[-1] == "__init__"
        self.name = ".".join(parts[:-1] if self.is_package else parts)
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text, str(path))
        self.where = path.relative_to(ROOT.parent)

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    @property
    def full_name(self) -> str:
        return f"{PACKAGE}.{self.name}".rstrip(".")

    def literal(self, name: str) -> Any:
        """Return what is assigned to ``name``, or None where it is nothing plain."""
        for node in self.tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                try:
                    return ast.literal_eval(node.value)
                except ValueError:
                    return None
        return None

    def offers(self) -> list[str] | None:
        """Return the names in ``__all__``, or None where there is no plain list of them."""
        return self.literal("__all__")

    def imports(self) -> Iterator[Import]:
        for_types = {
            id(inner)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
            for statement in node.body
            for inner in ast.walk(statement)
        }
        package = self.full_name if self.is_package else self.full_name.rpartition(".")[0]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(alias.name, None, node.lineno, id(node) in for_types)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    above = package.split(".")[: len(package.split(".")) - node.level + 1]
                    base = ".".join([*above, *([node.module] if node.module else [])])
                for alias in node.names:
                    whole = f"{base}.{alias.name}"
                    if whole in MODULES:  # from katcp_aio.wire import message
                        yield Import(whole, None, node.lineno, id(node) in for_types)
                    else:
                        yield Import(base, alias.name, node.lineno, id(node) in for_types)

    def imports_from_here(self) -> Iterator[tuple[Import, "Module"]]:
        """Yield the imports of modules of this package, each with its module."""
        for found in self.imports():
            if found.target in MODULES:
                yield found, MODULES[found.target]


MODULES: dict[str, Module] = {}
MODULES.update((module.full_name, module) for module in map(Module, sorted(ROOT.rglob("*.py"))))
every_module = pytest.mark.parametrize("module", MODULES.values(), ids=list(MODULES))


def at(module: Module, line: int, text: str) -> str:
    return f"{module.where}:{line}: {text}"


def tell(problems) -> None:
    problems = list(problems)
    assert not problems, "\n" + "\n".join(problems)


def test_every_module_has_a_floor():
    unknown = sorted({module.top for module in MODULES.values()} - set(FLOORS))
    assert not unknown, f"which floor are these on? {unknown}"


@every_module
def test_imports_only_from_its_floor_or_below(module):
    floor = FLOORS[module.top]
    tell(
        at(module, found.line, f"{module.name} (floor {floor}) imports {other.name} (floor {FLOORS[other.top]})")
        for found, other in module.imports_from_here()
        if FLOORS[other.top] > floor and not (found.only_for_types and (module.name, other.name) in TYPES_FROM_ABOVE)
    )


def test_server_and_client_do_not_know_each_other():
    tell(
        at(module, found.line, f"imports {other.full_name}")
        for module in MODULES.values()
        for found, other in module.imports_from_here()
        if {module.top, other.top} == {"server", "client"}
    )


@every_module
def test_no_private_names_of_other_modules_are_imported(module):
    tell(
        at(module, found.line, f"imports {found.name} from {found.target}")
        for found in module.imports()
        if found.name and is_private(found.name) and (module.name, found.name) not in PRIVATE_ACCESS
    )


def test_no_import_cycles():
    """Imports for the type checker alone do not run, and may name what is above them on their floor."""
    graph = {
        name: {other.full_name for found, other in module.imports_from_here() if not found.only_for_types} - {name}
        for name, module in MODULES.items()
    }
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, [*path, name])
            done.add(name)

    for name in graph:
        visit(name, [])


def test_lower_floors_neither_wait_nor_know_the_time():
    tell(
        at(module, found.line, f"floor {FLOORS[module.top]} imports {found.target}")
        for module in MODULES.values()
        for found in module.imports()
        if FLOORS[module.top] < FIRST_WITH_IO and found.target.partition(".")[0] in IO_MODULES
        if (module.name, found.target) not in DOORS
    )


@every_module
def test_only_the_clock_reads_a_clock(module):
    if module.name == "clock":
        return
    problems = [
        at(module, found.line, f"imports {found.name} from {found.target}")
        for found in module.imports()
        if found.target == "time" and found.name in CLOCKS["time"]
    ]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value).rpartition(".")[2]  # datetime.datetime.now and datetime.now alike
            if node.attr in CLOCKS.get("datetime" if owner == "date" else owner, ()):
                problems.append(at(module, node.lineno, f"reads {owner}.{node.attr}"))
    tell(problems)


def test_nothing_that_ships_imports_the_test_kit():
    tell(
        at(module, found.line, f"imports {other.full_name}")
        for module in MODULES.values()
        for found, other in module.imports_from_here()
        if other.top == "testing" and module.top != "testing"
    )


@every_module
def test_has_a_docstring_and_says_what_it_offers(module):
    assert ast.get_docstring(module.tree), f"{module.where}: no docstring"
    assert module.offers() is not None, f"{module.where}: no __all__, or one that is not a plain list"


@every_module
def test_is_one_thing(module):
    lines = module.text.count("\n")
    assert lines <= LONGEST, f"{module.where}: {lines} lines; what outgrows {LONGEST} is two things"


@every_module
def test_imports_only_what_the_core_may_need(module):
    """The core imports three distributions; an extra's modules are imported by the floor of the tools."""
    if FLOORS[module.top] > FLOORS[""]:
        return
    allowed = {PACKAGE, "async_timeout", "attr", "attrs", "decorator"} | sys.stdlib_module_names
    tell(
        at(module, found.line, f"imports {found.target}")
        for found in module.imports()
        if found.target.partition(".")[0] not in allowed
    )


def test_what_the_core_needs_it_imports():
    """A distribution that is installed with the library and not used would be a burden only."""
    imported = {found.target.partition(".")[0] for module in MODULES.values() for found in module.imports()}
    assert imported >= {"async_timeout", "attrs", "decorator"}


# ---------------------------------------------------------------------------------------------------------------------
# Private means private


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_") and name not in PUBLIC_UNDERSCORES


class PrivateAccess(ast.NodeVisitor):
    """Find ``other._name``, where ``other`` is not known to be of the class whose body this is.

    Known to be: self, cls, the class by its name, super(), what is annotated with the class or tested with isinstance,
    what was just made by calling the class or its ``__new__``, and an attribute of self that was set to such a one.
    """

    def __init__(self) -> None:
        self.found: list[tuple[int, str, str]] = []
        self.classes: list[str] = []
        self.own: list[set[str]] = [set()]

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.classes.append(node.name)
        self.own.append({"self", "cls", *self.classes})
        for method in node.body:
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                known = self.names_in(method) - self.own[-1]
                for inner in ast.walk(method):
                    if isinstance(inner, ast.Assign) and ast.unparse(inner.value) in known:
                        self.own[-1].update(ast.unparse(target) for target in inner.targets)
        self.generic_visit(node)
        self.own.pop()
        self.classes.pop()

    def visit_FunctionDef(self, node) -> None:
        self.own.append(self.own[-1] | self.names_in(node))
        self.generic_visit(node)
        self.own.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def names_in(self, function) -> set[str]:
        """Return what is known, in this function, to be of the class whose method it is."""
        if not self.classes:
            return set()
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        names = {a.arg for a in arguments if a.annotation is not None and self.is_own_type(a.annotation)}
        for inner in ast.walk(function):
            if isinstance(inner, ast.Assign) and self.makes_own(inner.value):
                names |= {target.id for target in inner.targets if isinstance(target, ast.Name)}
            elif isinstance(inner, ast.AnnAssign) and self.is_own_type(inner.annotation):
                names.add(ast.unparse(inner.target))
            elif self.is_test_for_own(inner):
                names.add(ast.unparse(inner.args[0]))
        return names

    def is_own_type(self, node: ast.expr) -> bool:
        name = ast.unparse(node).strip("'\"").removesuffix(" | None").partition("[")[0]
        return name in {"Self", "type(self)", "self.__class__", "cls", *self.classes}

    def is_test_for_own(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance" and self.is_own_type(node.args[1])

    def makes_own(self, value: ast.expr) -> bool:
        if not isinstance(value, ast.Call):
            return False
        makers = {"cls", "type(self)", "self.__class__", *self.classes}
        called = ast.unparse(value.func)
        return called in makers | {f"{maker}.__new__" for maker in makers} or (
            called in {"object.__new__", "super().__new__"}
            and bool(value.args)
            and ast.unparse(value.args[0]) in makers
        )

    def visit_Attribute(self, node: ast.Attribute) -> None:
        owner = ast.unparse(node.value)
        if is_private(node.attr) and owner not in self.own[-1] | {"super()", "type(self)", "self.__class__"}:
            self.found.append((node.lineno, owner, node.attr))
        self.generic_visit(node)


def private_accesses(source: str) -> list[str]:
    visitor = PrivateAccess()
    visitor.visit(ast.parse(source))
    return [f"{owner}.{name}" for _, owner, name in visitor.found]


@every_module
def test_private_is_private(module):
    visitor = PrivateAccess()
    visitor.visit(module.tree)
    tell(
        at(module, line, f"reaches for {owner}.{name}")
        for line, owner, name in visitor.found
        if (module.name, name) not in PRIVATE_ACCESS
    )


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("def f(self, other): return other._x", ["other._x"]),
        ("def f(self): return self._peer._x", ["self._peer._x"]),
        ("def f(self): return self._x, type(self)._x, C._x, super()._x", []),
        ("def f(self, other: 'C'): return other._x", []),
        ("def f(self, other): return isinstance(other, C) and other._x", []),
        ("@classmethod\n  def f(cls): a = cls.__new__(cls); a._x = 1", []),
        ("def f(self): return self.pair._replace(a=1), self.pair.__dict__", []),
        (
            "def f(self, up: C | None): self._up = up\n  def g(self): return self._up._x, self._down._x",
            ["self._down._x"],
        ),
        ("async def f(self, loop): loop._ready", ["loop._ready"]),
    ],
)
def test_the_search_for_private_names_finds_them(body, found):
    assert private_accesses(f"class C:\n  {body}\n") == found


# ---------------------------------------------------------------------------------------------------------------------
# The public names


def isort_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order that ruff gives ``__all__``."""
    return (0 if len(name) > 1 and name.isupper() else 1 if name[:1].isupper() else 2, name)


def test_public_names_are_sorted_and_each_is_there_once():
    names = MODULES[PACKAGE].offers()
    assert names is not None, "katcp_aio has no __all__"
    assert names == sorted(set(names), key=isort_order)


def test_each_public_name_is_offered_by_one_module_and_imported_from_it():
    """A name's home is the one file whose ``__all__`` has it; a package above may pass it on."""
    top = MODULES[PACKAGE]
    homes: dict[str, list[Module]] = {}
    for module in MODULES.values():
        if not module.is_package and FLOORS[module.top] < FLOORS[""]:
            for name in module.offers() or ():
                homes.setdefault(name, []).append(module)
    come_from = {found.name: other for found, other in top.imports_from_here() if found.name}
    problems = []
    for name in top.offers() or ():
        if name.startswith("__"):  # __version__ is its own
            continue
        home = homes.get(name, [])
        source = come_from.get(name)
        if len(home) != 1:
            problems.append(f"{name} is in the __all__ of {[module.name for module in home] or 'no module'}")
        elif source is None:
            problems.append(f"{name} is not imported by katcp_aio/__init__.py")
        elif not (home[0].full_name == source.full_name or home[0].full_name.startswith(f"{source.full_name}.")):
            problems.append(f"{name} comes from {source.name}, and its home is {home[0].name}")
    hidden = sorted(str(name) for name in come_from if not name.startswith("_") and name not in (top.offers() or ()))
    problems += [f"{name} is imported by katcp_aio/__init__.py and not in its __all__" for name in hidden]
    tell(problems)


def test_what_is_imported_when_it_is_asked_for_is_what_type_checkers_see():
    """All that only servers or only clients need, and from the same modules."""
    top = MODULES[PACKAGE]
    taken = [(found, other) for found, other in top.imports_from_here() if not is_private(other.name)]
    assert top.literal("_HOMES") == {found.name: other.name for found, other in taken if found.only_for_types}
    tell(
        at(top, found.line, f"{other.name} is imported {'late' if found.only_for_types else 'at once'}")
        for found, other in taken
        if found.only_for_types != (other.top in {"client", "server"})
    )
