#!/usr/bin/env python3
"""Checks the structure of the workspace and prints what breaks it, each with its place: how large crates and
files are, which modules form a circle, how many parameters functions have, and which crates depend on which.

`--self-test` plants a violation of each rule first. Standard library only."""

import json
import subprocess
import sys
from collections import deque
from pathlib import Path

import rust_source

# What a crate must not depend on, itself or through other crates of the workspace; not for tests.
# `crate/feature` forbids the feature alone.
HTTP_SERVER = {"axum", "hyper/server", "hyper-util/server", "floodgate-listen"}
WALLS = {
    "floodgate-event": {"tokio", "hyper", "async-nats", "wasmtime"},
    "floodgate-api": {"async-nats", "floodgate-stream"},
    "floodgate-schemes": {"tokio", "hyper", "async-nats", "reqwest", "floodgate-api"},
    "floodgate-sandbox": {"async-nats", "hyper", "floodgate-gateway"},
    "floodgate-control": {"floodgate-deliver", "floodgate-replicate"},
    "floodgate-replicate": HTTP_SERVER,
    "floodgate-deliver": HTTP_SERVER,
    "floodgate-batch": {"tokio", "hyper", "async-nats"},
    "floodgate-ingress": {"async-nats", "floodgate-schemes"},
    "floodgate-rejects": {"wasmtime", "floodgate-schemes"},
    "floodgate-published": {"async-nats", "floodgate-listen"},
    "floodgate-tls": {"async-nats", "floodgate-schemes"},
    "floodgate-testkit": {"floodgate-gateway", "floodgate-relay"},
}
# The only crates that may depend on these.
USERS = {"floodgate-gateway": {"floodgate"}, "floodgate-relay": {"floodgate"}}

# Without tests, generated files, comments and blank lines.
CRATE_LINES = 6_500
# With everything.
FILE_LINES = 350
# `self` is not counted. Clippy counts it, so clippy.toml allows one more: what passes here passes there, and a
# sixth parameter of a function without `self`, which passes there, is found here.
PARAMETERS = 5
SOURCES = {".rs", ".py", ".sh"}


def is_test(path):
    """Whether a file is only compiled for tests, by its place."""
    return path.name == "tests.rs" or "tests" in path.parts[:-1]


def is_generated(path):
    return "generated" in path.parts[:-1]


def sizes(root, files):
    for path in files:
        lines = (root / path).read_text().count("\n")
        if lines > FILE_LINES and not is_generated(path):
            yield f"{path}:{FILE_LINES + 1}: the file has {lines} lines, and {FILE_LINES} are allowed"


def crate_sizes(root, packages):
    for name, package in packages.items():
        lines = 0
        source = Path(package["manifest_path"]).parent / "src"
        test_files = set()
        for path in sorted(source.rglob("*.rs")):
            relative = path.relative_to(source)
            by_attribute = any(path.is_relative_to(test) for test in test_files)
            if by_attribute or is_test(relative) or is_generated(relative):
                continue
            code, modules = rust_source.without_tests(rust_source.clean(path.read_text()))
            folder = path.parent if path.name in ("lib.rs", "main.rs", "mod.rs") else path.with_suffix("")
            test_files |= {folder / f"{module}{end}" for module in modules for end in ("", ".rs")}
            lines += sum(bool(line.strip()) for line in code.splitlines())
        if lines > CRATE_LINES:
            manifest = Path(package["manifest_path"]).relative_to(root)
            yield f"{manifest}:1: the crate {name} has {lines} lines of code, and {CRATE_LINES} are allowed"


def parameters(root, files):
    for path in files:
        if path.suffix == ".rs" and not is_generated(path):
            code = rust_source.clean((root / path).read_text())
            for name, count, at in rust_source.functions(code):
                if count > PARAMETERS:
                    line = rust_source.line_of(code, at)
                    yield f"{path}:{line}: fn {name} has {count} parameters, and {PARAMETERS} are allowed"


def circles(root, packages):
    """A module and those inside of it may use each other; any other circle is one too many. Neither may the
    folders at the top of a crate form one."""
    for name, package in packages.items():
        for target in package["targets"]:
            if {"lib", "bin", "proc-macro"} & set(target["kind"]):
                yield from crate_circles(root, f"{name} ({target['name']})", Path(target["src_path"]))


def crate_circles(root, crate, source):
    """Of the modules, or, where these form none, of the crate's folders."""
    edges, folders = {}, {}
    for module in rust_source.read_crate(source):
        related = lambda other: other in module.family() or module in other.family()
        named = {other: at for other, at in rust_source.uses(module).items() if not related(other)}
        edges[module] = {other: (module, other, at) for other, at in named.items()}
        for other, step in edges[module].items():
            if module.top() is not other.top():
                folders.setdefault(module.top(), {}).setdefault(other.top(), step)
    found = list(describe(root, crate, edges))
    yield from found or describe(root, crate, folders)


