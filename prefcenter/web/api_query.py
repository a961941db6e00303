"""What stands behind the `?` of a call of the API: of the shape that it asks for, or a 422 that
says where. As in api_body.py, nothing of what was sent is repeated.
"""

import re
from typing import Annotated, Any, TypeVar

from flask import request
from pydantic import BaseModel, BeforeValidator, ValidationError

from prefcenter.web import api_body

_WHOLE = re.compile(r"[0-9]{1,9}\Z", re.ASCII)
_SENTENCES = {
    "missing": "Add this parameter.",
    "extra_forbidden": "Leave out the parameters that this call does not know.",
    "string_too_long": "Send a shorter one.",
    "greater_than_equal": "Send a larger number.",
    "less_than_equal": "Send a smaller number.",
}
_VALUE = "Value error, "
Model = TypeVar("Model", bound=BaseModel)


def _whole(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    if _WHOLE.match(text):
        return int(text)
    raise ValueError("Send a whole number, in digits.")


Whole = Annotated[int, BeforeValidator(_whole)]


def read(model: type[Model]) -> Model:
    """The parameters of this request. Raises Problem."""
    twice = [name for name, values in request.args.lists() if len(values) > 1]
    if twice:
        raise api_body.problem([((name,), "Say it once.") for name in twice[:20]])
    try:
        return model.model_validate(request.args.to_dict())
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        told = [(one["loc"], _sentence(one["type"], one["msg"])) for one in faults[:20]]
        raise api_body.problem(told) from None


def _sentence(kind: str, message: str) -> str:
    if message.startswith(_VALUE):
        return message.removeprefix(_VALUE)
    return _SENTENCES.get(kind, "This cannot be used; see the description of the call.")
