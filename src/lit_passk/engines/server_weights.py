"""The policy's weights on servers: new ones for all, none of their parameters left out; those in use for one alone."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from torch import Tensor

from lit_passk.engines import vllm_protocol
from lit_passk.engines.server import Server
from lit_passk.engines.server_pool import Member, ServerPool
from lit_passk.engines.vllm_protocol import ServerError
from lit_passk.engines.vllm_served import UNNAMED_VERSION
from lit_passk.engines.vllm_transfer import WeightBroadcast, write_weights
from lit_passk.engines.weights_folder import WeightsFolder
from lit_passk.errors import CannotRun
from lit_passk.policy.checkpoint_names import CheckpointNames


class ServerWeights:
    """Sends the policy's weights to servers, over NCCL or in files.

    Args:
        names: Of the policy's tensors in a checkpoint, which vLLM reads.
        timeout: Seconds any one call may take.
        parent: Folder for files that all servers can see; None is the one for temporary files.
        broadcast: Over NCCL; None writes files.
    """

    def __init__(
        self, names: CheckpointNames, timeout: float, parent: str | None, broadcast: WeightBroadcast | None
    ) -> None:
        self.names = names
        self.timeout = timeout
        self.parent = parent
        self.broadcast = broadcast
        self._folder: WeightsFolder | None = None
        self._in_use: str | None = None  # the files of the version in use, for servers that come back
        self._looked_closely = False

    def send(self, pool: ServerPool, named_tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Bring every server that works to these weights, the first time with a look at what arrived.

        Args:
            pool: The servers.
            named_tensors: The items of the policy's ``state_dict()``.
            version: What the new weights are called.

        Raises:
            ServerError: If they reached no server.
            CannotRun: If a server's model did not take all of them.
        """
        tensors = self.names.translate(named_tensors)
        if self._looked_closely:
            self._send(pool, tensors, version)
        else:
            update_closely(pool.members, self.timeout, lambda: self._send(pool, tensors, version))
            self._looked_closely = True

    def bring_up_to_date(self, server: Server, has: str, version: int) -> None:
        """Give one server the weights in use.

        Args:
            server: The server.
            has: What it calls the weights that it has.
            version: Of the weights in use.

        Raises:
            ServerError: If it does not take them, or they are in no files.
        """
        if has == str(version):
            return
        if self._in_use is not None:
            vllm_protocol.reload_from_path(server, self._in_use, version, self.timeout)
        elif version == 0 and has == UNNAMED_VERSION:
            vllm_protocol.name_version(server, 0, self.timeout)
        else:
            raise ServerError(f"{server.address} came back without the weights, which are not on disk")

    def close(self) -> None:
        """Leave the NCCL group, remove the files."""
        if self.broadcast is not None:
            self.broadcast.close()
        if self._folder is not None:
            self._folder.remove()
        self.broadcast = self._folder = self._in_use = None

    def _send(self, pool: ServerPool, named_tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        if self.broadcast is not None:
            self.broadcast.send(named_tensors, version)
            return
        if self._folder is None:
            self._folder = WeightsFolder(self.parent)
        # Others may come under this one.
        path = tempfile.mkdtemp(prefix=f"version-{version}-", dir=self._folder.path)
        write_weights(named_tensors, path)
        with ThreadPoolExecutor(max_workers=len(pool.members)) as threads:
            results = list(threads.map(lambda member: self._reload(pool, member, path, version), pool.members))
        if not any(result is None for result in results):
            raise ServerError(" ".join(str(result) for result in results))
        old, self._in_use = self._in_use, path
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)

    def _reload(self, pool: ServerPool, member: Member, path: str, version: int) -> ServerError | None:
        try:
            vllm_protocol.reload_from_path(member.server, path, version, self.timeout)
        except ServerError as error:
            pool.failed(member, error, acquired=False)
            return error
        return None


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
