"""The rules of the house: each takes the tree and yields (path, line, what is wrong)."""

import ast
import os
import re

import csource

C_FILES = (".c", ".h", ".cu", ".cuh")
TEXT_FILES = C_FILES + (".py", ".sh", ".cmake", ".md", ".yaml", ".txt", ".json", ".toml")
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
FILE_BYTES_MAX = 5 << 20

TOP = {
    "CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md", ".ci", ".clang-format",
    ".clang-tidy", ".gitattributes", ".gitignore", "configs", "engine", "experiments", "pipeline",
    "rpc", "swap", "tests",
}

# The longest prefix that fits a file says which prefixes it may include.
MAY_INCLUDE = {
    "engine/base": ("engine/base",),
    "swap": ("engine/base", "swap"),
    "pipeline": ("engine/base", "swap", "pipeline"),
    "pipeline/entry": ("engine/base", "pipeline/entry"),
    "rpc": ("engine/base", "rpc"),
    "engine/core": ("engine/base", "engine/core", "pipeline/entry"),
    "engine/config": ("engine", "swap", "pipeline", "rpc"),
    "engine/sim": ("engine/base", "engine/core", "engine/sim", "pipeline/entry"),
    "engine/serve": ("engine", "swap", "pipeline", "rpc"),
    "engine/swapsim": ("engine", "pipeline", "swap"),
    "engine/workload": ("engine/base", "engine/config", "engine/workload"),
    "engine": ("engine/base", "engine/core", "pipeline/entry"),
    "tests": ("engine", "swap", "pipeline", "rpc", "tests"),
    "experiments": ("engine", "swap", "pipeline", "rpc", "experiments"),
}
READING_ORDER = "\n## Order of reading\n"
CUDA_HEADER = re.compile(r"^(cuda|cublas|nccl|nvml|nvtx|nvToolsExt|cooperative_groups|cub/|curand)")
CUDA_FOLDERS = ("swap/device/cuda/", "pipeline/ops/cuda/", "pipeline/comm/nccl/", "tests/gpu/",
                "experiments/stepbench/reading.cu")
CUDA_REGISTRY = re.compile(r"/(registry|backends)[^/]*\.[ch]$")
MPI_HEADER = re.compile(r"^mpi(-ext)?\.h$")
MPI_PLACES = ("pipeline/link/mpi", "pipeline/comm/mpi", "engine/serve/", "tests/", "experiments/")

BANNED_CALLS = {
    "sprintf": "snprintf", "vsprintf": "vsnprintf", "strcpy": "snprintf or memcpy",
    "strcat": "snprintf", "strncpy": "snprintf or memcpy", "strncat": "snprintf",
    "stpcpy": "memcpy", "gets": "fgets", "atoi": "strtol", "atol": "strtol", "atof": "strtod",
    "strtok": "strcspn", "system": "posix_spawn", "popen": "posix_spawn",
    "rand": "ss_random_u64", "srand": "ss_random_u64", "random": "ss_random_u64",
    "drand48": "ss_random_unit", "alloca": "ss_alloc", "usleep": "ss_sleep_until_ns",
    "sleep": "ss_sleep_until_ns", "tmpnam": "mkstemp", "mktemp": "mkstemp",
    "setjmp": "a status", "longjmp": "a status", "localtime": "localtime_r", "gmtime": "gmtime_r",
    "ctime": "strftime", "asctime": "strftime",
}
ALLOWED_IN_TESTS = {"usleep", "popen"}  # to wait for another process, and to start one
BANNED_NAMES = re.compile(r"^(utils?|common|misc|helpers?)$")
GENERATED = re.compile(r"\.(o|a|so|pyc|gcda|gcno|profraw|log|orig|rej|swp)$|(^|/)(__pycache__|core)$")
DATA = ("tests/golden/", "tests/fuzz/corpus/")


def is_c(path):
    return path.endswith(C_FILES)


def is_text(path):
    name = os.path.basename(path)
    return (path.endswith(TEXT_FILES) or name == "run") and not path.startswith(DATA) \
        and "/results/" not in path


def layer(path):
    fits = [prefix for prefix in MAY_INCLUDE if path.startswith(prefix + "/")]
    return max(fits, key=len, default=None)


def who_includes_whom(tree):
    for path in filter(is_c, tree.paths):
        mine = layer(path)
        for line, target, is_system in csource.includes(tree.text(path)):
            if is_system or mine is None:
                continue
            if layer(target) is None:
                if os.path.dirname(target) or not path.startswith("tests/"):
                    yield path, line, f'"{target}" does not start at the repository root'
            elif not any(target.startswith(prefix + "/") for prefix in MAY_INCLUDE[mine]):
                yield path, line, f'{mine} must not include "{target}"'


