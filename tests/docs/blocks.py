"""The code blocks of a Markdown page, and what each says a test is to do with it."""

import re
from dataclasses import dataclass
from pathlib import Path

# What a test may do with a block of each language. A block of another language is only read by people.
MODES = {
    "sh": {"run", "deployment", "check", "ignore"},
    "python": {"run", "check", "ignore"},
    "toml": {"gateway", "relay", "apply", "check", "ignore"},
    "json": {"check", "ignore"},
    "rust": {"check", "ignore"},
    "javascript": {"check", "ignore"},
    "c": {"check", "ignore"},
}
OTHER_NAMES = {"bash": "sh", "shell": "sh", "zsh": "sh", "py": "python", "js": "javascript", "rs": "rust"}
# `<!-- run`, shell lines, `-->`: a `sh,run` block that readers do not see, to wait for something or to check it.
HIDDEN = re.compile(r"^<!--\s*run\s*$")
FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})[ \t]*(.*)$")


class Unmarked(Exception):
    """A block whose info string does not say what a test does with it."""


@dataclass
class Block:
    """A fenced block. `line` is that of its opening fence, from 1."""

    page: Path
    line: int
    info: str
    text: str
    language: str = ""
    mode: str = ""
    file: str = ""

    def where(self):
        return f"{self.page}:{self.line}"

    def read_info(self):
        """Takes language, mode and file out of the info string: `toml,apply,file=floodgate.toml`."""
        language, *words = [word.strip() for word in self.info.split(",")]
        self.language = language
        if not language:
            raise Unmarked("a block needs a language; plain text and output are `text`")
        if language in OTHER_NAMES:
            raise Unmarked(f"write `{OTHER_NAMES[language]}` instead of `{language}`")
        allowed = MODES.get(language, {"ignore"})
        for word in words:
            if word.startswith("file="):
                self.file = word.removeprefix("file=")
            elif word in allowed and not self.mode:
                self.mode = word
            else:
                raise Unmarked(f"`{word}` is not for {language}, or is one mode too many; known: {spoken(allowed)}")
        if not self.mode and language in MODES:
            raise Unmarked(f"say what a test does with it: `{language},MODE` with one of {spoken(allowed)}")


def spoken(modes):
    return ", ".join(sorted(modes))


def outside_code(text):
    """The lines of a page with those of fenced blocks made empty, so that line numbers stay."""
    lines, fence = [], None
    for line in text.splitlines():
        match = FENCE.match(line)
        if fence is None and match:
            fence = match[2]
            lines.append("")
        elif fence is not None:
            if match and match[2].startswith(fence) and not match[3]:
                fence = None
            lines.append("")
        else:
            lines.append(line)
    return lines


def extract(page, text):
    """All fenced blocks of a page, in order. Their info strings are not looked at yet."""
    blocks, open_block, indent, fence, body = [], None, "", "", []
    for number, line in enumerate(text.splitlines(), 1):
        match = FENCE.match(line)
        if open_block is None:
            if match:
                indent, fence, info = match.groups()
                open_block, body = Block(page, number, info.strip(), ""), []
            elif HIDDEN.match(line):
                indent, fence = "", "-->"
                open_block, body = Block(page, number, "sh,run", ""), []
        elif line.strip() == fence or (match and match[2].startswith(fence) and not match[3]):
            open_block.text = "\n".join(body) + "\n"
            blocks.append(open_block)
            open_block = None
        else:
            body.append(line.removeprefix(indent))
    if open_block is not None:
        raise Unmarked(f"{open_block.where()}: the block is never closed")
    return blocks
