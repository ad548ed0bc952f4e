"""report.html is complete and needs nothing from outside."""

import re
from html.parser import HTMLParser

from llmcore.pipeline.report import render_report


class Balance(HTMLParser):
    """Checks that every element is closed in order."""

    VOID = ("meta", "br", "path", "use", "image")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID and tag != "p":
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID and tag != "p":
            assert self.open.pop() == tag


def test_the_page_is_whole(finished):
    layout, metrics = finished
    page = layout.report.read_text(encoding="utf-8")
    assert not re.search(r"<!-- \w+ -->", page)
    assert page.count("<svg") == 4
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert f"{metrics['language']['bits_per_byte']:.4f}" in page
    for target in metrics["targets"].values():
        assert target["measured"].split(" ")[0] in page


def test_nothing_is_loaded_from_outside(finished):
    page = finished[0].report.read_text(encoding="utf-8")
    links = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert [link for link in links if not link.startswith("#")] == []
    assert not re.findall(r"@import|url\((?!#)", page)


def test_what_a_model_says_cannot_become_markup(finished):
    _, metrics = finished
    sample = metrics["chat"]["sft"]["samples"][0] | {"answer": "<script>alert(1)</script>"}
    sft = metrics["chat"]["sft"] | {"samples": [sample]}
    rows = {
        s: [{"step": 1, "loss": 1.0, "tokens_per_s": 1.0, "rss_mb": 1.0}]
        for s in ("pretrain", "sft", "dpo")
    }
    page = render_report(metrics | {"chat": metrics["chat"] | {"sft": sft}}, rows)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
