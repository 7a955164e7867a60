"""Reads Rust sources as text: what is code, what is test, which module names which. Not a compiler: it knows
what this repository writes. Standard library only."""

import re
from pathlib import Path

TOKEN = re.compile(
    r"""(?P<line>//[^\n]*)|(?P<block>/\*)|(?P<raw>\bb?r(?P<hashes>\#*)")|(?P<string>b?"(?:\\.|[^"\\])*")"""
    r"""|(?P<char>b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^'\\\n])')""",
    re.S | re.X,
)
KEYWORDS = ("crate", "self", "super", "inline")
IDENT = r"[A-Za-z_][A-Za-z0-9_]*"
CFG_TEST = re.compile(r"#\[cfg\(test\)\]")
MOD = re.compile(rf"\bmod\s+(?:r#)?({IDENT})\s*([;{{])")
USE = re.compile(r"(\bpub(?:\([^)]*\))?\s+)?\buse\s+([^;]+);")
ITEM = re.compile(
    rf"\b(?:fn|struct|enum|trait|type|const|static|union)\s+({IDENT})|\bmacro_rules!\s*({IDENT})"
)
SELF = re.compile(r"\s*(#\[.*?\]\s*)*(&\s*('\w+\s+)?)?(mut\s+)?self\b")
PATH = re.compile(rf"(?<![:\w$])(?:{IDENT}\s*::\s*)+{IDENT}")
FN = re.compile(rf"\bfn\s+({IDENT})\s*")
TRAIT_IMPL = re.compile(r"\bimpl\b[^;{]*\bfor\b(?!<)[^;{]*\{")
OPEN, CLOSE = "([{", ")]}"


def blank(text):
    """The same length and lines, and nothing else."""
    return re.sub(r"[^\n]", " ", text)


def clean(text):
    """Blanks comments and literals."""
    parts, at = [], 0
    while found := TOKEN.search(text, at):
        end = found.end()
        if found["block"]:
            end = block_end(text, end)
        elif found["raw"]:
            closing = text.find('"' + found["hashes"], end)
            end = len(text) if closing < 0 else closing + 1 + len(found["hashes"])
        parts += [text[at : found.start()], blank(text[found.start() : end])]
        at = end
    return "".join(parts) + text[at:]


def block_end(text, at):
    """Where a block comment ends; they nest."""
    depth = 1
    while depth and (found := re.compile(r"/\*|\*/").search(text, at)):
        depth += 1 if found[0] == "/*" else -1
        at = found.end()
    return len(text) if depth else at


def matching(code, start):
    """The place behind the bracket that closes the one at `start`."""
    depth = 0
    for at in range(start, len(code)):
        if code[at] in OPEN:
            depth += 1
        elif code[at] in CLOSE:
            depth -= 1
            if depth == 0:
                return at + 1
    return len(code)


def item_end(code, at):
    """The end of the item that begins here: its semicolon, or the brace that closes its body."""
    while at < len(code):
        if code[at] == ";":
            return at + 1
        if code[at] in OPEN:
            closed = matching(code, at)
            if code[at] == "{":
                return closed
            at = closed
        else:
            at += 1
    return at


def without_tests(code):
    """Blanks what is compiled for tests alone; gives the names of such modules that have files, too."""
    modules, at = set(), 0
    while found := CFG_TEST.search(code, at):
        end = item_end(code, found.end())
        declared = MOD.search(code, found.end(), end)
        if declared and declared[2] == ";":
            modules.add(declared[1])
        code = code[: found.start()] + blank(code[found.start() : end]) + code[end:]
        at = end
    return code, modules


def line_of(code, at):
    return code.count("\n", 0, at) + 1


def split_top(text, separator=","):
    """Splits at separators outside of brackets; `<` and `>` are brackets except in `->`."""
    parts, depth, last = [], 0, 0
    for at, char in enumerate(text):
        arrow = char == ">" and at and text[at - 1] in "-="
        if char in OPEN + "<":
            depth += 1
        elif char in CLOSE or (char == ">" and not arrow):
            depth -= 1
        elif char == separator and depth == 0:
            parts.append(text[last:at])
            last = at + 1
    return [part for part in [*parts, text[last:]] if part.strip()]


def functions(code):
    """Name, number of parameters without `self`, and place of each function that chooses its own parameters:
    those of an `impl Trait for` have been chosen by the trait."""
    given = [range(found.end(), matching(code, found.end() - 1)) for found in TRAIT_IMPL.finditer(code)]
    for found in FN.finditer(code):
        if any(found.start() in span for span in given):
            continue
        at = found.end()
        if at < len(code) and code[at] == "<":
            depth = 0
            while at < len(code):
                depth += (code[at] == "<") - (code[at] == ">" and code[at - 1] not in "-=")
                at += 1
                if depth == 0:
                    break
        while at < len(code) and code[at].isspace():
            at += 1
        if at < len(code) and code[at] == "(":
            parameters = split_top(code[at + 1 : matching(code, at) - 1])
            yield found[1], sum(not SELF.match(part) for part in parameters), found.start()


