"""The spine, end to end, as people walk it."""

from tests.cast import ALICE, Town


def test_alice_signs_up_confirms_and_is_welcomed(town: Town) -> None:
    answer = town.sign_up(ALICE)
    assert answer.status_code == 303
    assert [text.kind for text in town.work()] == ["confirm_request"]
