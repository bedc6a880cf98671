"""Turns one documentation file into a list of blocks.

A block is a pair (kind, text). The kinds are "h1" to "h4" (headings), "p" (a paragraph), "li" (a list item),
"dt" (a term that the next block explains), "td" (a table cell) and "code" (several lines, as they stood).
Nothing is judged here; clean.py decides what is worth keeping.
"""

import gzip
import re
from html import unescape

# Parts of a page that are there for finding one's way, not for reading.
SKIP_TAGS = {
    "script", "style", "nav", "head", "footer", "form", "button", "select", "svg", "math", "noscript", "iframe",
    "textarea", "object", "indexterm", "info", "bookinfo", "articleinfo", "refentryinfo", "sectioninfo",
    "legalnotice", "authorgroup", "revhistory", "mediaobject", "screenshot", "bibliography", "glosssee",
    "credit", "license", "synopsis", "cmdsynopsis", "annotation", "figcaption", "caption", "map", "index",
}
SKIP_CLASS = re.compile(
    r"(?:^|[\s_-])(?:nav\w*|toc\w*|tableofcontents|contents|sidebar\w*|sphinxsidebar\w*|footer\w*|breadcrumbs?|"
    r"related|menu\w*|copyright|legalnotice|headerlink|sourceline|linenos?|linenumber\w*|navheader|navfooter|"
    r"toolbar|pagination|search\w*|revhistory|authorgroup|releaseinfo|pubdate|index\w*|indexterm|sig|"
    r"field-list|viewcode\w*|math|MathJax\w*|equation|genindex|printindex|synopsis|refnamediv|funcsynopsis|"
    r"versionadded|versionchanged|versionmodified|deprecated|titlepage_date|edit-link|prevnext|header-link|"
    r"src|since|stab|item-table|footnotes?|bibliography|citation|noprint|table-contents|list-of-\w+)(?:$|[\s_-])",
    re.I,
)
BLOCK_TAGS = {
    "p": "p", "para": "p", "simpara": "p", "blockquote": "p", "div": "p", "section": "p", "article": "p",
    "main": "p", "body": "p", "center": "p", "header": "p", "aside": "p", "details": "p", "summary": "p",
    "li": "li", "listitem": "p", "item": "li", "dd": "p", "dt": "dt", "term": "dt", "ul": "p", "ol": "p", "dl": "p",
    "itemizedlist": "p", "orderedlist": "p", "variablelist": "p", "steps": "p", "list": "p", "terms": "p",
    "td": "td", "th": "td", "entry": "td", "tr": "td", "table": "p", "figure": "p", "hr": "p",
    "h1": "h1", "h2": "h2", "h3": "h3", "h4": "h4", "h5": "h4", "h6": "h4", "note": "p", "tip": "p",
    "warning": "p", "important": "p", "caution": "p", "procedure": "p", "step": "li", "abstract": "p",
}
CODE_TAGS = {"code", "tt", "samp", "kbd", "filename", "command", "option", "literal", "userinput", "varname", "cmd"}
PRE_TAGS = {"pre", "screen", "programlisting", "literallayout", "listing", "xmp"}
VOID_TAGS = {"br", "hr", "img", "meta", "link", "input", "area", "base", "col", "wbr", "xref", "colspec"}


SECTION_TAG = re.compile(r"sect\d|chapter|preface|appendix|page|refsect\d")
UNREAD = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<!\[CDATA\[|\]\]>", re.S | re.I)
TOKEN = re.compile(r"<(/?)([A-Za-z][\w:-]*)((?:[^>\"']++|\"[^\"]*\"|'[^']*')*+)>|<[!?][^>]*>|([^<]+)|<")
NAMES = re.compile(r"\b(?:class|role)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+))")


