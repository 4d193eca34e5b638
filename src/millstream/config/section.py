"""What the sections of the configuration share: nothing unknown, nothing changed, secrets from files too."""

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator
from pydantic.fields import FieldInfo

FILE_OF = "_file"


class Section(BaseModel):
    """A part of the settings. A secret `x` may be given as `x_file`, the path of a file that holds nothing else."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        read = dict(data)
        for name in cls.secrets():
            path = read.get(name + FILE_OF)
            if path is None:
                continue
            if read.get(name) is not None:
                raise ValueError(f"{name} and {name}{FILE_OF} are both given; keep one of them")
            try:
                read[name] = Path(path).expanduser().read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"{name}{FILE_OF} cannot be read: {error}") from error
        return read

    @classmethod
    def secrets(cls) -> tuple[str, ...]:
        """Return the names of the fields that print as stars."""
        return tuple(name for name, field in cls.model_fields.items() if is_secret(field))

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        self.check()
        return self

    def check(self) -> None:
        """Look at fields that depend on each other.

        Raises:
            ValueError: what is wrong, completing "limits …".
        """


def is_secret(field: FieldInfo) -> bool:
    """Tell whether a field's value must not be seen."""
    annotation = field.annotation
    return annotation is SecretStr or SecretStr in getattr(annotation, "__args__", ())
