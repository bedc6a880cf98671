"""Decides which blocks of a document are English prose, and writes them down one paragraph to a line."""

import hashlib
import re
import unicodedata

COMMON = frozenset(
    "the of and to a in is that it for as with be this are on by not or an which can from you if have will has was "
    "at but all when may one they use used more there your other then only any these also its we his he she her i "
    "so do what how some such no must should would their been into than about most could each were them very many "
    "where does because between through while who my me our us had did up out just like over after before".split()
)
FOREIGN = frozenset(
    "der die das und ist nicht mit eine ein den von zu sie auf für le la les des est et une un pour dans que du "
    "el los las por con para una del il che di per non della gli sono o os uma não com em het een van niet".split()
)

BOILERPLATE = re.compile(
    r"permission is (?:hereby )?granted|without (?:any )?warrant|all rights reserved|copyright (?:\(c\)|©|\d{4})|"
    r"©|\(c\) ?\d{4}|free documentation license|general public license|creative commons|redistribution and use in|"
    r"invariant sections|this program is free software|apache license|bsd license|mit license|licensed under|"
    r"under the terms of|trademarks? of|warranty of merchantability|liable for any|enable javascript|"
    r"table of contents|last (?:updated|modified|change)|generated (?:by|on|from)|this page (?:was|is) |"
    r"report (?:bugs|a bug)|please send (?:comments|bug)|bug reports? to|click here|prev(?:ious)? .{0,30}next|"
    r"mailing list archive|valid (?:x?html|css)|all other (?:names|marks)|cc-by|docs\.openstack\.org",
    re.I,
)
SKIP_PATH = re.compile(
    r"(?:^|[/._-])(?:licen[cs]es?|copying\w*|copyright|gpl\w*|fdl\w*|gfdl|lgpl\w*|gnu_free\w*|changelog\w*|changes|"
    r"news|genindex\w*|py-modindex|modindex|indices|theindex|toc|contents|searchindex|search|authors?|thanks|credits|"
    r"contributors?|history|todo|buildinfo|bibliography|references|sitemap|kwindex|symbols?-index|function-index|"
    r"concept-index|whatsnew|releases?|release-notes?|relnotes|glossary-index|maintainers|install|"
    r"people|donors|acknowledge?ments?|colophon|porting|errata|legal|examples?|tests?|node_modules|_static|_sources|"
    r"javadoc|doxygen|apidocs?|api|generated|_modules|modules/generated|rest-api|contributor|reno|manpages?|src)"
    r"(?:[/._-]|$)",
    re.I,
)
OTHER_LANGUAGE = re.compile(
    r"[/._-](?:de|fr|es|it|ja|jp|ru|pt|pt_br|pt-br|zh|zh_cn|zh-cn|zh_tw|zh-tw|ko|kr|nl|pl|sv|da|cs|hu|tr|ca|uk|vi|id|"
    r"fi|nb|nb-no|no|ro|el|bg|sl|sk|hr|lt|et|gl|eu|ar|fa|he|hi|sr|zh_CN|translations|ja_JP|ko_KR|it_IT)"
    r"(?:[/._-](?!\w+\.so)|$)"
)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
OTHER_SCRIPT = re.compile(r"[\u0370-\u1dff\u3000-\U0010ffff]")
SENTENCE_END = re.compile(r"[.!?:;][\"'”’)\]`]*$")
WORD = re.compile(r"[A-Za-z][A-Za-z'’-]*")
SENTENCE = re.compile(r"(?<=[.!?])[\"'”’)]*\s+(?=[\"'“‘(`]?[A-Z])")

MINIMUM_WORDS = 4       # of a paragraph
CODE_LINES = 5          # a longer listing is left out
MINIMUM_PROSE = 500     # characters of prose in a document
ENGLISH_SHARE = 0.22    # of words that are among the commonest


