"""The dashboard's files, as they are in the package."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from txlb.admin.pages import load_pages


class PagesTests(SynchronousTestCase):
    """`load_pages`"""

    def test_loaded(self) -> None:
        """By name, the index also at the top, each with its type and a tag of its content."""
        pages = load_pages()
        self.assertIs(pages[""], pages["index.html"])
        self.assertTrue(pages[""].content_type.startswith("text/html; charset="))
        kinds = {name.rpartition(".")[2]: page.content_type for name, page in pages.items() if "." in name}
        self.assertIn("javascript", kinds["js"])
        self.assertIn("text/css", kinds["css"])
        self.assertEqual(len({page.etag for page in pages.values()}), len(pages) - 1)

    def test_keeps_to_its_policy(self) -> None:
        """Nothing inline and nothing from elsewhere, which the policy would forbid."""
        page = load_pages()[""].body.decode()
        self.assertEqual(
            re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|(?:src|href|action)=.https?://", page), []
        )
        for name in re.findall(r'(?:src|href)="([^"#:]+\.(?:js|css))"', page):
            self.assertTrue(name.removeprefix("/") in load_pages(), name)
