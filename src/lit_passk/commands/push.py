"""An exported folder on the Hugging Face hub: refused before the export where it cannot succeed, uploaded after it."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import validate_repo_id

from lit_passk.errors import CannotRun, Refusal
from lit_passk.hub import use_hub


def check(repo: str) -> None:
    """Refuse what could not be pushed, before time is spent.

    Args:
        repo: ``owner/name``.

    Raises:
        Refusal: If the name is none, nobody is logged in, or the hub must not be asked.
        CannotRun: If the hub does not answer.
    """
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise Refusal(f"`--push` needs the name of a repository as owner/name, but got {repo!r}: {error}") from error
    if repo.count("/") != 1:
        raise Refusal(f"`--push` needs the name of a repository as owner/name, but got {repo!r}.")
    if get_token() is None:
        raise Refusal("`--push` needs a token that may write: `hf auth login`, or set HF_TOKEN.")
    if constants.HF_HUB_OFFLINE:
        raise Refusal("`--push` needs the hub, but HF_HUB_OFFLINE is set: unset it.")
    use_hub()
    if constants.HF_HUB_OFFLINE:
        raise CannotRun(
            f"`--push` needs {constants.ENDPOINT}, which does not answer. Export without `--push` now, and later "
            f"`hf upload {repo} FOLDER` from where there is a network."
        )


def push(folder: Path, repo: str, public: bool) -> str:
    """Upload a folder as one commit.

    Args:
        folder: What ``export`` wrote.
        repo: ``owner/name``; made if there is none, and then private unless ``public``.
        public: Let anybody see a repository that is made. One that exists stays as it is.

    Returns:
        The address of the repository.

    Raises:
        CannotRun: If the hub refuses; what was exported stays.
    """
    api = HfApi(endpoint=constants.ENDPOINT)
    try:
        address = api.create_repo(repo, private=not public, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Trained with lit-passk")
    except (HfHubHTTPError, OSError) as error:
        first = str(error).splitlines()[0]
        raise CannotRun(f"{folder} was written, but the hub did not take it as {repo!r}: {first}") from error
    return str(address)
