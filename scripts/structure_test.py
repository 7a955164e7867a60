"""Plants a violation of each rule of structure.py beside what looks like one and is none."""

import tempfile
from pathlib import Path

import rust_source
import structure

LONG = "// a comment\n" * (structure.FILE_LINES + 1)
TESTS = "#[cfg(test)]\nmod tests {\n" + "    fn one() {}\n" * (structure.CRATE_LINES + 1) + "}\n"
FULL = "fn one() {}\n\n// a comment\n" * (structure.CRATE_LINES - 1)

# By path: the workspace that is checked.
FILES = {
    # One line too many with `more.rs`; the tests do not count.
    "large/src/lib.rs": "mod more;\n#[cfg(test)]\nmod world;\n" + FULL + TESTS,
    "large/src/more.rs": "fn one() {}\n",
    "large/src/world.rs": TESTS,
    "large/src/more/tests.rs": TESTS,
    "large/src/generated/bindings.rs": FULL,
    "long/one.rs": LONG,
    "long/two.py": LONG.replace("//", "#"),
    "long/three.sh": LONG.replace("//", "#"),
    "long/just.rs": LONG[: -len("// a comment\n")],
    "long/generated/bindings.rs": LONG,
    "parameters/src/lib.rs": '''
fn five(a: u8, b: (u8, u8), c: &[u8], d: HashMap<u8, u8>, e: impl Fn(u8, u8) -> u8) {}
fn six<F: Fn(u8) -> u8>(a: u8, b: u8, c: u8, d: u8, e: u8, f: F) {}
impl<T> Given for A<T> { fn six(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) {} }
impl A { fn method(&mut self, a: u8, b: u8, c: u8, d: u8, e: u8,) {} }
const TEXT: &str = "fn text(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8)"; // fn said(a, b, c, d, e, f)
''',
    # `one` and `two` through a nested import, `three` and `four` through what their parents export.
    "circles/src/lib.rs": "mod one;\nmod two;\nmod four;\nmod three;\nmod honest;\npub use three::Three;\n",
    "circles/src/one.rs": "use std::fmt;\nuse crate::{two::{self as other, Two}};\npub struct One;\n",
    "circles/src/two.rs": "pub struct Two;\nfn f() -> super::one::One { todo!() }\n",
    "circles/src/three.rs": "use crate::four::Four;\npub struct Three;\n",
    "circles/src/four.rs": "mod inner;\npub use self::inner::Four;\npub mod five;\n",
    "circles/src/four/inner.rs": "use crate::Three;\npub struct Four;\n",
    "circles/src/four/five.rs": "// crate::three\nuse crate::Three;\n",
    # Parent and child, and what only tests use.
    "circles/src/honest.rs": "mod child;\nuse self::child::Child;\npub struct Parent;\n",
    "circles/src/honest/child.rs": "use super::*;\npub struct Child(Parent);\n"
    "#[cfg(test)]\nmod tests {\n    use crate::one::One;\n}\nmod inner {\n    use super::Child;\n}\n",
    # No circle of modules, but one of folders.
    "folders/src/lib.rs": "mod left;\nmod right;\n",
    "folders/src/left.rs": "mod high;\nmod low;\n",
    "folders/src/left/high.rs": "use crate::right::middle::Middle;\n",
    "folders/src/left/low.rs": "pub struct Low;\n",
    "folders/src/right.rs": "pub mod middle;\n",
    "folders/src/right/middle.rs": "use crate::left::low::Low;\npub struct Middle;\n",
    "near/Cargo.toml": '[dependencies]\naxum = "1"\n',
    "far/Cargo.toml": "[dependencies]\nserde = \"1\"\nmiddle.workspace = true\n",
    "other/Cargo.toml": "[dependencies]\nfloodgate-relay = \"1\"\n",
}