class Page:
    """HTML, and well enough DocBook and Mallard, whose paragraphs and lists are nested in the same way.

    The standard parser is several times slower than one regular expression, and there are hundreds of megabytes.
    """

    def __init__(self):
        self.blocks = []
        self.kind = "p"
        self.text = []
        self.linked = 0
        self.links = 0
        self.code = 0
        self.pre = 0
        self.depth = 0  # of sections, which gives a DocBook title its level
        self.skipping = None
        self.skip_depth = 0

    def feed(self, source):
        for token in TOKEN.finditer(UNREAD.sub("", source)):
            closing, tag, attributes, data = token.groups()
            if data:
                self.handle_data(data)
            elif closing:
                self.handle_endtag(tag.lower())
            elif tag:
                self.handle_starttag(tag.lower(), attributes)
                if attributes.endswith("/") and tag.lower() not in VOID_TAGS:
                    self.handle_endtag(tag.lower())

    def flush(self, kind="p"):
        text = "".join(self.text)
        if self.pre == 0:
            text = " ".join(text.split())
        if text.strip():
            length = len(text.replace("`", "").strip())
            only_link = self.linked >= 0.8 * length
            self.blocks.append((self.kind, text, only_link))
        self.text = []
        self.linked = 0
        self.kind = kind

    def handle_starttag(self, tag, attributes):
        if self.skipping:
            if tag == self.skipping and tag not in VOID_TAGS:
                self.skip_depth += 1
            return
        if tag in VOID_TAGS:
            if tag == "br":
                self.text.append("\n" if self.pre else " ")
            elif tag == "hr":
                self.flush()
            return
        names = " ".join("".join(groups) for groups in NAMES.findall(attributes)) if attributes else ""
        if tag in SKIP_TAGS or (tag not in ("body", "html", "code") and names and SKIP_CLASS.search(names)):
            self.skipping = tag
            self.skip_depth = 1
            return
        if tag in PRE_TAGS:
            self.flush("code")
            self.pre += 1
        elif self.pre:
            return
        elif tag in ("title", "bridgehead"):
            self.flush("h%d" % min(max(self.depth, 1), 4))
        elif tag in BLOCK_TAGS:
            kind = BLOCK_TAGS[tag]
            inherits = kind == "p" and self.kind in ("li", "td", "dt") and not "".join(self.text).strip()
            self.flush(self.kind if inherits and tag in ("p", "para", "simpara", "div", "listitem") else kind)
            if tag == "listitem":
                self.kind = "li"
            if tag == "section" or tag == "div" and "section" in names.split():
                self.depth += 1
        elif SECTION_TAG.fullmatch(tag):
            self.flush()
            self.depth += 1
        elif tag in CODE_TAGS:
            if self.code == 0:
                self.text.append("`")
            self.code += 1
        elif tag == "a":
            self.links += 1

    def handle_endtag(self, tag):
        if self.skipping:
            if tag == self.skipping:
                self.skip_depth -= 1
                if self.skip_depth == 0:
                    self.skipping = None
            return
        if tag in PRE_TAGS:
            if self.pre:
                self.flush()  # while still verbatim, so that lines keep their shape
                self.pre -= 1
        elif self.pre:
            return
        elif tag in BLOCK_TAGS or tag in ("title", "bridgehead"):
            self.flush()
            if tag == "section":
                self.depth = max(self.depth - 1, 0)
        elif SECTION_TAG.fullmatch(tag):
            self.flush()
            self.depth = max(self.depth - 1, 0)
        elif tag in CODE_TAGS and self.code:
            self.code -= 1
            if self.code == 0:
                self.text.append("`")
        elif tag == "a" and self.links:
            self.links -= 1

    def handle_data(self, data):
        if self.skipping:
            return
        if "&" in data:
            data = unescape(data)
        self.text.append(data)
        if self.links and not self.pre:
            self.linked += len(data)


def from_markup(source):
    page = Page()
    page.feed(source)
    page.pre = 0
    page.flush()
    blocks = []
    for kind, text, only_link in page.blocks:
        if only_link and not kind.startswith("h"):
            continue
        if kind != "code":
            text = re.sub(r"`\s*`", "", text).replace("``", "`")
            text = re.sub(r"`([^`]*)`", lambda m: "`" + m.group(1).strip() + "`" if m.group(1).strip() else "", text)
            text = re.sub(r"&([A-Za-z][\w-]*);", lambda m: m.group(1).capitalize(), text)
            text = re.sub(r"^(?:(?:Chapter|Section|Appendix) )?(?:[\dA-Z]{1,2}\.)(?:\d+\.)*\s+(?=[A-Z])", "", text) \
                if kind.startswith("h") else text
            text = re.sub(r"^\d+(?:\.\d+)+\s+", "", text) if kind.startswith("h") else text
            text = re.sub(r"\s*[¶#§]$", "", text) if kind.startswith("h") else text
        blocks.append((kind, text))
    return blocks


def paragraphs(lines):
    """Runs of non-empty lines."""
    run = []
    for line in lines:
        if line.strip():
            run.append(line.rstrip())
        elif run:
            yield run
            run = []
    if run:
        yield run


BULLET = re.compile(r"^\s*(?:[-*+o•]|\(?\d{1,2}[.)])\s+")


