"""What makes a test quick without making it less true."""

from jinja2.bccache import Bucket, BytecodeCache


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
