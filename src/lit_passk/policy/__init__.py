"""The model and everything that makes its log-probabilities fast.

- ``model.py``: loading; ``CausalPolicy``, whose forward turns a packed micro-batch into log-probabilities.
- ``packing.py``, ``packed_batch.py``: completions into micro-batches that store each prompt once.
- ``attention.py``, ``shared_prompt.py``: attention over packed rows.
- ``logprobs.py``, ``head.py``, ``tied.py``: log-probabilities in chunks, never holding tokens x vocabulary.
- ``sharding.py``, ``lora.py``: FSDP2 and low-rank adapters.
"""
