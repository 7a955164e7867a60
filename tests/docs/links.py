"""Links between the pages: every relative link and every anchor must lead somewhere."""

import re
from functools import cache

from blocks import outside_code

LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]*)>?(?:\s+\"[^\"]*\")?\s*\)")
DEFINITION = re.compile(r"^\[[^\]]+\]:\s*<?(\S+?)>?\s*$")
ATTRIBUTE = re.compile(r"<(?:a|img|source)\b[^>]*?\b(?:href|src|srcset)=\"([^\"]+)\"")
ANCHOR = re.compile(r"<a\b[^>]*?\b(?:id|name)=\"([^\"]+)\"")
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*$")
CODE = re.compile(r"(`+)(?:(?!\1).)+?\1")
ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def slug(heading):
    """The anchor that GitHub and mdBook make of a heading."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    text = re.sub(r"<[^>]*>", "", text)
    text = text.replace("`", "").replace("*", "").strip().lower()
    return "".join("-" if char.isspace() else char for char in text if char.isalnum() or char in " \t-_")


@cache
def anchors(path):
    """What `#…` may name in a page."""
    found, seen = set(), {}
    for line in outside_code(path.read_text()):
        found.update(ANCHOR.findall(line))
        heading = HEADING.match(line)
        if heading:
            name = slug(heading[1])
            count = seen.get(name, 0)
            seen[name] = count + 1
            found.add(f"{name}-{count}" if count else name)
    return found


def targets(text):
    """Line number and target of each link of a page, code left out. A link may be broken over two lines."""
    lines = [CODE.sub("", line) for line in outside_code(text)]
    for number, line in enumerate(lines, 1):
        definition = DEFINITION.match(line)
        if definition:
            yield number, definition[1]
    whole = "\n".join(lines)
    for pattern in (LINK, ATTRIBUTE):
        for match in pattern.finditer(whole):
            yield whole.count("\n", 0, match.start()) + 1, match[1]


def fault(page, target, root):
    """What is wrong with a link of a page; None if it leads somewhere, or out of the repository."""
    if ELSEWHERE.match(target) or target.startswith("//"):
        return None
    if target == "":
        return None if page.name == "SUMMARY.md" else "an empty link"
    path, _, anchor = target.partition("#")
    goal = (page.parent / path).resolve() if path else page.resolve()
    if not goal.exists():
        return f"no file {path}"
    if root not in goal.parents and goal != root:
        return f"{path} is outside the repository"
    if anchor and goal.suffix == ".md" and anchor not in anchors(goal):
        return f"no heading #{anchor} in {goal.relative_to(root)}"
    return None


def faults(pages, root):
    """`page:line: fault` for each link that leads nowhere."""
    found = []
    for page in pages:
        for line, target in targets(page.read_text()):
            wrong = fault(page, target, root)
            if wrong:
                found.append(f"{page.relative_to(root)}:{line}: ({target}) {wrong}")
    return found


def missing_from_summary(docs):
    """Pages of the book that no entry of its SUMMARY.md names."""
    summary = docs / "SUMMARY.md"
    named = {(docs / target.partition("#")[0]).resolve() for _, target in targets(summary.read_text()) if target}
    return [page for page in sorted(docs.rglob("*.md")) if page != summary and page.resolve() not in named]