def places(tree, readme):
    """{file: place} by the table under README's heading, lowest first; 'a' names a.h and a.c."""
    folder = os.path.dirname(readme)
    table = tree.text(readme).split(READING_ORDER)[1].split("\n#")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("|")]
    names = re.findall(r"`([\w.]+)`", " ".join(rows))
    found = {}
    for place, name in enumerate(names):
        for file in (name,) if "." in name else (name + ".h", name + ".c"):
            path = os.path.join(folder, file)
            if path in tree.paths and path not in found:
                found[path] = place
    return found, [name for place, name in enumerate(names) if place not in found.values()]


def order_of_reading(tree):
    """A README may give the order in which the files of its folder are read, lowest first. None of
    them then includes, calls or names what a later one has."""
    for readme in tree.paths:
        if os.path.basename(readme) != "README.md" or READING_ORDER not in tree.text(readme):
            continue
        folder = os.path.dirname(readme)
        order, missing = places(tree, readme)
        files = [path for path in tree.paths if is_c(path) and os.path.dirname(path) == folder]
        for name in missing:
            yield readme, 1, f"there is no file {name}, or another has its name"
        code = {path: csource.without_comments(tree.text(path)) for path in files}
        owners = {name: path for path in files if path.endswith(".c")
                  for name in csource.definitions(csource.without_directives(code[path]))}
        for path in files:
            if path not in order:
                yield path, 1, f"not in the order of reading in {readme}"
                continue
            for line, target, _ in csource.includes(tree.text(path)):
                if order.get(target, 0) > order[path]:
                    yield path, line, f'"{target}" comes later in the order of reading'
            for line, text in enumerate(code[path].splitlines() if path.endswith(".c") else (), 1):
                for name in re.findall(r"\w+", text):
                    if order.get(owners.get(name, path), 0) > order[path]:
                        yield path, line, f"{name} is in {owners[name]}, later in the order"


def uses_of(tree):
    """{file: {file whose functions it names: (line, name)}}; a name that two files define tells
    nothing."""
    files = [path for path in tree.paths if path.endswith((".c", ".cu")) and layer(path)]
    code = {path: csource.without_directives(csource.without_comments(tree.text(path)))
            for path in files}
    owners = {}
    for path in files:
        for name in csource.definitions(code[path]):
            owners[name] = None if name in owners else path
    uses = {path: {} for path in files}
    for path in files:
        for line, text in enumerate(code[path].splitlines(), 1):
            for name in re.findall(r"\bss_\w+", text):
                if owners.get(name) not in (None, path):
                    uses[path].setdefault(owners[name], (line, name))
    return uses


def no_circles(tree):
    """A file whose functions use another's, and those at last the first one's, cannot be read
    before it nor after it."""
    uses = uses_of(tree)
    reached = {}
    for path in uses:
        reached[path], ahead = set(), [path]
        while ahead:
            for target in uses[ahead.pop()]:
                if target not in reached[path]:
                    reached[path].add(target)
                    ahead.append(target)
    for path in uses:
        circle = {path} | {target for target in reached[path] if path in reached[target]}
        if len(circle) > 1 and path == min(circle):
            line, name = min(uses[path][target] for target in circle & uses[path].keys())
            yield path, line, f"{name} begins a circle of " + ", ".join(sorted(circle))


def who_knows_cuda(tree):
    for path in filter(is_c, tree.paths):
        if path.startswith(CUDA_FOLDERS):
            continue
        for line, target, _ in csource.includes(tree.text(path)):
            if CUDA_HEADER.match(target):
                yield path, line, f"<{target}> belongs in " + ", ".join(CUDA_FOLDERS)
            if target.startswith(CUDA_FOLDERS) and not CUDA_REGISTRY.search(path) \
                    and not path.startswith("tests/"):
                yield path, line, f'only a registry may include "{target}"'
        for line, text in enumerate(tree.text(path).splitlines(), 1):
            if re.match(r"\s*#\s*(if|ifdef|ifndef|elif)\b.*(CUDA|NCCL)", text) \
                    and not CUDA_REGISTRY.search(path):
                yield path, line, "CUDA is chosen by files, not by #if"


def who_knows_mpi(tree):
    for path in filter(is_c, tree.paths):
        for line, target, _ in csource.includes(tree.text(path)):
            if MPI_HEADER.match(target) and not path.startswith(MPI_PLACES):
                yield path, line, f"<{target}> belongs in " + ", ".join(MPI_PLACES[:3])


