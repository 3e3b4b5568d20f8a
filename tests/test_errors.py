"""The tree is vocabulary: who may retry, what ends a turn."""

import pytest
from pydantic import BaseModel, ValidationError, field_validator

from vitron_agent import errors
from vitron_agent.errors import first_message, listed, quoted

RETRYABLE = {"InvocationError", "MissingInputError", "NothingFoundError"}
FINAL = {"InputError", "DownloadError", "CheckpointError", "StorageError", "MemoryExhausted", "BusyError", "Cancelled"}


@pytest.mark.parametrize("name", sorted(RETRYABLE | FINAL))
def test_each_error_is_either_retryable_or_final(name: str) -> None:
    error = getattr(errors, name)
    assert issubclass(error, errors.VitronError)
    assert issubclass(error, errors.RetryableError) == (name in RETRYABLE)
    assert issubclass(error, errors.FinalError) == (name in FINAL)
    assert str(error("the value and the remedy")) == "the value and the remedy"


def test_the_tree_in_the_docstring_and_the_public_names_are_complete() -> None:
    classes = {name for name, value in vars(errors).items() if isinstance(value, type) and value is not ValidationError}
    assert classes == RETRYABLE | FINAL | {"VitronError", "RetryableError", "FinalError"}
    assert classes <= set(errors.__all__)
    assert all(name in (errors.__doc__ or "") for name in classes)


def test_an_invocation_error_keeps_what_could_be_saved() -> None:
    error = errors.InvocationError("no instruction", source="<module>B</module>", region=(0.1, 0.2, 0.3, 0.4))
    assert (error.source, error.region) == ("<module>B</module>", (0.1, 0.2, 0.3, 0.4))


def test_quoted_values_are_short_and_on_one_line() -> None:
    assert quoted("a\nb") == "'a b'"
    assert len(quoted("x" * 1_000_000)) == 82


def test_of_many_names_ten_are_listed() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(number) for number in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"


def test_first_message_has_no_decoration() -> None:
    class Value(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def _odd(cls, n: int) -> int:
            raise ValueError(f"{n} is even: give an odd one")

    with pytest.raises(ValidationError) as caught:
        Value(n=2)
    assert first_message(caught.value) == "2 is even: give an odd one"
