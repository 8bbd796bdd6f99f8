"""The dashboard's files, read once from the package's `static` folder."""

from __future__ import annotations

import hashlib
import mimetypes
from importlib import resources

from attrs import frozen

from txlb.admin.answers import Answer

INDEX = "index.html"


@frozen
class Page:
    """One file. A browser asks each time whether it has changed, since a new version may be installed."""

    body: bytes
    content_type: str
    etag: str

    def answer(self, known: str | None) -> Answer:
        """The file, or only that it is the one that is `known`."""
        headers = {"ETag": self.etag, "Cache-Control": "no-cache"}
        if known is not None and self.etag in [tag.strip() for tag in known.split(",")]:
            return Answer(b"", self.content_type, 304, headers)
        return Answer(self.body, self.content_type, 200, headers)


def load_pages() -> dict[str, Page]:
    """By name; `index.html` is also there as the empty name."""
    folder = resources.files("txlb.admin").joinpath("static")
    pages: dict[str, Page] = {}
    for file in folder.iterdir() if folder.is_dir() else ():
        if file.is_file() and not file.name.startswith((".", "_")):
            pages[file.name] = _page(file.name, file.read_bytes())
    if INDEX in pages:
        pages[""] = pages[INDEX]
    return pages


def _page(name: str, body: bytes) -> Page:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    return Page(body, kind, f'"{hashlib.sha256(body).hexdigest()[:20]}"')