def tidy(text):
    """NFC, plain spaces, no control or private-use characters, one kind of hyphen; quotes stay as written."""
    if text.isascii():
        return CONTROL.sub("", text)
    text = unicodedata.normalize("NFC", text)
    text = text.replace("\u00ad", "").replace("\ufeff", "").replace("\u2010", "-").replace("\u2011", "-")
    text = text.replace("\u200b", "").replace("\u2212", "-").replace("\ufb01", "fi").replace("\ufb02", "fl")
    text = re.sub(r"[\u00a0\u2000-\u200a\u202f\u3000]", " ", text)
    return "".join(c for c in text if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cn", "Cs"))


def is_english(text):
    words = [word.lower() for word in WORD.findall(text)]
    if not words:
        return False
    common = sum(word in COMMON for word in words) / len(words)
    foreign = sum(word in FOREIGN for word in words) / len(words)
    return common >= ENGLISH_SHARE and foreign < 0.5 * common


def is_prose(text, kind):
    """True for a full English sentence or more. A list item need not end in a full stop."""
    words = WORD.findall(text)
    if len(words) < MINIMUM_WORDS or len(text) > 6000:
        return False
    solid = len(text) - text.count(" ")
    letters = sum(map(str.isalpha, text))
    if letters < 0.78 * solid or len(OTHER_SCRIPT.findall(text)) > 0.01 * solid:
        return False
    if any(len(word) > 60 for word in text.split()) or text.count("\\") > 3 or "�" in text:
        return False
    if len(re.findall(r"\b\w\b", text)) > 0.3 * len(words) + 3 or text.count("`") > 0.5 * len(words):
        return False
    if not re.match(r"[\"'“‘(\[`*]?[A-Z0-9a-z$/.<-]", text) or BOILERPLATE.search(text):
        return False
    ends = SENTENCE_END.search(text)
    if kind == "td":
        return bool(ends) and len(words) >= 12 and is_english(text)
    if kind == "p" and not ends and len(words) < 12:
        return False
    if kind == "p" and not ends and not re.search(r"[.!?] [A-Z]", text):
        return False
    if len(words) < 8:
        return any(word.lower() in COMMON for word in words) and (bool(ends) or kind == "li")
    share = sum(word.lower() in COMMON for word in words) / len(words)
    return share >= 0.18 if len(words) < 30 else is_english(text)


def is_heading(text):
    words = WORD.findall(text)
    return (1 <= len(words) <= 12 and 3 <= len(text) <= 90 and sum(c.isalpha() for c in text) > 0.6 * len(text)
            and not BOILERPLATE.search(text) and not text.endswith((",", ";")))


def is_short_code(text):
    lines = text.strip("\n").split("\n")
    return (len(lines) <= CODE_LINES and all(len(line) < 100 for line in lines) and len(text.strip()) > 3
            and all(ord(c) < 0x2500 for c in text) and not re.search(r"[-=+_*#]{6}", text))


def dedent(text):
    lines = [line.rstrip() for line in text.expandtabs(4).strip("\n").split("\n")]
    margin = min((len(line) - len(line.lstrip()) for line in lines if line), default=0)
    return "\n".join(line[margin:] for line in lines if line)


def polish(text):
    text = " ".join(text.split())
    text = re.sub(r"\s+([,.;:!?)\]])(?=\s|$)", r"\1", text)
    text = re.sub(r"([(\[])\s+", r"\1", text)
    text = re.sub(r"\[\d+\]|\[citation needed\]|\[edit\]", "", text)
    text = re.sub(r"\s*\((?:see )?(?:page )?\)", "", text)
    text = re.sub(r"``([^`']+)''", r'"\1"', text)
    return " ".join(text.split())


def key(text):
    """What two paragraphs share when one is a copy of the other: letters only, digits all alike."""
    folded = re.sub(r"\d+", "0", text.lower())
    return hashlib.sha256(re.sub(r"[^a-z0]+", " ", folded).strip().encode()).digest()[:12]


class Seen:
    """The paragraphs and sentences met so far, over all packages."""

    def __init__(self):
        self.paragraphs = set()
        self.sentences = set()

    def is_new(self, text):
        """Remembers the text; false if it was met, or if half of it consists of sentences that were."""
        name = key(text)
        if name in self.paragraphs:
            return False
        self.paragraphs.add(name)
        sentences = [s for s in SENTENCE.split(text) if len(s) >= 40]
        names = [key(s) for s in sentences]
        old = sum(len(s) for s, n in zip(sentences, names) if n in self.sentences)
        self.sentences.update(names)
        return old <= 0.5 * len(text)


def select(blocks):
    """The blocks worth reading, as (kind, text), and the share of prose in the whole; headings not yet resolved."""
    kept = []
    prose = other = 0
    boilerplate = 0
    for kind, text in blocks:
        text = tidy(text)
        if kind == "code":
            text = dedent(text)
            if is_short_code(text):
                kept.append((kind, text))
            other += min(len(text), 2000)
            continue
        text = polish(text)
        if not text:
            continue
        if kind in ("p", "li", "td"):
            if is_prose(text, kind):
                kept.append(("p" if kind == "td" else kind, text))
                prose += len(text)
                continue
            other += len(text)
            boilerplate += bool(BOILERPLATE.search(text))
        elif is_heading(text) or kind == "dt" and 2 <= len(text) <= 70:
            kept.append((kind, text))
    return kept, prose, other, boilerplate


def is_readable(kept, prose, other, boilerplate):
    sentences = [text for kind, text in kept if kind == "p"]
    return (prose >= MINIMUM_PROSE and prose >= other and len(sentences) >= 2
            and boilerplate <= 0.2 * len(kept) and is_english(" ".join(sentences)))


def compose(kept, seen):
    """One string: paragraphs apart by an empty line, items by none. What introduces nothing is dropped."""
    fresh = [(kind, text) for kind, text in kept
             if kind not in ("p", "li") or len(text) < 40 or seen.is_new(text)]
    result = []
    for position, (kind, text) in enumerate(fresh):
        following = fresh[position + 1][0] if position + 1 < len(fresh) else None
        previous = result[-1][0] if result else None
        if kind.startswith("h"):
            deeper = following and following.startswith("h") and following > kind
            if following in ("p", "li", "dt") or deeper:
                result.append((kind, text))
        elif kind == "dt":
            if following == "p":
                result.append((kind, text))
        elif kind == "code":
            if previous == "p" and following is not None and result[-1][1].endswith(":"):
                result.append((kind, text))
        else:
            result.append((kind, text))
    pieces = []
    previous = None
    for position, (kind, text) in enumerate(result):
        if kind.startswith("h"):
            if position + 1 == len(result) or result[position + 1][0] <= kind and result[position + 1][0][0] == "h":
                continue
            line = "#" * int(kind[1]) + " " + text
        elif kind == "li":
            line = "- " + text
        elif kind == "code":
            line = "\n".join("    " + line for line in text.split("\n"))
        else:
            line = text
        pieces.append(("\n" if previous == kind == "li" else "\n\n") + line)
        previous = kind
    return "".join(pieces).strip("\n")
