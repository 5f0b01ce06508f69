"""What samples completions. ``base.py`` has the interface; each engine is a file.

- ``TransformersEngine``: the policy's own module, on any machine.
- ``VLLMEngine``: vLLM in this process, beside the policy. ``vllm_compat.py`` is the only place of version trouble.
- ``VLLMServerEngine``: ``vllm serve`` on other machines (``vllm_protocol.py``, ``server_pool.py``, ``server.py``).
"""
