"""A tokenizer's name becomes the file that defines it, and the file the library's tokenizer.

    find_file(None)                   -> the 32,000 pieces of Mistral 7B, in an installed package
    find_file("models/mine")          -> models/mine/tokenizer.json, else tokenizer.model
    find_file("Qwen/Qwen3-8B")        -> the Hub's tokenizer.json, downloaded
    read_file(path, name)             -> TokenizerFile(hf, fingerprint, bos, eos)

Nothing is executed from these files: no pickles, no code from the Hub.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from longdata.errors import UserError
from longdata.sentencepiece_model import read_model, to_tokenizer

LARGEST_FILE = 256 * 2**20  # bytes; the largest published tokenizer.json are about 35 MB
BOS_TOKENS = ("<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>")
EOS_TOKENS = ("</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>", "<|im_end|>")

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_ALLOWED = "a folder with tokenizer.json or tokenizer.model, one of these files, or a Hub id"

Special = tuple[int, str]  # id and text of a special token


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerFile:
    """What one file says; `fingerprint` is the SHA-256 of its bytes."""

    hf: Tokenizer
    fingerprint: str
    bos: Special | None
    eos: Special | None


def find_file(name: str | Path | None) -> Path:
    """The file that `name` means; None is the default, which needs no network.

    Raises UserError when there is none.
    """
    if name is None:
        return _default_file()
    path = Path(name)
    if path.is_dir():
        for file in ("tokenizer.json", "tokenizer.model"):
            if (path / file).is_file():
                return path / file
        raise _refusal(f"{name}, a folder without tokenizer.json and tokenizer.model")
    if path.is_file():
        return path
    if path.suffix in (".json", ".model") or not _HUB_ID.fullmatch(str(name)):
        raise _refusal(f"{name}, which is no file or folder here")
    return _from_hub(str(name))


def read_file(path: Path, name: str) -> TokenizerFile:
    """Read a tokenizer.json or a SentencePiece model; `name` is what messages call it.

    Raises UserError when it cannot be read or is neither.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise _refusal(f"{name}, a file of {path.stat().st_size:,} bytes")
        data = path.read_bytes()
    except OSError as why:
        raise _refusal(f"{name}, which cannot be read ({why.strerror})") from why
    if data.lstrip()[:1] == b"{":
        hf = _parse_json(data, name)
        bos, eos = _special_tokens(hf, path.parent)
    else:
        model = read_model(data, name)
        hf = to_tokenizer(model, name)
        bos, eos = model.control(*BOS_TOKENS), model.control(*EOS_TOKENS)
    hf.no_truncation()  # a tokenizer.json may carry a maximum length: counts would stop there
    hf.no_padding()
    return TokenizerFile(hf=hf, fingerprint=hashlib.sha256(data).hexdigest(), bos=bos, eos=eos)


def _default_file() -> Path:
    spec = importlib.util.find_spec("mistral_common")  # finds the package without importing it
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder) / "data" / "tokenizer.model.v1"
        if file.is_file():
            return file
    raise UserError(
        "got no --tokenizer, and the package that holds the default one is missing; allowed: "
        f"{_ALLOWED}; fix: pip install 'mistral-common>=1.8'"
    )


def _from_hub(name: str) -> Path:
    from huggingface_hub import hf_hub_download  # slow to import
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError

    for file in ("tokenizer.json", "tokenizer.model"):
        try:
            return Path(hf_hub_download(name, file))
        except EntryNotFoundError as why:
            # Raised for a missing file, and by its subclass when there is no network.
            if "LocalEntryNotFound" in type(why).__name__:
                raise _refusal(f"{name}, which is not here, and the Hub cannot be reached") from why
        except (HfHubHTTPError, HFValidationError, OSError) as why:
            line = str(why).strip().splitlines()[0] if str(why).strip() else type(why).__name__
            raise _refusal(f"{name}, which the Hub does not give ({line})") from why
    raise _refusal(f"{name}, which has neither tokenizer.json nor tokenizer.model on the Hub")


def _parse_json(data: bytes, name: str) -> Tokenizer:
    try:
        return Tokenizer.from_str(data.decode("utf-8"))
    except BaseException as why:  # the library raises bare Exception, and panics for odd input
        if not isinstance(why, Exception) and type(why).__name__ != "PanicException":
            raise
        line = (str(why).strip().splitlines() or [type(why).__name__])[0][:200]
        raise _refusal(f"{name}, which is no tokenizer.json ({line})") from why


def _special_tokens(hf: Tokenizer, folder: Path) -> tuple[Special | None, Special | None]:
    """BOS and EOS as (id, text): from tokenizer_config.json, else by their usual names."""
    try:
        config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    except (OSError, ValueError):
        config = {}

    special = {token.content for token in hf.get_added_tokens_decoder().values() if token.special}

    def find(key: str, usual: tuple[str, ...]) -> Special | None:
        if isinstance(config, dict) and key in config:
            value = config[key]
            text = value.get("content") if isinstance(value, dict) else value
            candidates = [text] if isinstance(text, str) else []
        else:
            candidates = [text for text in usual if text in special]
        for text in candidates:
            token = hf.token_to_id(text)
            if token is not None:
                return token, text
        return None

    return find("bos_token", BOS_TOKENS), find("eos_token", EOS_TOKENS)


def _refusal(given: str) -> UserError:
    return UserError(
        f"got --tokenizer {given}; allowed: {_ALLOWED}; "
        "fix: check the name, or leave it out for the default"
    )
