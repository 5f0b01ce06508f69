"""New weights for servers, none of their parameters left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from lit_passk.engines import vllm_protocol
from lit_passk.engines.server_pool import Member
from lit_passk.engines.vllm_protocol import ServerError
from lit_passk.errors import CannotRun


def update_closely(members: Sequence[Member], timeout: float, update: Callable[[], None]) -> None:
    """Set all parameters to 0, update the weights, and see which are still 0.

    A model in vLLM drops a tensor whose name it does not know without a word.

    Raises:
        CannotRun: If a parameter got no new values.
    """
    seen = []
    for member in members:
        with suppress(ServerError):  # a server that is gone; the update finds it out, too
            old = vllm_protocol.weight_digests(member.server, timeout)
            vllm_protocol.zero_weights(member.server, timeout)
            seen.append((member, old, vllm_protocol.weight_digests(member.server, timeout)))
    update()
    for member, old, zero in seen:
        if not member.failures:
            check_arrived(member.server.address, old, zero, vllm_protocol.weight_digests(member.server, timeout))


def check_arrived(address: str, old: dict[str, str], zero: dict[str, str], new: dict[str, str]) -> None:
    """Raise CannotRun if a parameter was not 0 in the beginning, was set to 0 and still is.

    Args:
        address: The server's.
        old: Hashes of its parameters before.
        zero: Hashes of the same once they were 0.
        new: Hashes after the update.
    """
    left = [name for name in old if old[name] != zero[name] == new[name]]
    if left:
        raise CannotRun(
            f"{address} did not take all of the policy's weights: {len(left)} of its parameters got no new values, "
            f"{', '.join(left[:6])} among them. Its vLLM and this transformers do not agree on the model: sample with "
            "TransformersEngine, or try other versions. Restart the server."
        )
