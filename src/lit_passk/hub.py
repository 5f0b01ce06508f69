"""The Hugging Face hub, asked once whether it is there: without a network every file costs half a minute of retries."""

from __future__ import annotations

import logging
import os
import sys
import threading
from functools import cache

from lit_passk.errors import Refusal

log = logging.getLogger(__name__)

PATIENCE = 8.0
"""Seconds that the hub has to answer, unless ``HF_HUB_ETAG_TIMEOUT`` says otherwise."""


def use_hub() -> None:
    """Call before anything is looked up by a hub id; a hub that does not answer is not asked again.

    The first call sends one request, through the proxies and to the mirror (``HF_ENDPOINT``) that are set. If nothing
    answers, this process and those that it starts go on with the cache alone, as under ``HF_HUB_OFFLINE=1``.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or (reason := silence()) is None:
        return
    # huggingface_hub and datasets read the variable when they are imported, which they may have been.
    os.environ["HF_HUB_OFFLINE"] = "1"
    constants.HF_HUB_OFFLINE = True
    if "datasets" in sys.modules:
        sys.modules["datasets"].config.HF_HUB_OFFLINE = True
    log.warning("%s does not answer (%s): what is in the cache is used.", constants.ENDPOINT, reason)


@cache
def silence() -> str | None:
    """Why the hub does not answer; None if it does, with an error even."""
    from huggingface_hub import constants, get_session

    patience = float(os.environ.get("HF_HUB_ETAG_TIMEOUT") or PATIENCE)
    found: list[str | None] = []

    def ask() -> None:
        try:
            get_session().head(constants.ENDPOINT, timeout=patience)
        except Exception as error:  # of httpx or httpx2, whichever huggingface_hub uses
            found.append(f"{type(error).__name__}: {error}")
        else:
            found.append(None)

    # In a thread, since looking up the name of a host knows no time limit.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(patience)
    return found[0] if found else f"no answer in {patience:g} seconds"


def not_given(name: str, kind: str, error: BaseException) -> Refusal:
    """The refusal of a hub id that gave nothing, with what to do if that is for want of a network.

    Args:
        name: The hub id, such as ``openai/gsm8k``.
        kind: ``model`` or ``dataset``.
        error: What the library raised that looked it up.
    """
    from huggingface_hub import constants

    if not constants.HF_HUB_OFFLINE:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        return Refusal(
            f"No {kind} {name!r}: there is no such folder, and {constants.ENDPOINT} does not give it "
            f"({type(error).__name__}: {first}). What is gated or private needs `hf auth login`."
        )
    # Once it was asked in vain the variable is set too, but by `use_hub`.
    asked = silence.cache_info().currsize > 0
    why = f"{constants.ENDPOINT} does not answer ({silence()})" if asked else "HF_HUB_OFFLINE forbids asking the hub"
    option = " --repo-type dataset" if kind == "dataset" else ""
    return Refusal(
        f"No {kind} {name!r}: there is no such folder, the hub's cache {constants.HF_HUB_CACHE} does not hold it, and "
        f"{why}. Name a folder instead: where there is a network, `hf download {name}{option} --local-dir "
        f"{name.rpartition('/')[2]}` makes one. Or name a mirror by HF_ENDPOINT, or copy a filled cache to here."
    )
