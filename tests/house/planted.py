"""What the self-test plants: a clean tree, and one file or two for each way to break a rule."""

HEADER = """/* A promise. */
#ifndef SS_{guard}_H
#define SS_{guard}_H

#include "engine/base/status.h"

{body}
#endif
"""

CLEAN = {
    "CMakeLists.txt": "add_subdirectory(engine/base)\n",
    "engine/base/CMakeLists.txt": "add_library(ss_base status.c)\n",
    "engine/base/status.h": "/* Results. */\n#ifndef SS_BASE_STATUS_H\n#define SS_BASE_STATUS_H\n"
                            "#endif\n",
    "engine/base/status.c": '#include "engine/base/status.h"\n\n#include <stdio.h>\n\n'
                            "/* system(x) in a comment and \"atoi(x)\" are no calls. */\n"
                            "int f(void);\nint f(void)\n{\n    return printf(\"rand() {\");\n}\n",
    "swap/CMakeLists.txt": "add_library(ss_swap load.c)\n",
    "swap/load.c": '#include "engine/base/status.h"\n#include "swap/load.h"\n',
    "swap/load.h": HEADER.format(guard="SWAP_LOAD", body="int load(void);\n"),
    "pipeline/link/CMakeLists.txt": "add_library(ss_link mpi.c)\n",
    "pipeline/link/mpi.c": "#include <mpi.h>\n\n#include \"swap/load.h\"\n",
    "swap/device/cuda/CMakeLists.txt": "add_library(ss_cuda cuda.cu)\n",
    "swap/device/cuda/cuda.cu": '#include <cuda_runtime.h>\nextern "C" {\nint g(void)\n{\n'
                                + "    ;\n" * 60 + "}\n}\n",
    "tests/unit/load.c": '#include "swap/load.h"\n',
    "tests/unit.cmake": "ss_unit_test(load ss_swap)\n",
}


def c(path, text, **more):
    """A C file that CMake knows."""
    folder = path.rsplit("/", 1)[0]
    return {path: text, folder + "/extra.cmake": path.rsplit("/", 1)[1] + "\n", **more}


def include(path, target):
    return c(path, f"#include {target}\n")


def ordered(*rows):
    return {"swap/README.md": "# Swap\n\n## Order of reading\n\n| what | files |\n|---|---|\n"
                              + "".join(f"| a | {row} |\n" for row in rows) + "\n## Rest\n`a`\n"}


def late(text):
    """A second file of swap/, and TEXT for load.c."""
    return c("swap/late.c", '#include "swap/late.h"\nint late(void)\n{\n}\n', **{
        "swap/late.h": HEADER.format(guard="LATE", body="int late(void);\n"), "swap/load.c": text})


def circle(names):
    """Files of swap/, each of which calls the next one's function, and the last the first's."""
    files = {f"swap/{name}.c": f"int ss_{name}(void)\n{{\n    return ss_{after}();\n}}\n"
             for name, after in zip(names, names[1:] + names[0])}
    return {**files, "swap/extra.cmake": " ".join(f"{name}.c" for name in names) + "\n"}


LONG_BODY = "int h(int x)\n{\n" + "    x++;\n" * 69 + "}\n"
OTHERS = HEADER.format(guard="OTHER", body="")