def file_length(tree):
    for path in tree.paths:
        if (is_c(path) or path.endswith((".py", ".sh"))) and not path.startswith(DATA[1]):
            lines = tree.text(path).count("\n")
            if lines > FILE_LINES_MAX:
                yield path, lines, f"{lines} lines, {FILE_LINES_MAX} are allowed"


def function_length(tree):
    for path in tree.paths:
        bodies = ()
        if is_c(path):
            code = csource.without_directives(csource.without_comments(tree.text(path)))
            bodies = csource.functions(code)
        elif path.endswith(".py"):
            bodies = [(node.lineno, node.end_lineno - node.lineno + 1)
                      for node in ast.walk(ast.parse(tree.text(path)))
                      if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        for line, lines in bodies:
            if lines > FUNCTION_LINES_MAX:
                yield path, line, f"a function of {lines} lines, {FUNCTION_LINES_MAX} are allowed"


def banned_calls(tree):
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(BANNED_CALLS) + r")\s*\(")
    for path in filter(is_c, tree.paths):
        code = csource.without_comments(tree.text(path))
        for line, text in enumerate(code.splitlines(), 1):
            for match in pattern.finditer(text):
                name = match.group(1)
                if name in ALLOWED_IN_TESTS and path.startswith("tests/"):
                    continue
                yield path, line, f"{name}() is banned; use {BANNED_CALLS[name]}"


def file_names(tree):
    for path in tree.paths:
        for part in path.split("/"):
            if BANNED_NAMES.match(part.split(".")[0].lower()):
                yield path, 1, f"the name {part} says nothing of what is inside"


def headers(tree):
    for path in tree.paths:
        if not path.endswith((".h", ".cuh")):
            continue
        text = tree.text(path)
        stem, ending = os.path.basename(path).rsplit(".", 1)
        tail = re.sub(r"\W", "_", stem).upper() + "_" + ending.upper()
        if not text.startswith("/*"):
            yield path, 1, "a header starts with a comment that says what it promises"
        code = csource.without_comments(text).strip()
        guard = re.match(r"#ifndef (\w+)\n#define (\w+)\n", code)
        if not guard or guard.group(1) != guard.group(2) or not code.endswith("#endif"):
            yield path, 1, "a header has an include guard around all of it"
        elif guard.group(1) != tail and not guard.group(1).endswith("_" + tail):
            yield path, 1, f"the include guard {guard.group(1)} does not end in _{tail}"


def white_space(tree):
    for path in filter(is_text, tree.paths):
        text = tree.text(path)
        for line, content in enumerate(text.split("\n"), 1):
            if content != content.rstrip(" \t\r"):
                yield path, line, "white space or a carriage return at the end of the line"
            if "\t" in content and is_c(path):
                yield path, line, "a tab"
        if text and not text.endswith("\n"):
            yield path, text.count("\n") + 1, "no newline at the end of the file"


def sizes_and_leftovers(tree):
    for path in tree.paths:
        if tree.bytes(path) > FILE_BYTES_MAX:
            yield path, 1, f"{tree.bytes(path)} bytes, {FILE_BYTES_MAX} are allowed"
        if GENERATED.search(path):
            yield path, 1, "a generated file"


def top_level(tree):
    for name in sorted({path.split("/")[0] for path in tree.paths} - TOP):
        yield name, 1, "the top level is fixed"


def built(tree):
    """Every C file is named by a CMake file in its folder or above, or by its whole path in any."""
    lists = {path: tree.text(path) for path in tree.paths
             if path.endswith((".cmake", "CMakeLists.txt"))}
    for path in tree.paths:
        if not path.endswith((".c", ".cu")):
            continue
        name = os.path.basename(path)
        stem = name.rsplit(".", 1)[0]
        named = re.compile(r"(?<![\w])(" + re.escape(name) + "|" + re.escape(stem) + r")(?![\w])")
        if path.startswith("tests/fuzz/"):
            named = re.compile(re.escape(stem) + "|[(]" + re.escape(stem[len("fuzz_"):]) + r"\b")
        if not any(path.startswith(os.path.dirname(where)) and named.search(text) or path in text
                   for where, text in lists.items()):
            yield path, 1, "named by no CMake file"


RULES = (who_includes_whom, order_of_reading, no_circles, who_knows_cuda, who_knows_mpi, file_length, function_length,
         banned_calls, file_names, headers, white_space, sizes_and_leftovers, top_level, built)
