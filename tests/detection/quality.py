#!/usr/bin/env python3
"""Compares the kinds of things that Lazaret takes files for with what `file` takes them for.

  tests/detection/quality.py                    thousands of files of this Debian system, and documents made for it
  tests/detection/quality.py --files 300 --quick --least 96   few files and no documents: for every run of the tests

Fails below --least per cent of agreement by group, and if something is taken for harmless that `file` calls a program, or that
it calls a script and that something would start as one, by its first line, its name or its mode.
"""

import argparse
import collections
import itertools
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PLACES = ["/usr", "/etc", "/var/cache/apt/archives", "/var/lib/dpkg/info"]
FEW_PLACES = ["/usr/bin", "/usr/lib/python3", "/usr/share/doc", "/usr/share/perl", "/etc"]
PACKAGES = ["python-docx", "openpyxl", "python-pptx", "odfpy", "reportlab", "Pillow"]

SCRIPTS = """javascript x-setupscript x-wine-extension-ini x-awk x-bat x-clojure x-gawk x-lua x-msdos-batch x-ms-regedit x-nawk x-perl x-php x-powershell x-python
x-ruby x-script.python x-shellscript x-systemtap x-tcl""".split()
EXECUTABLES = """java-archive vnd.android.package-archive vnd.debian.binary-package vnd.microsoft.portable-executable vnd.ms-msi
wasm winhelp x-bytecode.python x-coredump x-dosexec x-executable x-java-applet x-mach-binary x-ms-dos-executable x-ms-shortcut
x-java-image x-java-jmod x-msi x-mswinurl x-object x-pie-executable x-rpm x-sharedlib x-shockwave-flash vnd.ms-htmlhelp x-llvm""".split()
DOCUMENTS = """epub+zip msword pdf postscript rtf CDFV2 x-dvi vnd.ms-office vnd.ms-excel vnd.ms-powerpoint vnd.ms-outlook
x-mobipocket-ebook x-ole-storage""".split()
ARCHIVES = """gzip vnd.ms-cab-compressed x-7z-compressed x-archive x-bzip2 x-compress x-compress-ttcomp x-cpio x-iso9660-image
x-lz4 x-lzip x-lzma x-rar vnd.rar x-tar x-xz zip zlib zstd x-zstd x-lz4+json x-qemu-disk""".split()
TEXTS = "json csv xml x-ndjson x-subrip".split()

SCRIPT_NAMES = (".awk", ".bash", ".bat", ".cjs", ".cmd", ".js", ".lua", ".mjs", ".php", ".pl", ".ps1", ".py", ".rb", ".sh", ".tcl", ".vbs")

# `file` is wrong, or asks another question: looked at one by one, reasons in README.md. (its type, our type)
KNOWN = {
    line.split("#")[0].strip() for line in (HERE / "differences.txt").read_text().splitlines() if line.split("#")[0].strip()
}


def group(kind):
    """The group of a type of `file`'s; None where it knows no type."""
    family, _, name = kind.partition("/")
    if kind in ("application/octet-stream", "inode/symlink", "regular file"):
        return None
    if kind == "inode/x-empty":
        return "empty"
    if kind in ("text/html", "application/xhtml+xml"):
        return "html"
    if name in SCRIPTS:
        return "script"
    if name in EXECUTABLES:
        return "executable"
    if name in DOCUMENTS or "opendocument" in name or "openxmlformats" in name or kind == "text/rtf":
        return "document"
    if name in ARCHIVES:
        return "archive"
    if "font" in name or family == "font":
        return "font"
    if family in ("image", "audio", "video"):
        return family
    if family in ("text", "message") or name in TEXTS or name.endswith(("+xml", "+json")):
        return "text"
    return "data"


