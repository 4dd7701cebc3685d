"""What `make docs` adds to docs/: the pages of the root, and links that lead within the site or say a file's name."""

import re
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).parents[2]
PAGES = {
    "README.md": "index.md",
    **{name: name.lower() for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")},
}
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)")
IMAGE = re.compile(r"!\[([^\]]*)\]\(docs/([^)]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of the root."""
    from mkdocs.structure.files import File

    for source, name in PAGES.items():
        files.append(File.generated(config, name, content=moved((ROOT / source).read_text(), PurePosixPath())))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links out of docs/ lead to the pages that were added."""
    added = page.file.src_uri in PAGES.values()
    return markdown if added else moved(markdown, PurePosixPath("docs"))


def moved(markdown: str, folder: PurePosixPath) -> str:
    """The text of a page of `folder` as it stands on the site, where docs/ is the root."""

    def link(found: re.Match[str]) -> str:
        words, target, anchor = found.group(1), found.group(2), found.group(3) or ""
        path = (ROOT / folder / target).resolve().relative_to(ROOT).as_posix()
        if path in PAGES:
            return f"[{words}]({PAGES[path]}{anchor})"
        if path.startswith("docs/"):
            return f"[{words}]({path.removeprefix('docs/')}{anchor})"
        return words if words == path else f"{words} (`{path}`)"

    return IMAGE.sub(r"![\1](\2)", LINK.sub(link, markdown))
