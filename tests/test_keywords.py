"""What people text, read into an answer (RULE-17 to RULE-19, SEC-35).

Long, because it is mostly tables of sentences.
"""

import csv
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from prefcenter.consent import refusals, scoring, spelling
from prefcenter.consent.keywords import Reading, Refusal, Word, clashes, normalise, read

WORDS = Path(refusals.__file__).parent / "words"
MESSAGES = Path(__file__).parent / "data" / "messages.csv"

ANYTHING = st.text() | st.text(alphabet=st.characters(codec=None))  # the latter has surrogates
# What keyboards, autocorrect and copied text put around and into a word.
DRESS = st.sampled_from(
    ["", " ", "!", "...", '"', "“", "🛑", "\u200b", "\ufeff", "\n", "*", "(", "。"]
)
INSIDE = st.sampled_from(["", "\u200b", "\u200d", "\u00ad", "\u2060", "\u0301", "\x00"])
FCC_WORDS = ["STOP", "QUIT", "END", "REVOKE", "OPT OUT", "CANCEL", "UNSUBSCRIBE"]
MORE_WORDS = ["STOPALL", "STOP ALL", "OPTOUT", "OPT-OUT", "UNSUB", "REMOVE", "TD", "ARRET", "ARRÊT"]
CONSENTS = ["START", "UNSTOP", "SUBSCRIBE", "JOIN"]


def full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def stops(text: str) -> bool:
    return read(text).refusal is not Refusal.NOT


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("  Stop!!  ", "stop"),
        ("ＳＴＯＰ", "stop"),
        ("🅂🅃🄾🄿", "stop"),
        ("s\u200bt\u00ado\u2060p", "stop"),
        ("ARRÊT", "arret"),
        ("arre\u0302t", "arret"),
        ("“no más”", "no mas"),
        ("don’t", "dont"),
        ("n’envoyez", "n envoyez"),
        ("OPT-OUT", "opt out"),
        ("Yes 👍🏽", "yes"),
        ("$TOP", "stop"),
        ("wrong #", "wrong number"),
        ("रोकें", "रोकें"),
        ("\x00\ud800", ""),
        ("🛑🛑 🚫 texts", "🛑 🚫 texts"),
        ("🛑 ' 🛑", "🛑"),
        ("👍 texts", "texts"),
        ("👍", ""),
    ],
)
def test_the_dress_of_a_message_is_taken_off(typed: str, plain: str) -> None:
    assert normalise(typed) == plain


@given(ANYTHING)
@example("İSTANBUL ŉ ǰ ΐ ͅ")
@example("🛑🛑 texting me 🖕")
@settings(max_examples=400, deadline=None)
def test_any_text_is_read_and_normalising_twice_changes_nothing(text: str) -> None:
    plain = normalise(text)
    assert normalise(plain) == plain
    first, second = read(text), read(plain)
    assert (first.word, first.refusal) == (second.word, second.refusal)


@pytest.mark.parametrize("word", FCC_WORDS + MORE_WORDS)
def test_the_american_words_always_stop(word: str) -> None:
    """RULE-17: no setting takes one away or gives it another meaning."""
    dresses = (word, word.lower(), f" {word}. ", f"“{word}”", f"{word} please", full_width(word))
    for dressed in dresses:
        reading = read(dressed, own=[word], more_help=[word])
        assert reading.word is Word.STOP, dressed
        assert reading.refusal is Refusal.SURELY
        assert reading.matched == normalise(word).upper()


@given(DRESS, INSIDE, DRESS, st.sampled_from([str.upper, str.lower, str.title, full_width]))
def test_stop_stops_in_any_dress(before: str, inside: str, after: str, how) -> None:  # type: ignore[no-untyped-def]  # `how` is any function
    text = before + inside.join(how("stop")) + after
    assert read(text).word is Word.STOP


@given(st.text(max_size=200))
def test_a_message_that_begins_with_stop_stops(rest: str) -> None:
    """SEC-35: as the first word it stops, whatever follows."""
    assert read(f"STOP {rest}").word is Word.STOP


@pytest.mark.parametrize(
    "text",
    [
        *("STOP texting me!!!", "Stop 2 end", "stop. it.", "Unsubscribe me", "opt out now"),
        *("arrêtez svp", "end end", "pls quit", "quit it now", "cancel please", "END!", "td"),
        *("START STOP", "stop start", "STOP or START?", "yes stop", "Please STOP"),
        *("BAJA", "cancelar", "ABMELDEN", "sair", "basta", "стоп", "退订", "수신거부", "إيقاف"),
    ],
)
def test_stop_keywords(text: str) -> None:
    assert read(text).word is Word.STOP


