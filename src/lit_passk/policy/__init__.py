"""The model and everything that makes its log-probabilities fast.

- ``model.py``: loading; ``CausalPolicy``, whose forward turns a packed micro-batch into log-probabilities.
- ``packing.py``, ``packed_batch.py``: completions into micro-batches that store each prompt once.
- ``plain.py``: attention over packed rows and log-probabilities, written down plainly: read it first.
- ``attention.py``, ``shared_prompt.py``, ``cpu_kernels.py``: the same attention, fast.
- ``logprobs.py``, ``head.py``: the same log-probabilities, fast; never holding tokens x vocabulary.
- ``sharding.py``, ``lora.py``: FSDP2 and low-rank adapters.
"""
