"""``lit-passk plan``: whether a configuration fits its machines, and where its time will go, before it is started."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser
from transformers import AutoConfig

from lit_passk.commands.plan.estimate import Estimate
from lit_passk.commands.plan.sizes import Architecture, Machine, Setup
from lit_passk.commands.quiet import quieten
from lit_passk.commands.train import LitPassKCLI
from lit_passk.data import PromptDataModule
from lit_passk.errors import Refusal
from lit_passk.modules import PassKRLModule
from lit_passk.policy.source import load_config, resolve_policy

SERVER = "VLLMServerEngine"
_MAY_BE_0 = ("reserved_gb", "with_advantage", "max_saved_logits_mib", "kept_terms", "kl", "checkpointing", "sync_last")


class PlanCLI(LitPassKCLI):
    """Reads the options of ``fit`` and builds nothing of them."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add ``plan.*``."""
        super().add_arguments_to_parser(parser)
        parser.add_class_arguments(Machine, "plan")
        parser.add_argument(
            "--architecture", type=dict[str, Any] | None, help="Fields of a model's config.json, instead of reading it."
        )

    def instantiate_classes(self) -> None:
        """Skip: planning needs neither data nor model."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Skip."""


def main(args: Sequence[str]) -> None:
    """Run ``lit-passk plan``; ``args`` are its options: those of ``fit``, and ``--plan.*``."""
    quieten()
    print(render(*estimate(read(args))))


def read(args: Sequence[str]) -> Namespace:
    """What the options of ``fit`` and ``--plan.*`` ask for."""
    cli = PlanCLI(
        PassKRLModule,
        PromptDataModule,
        seed_everything_default=0,
        save_config_callback=None,
        parser_kwargs={"prog": "lit-passk plan"},
        args=["fit", *args],
    )
    return cli.config.fit


def estimate(config: Namespace) -> tuple[Estimate, Machine]:
    """The arithmetic, and the machine that it is about.

    Raises:
        Refusal: If there is nothing to compute with a number that was given.
    """
    machine = Machine(**config.plan.as_dict())
    setup = read_setup(config, machine)
    for where, given in (("--plan", machine), ("the configuration", setup)):
        for name, value in vars(given).items():
            _check_number(name, value, where)
    return Estimate(read_architecture(config), machine, setup), machine


def _check_number(name: str, value: float | None, where: str) -> None:
    """Refuse what the arithmetic would divide by, or tell nonsense of."""
    least = "0 or more" if name in _MAY_BE_0 else "above 0"
    most = ", at most 1" if name.endswith("_share") or name == "with_advantage" else ""
    if value is None or (value == 0 and name in _MAY_BE_0) or 0 < value <= (1 if most else 1e30):
        return
    raise Refusal(f"`lit-passk plan` needs a number {least}{most} for {name} of {where}, but got {value}.")


def read_architecture(config: Namespace) -> Architecture:
    """Sizes of the policy.

    Raises:
        ValueError: If neither a folder nor the hub has its configuration.
    """
    if config.architecture is not None:
        return Architecture.of(AutoConfig.for_model(**config.architecture))
    try:
        return Architecture.of(load_config(resolve_policy(config.model.policy)))
    except (Refusal, OSError) as error:
        raise Refusal(
            f"{error} To plan without the model, give the fields of its config.json by `--architecture "
            '\'{"model_type": "llama", "hidden_size": 4096, ...}\'`.'
        ) from error