@pytest.mark.parametrize(
    ("word", "texts"),
    [
        (Word.START, ["START", "unstop", "Subscribe!", "ALTA"]),
        (Word.HELP, ["HELP", "info", "AIDE", "ayuda", "Help please", "help me", "Hilfe"]),
        (Word.YES, ["Y", "yes!", "YES.", "Sí", "oui", "Yes please", "yes, thank you"]),
        (Word.NO, ["no", "N", "Non", "nein"]),
        (Word.JOIN, ["join", "unirme"]),
        (Word.LESS, ["LESS", "menos", "moins"]),
        (Word.PAUSE, ["pause", "PAUSA"]),
        (Word.RESUME, ["resume", "reanudar", "reprendre"]),
        (Word.WEEKLY, ["weekly", "Semanal", "hebdo"]),
        (Word.MONTHLY, ["monthly", "mensual", "mensuel"]),
        (Word.MENU, ["menu", "MENÚ", "options"]),
    ],
)
def test_other_keywords(word: Word, texts: list[str]) -> None:
    for text in texts:
        reading = read(text)
        assert reading.word is word, text
        assert reading.refusal is Refusal.NOT
        assert not reading.flagged


@pytest.mark.parametrize("word", CONSENTS + ["YES"])
def test_consent_is_the_exact_word(word: str) -> None:
    """SEC-35: "start" in a sentence is no consent."""
    for sentence in ("{} sending", "when do you {}", "{}ing", "re {}", "dont {}"):
        text = sentence.format(word)
        assert read(text).word not in (Word.START, Word.JOIN, Word.YES), text


@pytest.mark.parametrize("text", ["yeah", "ok", "sure", "yep", "👍", "yes I have a question"])
def test_what_is_not_the_word_asked_for_is_no_yes(text: str) -> None:
    assert read(text).word is None


def test_the_owners_keywords_join_and_name_the_campaign() -> None:
    reading = read(" books! ", own=["SALE", "Books"])
    assert (reading.word, reading.campaign, reading.matched) == (Word.JOIN, "Books", "BOOKS")
    assert read("books please", own=["Books"]).word is None


def test_the_owners_words_are_added() -> None:
    assert read("Adieu!", more_stop=["ADIEU"]).word is Word.STOP
    assert read("nix da bitte", more_stop=["NIX DA"]).refusal is Refusal.NOT
    assert read("nix da", more_stop=["NIX DA"]).matched == "NIX DA"
    assert read("sos", more_help=["SOS"]).word is Word.HELP
    assert read("we say adieu to summer", more_stop=["adieu"]).flagged
    assert read("", more_stop=["", "!"], more_help=[""], own=[""]) == Reading()


def test_own_keywords_cannot_take_words_that_mean_something() -> None:
    """An own keyword may be JOIN, but nothing that stops, starts, helps or says yes."""
    taken = [
        "Stop",
        "ＥＮＤ",
        "sí",
        "HELP",
        "start",
        "STOP SALE",
        "no más",
        "stpo",
        "less",
        "!!!",
        "",
    ]
    assert clashes([*taken, "BOOKS", "join", "SALE24"]) == taken


SURE = [
    *("please take me off your list", "remove my number", "no more texts", "leave me alone"),
    *("do not contact me again", "wrong number stop texting", "unsuscribe", "stpo", "S T O P"),
    *("s.t.o.p", "sto p", "ST0P", "STOOOOP", "plsstop", "stoptexting me", "unsubscirbe please"),
    *("Could you kindly stop sending me these? Thanks!", "I hereby revoke my consent"),
    *("under the TCPA I demand you stop", "we must insist you cease and desist"),
    *("he passed away, please stop", "this person is deceased", "opt me out", "take me off"),
    *("this isn't Maria anymore, she changed her number", "why don't you stop texting me"),
    *("I texted STOP twice and still get these", "I can't unsubscribe", "no more ads ever"),
    *("no más mensajes", "quítenme de la lista", "dejen de molestarme", "número equivocado"),
    *("ne m'envoyez plus rien", "je ne veux plus de sms", "retirez-moi de la liste"),
    *("keine SMS mehr bitte", "löschen Sie meine Nummer", "hört auf mir zu schreiben"),
    *("não quero mais mensagens", "me tira da lista", "non mandatemi più messaggi"),
]
LIKELY = [
    *("why am i getting these", "who gave you my number", "enough already", "f*** off"),
    "no thanks",
    *("not interested", "I'll report you", "reported as spam", "blocked", "go to hell", "Stoop"),
    *("who the hell is this", "I'm so sick of these", "oh great, another text", "🖕"),
    *("no me interesa", "non merci", "kein Interesse", "não tenho interesse", "no grazie"),
]
NEUTRAL = [
    *("Shop", "don't stop me now", "I can't stop laughing", "please don't stop sending these"),
    *("We have got to STOP this bill", "does the sale end sunday", "can I cancel my order?"),
    *("where do I get off, which bus stop", "non stop flights", "12 Stop St", "End of season"),
    *("quit my job today", "remove the extra item from my order", "I love these, never stop"),
    *("I don't want the blue one, is there a red?", "I gave you the wrong number for my order"),
    *("can I get 20% off", "my phone died, what was the code?", "I accidentally unsubscribed"),
    *("shut up and take my money", "where the hell is my order", "please stop by after five"),
    *("no", "", "👍", "¿puedo cancelar mi pedido?", "no quiero perderme la oferta"),
    *("où est l'arrêt de bus", "Ich möchte meine Bestellung stornieren"),
    *("não recebi meu pedido", "vorrei annullare il mio ordine"),
]

