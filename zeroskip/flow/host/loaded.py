"""Which image was loaded at a port last, remembered from command to command."""

import json
from pathlib import Path

from zeroskip.base.cache import cache_dir, writing_cache
from zeroskip.base.errors import InputError
from zeroskip.base.staging import replaced_file

__all__ = ["loaded_image", "remember_image"]


def remember_image(port: str, image: Path) -> None:
    """Remember that the board at a port holds an image."""
    file = _file(port)
    with writing_cache():
        file.parent.mkdir(parents=True, exist_ok=True)
        with replaced_file(file) as text:
            json.dump({"image": str(image.resolve())}, text)


def loaded_image(port: str) -> Path:
    """Return the folder of the image that was loaded at a port last.

    Raises
    ------
    InputError
        If none is known.
    """
    try:
        return Path(json.loads(_file(port).read_text())["image"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"it is not known what the board at {port} holds: name it with --image, and add "
            "--load unless its bitstream has it"
        ) from error


def _file(port: str) -> Path:
    return cache_dir() / "host" / f"{port.strip('/').replace('/', '_')}.json"