def describe(root, crate, edges):
    """The shortest circle of each group. An edge tells which module uses which, and where."""
    for component in components(edges):
        circle = shortest_circle(edges, component)
        steps = [
            f"{module.path.relative_to(root)}:{rust_source.line_of(module.code, at)}: "
            f"{module.label()} uses {other.label()}"
            for module, other, at in (edges[one][after] for one, after in zip(circle, [*circle[1:], circle[0]]))
        ]
        more = f", with {len(component)} modules in all" if len(component) > len(circle) else ""
        yield f"{steps[0]}, in a circle of {crate}{more}" + "".join(f"\n    {step}" for step in steps[1:])


def components(edges):
    """Modules that reach each other, in groups of two and more."""
    reached = {module: reach(edges, module) for module in edges}
    seen = set()
    for module in edges:
        group = [other for other in edges if other in reached[module] and module in reached[other]]
        if len(group) > 1 and module not in seen:
            seen.update(group)
            yield group


def reach(edges, start):
    found, todo = set(), [start]
    while todo:
        for other in edges.get(todo.pop(), ()):
            if other not in found:
                found.add(other)
                todo.append(other)
    return found


def shortest_circle(edges, component):
    best = None
    for start in component:
        before, todo = {}, deque([start])
        while todo and start not in before:
            module = todo.popleft()
            for other in edges[module]:
                if other in component and other not in before:
                    before[other] = module
                    todo.append(other)
        circle, at = [start], before[start]
        while at is not start:
            circle.append(at)
            at = before[at]
        if best is None or len(circle) < len(best):
            best = [start, *reversed(circle[1:])]
    return best


def walls(root, packages):
    direct = {name: normal_dependencies(package) for name, package in packages.items()}
    for name in sorted((set(WALLS) | set(USERS)) - set(packages)):
        yield f"scripts/structure.py:1: there is a wall for {name}, which is not in the workspace"
    for name, package in packages.items():
        manifest = Path(package["manifest_path"])
        for other, through in sorted(all_dependencies(direct, name).items()):
            by_wall = other in WALLS.get(name, ())
            by_users = other in USERS and name not in USERS[other] and not through
            if by_wall or by_users:
                first = [*through, other][0].partition("/")[0]
                way = f", through {', '.join(through)}" if through else ""
                place = f"{manifest.relative_to(root)}:{manifest_line(manifest, first)}"
                yield f"{place}: {name} depends on {other}{way}, which its wall forbids"


def normal_dependencies(package):
    named = set()
    for dependency in package["dependencies"]:
        if dependency["kind"] is None:
            named.add(dependency["name"])
            named |= {f"{dependency['name']}/{feature}" for feature in dependency["features"]}
    return named


def all_dependencies(direct, name):
    """What a crate depends on, with the crates of the workspace in between."""
    found, todo = {}, deque([(name, [])])
    while todo:
        crate, through = todo.popleft()
        for other in direct[crate]:
            if other not in found and other != name:
                found[other] = through
                if other in direct:
                    todo.append((other, [*through, other]))
    return found


def manifest_line(manifest, dependency):
    lines = manifest.read_text().splitlines()
    return next((number for number, line in enumerate(lines, 1) if line.startswith(dependency)), 1)


def check(root, files, packages):
    """All violations by rule. Files are relative to the root."""
    return {
        "crates": list(crate_sizes(root, packages)),
        "files": list(sizes(root, files)),
        "circles": list(circles(root, packages)),
        "parameters": list(parameters(root, files)),
        "walls": list(walls(root, packages)),
    }


def read_workspace(root):
    """The source files that Git tracks or could, and the packages by name."""
    listed = output(root, "git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    files = {Path(line) for line in listed if Path(line).suffix in SOURCES and (root / line).is_file()}
    metadata = json.loads(output(root, "cargo", "metadata", "--no-deps", "--format-version", "1"))
    return sorted(files), {package["name"]: package for package in metadata["packages"]}


def output(folder, *command):
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def main(arguments):
    if arguments == ["--self-test"]:
        import structure_test

        return structure_test.run()
    root = Path(__file__).resolve().parent.parent
    found = check(root, *read_workspace(root))
    for rule, violations in found.items():
        for violation in violations:
            print(f"{rule}: {violation}")
    total = sum(map(len, found.values()))
    print(f"structure: {total} violations" if total else "structure: no violations")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
