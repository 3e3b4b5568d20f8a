"""Files of a local store: whole at every moment, written only where they differ. Knows bytes and paths."""

import os
import secrets
from pathlib import Path


def holds(path: str, data: bytes, sync: bool) -> bool:
    """Return whether a file holds exactly these bytes, and with `sync` holds them on the disk.

    Reading is much quicker than replacing a file by another: then file systems write the new one out at once.
    """
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size != len(data) or file.read() != data:
                return False
            if sync:
                os.fsync(file.fileno())
            return True
    except OSError:
        return False


def write_file(path: str, data: bytes, sync: bool = True) -> None:
    """Write a file so that at every moment it is absent, old or whole; without `sync`, a power cut may cut it short."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name[:32]}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
