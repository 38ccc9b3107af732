"""What a person typed -> a model, or an error that lists the nearest names.

Nothing is corrected: one digit may be another model.
"""

from __future__ import annotations

from ..core.errors import SelfhostError, UnexplainedNameError, UnknownModelError
from ..core.records import pattern
from ..core.spelling import canonical
from .index import Catalogue
from .lookup import (
    SEE_NAMES,
    Resolution,
    cut_short,
    has_wide_qat_table,
    look_up,
    understood_name,
    without_address,
)
from .quantization_names import TRAINED_FOR

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .spec import ModelSpec

__all__ = [
    "canonical",
    "complete",
    "resolve",
]

# the longest repository id that Hugging Face allows has 96 + 1 + 96 characters; an address of a
# file in it adds a few dozen
MAX_NAME_LENGTH = 400

# what is pasted around a name
_QUOTES = " \t\n\"'`,;"


def resolve(typed: str, catalogue: Catalogue, *, explains: bool = True) -> Resolution:
    """The model that goes by this name.

    Raises `NotAModelError` for a tool or service, `UnknownModelError` for anything else, with the
    nearest names; without `explains` that only says that it is not in the catalogue.
    """
    resolution = _resolve(typed, catalogue, explains=explains)
    resolution = _as_file_is_called(typed, resolution, catalogue)
    resolution = _as_its_account_names(typed, resolution, catalogue)
    return resolution.replace(names_file=_names_file(typed, resolution))


def _as_file_is_called(typed: str, resolution: Resolution, catalogue: Catalogue) -> Resolution:
    """In the quantization of the published file of that very name, where the name says another or
    none: Microsoft's `Phi-3-mini-4k-instruct-q4.gguf` holds Q4_K_M.
    """
    name = typed.strip().rpartition("/")[2]
    if not name.lower().endswith(".gguf"):
        return resolution
    spec = catalogue.spec(resolution.spec_id)
    for files in spec.files:
        for quantization, file_name in files.names.items():
            if file_name == name and files.format == "gguf":
                return resolution.replace(quantization=quantization, runtime=None)
    # Google's own files are called as any converter's but for the case of the type: stduhpf's card
    # of gemma-3-27b-it-qat-q4_0-gguf-small links it, and public programs load those of 1B to 12B
    is_own = name == f"{(spec.repository or '').rpartition('/')[2]}-q4_0.gguf"
    if is_own and has_wide_qat_table(resolution.spec_id, catalogue):
        from .forms import QAT_AS_PUBLISHED

        return resolution.replace(
            quantization=f"{TRAINED_FOR}Q4_0",
            repository=f"{spec.repository}-qat-q4_0-gguf",
            notes=(*resolution.notes, QAT_AS_PUBLISHED),
        )
    return resolution


def _names_file(typed: str, resolution: Resolution) -> bool:
    """Whether the name is that of one published GGUF file, with or without its ending, or the tag
    of one: a quantization of GGUF ends it, and nothing else parts it into words.
    """
    is_gguf = resolution.runtime is None and resolution.quantization is not None
    name = (named_in_command(typed) or typed.strip(_QUOTES)).removeprefix("library/")
    is_one = not any(sign.isspace() or sign in "@/\\" for sign in name)
    return is_gguf and resolution.repository is None and is_one


def _as_its_account_names(typed: str, resolution: Resolution, catalogue: Catalogue) -> Resolution:
    """With the type that the account of the repository means by the one that was typed: Unsloth's
    `Q4_K_XL` is the file `UD-Q4_K_XL`.
    """
    if resolution.quantization is None or "/" not in typed:
        return resolution
    name = without_address((named_in_command(typed) or typed).strip())[0]
    naming = catalogue.common("quantizations")["publisher"].get(name.partition("/")[0].lower())
    if naming is None:
        return resolution
    whole = f"{naming['prefix']}{resolution.quantization}"
    listings = [
        files.quantizations
        for files in catalogue.spec(resolution.spec_id).files
        if files.listed and (files.repository or "").lower() == name.partition(":")[0].lower()
    ]
    is_alone = any(whole in types and resolution.quantization not in types for types in listings)
    if is_alone or resolution.quantization in naming["types"]:
        return resolution.replace(quantization=whole)
    return resolution


def id_of(name: str, catalogue: Catalogue) -> str | None:
    """The id of the model that goes by this name, None where no single one does; unlike
    `resolve` without looking for the nearest.
    """
    try:
        candidate = (
            understood_name(name, catalogue)
            if len(name) <= MAX_NAME_LENGTH and canonical(name)
            else None
        )
    except SelfhostError:
        return None
    return candidate.spec_id if candidate else None


