"""What makes a test quick without making it less true."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import Engine
from werkzeug.routing import Rule


class Compiled(BytecodeCache):
    """Templates compiled once for all apps of this process, as long as their source is the same."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if found := self.kept.get(f"{bucket.key}-{bucket.checksum}"):
            bucket.bytecode_from_string(found)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.kept[f"{bucket.key}-{bucket.checksum}"] = bucket.bytecode_to_string()


TEMPLATES = Compiled()

_FIRST: dict[str, Engine] = {}


def remember_statements(engine: Engine) -> None:
    """Turn each statement into SQL once for all databases of one kind.

    SQLAlchemy remembers that by engine and dialect, and here each test has an engine of its own.
    """
    first = _FIRST.setdefault(engine.dialect.name, engine)
    engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache


def remember_rules() -> None:
    """Compile the way from a route's values to its address once for all apps of this process.

    An app compiles some three hundred, which takes most of the time that making one takes.
    """
    compiled: dict[object, Callable[..., Any]] = {}
    compile_anew = Rule._compile_builder

    @wraps(compile_anew)
    def remembered(self: Rule, append_unknown: bool = True) -> Callable[..., Any]:
        converters = tuple((name, type(one)) for name, one in self._converters.items())
        defaults = tuple(sorted((self.defaults or {}).items()))
        key = (self.rule, self.host, self.subdomain, converters, defaults, append_unknown)
        if key not in compiled:
            compiled[key] = compile_anew(self, append_unknown)
        return compiled[key]

    Rule._compile_builder = remembered  # type: ignore[method-assign]  # for the tests alone