# (rule, path, line, files)
VIOLATIONS = [
    ("who_includes_whom", "engine/base/a.c", 1, include("engine/base/a.c", '"swap/load.h"')),
    ("who_includes_whom", "swap/a.c", 1, include("swap/a.c", '"pipeline/stage/stage.h"')),
    ("who_includes_whom", "swap/a.c", 1, include("swap/a.c", '"rpc/server.h"')),
    ("who_includes_whom", "rpc/a.c", 1, include("rpc/a.c", '"swap/load.h"')),
    ("who_includes_whom", "rpc/a.c", 1, include("rpc/a.c", '"engine/core/controller.h"')),
    ("who_includes_whom", "pipeline/a.c", 1, include("pipeline/a.c", '"engine/core/model.h"')),
    ("who_includes_whom", "pipeline/a.c", 1, include("pipeline/a.c", '"rpc/server.h"')),
    ("who_includes_whom", "pipeline/entry/a.c", 1,
     include("pipeline/entry/a.c", '"swap/load.h"')),
    ("who_includes_whom", "engine/core/a.c", 1, include("engine/core/a.c", '"swap/load.h"')),
    ("who_includes_whom", "engine/core/a.c", 1,
     include("engine/core/a.c", '"pipeline/stage/stage.h"')),
    ("who_includes_whom", "engine/core/a.c", 1,
     include("engine/core/a.c", '"engine/serve/serve.h"')),
    ("who_includes_whom", "swap/a.c", 1, include("swap/a.c", '"load.h"')),
    ("order_of_reading", "swap/load.c", 1,
     {**ordered("`load`", "`late`"), **late('#include "swap/late.h"\n')}),
    ("order_of_reading", "swap/load.c", 3,
     {**ordered("`load`", "`late`"), **late("\n/* late */\nint x = late();\n")}),
    ("order_of_reading", "swap/load.h", 5,
     {**ordered("`load.h`", "`late`", "`load.c`"), **late(""),
      "swap/load.h": HEADER.format(guard="LOAD", body="").replace("engine/base/status",
                                                                  "swap/late")}),
    ("order_of_reading", "swap/late.c", 1, {**ordered("`load` `late.h`"), **late("")}),
    ("order_of_reading", "swap/README.md", 1, ordered("`load`", "`late`")),
    ("no_circles", "swap/a.c", 3, circle("ab")),
    ("no_circles", "swap/b.c", 3, circle("bcd")),
    ("who_knows_cuda", "swap/a.c", 1, include("swap/a.c", "<cuda_runtime.h>")),
    ("who_knows_cuda", "engine/serve/a.c", 1, include("engine/serve/a.c", "<nccl.h>")),
    ("who_knows_cuda", "swap/a.c", 1, include("swap/a.c", '"swap/device/cuda/cuda.h"')),
    ("who_knows_cuda", "swap/a.c", 1, c("swap/a.c", "#ifdef SS_HAS_CUDA\n#endif\n")),
    ("who_knows_mpi", "swap/a.c", 1, include("swap/a.c", "<mpi.h>")),
    ("who_knows_mpi", "pipeline/stage/a.c", 1, include("pipeline/stage/a.c", "<mpi.h>")),
    ("who_knows_mpi", "engine/core/a.c", 1, include("engine/core/a.c", "<mpi.h>")),
    ("file_length", "swap/a.c", 501, c("swap/a.c", "\n" * 501)),
    ("function_length", "swap/a.c", 2, c("swap/a.c", LONG_BODY)),
    ("function_length", "swap/a.cu", 3, c("swap/a.cu", 'extern "C" {\n' + LONG_BODY + "}\n")),
    ("function_length", "swap/a.c", 5, c("swap/a.c", "int t[] = {\n1,\n};\n" + LONG_BODY)),
    ("function_length", "rpc/a.py", 1, {"rpc/a.py": "def f():\n" + "    f()\n" * 70}),
    ("banned_calls", "swap/a.c", 3, c("swap/a.c", "int f(char *a)\n{\n    return atoi(a);\n}\n")),
    ("banned_calls", "swap/a.c", 1, c("swap/a.c", "#define F(a, b) strcpy(a, b)\n")),
    ("banned_calls", "tests/a.c", 1, c("tests/a.c", "int f(void) { return system (0); }\n")),
    ("banned_calls", "rpc/a.c", 1, c("rpc/a.c", "int f(void) { return usleep(1); }\n")),
    ("file_names", "swap/util.c", 1, c("swap/util.c", "")),
    ("file_names", "rpc/helpers/a.py", 1, {"rpc/helpers/a.py": ""}),
    ("headers", "swap/a.h", 1, {"swap/a.h": OTHERS}),
    ("headers", "swap/other.h", 1, {"swap/other.h": OTHERS.replace("/* A promise. */\n", "")}),
    ("headers", "swap/other.h", 1, {"swap/other.h": "/* A promise. */\n#pragma once\n"}),
    ("white_space", "swap/a.c", 1, c("swap/a.c", "int a; \n")),
    ("white_space", "swap/a.c", 1, c("swap/a.c", "int\ta;\n")),
    ("white_space", "swap/a.c", 1, c("swap/a.c", "int a;\r\n")),
    ("white_space", "rpc/a.py", 1, {"rpc/a.py": "a = 1"}),
    ("sizes_and_leftovers", "tests/golden/a.bin", 1, {"tests/golden/a.bin": "x" * (6 << 20)}),
    ("sizes_and_leftovers", "swap/a.o", 1, {"swap/a.o": ""}),
    ("top_level", "docs", 1, {"docs/a.md": ""}),
    ("top_level", "notes.md", 1, {"notes.md": ""}),
    ("built", "swap/a.c", 1, {"swap/a.c": ""}),
    ("built", "tests/unit/a.c", 1, {"tests/unit/a.c": ""}),
]