def package(root, folder, dependencies=(), targets=()):
    listed = [{"name": name, "kind": kind, "features": features} for name, kind, features in dependencies]
    manifest = str(root / folder / "Cargo.toml")
    return {"manifest_path": manifest, "dependencies": listed, "targets": list(targets)}


def expect(found, wanted):
    """Each of the violations begins as wanted, and there is no other."""
    fits = len(found) == len(wanted) and all(any(one.startswith(text) for one in found) for text in wanted)
    assert fits, f"wanted {wanted}, found {found}"


def test_sizes(root):
    packages = {"large": package(root, "large")}
    files = [Path(path) for path in FILES if path.startswith("long/")]
    (root / "large/src/more.rs").write_text("")
    expect(list(structure.crate_sizes(root, packages)), [])
    (root / "large/src/more.rs").write_text(FILES["large/src/more.rs"])
    wanted = ["large/Cargo.toml:1: the crate large has 6501 lines"]
    expect(list(structure.crate_sizes(root, packages)), wanted)
    longer = ["long/one.rs:351: ", "long/two.py:351: ", "long/three.sh:351: "]
    expect(list(structure.sizes(root, files)), longer)


def test_parameters(root):
    found = list(structure.parameters(root, [Path("parameters/src/lib.rs")]))
    expect(found, ["parameters/src/lib.rs:3: fn six has 6 parameters"])


def test_circles(root):
    found = circles_of(root, "circles")
    wanted = ["circles/src/one.rs:2: one uses two", "circles/src/four/inner.rs:1: four::inner uses three"]
    expect(found, wanted)
    assert "\n    circles/src/two.rs:2: two uses one" in found[0], found
    assert "\n    circles/src/three.rs:1: three uses four::inner" in found[1], found
    wanted = ["folders/src/left/high.rs:1: left::high uses right::middle, in a circle of folders (folders)\n"]
    expect(circles_of(root, "folders"), wanted)


def circles_of(root, crate):
    target = {"name": crate, "kind": ["lib"], "src_path": str(root / crate / "src/lib.rs")}
    return list(structure.circles(root, {crate: package(root, crate, targets=[target])}))


def test_walls(root):
    structure.WALLS = {"near": {"axum", "hyper/server"}, "far": {"hyper/server"}, "gone": set()}
    structure.USERS = {"floodgate-relay": {"floodgate"}}
    packages = {
        "near": package(root, "near", [("axum", None, []), ("hyper", None, ["client"])]),
        "far": package(root, "far", [("middle", None, []), ("axum", "dev", [])]),
        "middle": package(root, "middle", [("hyper", None, ["server"])]),
        "floodgate": package(root, "middle", [("floodgate-relay", None, []), ("axum", None, [])]),
        "other": package(root, "other", [("floodgate-relay", None, [])]),
        "floodgate-relay": package(root, "middle", [("axum", None, [])]),
    }
    wanted = [
        "near/Cargo.toml:2: near depends on axum, ",
        "far/Cargo.toml:3: far depends on hyper/server, through middle, ",
        "other/Cargo.toml:2: other depends on floodgate-relay, ",
        "scripts/structure.py:1: there is a wall for gone, ",
    ]
    expect(list(structure.walls(root, packages)), wanted)


def test_source(_root):
    text = "let a = r#\"mod x; \"#; /* a /* b */ c */ let c = '\"'; fn f<'a>(x: &'a str) {} // d\n"
    text += "b\"\\\"\" '\\''"
    code = rust_source.clean(text)
    left = "let a = ; let c = ; fn f<'a>(x: &'a str) {}"
    assert len(code) == len(text) and code.split() == left.split(), code
    tree = [(["a"], "a"), (["a", "b"], "c"), (["a", "d", "*"], "*")]
    assert list(rust_source.use_paths("a::{self, b as c, d::*}")) == tree


def run():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for path, text in FILES.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        tests = [test for name, test in globals().items() if name.startswith("test_")]
        for test in tests:
            test(root)
    print(f"structure: {len(tests)} self-tests passed")
    return 0
