"""What can be wrong with stored conversations, as errors of ours. This file knows databases, not graphs."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from langgraph.errors import EmptyInputError

from vitron_agent.errors import InputError, StorageError, VitronError


@contextmanager
def in_our_terms() -> Iterator[None]:
    """Raise what checkpointers and LangGraph say about a conversation as errors of ours.

    Raises:
        InputError: There is nothing to go on with.
        StorageError: The database cannot be read or written.
    """
    try:
        yield
    except EmptyInputError:
        raise InputError("there is nothing to go on with on this thread: send a message first") from None
    except database_errors() as error:
        raise StorageError(
            f"the stored conversations cannot be used ({_line(error)}): free the database, connect to it again, "
            "or restore it from a copy"
        ) from error


@contextmanager
def reading() -> Iterator[None]:
    """Within it, stored steps are read, and nothing else: whatever fails fails because they are not whole.

    Databases have no checksums. A flipped bit in a row is found by whoever takes it apart, in a dozen kinds of errors.

    Raises:
        InputError: A filter that is none.
        StorageError: The steps are damaged.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, (VitronError, *database_errors())):
            raise
        if "filter key" in str(error):  # checkpointers put these into their query, and check them
            raise InputError(str(error)) from None
        raise StorageError(
            f"this conversation is damaged where it is stored ({type(error).__name__}: {_line(error)}): "
            "restore the database from a copy, or go on under another thread id; other conversations are not concerned"
        ) from error


def database_errors() -> tuple[type[Exception], ...]:
    """Return what databases raise; PostgreSQL's only where its driver is in use."""
    psycopg = sys.modules.get("psycopg")
    return (sqlite3.Error, psycopg.Error) if psycopg else (sqlite3.Error,)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