def from_plain(source):
    """Hard-wrapped text. A paragraph indented by more than its list item is still prose if it reads so."""
    source = re.sub(r".\x08", "", source).expandtabs()
    blocks = []
    for run in paragraphs(source.split("\n")):
        underlined = len(run) >= 2 and re.fullmatch(r"\s*[=\-~*^\"'`]{3,}\s*", run[1])
        if underlined and len(run[0].strip()) < 80:
            blocks.append(("h2", run[0].strip()))
            run = run[2:]
            if not run:
                continue
        items = []
        for line in run:
            if BULLET.match(line) or not items:
                items.append([line])
            else:
                items[-1].append(line)
        for item in items:
            bullet = BULLET.match(item[0])
            joined = re.sub(r"(?<=[a-z])-\n\s*(?=[a-z])", "-", "\n".join(item))
            text = " ".join(BULLET.sub("", joined, count=1).split())
            ragged = any(re.search(r"\S {3,}\S", line) for line in item)
            if ragged or re.search(r"[|+]-{3}|\.{5}|_{5}|={5}", joined):
                blocks.append(("code", "\n".join(item)))
            elif bullet:
                blocks.append(("li", text))
            elif len(item) == 1 and len(text) < 60 and not re.search(r"[.:;,!?]$", text):
                blocks.append(("h3", re.sub(r"^[\d.]+\s+", "", text)))
            else:
                blocks.append(("p", text))
    return blocks


def from_info(source):
    """A GNU Info file: nodes between unit separators, each with a header line and perhaps a menu."""
    blocks = []
    for node in source.split("\x1f")[1:]:
        lines = node.lstrip("\n").split("\n")
        if not lines or not lines[0].startswith("File:"):
            continue
        body = "\n".join(lines[1:])
        body = re.split(r"^\* Menu:", body, maxsplit=1, flags=re.M)[0]
        name = re.search(r"Node: ([^,]*)", lines[0])
        if name and re.search(r"index|licen[cs]e|copying|top$", name.group(1), re.I):
            continue
        body = re.sub(r"\*[Nn]ote ([^:]+)::", r"\1", body)
        body = re.sub(r"\*[Nn]ote ([^:]+):\s*([^.,]+)([.,])", r"\1\3", body)
        body = re.sub(r"[‘']([\w.-]+)[’']", r"`\1`", body)
        blocks += from_plain(body)
    return blocks


ROFF = {
    "\\-": "-", "\\(aq": "'", "\\(dq": '"', "\\(bu": "", "\\(em": "—", "\\(en": "–", "\\&": "", "\\e": "\\",
    "\\(co": "(c)", "\\ ": " ", "\\|": "", "\\^": "", "\\%": "", "\\/": "", "\\,": "", "\\~": " ", "\\0": " ",
    "\\(lq": '"', "\\(rq": '"', "\\(oq": "'", "\\(cq": "'", "\\(ha": "^", "\\(ti": "~", "\\(ga": "`", "\\'": "'",
    "\\`": "`", "\\c": "", "\\(mu": "×", "\\(->": "→", "\\(+-": "±", "\\(<=": "≤", "\\(>=": "≥", "\\(pl": "+",
}


def roff_text(text):
    text = re.sub(r"\\f(?:\[[^\]]*\]|\(..|.)", "", text)
    text = re.sub(r"\\s[-+]?\d", "", text)
    text = re.sub(r"\\\".*", "", text)
    text = re.sub(r"\\\*\(?..?", "", text)
    return re.sub(r"\\(?:\(..|.)", lambda m: ROFF.get(m.group(0), ""), text)


def from_man(source):
    """A page in the man macros. A page in the mdoc macros, or one that only points to another, gives nothing."""
    blocks = []
    text = []
    verbatim = False
    kind = "p"

    def flush(next_kind="p"):
        nonlocal text, kind
        joined = " ".join(" ".join(text).split())
        if joined:
            blocks.append((kind, joined))
        text = []
        kind = next_kind

    expects_term = False
    for line in source.split("\n"):
        if line.startswith(".Dd") or line.startswith(".so "):
            return []
        if re.match(r"['.]\\\"|'\\\"|\.\\\"", line):
            continue
        macro = re.match(r"[.']\s*([A-Za-z]{1,3})\b\s*(.*)", line)
        if not macro:
            if verbatim:
                continue
            if not line.strip():
                flush()
            elif not line.startswith((".", "'")):
                text.append(roff_text(line))
                if expects_term:
                    flush()
                    expects_term = False
            continue
        name, rest = macro.groups()
        words = [a or b for a, b in re.findall(r'"((?:[^"]|"")*)"|(\S+)', rest)]
        if name in ("SH", "SS"):
            flush()
            blocks.append(("h2" if name == "SH" else "h3", roff_text(" ".join(words)).strip().capitalize()))
        elif name in ("PP", "P", "LP", "HP", "sp", "RS", "RE", "br"):
            flush()
        elif name == "TP":
            flush("dt")
            expects_term = True
        elif name == "IP":
            flush("li" if words and words[0].startswith("\\(bu") else "dt")
            if words and kind == "dt":
                text.append(roff_text(words[0]))
            if kind == "dt":
                flush()
        elif name in ("nf", "EX"):
            flush()
            verbatim = True
        elif name in ("fi", "EE"):
            verbatim = False
        elif name in ("B", "I", "SM", "SB", "R") and not verbatim:
            text.append(roff_text(" ".join(words)))
        elif name in ("BR", "IR", "RB", "RI", "BI", "IB") and not verbatim:
            text.append(roff_text("".join(words)))
        else:
            continue
        if expects_term and name in ("B", "I", "BR", "IR", "RB", "RI", "BI", "IB"):
            flush()
            expects_term = False
    flush()
    return blocks


