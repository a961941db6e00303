"""What a call of the API takes and answers, said beside its view and read by the description."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

View = TypeVar("View", bound=Callable[..., object])
PROBLEM = "application/problem+json"
# Every status that is no success: what it means and what the answer says.
WORDS = {
    400: "No JSON, JSON that can be read in two ways, or a header that cannot be.",
    401: "No key that works.",
    403: "The key does not have the scope of this call.",
    404: "There is no such thing; `detail` says which.",
    406: "No form of the answer that `Accept` asks for.",
    409: "What is so by now does not allow it; `detail` says what.",
    410: "It is gone for good.",
    411: "The body has no length.",
    413: "The body is too large.",
    415: "The body is not `application/json`.",
    422: "Something that was sent cannot be used; `errors` names each field.",
    429: "Too many calls; `Retry-After` says in how many seconds to come again.",
    500: "Our own fault. Nothing was changed.",
    503: "The database does not answer. Nothing was changed; come again after `Retry-After`.",
}
_CALL = "prefcenter_call"


class Fault(BaseModel):
    """One thing that is wrong with what was sent. Nothing of it is repeated."""

    model_config = ConfigDict(extra="allow")

    pointer: Annotated[str, Field(description="Where: a JSON pointer (RFC 6901) after `#`.")]
    detail: Annotated[str, Field(description="What to do, as a sentence.")]
    reason: Annotated[
        str | None, Field(description="A word for programs, at some fields such as `number`.")
    ] = None


class Refused(BaseModel):
    """Why a call was not done (RFC 9457); some statuses say more besides."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(description="Always `about:blank`: the status says it.")]
    title: Annotated[str, Field(description="What went wrong, in the same words every time.")]
    status: Annotated[int, Field(description="The status of the answer, once more.")]
    detail: Annotated[str, Field(description="What to do about it.")]
    errors: Annotated[
        list[Fault] | None, Field(description="Each field that is wrong, 20 at most.")
    ] = None
    reference: Annotated[
        str | None, Field(description="Stands in our log, too; say it when you ask about this.")
    ] = None


@dataclass(frozen=True, slots=True)
class Call:
    """One call as the description tells it.

    An example in `answers` that has the name of one in `asks` is the answer to it; with a query
    instead of a body, `asks` are queries.
    """

    summary: str
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None  # of NDJSON: one line
    status: int = 200
    media: Collection[str] = ("application/json",)
    problems: Collection[int] = ()  # beside those that every call can give
    asks: Mapping[str, Any] = field(default_factory=dict)  # examples of bodies by name
    answers: Mapping[str, Any] = field(default_factory=dict)  # examples of answers by name
    path: Mapping[str, str] = field(default_factory=dict)  # what each name in the path means
    idempotent: bool = False  # takes an Idempotency-Key
    judged_anew: bool = False  # a repeated call goes to its view, because what is so now counts


def call(summary: str, **said: Any) -> Callable[[View], View]:
    """Say what a view takes and answers; see Call for the words."""

    def note(view: View) -> View:
        setattr(view, _CALL, Call(summary, **said))
        return view

    return note


def call_of(view: Callable[..., object]) -> Call | None:
    """What was said beside a view."""
    found: Call | None = getattr(view, _CALL, None)
    return found
