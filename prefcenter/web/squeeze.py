"""The widget's script and style sheet without a byte that a browser does not need.

Every visitor of somebody else's page loads them, and at most 4 KB may come of it. This is no
general minifier: it knows the JavaScript of static/widget.js, whose first lines say what that
may hold. Neither template strings nor comments behind code are understood.
"""

import re
from dataclasses import dataclass
from itertools import product
from string import ascii_letters

_STRING = re.compile(r'("(?:[^"\\\n]|\\.)*"|/\[[^/\n]+/)')  # and /[…]/, a regular expression
_TOKEN = re.compile(r"(?:const|let) |[\w$#]+|\.{3}|\?\.|=>|\s|.", re.DOTALL)
_CLOSING = {"(": ")", "[": "]", "{": "}"}


def style(css: str) -> str:
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    css = re.sub(r"\s+", " ", css)
    css = re.sub(r" ?([{};,>]) ?", r"\1", css)
    return css.replace(": ", ":").replace(" !", "!").replace(";}", "}").strip()


def script(code: str) -> str:
    """Strings stay as they are; a line end stays where a statement might end without a `;`."""
    lines = (line.strip() for line in code.splitlines())
    parts = _STRING.split("\n".join(ln for ln in lines if ln and not ln.startswith("//")))
    tokens: list[str] = []
    for place, part in enumerate(parts):
        tokens += [part] if place % 2 else _TOKEN.findall(_tight(part))
    return "".join(_joined(_renamed(tokens)))


def _tight(code: str) -> str:
    code = re.sub(r"([{(\[,;:?&|=>])\n", r"\1", code)
    code = re.sub(r"\n(?=[})\].?:&|])", "", code)
    code = re.sub(r" ?(=>|[{}()\[\];,:?=<>&|*!+-]) ?", r"\1", code)
    return re.sub(r"[,;]+(?=\})|,(?=[)\]])", "", code)


@dataclass(frozen=True, slots=True)
class _Brackets:
    """Which bracket each token stands in, by the place of its opening; -1 is none."""

    around: list[int]
    end: dict[int, int]

    def whole(self, place: int) -> range:
        return range(place, self.end[place])


def _brackets(tokens: list[str]) -> _Brackets:
    open_now, around, end = [-1], [], {-1: len(tokens)}
    for place, token in enumerate(tokens):
        if token in _CLOSING.values():
            end[open_now.pop()] = place
        around.append(open_now[-1])
        if token in _CLOSING:
            open_now.append(place)
    return _Brackets(around, end)


def _renamed(tokens: list[str]) -> list[str]:
    """With a letter for each name that the code declares, the same letter for several names
    where none of them can be seen by the others.

    A name that is also a property's, as in `{name}` and `{name: …}`, or that is declared in
    another way than ours, as in `const [name]`, is left alone everywhere.
    """
    seen = _scopes(tokens)
    words = ("".join(pair) for pair in product(("", *ascii_letters), ascii_letters))
    free = [word for word in words if word not in set(tokens)]
    short: dict[str, str] = {}
    for name in sorted(seen, key=lambda name: (-tokens.count(name), name)):
        taken = {short[other] for other in short if _meet(seen[name], seen[other])}
        short[name] = next(word for word in free if word not in taken)
    return [
        short[token] if token in short and before not in (".", "?.") else token
        for before, token in zip(["", *tokens], tokens, strict=False)
    ]


def _scopes(tokens: list[str]) -> dict[str, list[range]]:
    """The names to shorten, and the stretches of code in which each can be seen, at most."""
    brackets = _brackets(tokens)
    seen: dict[str, list[range]] = {}
    used: dict[str, list[int]] = {}
    fixed = set()
    for place, token in enumerate(tokens[:-1]):
        if not token.isidentifier():
            continue
        before, after, inner = tokens[place - 1], tokens[place + 1], brackets.around[place]
        in_round = inner >= 0 and tokens[inner] == "("
        if before in ("const ", "let "):
            # What the head of a loop declares can be seen in its body too.
            outer = brackets.around[inner] if in_round else inner
            seen.setdefault(token, []).append(brackets.whole(outer))
        elif in_round and tokens[brackets.end[inner] + 1 :][:1] == ["=>"]:
            body = brackets.end[inner] + 2
            block = tokens[body] == "{"
            whole = brackets.whole(brackets.around[inner])
            seen.setdefault(token, []).append(range(inner, brackets.end[body]) if block else whole)
        if inner >= 0 and tokens[inner] == "{" and before in "{," and after in ",:}":
            fixed.add(token)
        elif before not in (".", "?."):
            used.setdefault(token, []).append(place)
    return {
        name: places
        for name, places in seen.items()
        if name not in fixed and all(any(u in p for p in places) for u in used.get(name, []))
    }


def _meet(some: list[range], others: list[range]) -> bool:
    return any(a.start < b.stop and b.start < a.stop for a in some for b in others)


def _joined(tokens: list[str]) -> list[str]:
    """`const a=1;const b=2` as `const a=1,b=2`, and `(a)=>` as `a=>`."""
    around = _brackets(tokens).around
    made: list[str] = []
    begun: dict[int, str] = {}  # with which token the statement at work in a bracket began
    for place, token in enumerate(tokens):
        before, inner = tokens[place - 1], around[place]
        if token not in ";\n)]},." and before in (";", "\n", "{", "}"):
            if before == ";" and token == begun.get(inner) == "const ":
                made[-1] = ","
                continue
            begun[inner] = token
        made.append(token)
        # After a word, as in `async (a) =>`, they are needed.
        lone = made[-4:-3] == ["("] and made[-2:] == [")", "=>"]
        if lone and not made[-5].isidentifier():
            made[-4:] = [made[-3], "=>"]
    return made