def id_of_whole_name(name: str, catalogue: Catalogue) -> str | None:
    """The id of the model whose id, repository or repository's own name this is; None for a
    family, an alias, and what several have.
    """
    key = canonical(name) if len(name) <= MAX_NAME_LENGTH else ""
    try:
        candidate = (
            look_up(key, ("ids",), name, catalogue)
            or look_up(key, ("repositories", "titles"), name, catalogue)
            if key
            else None
        )
    except SelfhostError:
        return None
    return candidate[0] if candidate else None


def complete(prefix: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Ids and aliases that begin so, case and separators aside, for shell completion."""
    start = canonical(prefix)
    if prefix and not start:
        return ()
    plain = prefix.lower()
    return tuple(
        name
        for name in catalogue.spellings()
        if name.lower().startswith(plain) or (start and canonical(name).startswith(start))
    )


def _resolve(typed: str, catalogue: Catalogue, *, explains: bool = True) -> Resolution:
    if len(typed) > MAX_NAME_LENGTH:
        raise UnknownModelError(
            f"{cut_short(typed)} has {len(typed):,} characters, too many for a model's name",
            remedy=SEE_NAMES,
        )
    if not canonical(typed):
        message = (
            f"{cut_short(typed)} is not a model's name" if typed.strip() else "no model was named"
        )
        raise UnknownModelError(message, remedy=SEE_NAMES)
    typed = named_in_command(typed) or typed.strip(_QUOTES)
    candidate = understood_name(typed, catalogue)
    if candidate is not None:
        return candidate
    # most names are understood as they are
    from .respelled import begun, respelled, routed, untuned, with_point, without_tuned

    candidate = respelled(typed.strip(), catalogue)
    if candidate is not None:
        return candidate
    name = without_address(routed(typed.strip(), catalogue))[0].removeprefix("library/")
    resolution = (
        untuned(name, catalogue)
        or begun(name, catalogue)
        or with_point(name, catalogue)
        or without_tuned(name, catalogue)
        or _in_other_script(name, catalogue, explains=explains)
    )
    if resolution is None:
        # what to say of it takes longer to find than that it is unknown
        if not explains:
            message = f"{cut_short(typed)} is not in the catalogue"
            raise UnexplainedNameError(message, remedy=SEE_NAMES)
        # most names need nothing of that module
        from .unknown_names import unknown_name

        raise unknown_name(typed, name, catalogue)
    return resolution


def _in_other_script(name: str, catalogue: Catalogue, *, explains: bool) -> Resolution | None:
    """The model of a name that is written in another script; None for any other. Raises what the
    name in Latin letters does.
    """
    if name.isascii():
        return None
    from .scripts import in_latin_letters

    latin = in_latin_letters(name, catalogue.common("families").get("spelled") or {})
    if latin is None:
        return None
    resolution = _resolve(latin, catalogue, explains=explains)
    return resolution.replace(notes=(f"{name} is read as {latin}.", *resolution.notes))


def library_tag(typed: str, spec: ModelSpec, catalogue: Catalogue) -> str | None:
    """What was typed, as Ollama's library writes that tag of the model; None for any other name."""
    if ":" not in typed:
        return None
    from .respelled import letters

    name = letters(typed.strip().removeprefix("library/"))
    tags = [alias for alias in spec.aliases if ":" in alias]
    for spelling, facts in catalogue.common_tables("families", "tag").values():
        if facts.get("loads") == spec.id:
            tags.append(spelling)
    return next((tag for tag in tags if letters(tag) == name), None)


# the model in a line that runs or downloads one: `ollama run llama3.2`, `vllm serve REPO`,
# `llama-server -hf REPO:QUANT`
_COMMAND = pattern(
    r"(?:(?P<ollama>ollama)\s+(?:run|pull|show)|(?:vllm|transformers)\s+serve"
    r"|(?:hf|huggingface-cli)\s+download|git\s+clone|docker\s+model\s+(?:run|pull)"
    r"|lms\s+(?:get|load)|ramalama\s+(?:run|pull|serve)"
    r"|llama-(?:server|cli)\s(?:.*\s)?(?:-hf|-hfr|--hf-repo))\s+(?P<name>[^\s-]\S*)(?:\s.*)?"
)


def named_in_command(typed: str) -> str | None:
    """The name of the model in a line that runs or downloads one; None for anything else."""
    words = typed.split()
    # a program, what it is to do, and a name
    match = _COMMAND.fullmatch(" ".join(words)) if len(words) > 2 else None
    if match is None:
        return None
    is_in_library = match["ollama"] and "/" not in match["name"]
    return f"library/{match['name']}" if is_in_library else match["name"]
