"""C text without what would mislead a rule: comments, strings, preprocessor lines."""

import re

TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
DIRECTIVE = re.compile(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', re.MULTILINE)


def blank(text):
    """As many lines as TEXT has, and nothing on them."""
    return "\n" * text.count("\n")


def without_comments(text):
    """Comments gone, strings empty; lines keep their numbers."""
    def replace(match):
        token = match.group(0)
        return token[0] * 2 if token[0] in "\"'" else " " + blank(token)
    return TOKEN.sub(replace, text)


def without_directives(text):
    return DIRECTIVE.sub(lambda match: blank(match.group(0)), text)


def includes(text):
    """(line, target, is_system) of each #include."""
    pattern = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]')
    for number, line in enumerate(text.splitlines(), 1):
        match = pattern.match(line)
        if match:
            yield number, match.group(2), match.group(1) == "<"


DEFINITION = re.compile(
    r"^(?!static\b|extern\b)[A-Za-z][\w *]*?\b(\w+)(?:\([^;{}]*\)\s*\{|\s*=)", re.MULTILINE)


def definitions(code):
    """The names of other files' use that CODE (comments and directives gone) defines."""
    return DEFINITION.findall(code)


def functions(code):
    """(first line, lines) of each body at the top level of CODE (comments and directives gone).

    A body is what a brace after a parameter list opens: initialisers follow '=', types a name."""
    depth, start, head = 0, 0, ""
    line = 1
    for character in code:
        if character == "\n":
            line += 1
        if character == "{":
            if depth == 0 and re.search(r'extern\s*""\s*$', head):
                head = ""
                continue
            if depth == 0:
                start = line if re.search(r'\)\s*(?:__attribute__.*)?$', head, re.DOTALL) else 0
            depth += 1
        elif character == "}":
            depth = max(depth - 1, 0)
            if depth == 0 and start:
                yield start, line - start + 1
            if depth == 0:
                start, head = 0, ""
        elif depth == 0:
            head = "" if character == ";" else head + character