def read_setup(config: Namespace, machine: Machine) -> Setup:
    """What the configuration decides."""
    trainer, model, rollout = config.trainer, config.model, config.rollout
    ranks = num_devices(trainer.devices, machine.gpus_per_node) * trainer.num_nodes
    strategy = trainer.strategy
    name = strategy if isinstance(strategy, str) else strategy.class_path.rpartition(".")[2]
    shards = ranks if name.startswith(("fsdp", "FSDP", "ModelParallel", "Sharded")) else 1
    sizes = strategy.get("init_args") or {} if isinstance(strategy, Namespace) else {}
    if isinstance(sizes.get("data_parallel_size"), int):
        shards = sizes["data_parallel_size"]
    param_bytes = 4 if model.compute.dtype == "float32" else 2
    engine = rollout.engine.class_path.rpartition(".")[2] if rollout.engine is not None else ""
    options = rollout.engine.init_args if rollout.engine is not None else Namespace()
    return Setup(
        ranks=ranks,
        shards=shards,
        param_bytes=param_bytes,
        compute_bytes=2 if str(trainer.precision).startswith("bf16") else param_bytes,
        adapter_rank=model.lora.rank if model.lora is not None else None,
        kept_terms=model.kl_coef != 0 or model.entropy_coef != 0,
        kl=model.kl_coef != 0,
        checkpointing=model.compute.activation_checkpointing,
        sync_last=model.compute.gradient_sync == "last",
        token_budget=model.compute.token_budget,
        max_saved_logits_mib=model.compute.max_saved_logits_mib,
        prompts=config.data.prompts_per_step,
        group_size=rollout.group_size,
        max_tokens=rollout.sampling.max_tokens,
        minibatches=model.num_minibatches,
        epochs=model.num_epochs,
        engine_tp=options.get("tensor_parallel_size", 1),
        engine_bytes={"auto": param_bytes, "float32": 4}.get(options.get("dtype", "auto"), 2),
        engine_share=None if engine == SERVER else options.get("gpu_memory_utilization"),
    )


def num_devices(devices: int | str | Sequence[int], gpus_per_node: int) -> int:
    """How many devices of a node ``trainer.devices`` takes: a number, ``auto`` or -1 for all, or a list of some.

    Raises:
        Refusal: If it is something else.
    """
    if isinstance(devices, str):
        text = devices.strip()
        try:
            devices = -1 if text == "auto" else [int(i) for i in text.split(",") if i] if "," in text else int(text)
        except ValueError as error:
            raise Refusal(f"`trainer.devices` must be a number, a list of some, or auto, but is {text!r}.") from error
    if isinstance(devices, int):
        return devices if devices >= 0 else gpus_per_node
    return len(devices)


def render(estimate: Estimate, machine: Machine) -> str:
    """The lines as a table, and what does not fit."""
    a = estimate.a
    ranks = f"{estimate.s.ranks} ranks, {estimate.s.shards} shards"
    rows = [f"{a.params / 1e9:.2f} billion parameters in {a.blocks} blocks; {ranks}", ""]
    for section, lines in groupby(estimate.lines, key=lambda line: line.section):
        rows += [section, *(f"  {n.name:32s} {n.value:12,.4g}  {n.formula}" for n in lines), ""]
    return "\n".join(rows + (problems(estimate, machine) or ["It fits."]))


def problems(estimate: Estimate, machine: Machine) -> list[str]:
    """What does not fit the GPU, and what to change."""
    v, s = estimate.value, estimate.s
    found = []
    if v["training needs"] > machine.memory_gb:
        ways = [
            "`model.compute.activation_checkpointing: true`" if not s.checkpointing else "",
            "`model.compute.gradient_sync: every`" if s.sync_last and s.shards > 1 else "",
            "a smaller `model.compute.token_budget`",
            "more GPUs" if s.shards > 1 else "FSDP2 (`trainer.strategy: ModelParallelStrategy`)",
        ]
        found.append(
            f"Training does not fit: {v['training needs']:.0f} GB. Ways out: {', '.join(w for w in ways if w)}."
        )
    if v.get("room for keys and values", 1.0) <= 0:
        found.append("The engine's weights do not fit its share: raise `tensor_parallel_size` of `rollout.engine`.")
    if v.get("sampling needs", 0.0) > machine.memory_gb:
        found.append(f"Sampling does not fit: {v['sampling needs']:.0f} GB. Lower `gpu_memory_utilization`.")
    return found
