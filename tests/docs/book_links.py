#!/usr/bin/env python3
"""An mdBook preprocessor: links to files outside docs/ become links to the repository, where those files are."""

import json
import posixpath
import re
import sys

LINK = re.compile(r"(\]\(|^\[[^\]]+\]:\s*)([^)\s#:]+)(#[^)\s]*)?(\)?)", re.MULTILINE)


def rewrite(content, page, repository):
    """The page's text with each link that leads out of docs/ pointing to the repository."""

    def to_repository(match):
        before, path, anchor, after = match[1], match[2], match[3] or "", match[4]
        goal = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), path))
        if goal.startswith("docs/") or goal == "docs":
            return match[0]
        return f"{before}{repository}/blob/main/{goal}{anchor}{after}"

    return LINK.sub(to_repository, content)


def chapters(items):
    """Every chapter of the book, sub-chapters included."""
    for item in items:
        chapter = item.get("Chapter") if isinstance(item, dict) else None
        if chapter:
            yield chapter
            yield from chapters(chapter["sub_items"])


def main():
    if sys.argv[1:2] == ["supports"]:
        return
    context, book = json.load(sys.stdin)
    repository = context["config"]["output"]["html"]["git-repository-url"].rstrip("/")
    for chapter in chapters(book.get("items") or book.get("sections") or []):
        if chapter["path"]:
            chapter["content"] = rewrite(chapter["content"], chapter["path"], repository)
    json.dump(book, sys.stdout)


if __name__ == "__main__":
    main()
