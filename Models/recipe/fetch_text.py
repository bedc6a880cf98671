#!/usr/bin/env python3
"""Fetches Debian documentation packages and makes of them the text that the model nano is trained on.

    python3 Models/recipe/fetch_text.py --out FOLDER [--work FOLDER]

Needs Debian (apt-get, dpkg-deb) and nothing beyond Python's standard library. Writes nano-train.txt,
nano-heldout.txt and sources.json. The same packages give the same bytes.
"""

import argparse
import hashlib
import json
import multiprocessing
import re
import subprocess
import sys
from collections import Counter, namedtuple
from pathlib import Path

import clean
import extract

SEPARATOR = "<|endoftext|>"
SEED = "nano-1"
PACKAGE_LIMIT = 3_000_000     # bytes of text that one package may give
HELD_OUT_PER_MILLE = 14       # of the documents
DOCUMENT_LIMIT = 200_000      # characters; longer ones are cut between blocks
SHINGLE = 13                  # words in a row that held-out text must not share with training text

Package = namedtuple("Package", "name version digest formats pattern")
Document = namedtuple("Document", "package path text")


def read_list(path):
    """Lines of: name, version, SHA-256 of the .deb, formats to read (comma-separated), optional path pattern."""
    packages = []
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if fields and not line.startswith("#"):
            name, version, digest, formats = fields[:4]
            packages.append(Package(name, version, digest, formats.split(","), fields[4] if len(fields) > 4 else ""))
    return packages


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def download(package, folder):
    """The package's .deb, from the folder if it lies there already, and the version that it turned out to be."""
    target = folder / (package.name + ".deb")
    if target.exists() and digest_of(target) == package.digest:
        return target
    before = set(folder.glob("*_*.deb"))
    for wanted in (package.name + "=" + package.version, package.name):
        done = subprocess.run(["apt-get", "download", "-q", wanted], cwd=folder, capture_output=True, text=True)
        fetched = sorted(set(folder.glob("*_*.deb")) - before)
        if done.returncode == 0 and fetched:
            fetched[0].replace(target)
            break
        print(f"warning: {wanted} is not to be had; " + (done.stderr.strip().splitlines() or [""])[-1], file=sys.stderr)
    else:
        return None
    if digest_of(target) != package.digest:
        print(f"warning: {package.name} is not the listed file; the text will differ a little", file=sys.stderr)
    return target


def unpack(archive, folder):
    stamp = folder / ".digest"
    digest = digest_of(archive)
    if not (stamp.exists() and stamp.read_text() == digest):
        subprocess.run(["rm", "-rf", str(folder)], check=True)
        folder.mkdir(parents=True)
        subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=True)
        stamp.write_text(digest)


def documents_of(task):
    """(package name, [(path, selected blocks)]), in the order of the paths."""
    package, folder = task
    result = []
    for path in sorted(folder.rglob("*")):
        name = "/" + path.relative_to(folder).as_posix()
        if path.is_symlink() or not path.is_file() or path.stat().st_size > 20_000_000:
            continue
        inner = re.sub(r"^/usr/(?:share|lib)/(?:doc/)?(?:packages/)?", "", re.sub(r"\.gz$", "", name))
        if package.pattern:
            if not re.search(package.pattern, name):
                continue
        elif clean.SKIP_PATH.search(inner.split("/", 1)[-1]) or clean.OTHER_LANGUAGE.search(inner):
            continue
        found = extract.reader(name)
        if found is None or found[0] not in package.formats:
            continue
        try:
            blocks = found[1](extract.read(path))
        except (OSError, EOFError, AssertionError, ValueError) as error:
            print(f"warning: {package.name}: {name}: {error}", file=sys.stderr)
            continue
        for number, part in enumerate(split(blocks)):
            kept, *measures = clean.select(part)
            if clean.is_readable(kept, *measures):
                result.append((f"{name}#{number}" if number else name, kept))
    print(f"{package.name}: {len(result)} documents", file=sys.stderr)
    return package.name, result


def split(blocks):
    """Pieces of at most DOCUMENT_LIMIT characters, cut where a heading begins if there is one."""
    part, size = [], 0
    for block in blocks:
        if size > DOCUMENT_LIMIT or size > DOCUMENT_LIMIT // 4 and block[0] in ("h1", "h2", "h3"):
            yield part
            part, size = [], 0
        part.append(block)
        size += len(block[1])
    if part:
        yield part


