"""`pith zip` beside other compressors on whole files: size, speed both ways and memory of whole processes.

    make build
    apt-get install xz-utils zstd brotli bzip2 7zip zpaq
    python3 Benchmarks/compression/compare.py [--only pith,xz] [--json FILE] FILE ...

What is not installed is left out. PAQ8PX=PROGRAM names a paq8px to compare with. Every archive is opened again and
compared. Speeds are of wall time, the best of --rounds.
"""
import argparse
import json
import os
import resource
import shutil
import subprocess
import tempfile
import time

PITH = os.path.join(os.path.dirname(__file__), "..", "..", ".build", "release", "pith")
PAQ = os.environ.get("PAQ8PX", "paq8px")
SEVEN = next((name for name in ("7zz", "7z") if shutil.which(name)), "7z")
# Name, program, arguments to compress {i} into {o}, arguments to open {o} as {r}.
TOOLS = [
    ("zstd -19", "zstd", "zstd -q -f -19 {i} -o {o}", "zstd -q -f -d {o} -o {r}"),
    ("xz -9e", "xz", "xz -9e -k -c {i} > {o}", "xz -d -c {o} > {r}"),
    ("brotli -q 11", "brotli", "brotli -f -q 11 -w 24 {i} -o {o}", "brotli -f -d {o} -o {r}"),
    ("bzip2 -9", "bzip2", "bzip2 -9 -c {i} > {o}", "bzip2 -d -c {o} > {r}"),
    ("7z PPMd", SEVEN, SEVEN + " a -m0=PPMd:o=16:mem=256m -bd -y {o}.7z {i} > /dev/null && mv {o}.7z {o}",
     SEVEN + " x -so {o} > {r}"),
    ("zpaq -m5", "zpaq", "zpaq a {o}.zpaq {i} -m5 > /dev/null 2>&1 && mv {o}.zpaq {o}", None),
    ("paq8px -8", PAQ, PAQ + " -8 {i} {o} > /dev/null && mv {o}.paq8px* {o} 2> /dev/null || true", None),
]
for level in ("fast", "default", "best"):
    TOOLS.append((
        "pith zip --level " + level, PITH, PITH + " zip -q --force --level " + level + " {i} -o {o} > /dev/null",
        PITH + " unzip -q --force {o} -o {r}"))


def timed(command):
    """Seconds and the largest memory of a shell command and its children, in bytes."""
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        code = subprocess.run(command, shell=True).returncode
        with open(os.environ["PITH_USAGE"], "w") as usage:
            usage.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024))
        os._exit(code)
    _, status = os.waitpid(child, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit("failed: " + command)
    return seconds, int(open(os.environ["PITH_USAGE"]).read())


def measure(tool, path, folder, rounds):
    """Size, seconds both ways and memory of one tool on one file."""
    name, _, pack, unpack = tool
    packed, opened = os.path.join(folder, "packed"), os.path.join(folder, "opened")
    best = None
    for _ in range(rounds):
        for old in (packed, opened):
            if os.path.exists(old):
                os.remove(old)
        seconds, memory = timed(pack.format(i=path, o=packed, r=opened))
        out = None
        if unpack:
            out, more = timed(unpack.format(i=path, o=packed, r=opened))
            memory = max(memory, more)
            if open(path, "rb").read() != open(opened, "rb").read():
                raise SystemExit(name + " does not give " + path + " back")
        best = min(best, (seconds, out, memory)) if best else (seconds, out, memory)
    return {"tool": name, "bytes": os.path.getsize(packed), "seconds": best[0], "openSeconds": best[1],
            "memory": best[2]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", help="parts of tools' names, with commas between them")
    parser.add_argument("--json")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else [""]
    tools = [t for t in TOOLS if shutil.which(t[1]) and any(part in t[0] for part in wanted)]
    results, totals = [], {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PITH_USAGE"] = os.path.join(folder, "usage")
        for path in options.files:
            size = os.path.getsize(path)
            print(f"\n{os.path.basename(path)}, {size} bytes\n")
            print("| | bytes | bits/byte | in, MB/s | out, MB/s | memory, MB |\n|---|---|---|---|---|---|")
            for tool in tools:
                row = measure(tool, path, folder, options.rounds)
                total = totals.setdefault(row["tool"], [0, 0])
                total[0] += row["bytes"]
                total[1] += size
                out = f"{size / row['openSeconds'] / 1e6:.3f}" if row["openSeconds"] else ""
                print(f"| {row['tool']} | {row['bytes']} | {row['bytes'] * 8 / size:.3f} "
                      f"| {size / row['seconds'] / 1e6:.3f} | {out} | {row['memory'] / 1e6:.0f} |", flush=True)
                results.append({"file": os.path.basename(path), "size": size, **row})
    if len(options.files) > 1:
        print("\nAll files together\n\n| | bytes | bits/byte |\n|---|---|---|")
        for name, (packed, size) in totals.items():
            print(f"| {name} | {packed} | {packed * 8 / size:.3f} |")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)


main()
