"""Free text that a Debian 12 machine has, as lists of short plain documents.

Three corpora, one per test model, so that each model speaks of something else:
  licences  /usr/share/common-licenses            (base-files)
  perl      POD pages of the Perl manual          (perl-modules-5.36; Artistic or GPL-1+)
  git       manual pages of git                   (git-man; GPL-2)
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path

LICENCES = Path("/usr/share/common-licenses")
PERL = Path("/usr/share/perl/5.36")
MAN = Path("/usr/share/man")

PERL_PAGES = (
    "pod/perldiag.pod",
    "Test/Tutorial.pod",
    "ExtUtils/MakeMaker/FAQ.pod",
    "IO/Compress/FAQ.pod",
    "Locale/Maketext/TPJ13.pod",
    "Locale/Maketext.pod",
)
GIT_PAGES = (
    "man7/gittutorial.7", "man7/gittutorial-2.7", "man7/gitcore-tutorial.7", "man7/giteveryday.7",
    "man7/gitglossary.7", "man7/gitworkflows.7", "man7/gitfaq.7", "man7/gitsubmodules.7",
    "man7/gitcvs-migration.7", "man7/gitcredentials.7", "man1/git-rebase.1", "man1/git-commit.1",
    "man1/git-merge.1", "man1/git-reset.1", "man1/git-checkout.1", "man1/git-bisect.1",
    "man1/git-add.1", "man1/git-branch.1", "man1/git-stash.1", "man1/git-clone.1",
)
# A little text in other scripts, so that vocabularies hold tokens that cut UTF-8 characters.
FOREIGN_PAGES = ("ja/man1/man.1", "zh_CN/man1/man.1", "ru/man1/man.1", "de/man1/man.1")

DOCUMENT_CHARS_MIN = 500


def _is_prose(paragraph: str) -> bool:
    letters = sum(c.isalpha() or c == " " for c in paragraph)
    return len(paragraph) >= 40 and " " in paragraph and letters >= 0.85 * len(paragraph)


def _plain(paragraph: str) -> str:
    return re.sub(r"\s+", " ", paragraph).strip()


def _licence_paragraphs() -> list[str]:
    files = sorted(p for p in LICENCES.iterdir() if not p.is_symlink())
    text = "\n\n".join(p.read_text("utf-8", errors="replace") for p in files)
    return re.split(r"\n\s*\n", text.replace("\f", "\n\n"))


def _perl_paragraphs() -> list[str]:
    found = []
    for page in PERL_PAGES:
        for block in re.split(r"\n\s*\n", (PERL / page).read_text("utf-8", errors="replace")):
            if block[:1] in "= \t" or block.startswith("(") and len(block) < 60:
                continue
            block = re.sub(r"E<gt>", ">", re.sub(r"E<lt>", "<", block))
            for _ in range(2):  # formatting codes nest
                block = re.sub(r"L<([^|<>]*)\|[^<>]*>", r"\1", block)
                block = re.sub(r"[BCFILSX]<<? ?([^<>]*?) ?>?>", r"\1", block)
            found.append(block)
    return found


def _roff_paragraphs(pages: tuple[str, ...]) -> list[str]:
    found = []
    for page in pages:
        lines: list[str] = []
        literal = False
        for line in gzip.decompress((MAN / f"{page}.gz").read_bytes()).decode().splitlines():
            if line.startswith((".nf", ".fi")):
                literal = line.startswith(".nf")
            elif line.startswith((".", "'")):
                found.append(" ".join(lines))
                lines = []
            elif not literal:
                lines.append(line)
        found.append(" ".join(lines))
    return [_unroff(p) for p in found]


def _unroff(text: str) -> str:
    text = re.sub(r"\\f(\(..|.)|\\&|\\[|^/,%]|\\u\\d", "", text)
    text = re.sub(r"\\\*\(Aq|\\\([aco]q", "'", text)
    text = re.sub(r"\\\(em|\\\(en", "-", text)
    text = re.sub(r"\\\(lq|\\\(rq", '"', text)
    return text.replace("\\-", "-").replace("\\(bu", "*").replace("\\e", "\\").replace("\\ ", " ")


def _documents(paragraphs: list[str]) -> list[str]:
    """Joins prose paragraphs to documents of at least DOCUMENT_CHARS_MIN; drops repeated ones."""
    documents, current, seen = [], "", set()
    for paragraph in map(_plain, paragraphs):
        if paragraph in seen or not _is_prose(paragraph):
            continue
        seen.add(paragraph)
        current = f"{current}\n\n{paragraph}" if current else paragraph
        if len(current) >= DOCUMENT_CHARS_MIN:
            documents.append(current)
            current = ""
    return documents + ([current] if current else [])


def load(name: str) -> list[str]:
    paragraphs = {
        "licences": _licence_paragraphs,
        "perl": _perl_paragraphs,
        "git": lambda: _roff_paragraphs(GIT_PAGES),
    }[name]()
    return _documents(paragraphs)


def foreign() -> list[str]:
    paragraphs = [_plain(p) for p in _roff_paragraphs(FOREIGN_PAGES)]
    return [p for p in paragraphs if len(p) >= 20 and not p.isascii()]


if __name__ == "__main__":
    for corpus in ("licences", "perl", "git"):
        documents = load(corpus)
        print(corpus, len(documents), "documents", sum(map(len, documents)), "characters")
        print(documents[3], "\n---\n", documents[-3], "\n=====")
    print("foreign", sum(map(len, foreign())), foreign()[40:44])
