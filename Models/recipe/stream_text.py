#!/usr/bin/env python3
"""Makes of what fetch_text.py left the text that the network in Models/stream is trained on.

    python3 Models/recipe/stream_text.py --from FOLDER --out FILE

FOLDER is what `fetch_text.py --out` wrote; FOLDER:0.7 is 70 % of its documents, and there may be several. Half of the
documents keep each paragraph on one line, half are wrapped as plain text is; between them stand plain text files of the
packages as they are, with their lines, code and markup.
"""

import argparse
import gzip
import hashlib
import textwrap
from pathlib import Path

SEPARATOR = "\n<|endoftext|>\n"
PLAIN = (".txt", ".rst", ".md", ".txt.gz", ".rst.gz", ".md.gz")
FILE_LIMIT = 100_000      # bytes taken of one file
PACKAGE_LIMIT = 1_200_000  # bytes of plain files that one package may give


def order(name):
    return hashlib.sha256(("stream-1\0" + name).encode()).digest()


def documents(folder):
    for text in (folder / "nano-train.txt").read_text(encoding="utf-8").split(SEPARATOR):
        key = order(text[:200])
        if key[0] & 1:
            columns = 68 + key[1] % 13
            text = "\n".join(
                textwrap.fill(line, columns, break_long_words=False, break_on_hyphens=False) if line else ""
                for line in text.split("\n"))
        yield key, text


def plain_files(folder):
    for package in sorted((folder / "work" / "unpacked").iterdir()):
        total = 0
        files = [path for path in package.rglob("*") if path.name.endswith(PLAIN) and path.is_file()]
        for path in sorted(files, key=lambda path: order(path.relative_to(folder).as_posix())):
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            data = data[:FILE_LIMIT]
            # English, with no more than a few other letters and no tables of numbers.
            if len(data) < 2000 or data.count(b" the ") * 250 < len(data) or sum(b > 127 for b in data) * 50 > len(data):
                continue
            total += len(data)
            if total > PACKAGE_LIMIT:
                break
            yield order(path.relative_to(folder).as_posix()), data.decode("utf-8", errors="ignore")


def chosen(source):
    folder, _, share = source.partition(":")
    for key, text in [*documents(Path(folder)), *plain_files(Path(folder))]:
        if key[2] < 256 * float(share or 1):
            yield key, text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--from", dest="folders", action="append", required=True, metavar="FOLDER[:SHARE]",
        help="folder that fetch_text.py filled")
    parser.add_argument("--out", type=Path, required=True, help="the text")
    arguments = parser.parse_args()
    found = [pair for folder in arguments.folders for pair in chosen(folder)]
    text = "\n\n".join(text.strip("\n") for _, text in sorted(found))
    arguments.out.write_bytes(text.encode("utf-8"))
    print(f"{arguments.out}: {arguments.out.stat().st_size} bytes, {len(found)} documents")


if __name__ == "__main__":
    main()