# One line for each message: what it is about, and the message.
STOPS = """
more of them | I no want more messages, thank you
more of them | we do not need any more coupons
more of them | don't wish further updates
filler       | can u like not text me
filler       | could you like stop
picture      | 🛑🛑🛑 texting me
picture      | 🚫 messages
picture      | ❌ texts
picture      | 🔕
picture      | 🛑🛑
picture      | ❌ ❌ ❌
picture      | 🛑🚫🛑🛑
picture      | 🛑🛑🛑🛑🛑🛑🛑🛑 🛑🛑🛑🛑
silent ends  | jveu plu de vos sms
silent ends  | je veu plu recevé vos messages
death        | The owner of this phone has passed away
death        | this person died in March
death        | my mother died, can you remove her number
another way  | Please use email instead of texting me
another way  | Email me rather than texting
fed up       | vous commencez à me saouler avec vos messages
fed up       | I only wanted the coupon, not a lifetime of messages
no calls     | do not call or text me
no calls     | no calls no texts
no calls     | no me llamen ni me escriban
no calls     | ne m'appelez plus et ne m'envoyez plus de sms
leaving      | please unsubscribe me from your texts
leaving      | I want to unsubscribe from the Corner Bakery
leaving      | please remove my mother from your text list
leaving      | quiero cancelar la suscripción a los mensajes
leaving      | quiero la baja
wrong number | Not Sarah
going on     | when will these texts stop
going on     | why haven't you removed me yet
going on     | Warum hört ihr nicht auf?
"""
GOES_ON = """
why they stopped | why did my reminders stop
why they stopped | Your texts stopped coming, please turn them back on
why they stopped | I haven't received any messages this week, did you remove me?
why they stopped | I'm not getting your texts anymore
why they stopped | dejé de recibir sus mensajes, ¿qué pasó?
why they stopped | je ne reçois plus vos messages, pourquoi ?
why they stopped | Ich bekomme keine Nachrichten mehr, warum?
why they stopped | por que não me mandam mais promoções?
why they stopped | come mai non mi mandate più le offerte?
texts, no calls  | Do not call me, text is better
texts, no calls  | no calls please, texting is fine
texts, no calls  | No me llamen, mejor escríbanme por aquí
texts, no calls  | Ne m'appelez pas, envoyez plutôt un SMS
texts, no calls  | Bitte nicht anrufen, lieber eine SMS
texts, no calls  | não me liguem, melhor mandar mensagem
texts, no calls  | non chiamatemi, meglio un sms
another service  | How do I unsubscribe from the magazine I get in the mail
another service  | ¿Puedo dar de baja a mi hijo del comedor escolar?
another service  | Je veux résilier mon abonnement à la salle de sport
another service  | Ich möchte mein Kind vom Schwimmkurs abmelden
another service  | quero cancelar a assinatura da academia
another service  | vorrei disdire l'abbonamento in palestra
something else   | When should I stop my antibiotics
something else   | how long before I stop my pills
something else   | my boss just quit so I'm free
something else   | ¿Tienen talla más baja?
something else   | planta baja
something else   | Chega que horas a entrega?
do not stop      | Hört bitte nicht auf, mir Angebote zu schicken
do not stop      | Hört nie auf
no thanks        | No thanks, I don't need a bag
no thanks        | no thank you, just water
no thanks        | no gracias, solo agua
a death          | Can I reschedule, my mother died in March
a death          | He died at the end!! I'm not over it. Great book club pick
"""


