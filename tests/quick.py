"""What makes a test quick without making it less true."""

from functools import wraps

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
    """Compile each route once for all apps of this process.

    An app has some two hundred, which takes most of the time that making one takes.
    """
    compiled: dict[object, Rule] = {}
    compile_anew = Rule.compile

    @wraps(compile_anew)
    def remembered(self: Rule) -> None:
        converters = tuple(sorted((name, id(one)) for name, one in self.map.converters.items()))
        defaults = tuple(sorted((self.defaults or {}).items()))
        place = (self.rule, self.host, self.subdomain, self.map.host_matching, self.merge_slashes)
        first = compiled.setdefault((*place, defaults, converters), self)
        if first is self:
            compile_anew(self)
            return
        self._parts, self._trace = first._parts, first._trace
        self._converters, self.arguments = first._converters, first.arguments
        for name in ("_build", "_build_unknown"):
            setattr(self, name, getattr(first, name).__func__.__get__(self))

    Rule.compile = remembered  # type: ignore[method-assign]  # for the tests alone