def files_below(place):
    try:
        entries = sorted(os.scandir(place), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(entry.path)
        elif entry.is_file(follow_symlinks=False) and os.access(entry.path, os.R_OK) and "\n" not in entry.path:
            yield entry.path


def sample(places, most, of_extension, seed):
    by_extension = collections.defaultdict(list)
    for path in itertools.chain.from_iterable(map(files_below, places)):
        directory, name = os.path.split(path)
        by_extension[os.path.splitext(name)[1].lower() or os.path.basename(directory)].append(path)
    chance = random.Random(seed)
    files = [path for paths in by_extension.values() for path in chance.sample(paths, min(of_extension, len(paths)))]
    chance.shuffle(files)
    return files[:most]


def documents(into):
    environment = into / "venv"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    made = into / "made"
    made.mkdir()
    subprocess.run([python, HERE / "documents.py", made], check=True)
    return sorted(str(path) for path in made.iterdir())


def by_file(paths):
    asked = subprocess.run(
        ["file", "--brief", "--mime-type", "--files-from", "-"], input="\n".join(paths), text=True, capture_output=True, check=True
    )
    return dict(zip(paths, asked.stdout.splitlines(), strict=True))


def by_lazaret(paths, binary):
    asked = subprocess.run([binary], input="\n".join(paths) + "\n", text=True, capture_output=True, check=True)
    rows = (line.split("\t") for line in asked.stdout.splitlines())
    return {row[0]: row[1:] for row in rows}


def is_started(path):
    """True if something would start a script of this path. `file` sees scripts in documents that quote some lines of them, too."""
    with open(path, "rb") as opened:
        return path.endswith(SCRIPT_NAMES) or os.access(path, os.X_OK) or opened.read(2) == b"#!"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=8000)
    parser.add_argument("--of-extension", type=int, default=60, help="of one extension, at most")
    parser.add_argument("--of-type", type=int, default=250, help="of one type that `file` tells, at most")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--least", type=float, default=98.0)
    parser.add_argument("--quick", action="store_true", help="no documents, and few words")
    parser.add_argument("--list", action="store_true", help="print each file that is told otherwise")
    parser.add_argument("--binary", default=ROOT / "target/debug/examples/detect")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as directory:
        paths = sample(FEW_PLACES if options.quick else PLACES, options.files, options.of_extension, options.seed)
        if not options.quick:
            paths += documents(pathlib.Path(directory))
        theirs, ours = by_file(paths), by_lazaret(paths, options.binary)
        sys.exit(compare(theirs, ours, options))


def compare(theirs, ours, options):
    seen, matrix, pairs = collections.Counter(), collections.Counter(), collections.defaultdict(list)
    missed, agreed, counted, known, types = [], collections.Counter(), collections.Counter(), collections.Counter(), 0
    for path, their_type in theirs.items():
        their_group = group(their_type)
        if their_group is None or path not in ours:
            continue
        seen[their_type] += 1
        if seen[their_type] > options.of_type:
            continue
        our_type, our_group = ours[path][:2]
        counted[their_group] += 1
        types += our_type == their_type
        matrix[their_group, our_group] += 1
        if their_group == our_group:
            agreed[their_group] += 1
            continue
        pairs[their_type, our_type, our_group].append(path)
        # Stubs of Python modules hold nothing that runs.
        if f"{their_type} {our_type}" in KNOWN or path.endswith(".pyi"):
            known[their_group] += 1
        elif our_group not in ("script", "executable", "html"):
            if their_group == "executable" or (their_group == "script" and is_started(path)):
                missed.append((path, their_type, our_type))

    total, right, aside = sum(counted.values()), sum(agreed.values()), sum(known.values())
    print(f"{right} of {total} files are of the same group: {right / total:.2%};", end=" ")
    print(f"with {aside} known differences set aside {right / (total - aside):.2%}")
    if not options.quick:
        for name, count in counted.most_common():
            rest = max(count - known[name], 1)
            print(f"  {name:11} {agreed[name]:5} of {count:5}  {agreed[name] / count:7.2%}; set aside {known[name]:3}: {agreed[name] / rest:7.2%}")
        print("\nfile ↓ / Lazaret →")
        columns = sorted({ours for _, ours in matrix})
        print(" " * 11, *(f"{name[:9]:>9}" for name in columns))
        for name, _ in counted.most_common():
            print(f"{name:11}", *(f"{matrix[name, column] or '.':>9}" for column in columns))
        print("\nDifferences (file, Lazaret, group, files, one of them):")
        for (their_type, our_type, our_group), files in sorted(pairs.items(), key=lambda pair: -len(pair[1])):
            mark = "known" if f"{their_type} {our_type}" in KNOWN else ""
            print(f"  {their_type:36} {our_type:36} {our_group:10} {len(files):4} {mark:5} {files[0]}")
            if options.list:
                print(*(f"      {path}" for path in files[1:]), sep="\n")
    for path, their_type, our_type in missed:
        print(f"MISSED: {path}: {their_type} taken for {our_type}")
    return 1 if missed or 100 * right < options.least * (total - aside) else 0


if __name__ == "__main__":
    main()
