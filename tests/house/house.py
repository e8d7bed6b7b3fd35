"""Checks the rules of the house over a checkout.

    house.py ROOT             lists what breaks a rule; exit 1 if anything does
    house.py ROOT --self-test checks that each rule finds what was planted for it
"""

import os
import subprocess
import sys
import tempfile

import planted
import rules

SKIPPED = {".git", ".venv", "out", "build", "__pycache__"}


class Tree:
    """The files of a checkout that are, or would be, committed."""

    def __init__(self, root):
        self.root = root
        self.paths = sorted(path for path in self.listed()
                            if os.path.isfile(os.path.join(root, path)))
        self.texts = {}

    def listed(self):
        """By git where it can tell; else all but build trees and the like."""
        if os.path.exists(os.path.join(self.root, ".git")):
            try:
                command = ["git", "-c", "safe.directory=*", "-C", self.root, "ls-files", "-z",
                           "--cached", "--others", "--exclude-standard"]
                found = subprocess.run(command, check=True, capture_output=True, text=True)
                return set(found.stdout.split("\0")) - {""}
            except (OSError, subprocess.CalledProcessError):
                pass
        return set(self.walked())

    def walked(self):
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders
                          if name not in SKIPPED and not name.startswith("build-")]
            for name in files:
                yield os.path.relpath(os.path.join(folder, name), self.root)

    def text(self, path):
        if path not in self.texts:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace",
                      newline="") as file:
                self.texts[path] = file.read()
        return self.texts[path]

    def bytes(self, path):
        return os.path.getsize(os.path.join(self.root, path))


def check(root):
    tree = Tree(root)
    return [(rule.__name__, path, line, what)
            for rule in rules.RULES for path, line, what in rule(tree)]


def write(root, files):
    for path, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(root, path)) or root, exist_ok=True)
        with open(os.path.join(root, path), "w", encoding="utf-8", newline="") as file:
            file.write(text)


def self_test():
    """Each planted tree must break its rule at its place, and no other; the clean tree none."""
    failures = []
    with tempfile.TemporaryDirectory() as root:
        write(root, planted.CLEAN)
        failures += [f"clean tree: {found}" for found in check(root)]
    for rule, path, line, files in planted.VIOLATIONS:
        with tempfile.TemporaryDirectory() as root:
            write(root, {**planted.CLEAN, **files})
            found = {entry[:3] for entry in check(root)}
            if found != {(rule, path, line)}:
                failures.append(f"planted {rule} at {path}:{line}, found {sorted(found)}")
    silent = {rule.__name__ for rule in rules.RULES} - {entry[0] for entry in planted.VIOLATIONS}
    failures += [f"nothing is planted for {name}" for name in sorted(silent)]
    print(f"{len(planted.VIOLATIONS)} planted violations, {len(failures)} failures")
    for failure in failures:
        print(failure)
    return not failures


def main():
    if "--self-test" in sys.argv[1:]:
        return 0 if self_test() else 1
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    found = check(root)
    for rule, path, line, what in found:
        print(f"{path}:{line}: {rule}: {what}")
    print(f"{len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