def pod_text(text):
    for _ in range(4):
        text = re.sub(r"\bE<(\w+)>", lambda m: {"lt": "\x01", "gt": "\x02", "verbar": "|", "sol": "/"}
                      .get(m.group(1), ""), text)
        text = re.sub(r"\b[CF]<<+ (.*?) >>+|\b[CF]<([^<>]*)>", lambda m: "`" + (m.group(1) or m.group(2)) + "`", text)
        text = re.sub(r"\bL<(?:([^<>|]*)\|)?([^<>]*)>", lambda m: m.group(1) or m.group(2).strip('/"'), text)
        text = re.sub(r"\b[XZ]<[^<>]*>", "", text)
        text = re.sub(r"\b[BIS]<<+ (.*?) >>+|\b[BIS]<([^<>]*)>", lambda m: m.group(1) or m.group(2), text)
    return text.replace("\x01", "<").replace("\x02", ">").replace("``", "`")


def from_pod(source):
    blocks = []
    listening = False
    kind = "p"
    for run in paragraphs(source.split("\n")):
        directive = re.match(r"=(\w+)\s*(.*)", run[0])
        if directive:
            name, rest = directive.groups()
            rest = pod_text(" ".join([rest] + run[1:])).strip()
            listening = name not in ("cut", "begin", "for")
            kind = "p"
            if name.startswith("head"):
                blocks.append(("h" + str(min(int(name[4:] or 1), 4)), rest.capitalize() if rest.isupper() else rest))
            elif name == "item" and rest in ("*", "o", "-"):
                kind = "li"
            elif name == "item":
                blocks.append(("dt", re.sub(r"^(?:\*|\d+\.?)\s+", "", rest)))
        elif listening:
            if run[0][0] in " \t":
                blocks.append(("code", "\n".join(run)))
            else:
                blocks.append((kind, " ".join(pod_text(" ".join(run)).split())))
                kind = "p"
    return blocks


def from_dictd(source):
    """One encyclopaedia: an unindented headword, then its indented definition."""
    blocks = []
    for run in paragraphs(source.split("\n")):
        for position, line in enumerate(run):
            if not line.startswith(" ") and len(line) < 60:
                blocks.append(("h3", line.strip()))
            else:
                rest = " ".join(" ".join(run[position:]).split())
                rest = re.sub(r"\{([^{}]*)\}", r"\1", rest)
                rest = re.sub(r"<([^<>]{3,30})>\s*", r"(\1) ", rest, count=1)
                blocks.append(("p", re.sub(r"\s*\(\d{4}-\d\d-\d\d\)$", "", rest)))
                break
    return blocks


READERS = [
    (re.compile(r"\.(?:x?html?|docbook|page|xml)$", re.I), "markup", from_markup),
    (re.compile(r"\.pod$"), "pod", from_pod),
    (re.compile(r"\.info(?:-\d+)?$"), "info", from_info),
    (re.compile(r"/man/man\d/.*\.\d\w*$"), "man", from_man),
    (re.compile(r"\.dict(?:\.dz)?$"), "dictd", from_dictd),
    (re.compile(r"\.(?:txt|text|md|rst|faq|doc)$|/[A-Z][A-Z_.-]{3,}$|fortunes/[\w.-]+$", re.I), "plain", from_plain),
]


def reader(path):
    """(name of the format, function) for a path inside a package, or None."""
    bare = re.sub(r"\.gz$", "", path)
    for pattern, name, function in READERS:
        if pattern.search(bare):
            return name, function
    return None


def read(path):
    """The text of a file: UTF-8, or Latin-1 if it is not, which old documents are."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if b"\0" in data[:4096]:
        return ""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="ignore")
