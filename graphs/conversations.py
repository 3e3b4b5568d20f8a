"""Conversations in a SQLite file: a turn does not wait for the disk, and nothing stored is run. Knows no graph."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from os import PathLike

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver


@contextmanager
def open_conversations(path: str | PathLike[str]) -> Iterator[SqliteSaver]:
    """Open a file of conversations as a checkpointer, and close it at the end.

    It is LangGraph's `SqliteSaver` with SQLite's `synchronous` at NORMAL, which its write-ahead log is made for: a
    killed process loses nothing, a power cut at most the last steps, and the file stays whole. As `SqliteSaver` opens
    one, every step waits for the disk, which is most of what the graph costs.

    What is read back is messages and plain data, also where `LANGGRAPH_STRICT_MSGPACK` is not set: by itself
    `SqliteSaver` calls whatever function a row names, and who can write to the file could run code.

    Args:
        path: The file; it is made where there is none.

    Raises:
        sqlite3.Error: It cannot be opened, or is no database.
    """
    with closing(sqlite3.connect(path, check_same_thread=False)) as connection:  # the saver has a lock of its own
        saver = SqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        saver.setup()
        connection.execute("PRAGMA synchronous=NORMAL")
        yield saver