def messages(table: str) -> list[str]:
    return [line.split("|", 1)[1].strip() for line in table.strip().splitlines()]


@pytest.mark.parametrize("text", SURE)
def test_refusals_in_free_words(text: str) -> None:
    """RULE-19: what a reasonable person reads as a refusal counts."""
    reading = read(text)
    assert reading.refusal is Refusal.SURELY, reading
    assert not reading.flagged


@pytest.mark.parametrize("text", [*LIKELY, *messages(STOPS)])
def test_likely_refusals(text: str) -> None:
    assert stops(text)


@pytest.mark.parametrize("text", [*NEUTRAL, *messages(GOES_ON)])
def test_no_refusals(text: str) -> None:
    assert not stops(text), read(text)


def test_a_stop_word_in_a_neutral_message_is_for_a_person() -> None:
    """SEC-35: kept and flagged."""
    assert read("does the sale end sunday").flagged
    assert read("can I cancel my order?").matched == "CANCEL"
    assert not read("what time do you open").flagged


def test_language_and_pattern_are_named() -> None:
    assert read("ARRÊT").language == "fr"
    reading = read("laissez-moi tranquille")
    assert (reading.language, reading.word) == ("fr", None)
    assert reading.matched.startswith("no more")


@pytest.mark.parametrize(
    "text",
    [
        "STOP " + "x" * 200_000,
        "a " * 100_000,
        "you dont want to be ..." * 10_000,
        "stop this the my all never " * 8_000,
        "\u0301\u05b0\u0591" * 70_000,
        "ﷺ" * 70_000,
        "s t o p " * 25_000,
        "o" * 200_000,
        "\u200b" * 200_000 + "stop",
        "!" * 200_000 + "stop",
    ],
)
def test_long_and_hostile_texts_are_read(text: str) -> None:
    """No clock here: a reader that is not linear would not come back."""
    assert len(normalise(text)) <= 4000
    assert read(text).word is (
        Word.STOP if "stop" in (text[:5].lower().strip(), text[-4:]) else None
    ) or ("s t o p" in text and stops(text))


def test_every_pattern_can_be_reached_and_is_a_pattern() -> None:
    """The data files hold what the grammar knows, and no class that nothing uses."""
    for path in sorted(WORDS.glob("refusals_*.toml")):
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
        stages = ("beyond_doubt", "harmless", "surely", "likely")
        assert {"language", "classes", *stages} == set(tree), path.name
        rows = [row for stage in stages for topic in tree[stage].values() for row in topic]
        used = " ".join(rows + [row for entries in tree["classes"].values() for row in entries])
        for name in tree["classes"]:
            assert f"<{name}>" in used, f"{path.name}: nothing uses <{name}>"
        assert all(row.strip() for row in rows), path.name


def test_no_mending_undoes_itself() -> None:
    """A word that is meant is never itself listed as a misspelling."""
    tree = tomllib.loads((WORDS / "spelling.toml").read_text(encoding="utf-8"))
    for meant in tree["misspelt"]:
        assert spelling.mend(meant.replace("_", " "), ()) == meant.replace("_", " ")


def test_the_labelled_messages_reach_both_bars() -> None:
    with MESSAGES.open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["language"], row["label"]) for row in csv.DictReader(file)]
    report = scoring.score(rows)
    assert report.ok, "\n".join(report.lines())


def test_the_score_counts_by_label() -> None:
    report = scoring.score(
        [
            ("STOP", "en", "stop_sure"),
            ("no thanks", "en", "stop_sure"),
            ("when do you open", "en", "stop_likely"),
            ("bus stop", "en", "neutral"),
            ("remove me", "en", "neutral"),
            ("HELP", "en", "help"),
        ]
    )
    assert (report.total["stop_sure"], report.right["stop_sure"]) == (2, 2)
    assert report.refusals_stopped == pytest.approx(2 / 3)
    assert report.class_agreement == pytest.approx(1 / 3)
    assert report.neutral_stopped == 0.5
    assert [miss.text for miss in report.misses] == ["when do you open", "remove me"]
    assert not report.ok
    assert any("when do you open" in line for line in report.lines())


def test_an_unknown_label_is_named() -> None:
    with pytest.raises(ValueError, match="no label 'maybe'"):
        scoring.score([("hi", "en", "maybe")])


def test_an_empty_score_is_good() -> None:
    assert scoring.score([]).ok
