"""Settings of two-way texting: who answers, which words, how far a STOP reaches."""

from prefcenter import phone
from prefcenter.environment import PREFIX, ConfigError, Reader

COMMANDS = ("LESS", "PAUSE", "RESUME", "WEEKLY", "MONTHLY", "MENU")


def network_senders(get: Reader, senders: tuple[str, ...]) -> frozenset[str]:
    """Our numbers whose STOP, START and HELP the network answers by itself (RULE-29)."""
    default, chosen = "app", {}
    for part in get.many("REPLIES_BY", "app"):
        sender, equals, who = part.rpartition("=")
        if who not in ("app", "network") or (equals and sender not in senders):
            raise ConfigError(
                f"{PREFIX}REPLIES_BY holds {part!r}; write app, network or +NUMBER=network with"
                f" a number of {PREFIX}SENDER."
            )
        if equals:
            chosen[sender] = who
        else:
            default = who
    return frozenset(s for s in senders if chosen.get(s, default) == "network")


def toll_free_senders(senders: tuple[str, ...]) -> frozenset[str]:
    """Our numbers whose STOP and START the carriers always answer themselves (RULE-29)."""
    return frozenset(sender for sender in senders if phone.is_toll_free(sender))


def keywords(get: Reader) -> dict[str, tuple[str, ...]]:
    """The owner's own words to join by text, each with the categories it asks for."""
    found = {}
    for part in get.many("KEYWORDS"):
        word, _, slugs = part.partition("=")
        if not word.strip() or not word.replace(" ", "").isalnum() or len(word) > 20:
            raise ConfigError(
                f"{PREFIX}KEYWORDS holds {part!r}; write WORD=category or WORD=one+two."
            )
        found[word.strip().upper()] = tuple(slug for slug in slugs.split("+") if slug)
    return found


def commands(get: Reader) -> frozenset[str]:
    """Which words may change a subscription by text; all of them unless some are left out."""
    found = frozenset(word.upper() for word in get.many("TEXT_COMMANDS", ",".join(COMMANDS)))
    if not found <= {*COMMANDS, "NONE"}:
        raise ConfigError(
            f"{PREFIX}TEXT_COMMANDS may name {', '.join(COMMANDS)}, or none to switch all off."
        )
    return found - {"NONE"}


def programmes(get: Reader, senders: tuple[str, ...], scope: str) -> dict[str, tuple[str, ...]]:
    """What a STOP to each of our numbers ends where REVOCATION_SCOPE is programme (RULE-25)."""
    found = {}
    for part in get.many("PROGRAMMES"):
        sender, _, slugs = part.partition("=")
        if sender not in senders or not slugs:
            raise ConfigError(
                f"{PREFIX}PROGRAMMES holds {part!r}; write +NUMBER=category+category with a"
                f" number of {PREFIX}SENDER."
            )
        found[sender] = tuple(slug for slug in slugs.split("+") if slug)
    if scope == "programme" and set(found) != set(senders):
        raise ConfigError(
            f"{PREFIX}REVOCATION_SCOPE=programme needs {PREFIX}PROGRAMMES with each number of"
            f" {PREFIX}SENDER, such as +12025550100=offers+events."
        )
    return found