def use_paths(tree):
    """`a::{b, c as d, e::*}` as pairs of a path and the name that it gets here; `*` is a glob."""
    tree = tree.strip()
    brace = tree.find("{")
    if brace >= 0:
        prefix = [part.strip() for part in tree[:brace].split("::") if part.strip()]
        for part in split_top(tree[brace + 1 : tree.rindex("}")]):
            for path, name in use_paths(part):
                path = prefix + path
                if path[-1] == "self":
                    path = path[:-1]
                    name = path[-1] if name == "self" else name
                yield path, name
        return
    path, _, alias = tree.partition(" as ")
    segments = [part.strip() for part in path.split("::") if part.strip()]
    yield segments, alias.strip() or segments[-1]


class Module:
    """A file, with the modules that stand in it."""

    def __init__(self, path, name, parent):
        self.path, self.name, self.parent = path, name, parent
        self.children, self.items, self.imports, self.globs = {}, set(), {}, []
        self.code, self.tests = without_tests(clean(path.read_text()))

    def family(self):
        """The module and everything above it."""
        return [self, *(self.parent.family() if self.parent else [])]

    def top(self):
        """The module below the root that holds it; the root itself for the root."""
        return self.family()[-2:][0]

    def label(self):
        above = [module.name for module in reversed(self.family())][1:]
        return "::".join(above) or "the root"


def read_crate(root):
    """All modules of the crate that begins with this file, the root first."""
    modules = []
    load(Path(root), "crate", None, modules)
    for module in modules:
        module.items = {a or b for a, b in ITEM.findall(module.code)}
        for found in USE.finditer(module.code):
            for path, name in use_paths(found[2]):
                scoped = scope(module, found.start()) + path if path[0] in ("super", "self") else path
                if name == "*":
                    module.globs.append(scoped[:-1])
                elif name != "_":
                    module.imports.setdefault(name, scoped)
    return modules


def load(path, name, parent, modules):
    module = Module(path, name, parent)
    modules.append(module)
    is_root = parent is None or path.name == "mod.rs"
    folder = path.parent if is_root else path.with_suffix("")
    for found in MOD.finditer(module.code):
        if found[2] == ";":
            files = [folder / f"{found[1]}.rs", folder / found[1] / "mod.rs"]
            for file in filter(Path.is_file, files):
                module.children[found[1]] = load(file, found[1], module, modules)
    return module


def scope(module, at):
    """`self` for each module inside of this file that holds the place: what `super` leaves first."""
    inline = (found for found in MOD.finditer(module.code, 0, at) if found[2] == "{")
    return ["inline" for found in inline if matching(module.code, found.end() - 1) > at]


def resolve(module, path, seen=()):
    """The module in which what the path names is written; `None` if that is another crate."""
    path = list(path)
    depth = 0
    while path and path[0] == "inline":
        depth += 1
        path.pop(0)
    while path and path[0] in ("self", "super"):
        if path.pop(0) == "super":
            if depth:
                depth -= 1
            else:
                module = module.parent or module
    if depth:
        return module
    if path and path[0] == "crate":
        module = module.family()[-1]
        path.pop(0)
    return descend(module, path, seen)


def descend(module, path, seen):
    if not path:
        return module
    name, rest = path[0], path[1:]
    if name in module.children:
        return descend(module.children[name], rest, seen)
    if name in module.items:
        return module
    if (module, name) in seen:
        return None
    seen = (*seen, (module, name))
    if name in module.imports:
        found = resolve_import(module, module.imports[name], seen)
        return resolve_rest(found, module.imports[name], rest, seen)
    for glob in module.globs:
        target = resolve_import(module, glob, seen)
        if target and target is not module and defines(target, name):
            return descend(target, path, seen)
    return None


def resolve_import(module, path, seen):
    """An import names another crate unless it begins with a module or an item that is known here."""
    first = path[0]
    known = first in KEYWORDS or first in module.children or first in module.items
    imported = first in module.imports and (module, first) not in seen
    return resolve(module, path, seen) if known or imported else None


def resolve_rest(found, path, rest, seen):
    """Goes on behind an import, if that names a module and not an item of one."""
    names_a_module = found and (found.name == path[-1] or path[-1] in KEYWORDS)
    return descend(found, rest, seen) or found if names_a_module else found


def defines(module, name):
    return name in module.children or name in module.items or name in module.imports


def uses(module):
    """The modules that this one names, each with the place of its first naming."""
    found = {}
    for use in USE.finditer(module.code):
        for path, name in use_paths(use[2]):
            path = path[:-1] if name == "*" else path
            path = scope(module, use.start()) + path if path[0] in ("self", "super") else path
            note(found, resolve_import(module, path, ()), use.start())
    rest = USE.sub(lambda use: blank(use[0]), module.code)
    for path in PATH.finditer(re.sub(r"\(in [^)]*\)", lambda inside: blank(inside[0]), rest)):
        segments = [part.strip() for part in path[0].split("::")]
        first = segments[0]
        if first in KEYWORDS or first in module.children or first in module.imports:
            if first in ("self", "super"):
                segments = scope(module, path.start()) + segments
            note(found, resolve(module, segments), path.start())
    found.pop(module, None)
    return found


def note(found, target, at):
    if target:
        found.setdefault(target, at)