def order(text):
    return hashlib.sha256((SEED + "\0" + text).encode()).digest()


def is_held_out(document):
    return int.from_bytes(order("held out " + document.package + document.path)[:8], "big") % 1000 < HELD_OUT_PER_MILLE


def without_repeats(found):
    """Every document's text with no paragraph twice over the whole, and at most PACKAGE_LIMIT for each package."""
    seen = clean.Seen()
    documents = []
    for package, parts in found:
        total = 0
        composed = [Document(package, path, clean.compose(kept, seen)) for path, kept in parts]
        for document in sorted(composed, key=lambda d: order(d.package + d.path)):
            size = len(document.text.encode())
            if size >= clean.MINIMUM_PROSE and total + size <= PACKAGE_LIMIT:
                documents.append(document)
                total += size
    return sorted(documents, key=lambda d: order(d.package + d.path))


def words_of(line):
    return re.findall(r"[a-z0-9]+", line.lower())


def shingles(line):
    words = words_of(line)
    return {hash_of(words[i:i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)}


def hash_of(words):
    return hashlib.blake2b(" ".join(words).encode(), digest_size=8).digest()


def disjoint(held_out, training):
    """Held-out documents without the lines that share a line, or SHINGLE words in a row, with the training text."""
    mine = set()
    for document in held_out:
        for line in document.text.split("\n"):
            mine |= shingles(line)
    shared, lines = set(), set()
    for document in training:
        for line in document.text.split("\n"):
            lines.add(line)
            shared |= mine & shingles(line)
    result = []
    for document in held_out:
        kept = [line for line in document.text.split("\n")
                if not line or not (line in lines and not line.startswith("#")) and not shared & shingles(line)]
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n")
        if len(text.encode()) >= clean.MINIMUM_PROSE:
            result.append(document._replace(text=text))
    return result


def write(path, documents):
    text = f"\n{SEPARATOR}\n".join(document.text for document in documents) + "\n"
    path.write_bytes(text.encode("utf-8"))
    return {"file": path.name, "bytes": path.stat().st_size, "documents": len(documents), "sha256": digest_of(path)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the text")
    parser.add_argument("--work", type=Path, help="folder for packages, kept between runs (default: OUT/work)")
    parser.add_argument("--list", type=Path, default=Path(__file__).with_name("packages.txt"), help="list of packages")
    arguments = parser.parse_args()
    work = arguments.work or arguments.out / "work"
    archives = work / "packages"
    archives.mkdir(parents=True, exist_ok=True)
    arguments.out.mkdir(parents=True, exist_ok=True)

    tasks, used = [], {}
    packages = read_list(arguments.list)
    for number, package in enumerate(packages):
        print(f"\r{number + 1}/{len(packages)} {package.name:40}", end="", file=sys.stderr, flush=True)
        archive = download(package, archives)
        if archive is None:
            continue
        unpack(archive, work / "unpacked" / package.name)
        used[package.name] = digest_of(archive)
        tasks.append((package, work / "unpacked" / package.name))
    print("\rreading" + " " * 50, file=sys.stderr)
    with multiprocessing.Pool() as pool:
        found = pool.map(documents_of, tasks, chunksize=1)
    documents = without_repeats(found)
    training = [document for document in documents if not is_held_out(document)]
    held_out = disjoint([document for document in documents if is_held_out(document)], training)

    sizes, held_sizes = Counter(), Counter()
    for document in training:
        sizes[document.package] += len(document.text.encode())
    for document in held_out:
        held_sizes[document.package] += len(document.text.encode())
    summary = {
        "outputs": [
            write(arguments.out / "nano-train.txt", training), write(arguments.out / "nano-heldout.txt", held_out),
        ],
        "packages": [
            {"name": p.name, "version": p.version, "sha256": used.get(p.name), "trainingBytes": sizes[p.name],
             "heldOutBytes": held_sizes[p.name]} for p in packages
        ],
    }
    (arguments.out / "sources.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    for output in summary["outputs"]:
        print("{file}: {bytes} bytes, {documents} documents, {sha256}".format(**output))


if __name__ == "__main__":
    main()
