"""Reads the HTML that is shown in notebooks as a browser would, and says what in it could act."""

from html.parser import HTMLParser

HARMLESS = {"div", "figure", "figcaption", "img", "video", "em", "strong", "span"}
ATTRIBUTES = {"style", "alt", "src", "controls", "loop", "muted", "playsinline", "width"}

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "</em></figcaption><iframe src=javascript:alert(1)>",
    "&lt;script&gt; <svg onload=alert(1)> <!--",
]


class Page(HTMLParser):
    """What a piece of HTML consists of.

    Attributes:
        tags: (name, attributes) of each element, in order.
        text: All that is read as words.
        open: Elements that were never closed.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.tags.append(("!--", {}))

    def sources(self) -> list[str]:
        """Addresses of pictures and videos."""
        return [str(attributes["src"]) for _, attributes in self.tags if "src" in attributes]


def foreign(page: Page) -> list[str]:
    """Everything in a page that we do not write ourselves: other elements, attributes and addresses."""
    tags = [tag for tag, _ in page.tags if tag not in HARMLESS]
    attributes = [name for _, given in page.tags for name in given if name not in ATTRIBUTES]
    return [
        *tags,
        *attributes,
        *(source[:40] for source in page.sources() if not source.startswith("data:")),
        *page.open,
    ]
